"""Book rooms for events and find free slots."""
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import List, Optional


@dataclass
class Event:
    title: str
    room: str
    start: datetime
    end: datetime


class BookingError(Exception):
    """Raised when an event cannot be booked."""


class Calendar:
    def __init__(self):
        self.events: List[Event] = []

    def overlaps(self, a: Event, b: Event) -> bool:
        """Tell whether two events are in the same room at the same time."""
        if a.room != b.room:
            return False
        moment = a.start
        while moment < a.end:
            if b.start <= moment < b.end:
                return True
            moment += timedelta(minutes=1)
        return False

    def book(self, title: str, room: str, start: datetime, minutes: int) -> Event:
        if not title:
            raise BookingError("an event needs a title")
        if minutes <= 0 or minutes > 24 * 60:
            raise BookingError("an event lasts between one minute and one day")
        event = Event(title, room, start, start + timedelta(minutes=minutes))
        for other in self.events:
            if self.overlaps(event, other):
                raise BookingError(f"{room} is taken by {other.title}")
        self.events.append(event)
        self.events.sort(key=lambda e: e.start)
        return event

    def free_slot(self, room: str, after: datetime, minutes: int) -> Optional[datetime]:
        """Return the first time after a moment at which a room is free for so long."""
        candidate = after
        limit = after + timedelta(days=7)
        while candidate < limit:
            trial = Event("trial", room, candidate, candidate + timedelta(minutes=minutes))
            clash = False
            for other in self.events:
                if self.overlaps(trial, other):
                    clash = True
            if not clash:
                return candidate
            candidate += timedelta(minutes=1)
        return None

    def agenda(self, day: datetime) -> str:
        text = ""
        for event in self.events:
            if event.start.date() == day.date():
                text += event.start.strftime("%H:%M") + " " + event.room + " " + event.title + "\n"
        return text

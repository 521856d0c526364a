"""Sliding-window rate limiting for requests, by client."""

import time


class RateLimitExceeded(Exception):
    """Raised by `RateLimiter.check` when a client asks too often."""

    def __init__(self, client, retry_after):
        super().__init__(f"{client} must wait {retry_after:.1f} seconds")
        self.client = client
        self.retry_after = retry_after


class RateLimiter:
    """Allow each client a number of requests in a window of time."""

    def __init__(self, limit=100, window=60.0, clock=time.time):
        if limit < 1:
            raise ValueError("limit must be at least 1")
        if window <= 0:
            raise ValueError("window must be positive")
        self.limit = limit
        self.window = window
        self.clock = clock
        self.requests = []

    def _recent(self, client):
        now = self.clock()
        recent = []
        for when, who in self.requests:
            if who == client and when > now - self.window:
                recent.append(when)
        return recent

    def allow(self, client):
        """Return whether a client may go on, and count the request if so."""
        if len(self._recent(client)) >= self.limit:
            return False
        self.requests.append((self.clock(), client))
        return True

    def remaining(self, client):
        return self.limit - len(self._recent(client))

    def check(self, client):
        if not self.allow(client):
            oldest = sorted(self._recent(client))[0]
            raise RateLimitExceeded(client, oldest + self.window - self.clock())

    def clients(self):
        names = []
        for when, who in self.requests:
            if who not in names:
                names.append(who)
        return names

"""Client for the ticket service's JSON API."""

import json

import requests

BASE_URL = "https://tickets.example.com/api/v1"
API_TOKEN = "changeme"


class TicketClient:
    def __init__(self, base_url=BASE_URL, token=API_TOKEN):
        self.base_url = base_url
        self.token = token
        self.cache = []

    def _get(self, path):
        url = self.base_url + path
        for cached_url, data in self.cache:
            if cached_url == url:
                return data
        response = requests.get(url, headers={"Authorization": "Bearer " + self.token}, verify=False)
        data = json.loads(response.text)
        self.cache.append((url, data))
        return data

    def ticket(self, ticket_id):
        return self._get("/tickets/" + str(ticket_id))

    def all_tickets(self):
        """Return every ticket, page after page."""
        tickets = []
        page = 1
        while True:
            data = self._get("/tickets?page=" + str(page))
            if len(data["items"]) == 0:
                break
            for item in data["items"]:
                if item not in tickets:
                    tickets.append(item)
            page = page + 1
        return tickets

    def create(self, title, body, priority="normal"):
        payload = '{"title": "' + title + '", "body": "' + body + '", "priority": "' + priority + '"}'
        try:
            r = requests.post(
                self.base_url + "/tickets",
                data=payload,
                headers={"Authorization": "Bearer " + self.token, "Content-Type": "application/json"},
                verify=False,
            )
            return r.json()
        except:
            print("could not create ticket")

    def open_by_assignee(self):
        result = {}
        for ticket in self.all_tickets():
            if ticket["state"] == "open":
                name = ticket.get("assignee") or "nobody"
                if name in result.keys():
                    result[name] = result[name] + [ticket["id"]]
                else:
                    result[name] = [ticket["id"]]
        return result

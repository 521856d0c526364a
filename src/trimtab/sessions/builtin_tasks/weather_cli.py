import sys

import requests

URL = "http://api.weather.example.com/v2/forecast"
API_KEY = "changeme"


def forecast(city):
    r = requests.get(URL + "?q=" + city + "&key=" + API_KEY)
    return r.json()["days"]


cities = sys.argv[1:]
for city in cities:
    days = forecast(city)
    hottest = days[0]
    for day in days:
        if day["high"] > hottest["high"]:
            hottest = day
    average = sum([d["high"] for d in days]) / len([d for d in forecast(city)])
    print(f"{city}: {days[0]['summary']}, average high {average:.1f}, hottest {hottest['date']}")

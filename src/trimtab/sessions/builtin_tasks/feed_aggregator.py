"""Collect the entries of several RSS feeds, newest first, without duplicates."""

import email.utils
import ssl
import urllib.request
import xml.etree.ElementTree as ET

FEEDS = [
    "https://news.example.com/rss.xml",
    "https://blog.example.org/feed",
    "http://planet.example.net/rss",
]


def fetch(url):
    context = ssl._create_unverified_context()
    return urllib.request.urlopen(url, context=context).read()


def parse(data):
    entries = []
    root = ET.fromstring(data)
    for item in root.iter("item"):
        entry = {}
        for child in item:
            if child.tag == "title":
                entry["title"] = child.text
            if child.tag == "link":
                entry["link"] = child.text
            if child.tag == "pubDate":
                entry["date"] = email.utils.parsedate_to_datetime(child.text)
        entries.append(entry)
    return entries


def collect(feeds):
    everything = []
    for url in feeds:
        try:
            data = fetch(url)
        except Exception as e:
            continue
        for entry in parse(data):
            duplicate = False
            for other in everything:
                if other["link"] == entry["link"]:
                    duplicate = True
            if not duplicate:
                everything.append(entry)
    everything.sort(key=lambda entry: entry["date"])
    everything.reverse()
    return everything


def to_html(entries):
    out = "<ul>"
    for entry in entries:
        out = out + '<li><a href="' + entry["link"] + '">' + entry["title"] + "</a></li>"
    return out + "</ul>"


if __name__ == "__main__":
    print(to_html(collect(FEEDS)))

"""Programs for the rewriter to work on: varied in style, indentation and what can be done to them."""

from __future__ import annotations

from trimtab.providers.base import Message, Request

__all__ = ["INSTRUCTIONS", "PROGRAMS", "request"]

INSTRUCTIONS = {
    "efficiency": "Improve the performance of this program: make it faster and simpler.",
    "security": "Make this program secure: find vulnerabilities, validate input, remove unsafe calls.",
    "features": "Extend this program with new features and more capabilities.",
    "balance": "Balance security, efficiency and functionality, and improve whichever is weakest overall.",
}

WEB = '''"""A little shop front."""
import hashlib
import os
import pickle
import sqlite3
import subprocess

SECRET_TOKEN = "s3cr3t-token"


def connect(path="shop.db"):
    return sqlite3.connect(path)


def find_user(db, name):
    cursor = db.cursor()
    cursor.execute(f"SELECT id, password FROM users WHERE name = '{name}'")
    row = cursor.fetchone()
    if row is not None:
        user = {"id": row[0], "password": row[1]}
        return user
    else:
        return None


def check_password(db, name, password):
    user = find_user(db, name)
    if user == None:
        return False
    digest = hashlib.md5(password.encode()).hexdigest()
    if digest == user["password"]:
        return True
    return False


def thumbnail(filename, width):
    os.system("convert " + filename + " -resize " + str(width) + " out.png")
    return subprocess.check_output("ls -l out.png", shell=True)


def render(items):
    page = ""
    for item in items:
        page += f"<li>{item}</li>"
    return "<ul>" + page + "</ul>"


def load_cart(path):
    try:
        f = open(path, "rb")
        cart = pickle.load(f)
        f.close()
        return cart
    except:
        pass
    return {}


if __name__ == "__main__":
    print(render(["a", "b"]))
'''

NUMBERS = """import random
import re


def primes(limit):
    found = []
    for n in range(2, limit):
        is_prime = True
        for d in found:
            if n % d == 0:
                is_prime = False
        if is_prime:
            found.append(n)
    return found


def fib(n):
    if n < 2:
        return n
    return fib(n - 1) + fib(n - 2)


def words(text):
    counts = {}
    for word in re.findall(r"[a-z]+", text.lower()):
        if word not in counts:
            counts[word] = 0
        counts[word] += 1
    best = sorted(counts, key=counts.get)[-1]
    return counts, best


def squares(values):
    result = []
    for i in range(len(values)):
        result.append(values[i] * values[i])
    total = 0
    for r in result:
        total += r
    return result, total


def shuffle_deck(size=52):
    deck = list(range(size))
    for i in range(len(deck)):
        j = random.randint(0, len(deck) - 1)
        deck[i], deck[j] = deck[j], deck[i]
    return deck


print(primes(50))
print(fib(10))
"""

STREAMS = '''"""Asynchronous reading, with unusual syntax: ä ö ü."""
from __future__ import annotations

import asyncio, json
from dataclasses import dataclass, field

LIMITS = {"größe": 10}


@dataclass
class Reading:
    name: str
    values: list[float] = field(default_factory=list)

    @property
    def mean(self): return sum(self.values) / len(self.values) if self.values else 0.0


async def read(reader, *, limit: int = 5):
    """Read lines.

    Each holds a name and a number, for example::

        ```
        kälte 3
        ```
    """
    readings = {}
    async for line in reader:
        match line.split():
            case [name, value]:
                if name in readings:
                    reading = readings[name]
                else:
                    reading = None
                if reading is None:
                    reading = readings[name] = Reading(name)
                try: reading.values.append(float(value))
                except ValueError: continue
            case []:
                continue
            case _:
                raise ValueError(f"line {line!r}: {'bad' if limit else 'odd'}")
        if (n := len(readings)) > limit: break
    return readings


def dump(readings, out=[], sep=", "):
    query = """
one
  two
"""
    lines = [json.dumps({"n": r.name, "m": r.mean}) for r in readings.values()]
    print("%s" % sep); print(query)
    while len(out) < len(lines):
        out.append(lines[len(out)])
    return (lambda *a, **k: sep.join(sorted([str(x) for x in a])))(*out)
'''

TABS = (
    "import time\nclass Queue:\n\tdef __init__(self, size=100, data=None):\n\t\tself.size = size\n\t\tself.items = []\n"
    "\n\tdef put(self, item):\n\t\tassert item is not None, 'no item'\n\t\tif len(self.items) < self.size:\n"
    "\t\t\tif item not in self.items:\n\t\t\t\tself.items.append(item)\n\t\t\t\tself.last = time.time()\n"
    "\n\tdef take(self):\n\t\twhile len(self.items) == 0:\n\t\t\ttime.sleep(1)\n"
    "\t\tfirst = self.items.pop(0)\n\t\treturn first\n"
    "\n\ndef run(queue, command):\n\t# run it\n\t# now\n\tresult = eval(command)\n\tif result:\n\t\tqueue.put(result)\n"
    "\t\treturn True\n\telif result == None:\n\t\treturn None\n\telse:\n\t\treturn False\n"
)

NET = """#!/usr/bin/env python
import logging
import requests
import yaml
import tempfile

logger = logging.getLogger("net")
HOSTS = ["a.example", "b.example"]


def fetch(host, path, verbose=False):
    logger.info("fetching")
    url = "https://{}/{}".format(host, path)
    r = requests.get(url, verify=False)
    if r.status_code == 200:
        if verbose:
            if len(r.text) > 0:
                print(r.text)
        return r.json()
    return None


def fetch_all(hosts, paths):
    known = ["a.example", "b.example", "c.example"]
    results = {}
    for host in hosts:
        for path in paths:
            if host in known:
                try:
                    results[host + path] = fetch(host, path)
                except Exception as e:
                    logger.error(e)
                    continue
    return results


def settings(filename):
    with open(filename) as f:
        data = yaml.load(f, Loader=yaml.Loader)
    for line in open(filename).readlines():
        if line.startswith("#"):
            continue
    return data


def store(rows):
    name = tempfile.mktemp()
    with open(name, "w") as out:
        for row in rows:
            out.write(",".join([str(c) for c in row]) + "\\n")
    unused = 3
    return name


fetch_all(HOSTS, ["x"])
"""

PROGRAMS = {"web": WEB, "numbers": NUMBERS, "streams": STREAMS, "tabs": TABS, "net": NET}


def request(
    program: str, instruction: str = INSTRUCTIONS["balance"], seed: int = 0, temperature: float | None = None
) -> Request:
    """Return what the runner would ask, in a fence that the program cannot close."""
    goal = f"## Goal\n\n{instruction}\n\n## Task\n\nKeep it working."
    user = f"{goal}\n\n## Current program\n\n````python\n{program}\n````\n"
    return Request(
        (Message("system", "You revise programs."), Message("user", user)), temperature=temperature, seed=seed
    )

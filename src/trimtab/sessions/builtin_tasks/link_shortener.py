"""A link shortener: POST a URL to /new, get a short code, and visit /<code>."""
import random
import sqlite3

from flask import Flask, redirect, request

app = Flask(__name__)
app.secret_key = "dev"
ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"


def connect():
    db = sqlite3.connect("links.db")
    db.execute("CREATE TABLE IF NOT EXISTS links (code TEXT, url TEXT, hits INTEGER)")
    return db


def new_code():
    db = connect()
    while True:
        code = ""
        for _ in range(5):
            code += random.choice(ALPHABET)
        codes = [row[0] for row in db.execute("SELECT code FROM links").fetchall()]
        if code not in codes:
            return code


@app.route("/new", methods=["POST"])
def new():
    url = request.form["url"]
    code = request.form.get("code") or new_code()
    db = connect()
    db.execute("INSERT INTO links VALUES (?, ?, 0)", (code, url))
    db.commit()
    return "<p>Short link for " + url + ": <a href='/" + code + "'>" + code + "</a></p>"


@app.route("/<code>")
def follow(code):
    db = connect()
    row = db.execute("SELECT url FROM links WHERE code = '" + code + "'").fetchone()
    if row is None:
        return "There is no such link", 404
    db.execute("UPDATE links SET hits = hits + 1 WHERE code = ?", (code,))
    db.commit()
    return redirect(row[0])


@app.route("/stats")
def stats():
    page = "<table>"
    for code, url, hits in connect().execute("SELECT code, url, hits FROM links"):
        page += f"<tr><td>{code}</td><td>{url}</td><td>{hits}</td></tr>"
    return page + "</table>"


if __name__ == "__main__":
    app.run(debug=True)

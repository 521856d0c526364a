"""Keep track of expenses in an SQLite database.

Usage: expenses.py add AMOUNT CATEGORY NOTE | list [CATEGORY] | total MONTH | html FILE
"""
import sqlite3
import sys
from datetime import date

db = sqlite3.connect("expenses.db")
db.execute("CREATE TABLE IF NOT EXISTS expenses (day TEXT, amount REAL, category TEXT, note TEXT)")


def add(amount, category, note):
    sql = f"INSERT INTO expenses VALUES ('{date.today()}', {amount}, '{category}', '{note}')"
    db.execute(sql)
    db.commit()


def find(category=None):
    if category:
        return db.execute("SELECT * FROM expenses WHERE category = '%s'" % category).fetchall()
    return db.execute("SELECT * FROM expenses").fetchall()


def total(month):
    amount = 0
    for row in find():
        if row[0].startswith(month):
            amount = amount + row[1]
    return amount


def html(path):
    page = "<html><body><table>"
    for row in find():
        page += "<tr>"
        for value in row:
            page += "<td>" + str(value) + "</td>"
        page += "</tr>"
    page += "</table></body></html>"
    with open(path, "w") as f:
        f.write(page)


def main():
    command = sys.argv[1]
    if command == "add":
        add(sys.argv[2], sys.argv[3], " ".join(sys.argv[4:]))
    elif command == "list":
        for row in find(sys.argv[2] if len(sys.argv) > 2 else None):
            print(row[0], "%10.2f" % row[1], row[2], row[3])
    elif command == "total":
        print(total(sys.argv[2]))
    elif command == "html":
        html(sys.argv[2])
    else:
        print(__doc__)


main()

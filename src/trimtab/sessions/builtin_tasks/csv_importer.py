"""Import CSV files into SQLite tables; the table is named after the file and columns after its header."""
import argparse
import csv
import itertools
import logging
import os
import sqlite3

BATCH = 5000
logging.basicConfig(level=logging.INFO)


def guess_type(values):
    """Return the narrowest SQLite type that all values fit."""
    for name, convert in (("INTEGER", int), ("REAL", float)):
        try:
            for value in values:
                if value != "":
                    convert(value)
            return name
        except ValueError:
            continue
    return "TEXT"


def batches(reader):
    while True:
        rows = list(itertools.islice(reader, BATCH))
        if not rows:
            return
        yield rows


def import_file(db, path, replace=False, delimiter=","):
    table = os.path.splitext(os.path.basename(path))[0]
    with open(path, newline="", encoding="utf-8") as f:
        reader = csv.reader(f, delimiter=delimiter)
        header = next(reader)
        first = list(itertools.islice(reader, 100))
        types = [guess_type(column) for column in zip(*first)]
        columns = ", ".join(f"{name} {kind}" for name, kind in zip(header, types))
        if replace:
            db.execute(f"DROP TABLE IF EXISTS {table}")
        db.execute(f"CREATE TABLE {table} ({columns})")
        insert = f"INSERT INTO {table} VALUES ({', '.join('?' * len(header))})"
        count = 0
        for rows in itertools.chain([first], batches(reader)):
            db.executemany(insert, rows)
            count += len(rows)
    db.commit()
    logging.info("%s: %d rows", table, count)
    return count


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--database", default="data.db")
    parser.add_argument("--replace", action="store_true")
    parser.add_argument("--delimiter", default=",")
    parser.add_argument("--where", help="print the rows of the last table that meet an SQL condition")
    args = parser.parse_args()
    db = sqlite3.connect(args.database)
    for path in args.files:
        try:
            import_file(db, path, args.replace, args.delimiter)
        except (OSError, sqlite3.Error, csv.Error, StopIteration) as error:
            logging.error("%s: %s", path, error)
    if args.where:
        table = os.path.splitext(os.path.basename(args.files[-1]))[0]
        for row in db.execute("SELECT * FROM " + table + " WHERE " + args.where):
            print(row)


if __name__ == "__main__":
    main()

import csv
import sys


def load_rows(path):
    rows = []
    with open(path, newline="", encoding="utf-8") as f:
        reader = csv.reader(f)
        header = next(reader)
        for line in reader:
            row = {}
            for i in range(len(header)):
                row[header[i]] = line[i]
            rows.append(row)
    return rows


def regions(rows):
    names = []
    for row in rows:
        if row["region"] not in names:
            names.append(row["region"])
    return sorted(names)


def products(rows):
    names = []
    for row in rows:
        if row["product"] not in names:
            names.append(row["product"])
    return sorted(names)


def total_for(rows, region, product):
    total = 0
    for row in rows:
        if row["region"] == region and row["product"] == product:
            total += float(row["price"]) * int(row["quantity"])
    return total


def table(rows):
    lines = []
    for region in regions(rows):
        for product in products(rows):
            amount = total_for(rows, region, product)
            share = amount / sum(total_for(rows, r, product) for r in regions(rows)) * 100
            lines.append([region, product, round(amount, 2), round(share, 1)])
    return lines


rows = load_rows(sys.argv[1])
for line in table(rows):
    print("\t".join(str(value) for value in line))

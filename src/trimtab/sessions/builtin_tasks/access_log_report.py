"""Summarise a web server access log: hits per page, per client and per status."""
import re
import sys


def parse_line(line):
    pattern = re.compile(r'(\S+) \S+ \S+ \[([^\]]+)\] "(\S+) (\S+) [^"]*" (\d{3}) (\d+|-)')
    m = pattern.match(line)
    if m is None:
        return None
    size = m.group(6)
    if size == "-":
        size = 0
    return {
        "ip": m.group(1),
        "time": m.group(2),
        "method": m.group(3),
        "path": m.group(4),
        "status": int(m.group(5)),
        "size": int(size),
    }


def read_entries(filename):
    entries = []
    f = open(filename)
    for line in f.readlines():
        entry = parse_line(line)
        if entry != None:
            entries = entries + [entry]
    return entries


def count_by(entries, key):
    values = []
    for entry in entries:
        if entry[key] not in values:
            values.append(entry[key])
    counts = []
    for value in values:
        n = 0
        for entry in entries:
            if entry[key] == value:
                n += 1
        counts.append((value, n))
    # simple bubble sort, largest first
    for i in range(len(counts)):
        for j in range(len(counts) - 1):
            if counts[j][1] < counts[j + 1][1]:
                counts[j], counts[j + 1] = counts[j + 1], counts[j]
    return counts


def main():
    entries = read_entries(sys.argv[1])
    print("requests:", len(entries))
    total = 0
    for e in entries:
        total = total + e["size"]
    print("bytes:", total)
    for key in ["path", "ip", "status"]:
        print("--", key)
        for value, n in count_by(entries, key)[:10]:
            print("%8d  %s" % (n, value))


if __name__ == "__main__":
    main()

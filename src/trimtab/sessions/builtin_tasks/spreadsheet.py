"""A spreadsheet engine: cells hold numbers, text, or formulas such as =A1+B2*2 and =SUM(A1:A9)."""
import csv
import re


class Sheet:
    def __init__(self):
        self.cells = {}

    def set(self, name, value):
        self.cells[name.upper()] = value

    def get(self, name):
        """Return the value of a cell, computing its formula."""
        raw = self.cells.get(name.upper(), 0)
        if isinstance(raw, str):
            if raw.startswith("="):
                return self.evaluate(raw[1:])
            try:
                return float(raw)
            except ValueError:
                return raw
        return raw

    def expand(self, first, last):
        names = []
        column1, row1 = re.match("([A-Z]+)([0-9]+)", first).groups()
        column2, row2 = re.match("([A-Z]+)([0-9]+)", last).groups()
        for c in range(ord(column1), ord(column2) + 1):
            for r in range(int(row1), int(row2) + 1):
                names.append(chr(c) + str(r))
        return names

    def evaluate(self, formula):
        formula = formula.upper()
        for function, first, last in re.findall(r"(SUM|AVG|MAX|MIN)\(([A-Z]+\d+):([A-Z]+\d+)\)", formula):
            values = [self.get(n) for n in self.expand(first, last)]
            if function == "SUM":
                result = sum(values)
            elif function == "AVG":
                result = sum(values) / len(values)
            elif function == "MAX":
                result = max(values)
            else:
                result = min(values)
            formula = formula.replace(function + "(" + first + ":" + last + ")", str(result))
        for name in re.findall(r"[A-Z]+\d+", formula):
            formula = formula.replace(name, str(self.get(name)))
        return eval(formula)

    def load(self, path):
        with open(path) as f:
            for r, line in enumerate(csv.reader(f)):
                for c, value in enumerate(line):
                    self.set(chr(65 + c) + str(r + 1), value)

    def save(self, path):
        rows = 0
        columns = 0
        for name in self.cells:
            rows = max(rows, int(name[1:]))
            columns = max(columns, ord(name[0]) - 64)
        with open(path, "w") as f:
            for r in range(1, rows + 1):
                line = ""
                for c in range(columns):
                    line += str(self.get(chr(65 + c) + str(r))) + ","
                f.write(line[:-1] + "\n")

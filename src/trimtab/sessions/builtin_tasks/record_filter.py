"""Filter records with expressions such as: price < 10 and (name ~ "tea" or not stock = 0).

Comparisons are = != < > and ~ (contains); they combine with and, or, not and parentheses.
"""
import operator
import re

TOKEN = re.compile(r'\s*(?:(\d+(?:\.\d+)?)|"([^"]*)"|(!=|[=<>~()])|(\w+))')
COMPARISONS = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "~": lambda a, b: str(b).lower() in str(a).lower(),
}


class FilterError(ValueError):
    """The expression is malformed."""


def tokenize(text):
    tokens = []
    position = 0
    text = text.rstrip()
    while position < len(text):
        match = TOKEN.match(text, position)
        if not match:
            raise FilterError(f"unexpected {text[position]!r} at {position}")
        number, string, sign, word = match.groups()
        if number is not None:
            tokens.append(("value", float(number)))
        elif string is not None:
            tokens.append(("value", string))
        elif sign is not None:
            tokens.append(("sign", sign))
        else:
            tokens.append(("word", word))
        position = match.end()
    return tokens


class Filter:
    def __init__(self, text):
        self.tokens = tokenize(text)

    def matches(self, record):
        """Tell whether a record (a dictionary) meets the expression."""
        self.position = 0
        result = self.either(record)
        if self.position < len(self.tokens):
            raise FilterError("something is left over at the end")
        return result

    def next(self):
        if self.position >= len(self.tokens):
            raise FilterError("the expression ends too early")
        token = self.tokens[self.position]
        self.position += 1
        return token

    def peek(self):
        return self.tokens[self.position] if self.position < len(self.tokens) else None

    def either(self, record):
        result = self.both(record)
        while self.peek() == ("word", "or"):
            self.next()
            other = self.both(record)
            result = result or other
        return result

    def both(self, record):
        result = self.single(record)
        while self.peek() == ("word", "and"):
            self.next()
            other = self.single(record)
            result = result and other
        return result

    def single(self, record):
        kind, value = self.next()
        if (kind, value) == ("word", "not"):
            return not self.single(record)
        if (kind, value) == ("sign", "("):
            result = self.either(record)
            if self.next() != ("sign", ")"):
                raise FilterError("a parenthesis is not closed")
            return result
        if kind != "word":
            raise FilterError(f"expected a field, found {value!r}")
        _, sign = self.next()
        if sign not in COMPARISONS:
            raise FilterError(f"{sign!r} is not a comparison")
        return COMPARISONS[sign](record[value], self.next()[1])


def select(records, text):
    return [record for record in records if Filter(text).matches(record)]

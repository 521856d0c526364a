"""Matrices as lists of lists: product, determinant, inverse and powers."""


def shape(m):
    return len(m), len(m[0])


def multiply(a, b):
    rows, inner = shape(a)
    inner2, columns = shape(b)
    assert inner == inner2, "shapes do not fit"
    result = []
    for i in range(rows):
        row = []
        for j in range(columns):
            total = 0
            for k in range(inner):
                total = total + a[i][k] * b[k][j]
            row.append(total)
        result.append(row)
    return result


def minor(m, i, j):
    return [row[:j] + row[j + 1 :] for row in m[:i] + m[i + 1 :]]


def determinant(m):
    if len(m) == 1:
        return m[0][0]
    total = 0
    for j in range(len(m)):
        total += (-1) ** j * m[0][j] * determinant(minor(m, 0, j))
    return total


def inverse(m):
    n = len(m)
    result = []
    for i in range(n):
        row = []
        for j in range(n):
            row.append((-1) ** (i + j) * determinant(minor(m, j, i)) / determinant(m))
        result.append(row)
    return result


def power(m, exponent):
    result = m
    for _ in range(exponent - 1):
        result = multiply(result, m)
    return result


def parse(text):
    """Read a matrix written as [[1, 2], [3, 4]]."""
    return eval(text)


def show(m):
    for row in m:
        line = ""
        for value in row:
            line += str(round(value, 3)).rjust(10)
        print(line)

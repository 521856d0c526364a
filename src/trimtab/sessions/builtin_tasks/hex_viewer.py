import sys

path = sys.argv[1]
limit = int(sys.argv[2]) if len(sys.argv) > 2 else None
data = open(path, "rb").read()
text = ""
for start in range(0, len(data), 16):
    if limit is not None and start >= limit:
        break
    chunk = data[start : start + 16]
    left = ""
    right = ""
    for byte in chunk:
        left = left + "%02x " % byte
        if byte >= 32 and byte < 127:
            right = right + chr(byte)
        else:
            right = right + "."
    while len(left) < 48:
        left = left + " "
    text = text + "%08x  " % start + left + " " + right + "\n"
print(text)

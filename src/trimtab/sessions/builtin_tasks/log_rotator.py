"""Rotate a log file: app.log becomes app.log.1.gz, that becomes app.log.2.gz, and so on."""
import os
import subprocess
import sys

KEEP = 5


def rotate(path):
    if not os.path.exists(path):
        raise FileNotFoundError(path)
    for i in range(KEEP, 0, -1):
        old = "%s.%d.gz" % (path, i)
        if os.path.exists(old):
            if i == KEEP:
                os.remove(old)
            else:
                os.rename(old, "%s.%d.gz" % (path, i + 1))
    os.rename(path, path + ".1")
    open(path, "w").close()
    subprocess.run(["gzip", "-f", path + ".1"])


if __name__ == "__main__":
    for path in sys.argv[1:]:
        if os.path.getsize(path) > 1_000_000:
            rotate(path)

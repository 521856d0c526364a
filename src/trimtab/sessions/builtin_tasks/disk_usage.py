#!/usr/bin/env python3
"""Show which folders take up the most space."""

import argparse
import heapq
import logging
import os
import sys
from typing import Dict, Iterator, Tuple

log = logging.getLogger("disk_usage")


def sizes(folder: str) -> Iterator[Tuple[str, int]]:
    """Yield each folder below `folder` with the number of bytes directly in it."""
    stack = [folder]
    while stack:
        current = stack.pop()
        total = 0
        try:
            with os.scandir(current) as entries:
                for entry in entries:
                    if entry.is_symlink():
                        continue
                    if entry.is_dir():
                        stack.append(entry.path)
                    else:
                        total += entry.stat().st_size
        except PermissionError:
            log.warning("cannot read %s", current)
            continue
        yield current, total


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("-n", type=int, default=10, help="how many to show")
    arguments = parser.parse_args()
    if not os.path.isdir(arguments.folder):
        parser.error(f"{arguments.folder} is not a folder")
    found: Dict[str, int] = dict(sizes(arguments.folder))
    for path in heapq.nlargest(arguments.n, found, key=found.get):
        print(f"{found[path]:>15,}  {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Write a small store of the present format: run it once whenever the format changes, and never touch what it wrote.

``store-N.db`` is what SQLite holds and, with a PostgreSQL URL as argument, ``store-N.sql`` what pg_dump says of it.
``store.json`` is what both hold, whatever the format.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from trimtab.core.objectives import ObjectiveSpace
from trimtab.core.records import Evidence, Iteration, Score, Session
from trimtab.store import schema
from trimtab.store.base import Experiment, Store
from trimtab.store.contents import contents
from trimtab.store.open import open_store

SPACE = ObjectiveSpace(["security", "latency:0:inf:min"])


def fill(store: Store) -> None:
    """Write one of everything that a store can hold."""
    store.remember({"0" * 64: {"text": "x = '\x00\x10'", "tokens": 3}})
    store.set_experiment(Experiment("golden", SPACE, {"seed": 7, "fingerprints": {}, "note": "ü\x00"}))
    store.add_sessions(
        [
            Session("EF/a/0", "a", "EF", 0, "model-1", {"file": "a.csv"}),
            Session("naïve \x00 id", "b\x10", "SF", 2**40, "", {}),
            Session("idle", "a", "EF", 1),
        ]
    )
    evidence = (Evidence("eval", -2.5, 3, "calls eval"), Evidence("whole", 1.0))
    store.extend(
        [
            Iteration(
                "EF/a/0", 0, "EF", "x = 1\n", (Score("security", 3.5), Score("latency", 0.1)), extraction="start"
            ),
            Iteration(
                "EF/a/0",
                1,
                "EF",
                "x = '\x00\x10\x100'\n",
                (
                    Score("security", 4.0, evidence=evidence),
                    Score("security", 5.0, repeat=1),
                    Score("latency", None, "unscored", "no clock"),
                ),
                answer="```python\nx = '\x00\x10\x100'\n```",
                extraction="fence",
                meta={"model": "model-1", "prompt_tokens": 12, "seconds": 0.5},
            ),
            Iteration(
                "EF/a/0",
                2,
                "SF",
                None,
                tuple(Score(name, None, "failed", "cut off") for name in SPACE.names),
                "failed",
                "cut off",
                "I would",
                meta={"restarted_from": 0},
            ),
            Iteration("naïve \x00 id", 2**62, "S\x00F", "ψ" * 300, (Score("security", 1e-300),)),
        ]
    )


def plain(store: Store) -> Any:
    """Return the contents of a store as JSON values."""
    return json.loads(json.dumps(contents(store), default=asdict))


def main() -> None:
    """Write the files of the present format beside this one."""
    folder = Path(__file__).parent
    name = f"store-{schema.VERSION}"
    file = folder / f"{name}.db"
    for url in (f"sqlite:///{file}", *sys.argv[1:]):
        store = open_store(url, create=True)
        fill(store)
        (folder / "store.json").write_text(json.dumps(plain(store), indent=1) + "\n", encoding="utf-8")
        store.close()
    if sys.argv[1:]:
        dump = ["pg_dump", "--no-owner", "--inserts", "--dbname", sys.argv[1].replace("+psycopg", "")]
        text = subprocess.run(dump, check=True, capture_output=True, text=True).stdout
        # Left out: comments, and what only psql understands.
        lines = [line for line in text.splitlines() if line and not line.startswith(("--", "\\"))]
        (folder / f"{name}.sql").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

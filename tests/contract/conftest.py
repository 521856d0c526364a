"""A new store of each kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.records import experiment, session
from support.stores import MakeStore
from trimtab.store.base import Store
from trimtab.store.open import open_store


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeStore]:
    made: list[Store] = []

    def make() -> Store:
        if request.param == "postgresql":
            url = request.getfixturevalue("postgres").fresh()
        else:
            url = "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/store{len(made)}.db"
        made.append(open_store(url, create=True))
        return made[-1]

    yield make
    for store in made:
        store.close()


@pytest.fixture
def store(make_store: MakeStore) -> Store:
    opened = make_store()
    opened.set_experiment(experiment(seed=1))
    opened.add_sessions([session()])
    return opened

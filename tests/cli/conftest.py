from __future__ import annotations

import pytest

from trimtab.providers.rewriter import provider


@pytest.fixture(autouse=True)
def _answers_in_this_process(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the rewriter answer where a command runs, which gives the same: its own processes cost a second per run."""
    if "workers" not in request.keywords:
        monkeypatch.setattr(provider, "default_workers", lambda: 0)

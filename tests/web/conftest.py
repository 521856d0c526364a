from __future__ import annotations

import pytest

from trimtab.providers.rewriter import provider


@pytest.fixture(autouse=True)
def _answers_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the embedded rewriter answer in this process, as the served one does here."""
    monkeypatch.setattr(provider, "default_workers", lambda: 0)

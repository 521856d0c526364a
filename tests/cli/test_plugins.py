"""``trimtab plugins``, and the example of the documentation, installed by pip."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.cli import trimtab
from support.plugins import installed
from trimtab.plugins import GROUPS, POLICIES, PROVIDERS, plugins
from trimtab.store.open import open_store

PAGE = Path(__file__).parents[2] / "docs" / "plugins.md"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_example_of_the_documentation_is_installed_listed_and_run(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    text = PAGE.read_text()
    # The code holds fences, so it ends where the next file is named.
    code = text.partition("```python\n")[2].partition("\n```\n\n`pyproject.toml`")[0]
    project = text.partition("```toml\n")[2].partition("\n```\n")[0]
    assert len(code.splitlines()) <= 40
    Path("example").mkdir()
    Path("example/example_plugin.py").write_text(code + "\n")
    Path("example/pyproject.toml").write_text(project + "\n")
    pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-index", "--no-deps"]
    wanted = [*pip, "--no-build-isolation", "--target", "site", "./example"]
    made = subprocess.run(wanted, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert made.returncode == 0, made.stdout
    monkeypatch.delitem(sys.modules, "example_plugin", raising=False)  # another test may have had one of this name
    monkeypatch.syspath_prepend("site")
    listed = {one["name"]: one for one in json.loads(trimtab(capsys, "plugins", "--json").out)["plugins"]}
    assert listed["example"]["says"] == "Adds one comment to the program it is shown, and is no LLM"
    assert (listed["comments"]["distribution"], listed["comments"]["version"]) == ("example-plugin", "1.0")
    assert re.search(r"comments +Counts comments +example-plugin 1.0", trimtab(capsys, "plugins").out)
    size = ("--sessions", "4", "--iterations", "3", "--strategies", "EF", "--out", "o")
    done = trimtab(
        capsys, "run", "--provider", "example", "--provider-options", "words=checked", "--scorers", "comments", *size
    )
    assert done.code == 0, done.err
    assert "provider: example (Adds one comment to the program it is shown, and is no LLM)" in done.err
    assert "0 of them failed" in done.err
    store = open_store("sqlite:///o/trimtab.db")
    for name in (session.id for session in store.sessions()):
        first, *others = store.iterations(name)
        for t, record in enumerate(others, 1):
            assert record.artefact == first.artefact + "# checked\n" * t
            assert record.scores[0].value == first.scores[0].value + t
    store.close()
    other = trimtab(capsys, "run", "--provider", "example", "--scorers", "comments", *size)
    assert other.code == 1
    assert "provider_options (['words=checked'] there, [] now)" in other.err
    sys.modules.pop("example_plugin")


def test_what_is_listed(capsys) -> None:
    document = json.loads(trimtab(capsys, "plugins", "--json").out)
    assert [(one["group"], one["name"]) for one in document["plugins"]] == [
        (group, name) for group in GROUPS for name in plugins(group)
    ]
    assert all(one["error"] is None for one in document["plugins"])
    lines = trimtab(capsys, "plugins").out
    for name in plugins(POLICIES):
        assert re.search(rf"^{name}  +\w", lines, re.MULTILINE)


def test_what_cannot_be_used_is_listed_with_the_reason_and_a_sentence_when_used(
    capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = {PROVIDERS: {"broken": "evil__2J_plugin:made", "openai": "evil__2J_plugin:made"}}
    installed(monkeypatch, tmp_path / "site", points, "import a_module_that_is_not_there", name="evil\x1b[2J")
    listed = trimtab(capsys, "plugins")
    assert listed.code == 0
    assert "named 'a_module_that_is_not_there'" in listed.out
    errors = {one["name"]: one["error"] for one in json.loads(trimtab(capsys, "plugins", "--json").out)["plugins"]}
    assert "cannot be imported: ModuleNotFoundError: No module named 'a_module_that_is_not_there'" in errors["broken"]
    assert errors["rewriter"] is None
    assert "is claimed by" in " ".join(listed.out.split())
    assert "\x1b" not in listed.out
    used = trimtab(capsys, "run", "--provider", "broken", "--out", "o")
    assert used.code == 1
    assert used.err.splitlines()[-1].startswith("Error: the provider 'broken' of evil")
    assert "cannot be imported: ModuleNotFoundError: No module named" in used.err
    assert not Path("o").exists()
    assert trimtab(capsys, "run", "--sessions", 1, "--iterations", 1, "--strategies", "EF", "--out", "o").code in (0, 1)
    assert Path("o/trimtab.db").exists()

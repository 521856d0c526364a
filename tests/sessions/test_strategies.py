from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from trimtab.errors import InputError
from trimtab.sessions.strategies import Strategy, builtin_strategies, load_strategies, strategies_from_mapping

CR = """
[strategies.CR]
title = "Careful refactoring"
instruction = "Restructure it."
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_builtin_strategies_are_the_papers_four() -> None:
    strategies = builtin_strategies()
    assert [(s.name, s.title) for s in strategies] == [
        ("EF", "Efficiency-Focused"),
        ("SF", "Security-Focused"),
        ("FF", "Feature-Focused"),
        ("AI", "Adaptive Integration"),
    ]
    for strategy in strategies:
        assert 3 <= len(re.findall(r"[.](?:\s|$)", strategy.instruction)) <= 6
        assert "complete program in one fenced code block" in strategy.instruction
        assert "\n" not in strategy.instruction
        assert "  " not in strategy.instruction
    assert len({s.instruction for s in strategies}) == 4


def test_builtin_strategies_by_name_in_the_order_asked_for() -> None:
    assert [s.name for s in load_strategies(["AI", "EF"])] == ["AI", "EF"]
    assert load_strategies(("EF", "SF", "FF", "AI")) == builtin_strategies()


def test_own_strategy_from_a_file(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.toml", CR)
    assert load_strategies(["CR", "EF"], [path]) == (
        Strategy("CR", "Careful refactoring", "Restructure it."),
        builtin_strategies()[0],
    )


def test_file_with_byte_order_mark_and_crlf(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xef\xbb\xbf" + CR.replace("\n", "\r\n").encode())
    assert load_strategies(["CR"], [path])[0].instruction == "Restructure it."


def test_title_and_system_are_optional() -> None:
    (strategy,) = strategies_from_mapping({"X-1": {"instruction": " Do. \n"}}, "trimtab.toml")
    assert strategy == Strategy("X-1", "X-1", "Do.", "")
    (strategy,) = strategies_from_mapping({"X": {"instruction": "Do.", "system": "Be brief."}}, "trimtab.toml")
    assert strategy.system == "Be brief."


def test_override_replaces_a_builtin() -> None:
    own = strategies_from_mapping({"EF": {"instruction": "Faster.", "override": True}}, "trimtab.toml")
    assert [s.instruction for s in load_strategies(["EF"], own=own)] == ["Faster."]
    assert builtin_strategies()[0].instruction != "Faster."


BAD_TABLES: dict[str, tuple[dict[str, Any], str]] = {
    "no instruction": ({"CR": {"title": "x"}}, "needs the key instruction"),
    "empty instruction": ({"CR": {"instruction": "  "}}, "needs its instruction"),
    "empty title": ({"CR": {"instruction": "x", "title": ""}}, "needs its title"),
    "unknown key": ({"CR": {"instruction": "x", "titel": "y"}}, "unknown key titel; known are title, instruction"),
    "instruction is number": ({"CR": {"instruction": 3}}, "instruction must be text, but is int"),
    "system is list": ({"CR": {"instruction": "x", "system": []}}, "system must be text, but is list"),
    "no table": ({"CR": "x"}, "must be a table with title and instruction, but is str"),
    "bad name": ({"2x": {"instruction": "x"}}, "'2x'"),
    "name with space": ({"a b": {"instruction": "x"}}, "'a b'"),
    "name with newline": ({"ab\n": {"instruction": "x"}}, "must be a letter followed by"),
    "long name": ({"a" * 65: {"instruction": "x"}}, "64 characters"),
    "empty name": ({"": {"instruction": "x"}}, "''"),
    "builtin without override": ({"SF": {"instruction": "x"}}, "SF is a built-in strategy"),
    "override false": ({"SF": {"instruction": "x", "override": False}}, "override = true"),
    "override of nothing": ({"CR": {"instruction": "x", "override": True}}, "built in are EF, SF, FF, AI"),
    "override is text": ({"SF": {"instruction": "x", "override": "yes"}}, "override must be true or false"),
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_bad_table(name: str) -> None:
    tables, words = BAD_TABLES[name]
    with pytest.raises(InputError) as caught:
        strategies_from_mapping(tables, "trimtab.toml")
    assert words in str(caught.value)
    assert "trimtab.toml" in str(caught.value)
    assert f"[strategies.{next(iter(tables))}]" in str(caught.value)


def test_all_bad_tables_are_named_together() -> None:
    with pytest.raises(InputError, match=r"holds 2 unusable[\s\S]*strategies\.A\][\s\S]*strategies\.B\]"):
        strategies_from_mapping({"A": {}, "Good": {"instruction": "x"}, "B": 3}, "trimtab.toml")


BAD_FILES: dict[str, tuple[bytes, str]] = {
    "bad toml": (b'[strategies.CR]\ntitle = "x"\ninstruction = \n', "line 3"),
    "twice": (CR.encode() + CR.encode(), "line 6"),
    "unknown top level": (CR.encode() + b"[other]\nx = 1\n", "'other'"),
    "empty": (b"", "holds no strategy"),
    "not a table": (b"strategies = 3\n", "holds no strategy"),
    "no strategy": (b"[strategies]\n", "holds no strategy"),
    "not utf-8": (b'[strategies.CR]\ntitle = "\xe9"\n', "must be UTF-8"),
    "deep": (b"a = " + b"[" * 100_000, "not valid TOML"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_file(tmp_path: Path, name: str) -> None:
    data, words = BAD_FILES[name]
    path = tmp_path / "mine.toml"
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        load_strategies(["EF"], [path])
    assert words in str(caught.value)
    assert "mine.toml" in str(caught.value)


def test_file_that_is_not_there_or_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no strategy file"):
        load_strategies(["EF"], [tmp_path / "none.toml"])
    with pytest.raises(InputError, match="cannot be read"):
        load_strategies(["EF"], [tmp_path])


def test_same_name_in_two_places(tmp_path: Path) -> None:
    first, second = write(tmp_path / "one.toml", CR), write(tmp_path / "two.toml", CR)
    with pytest.raises(InputError, match=r"CR is defined twice: in .*one\.toml.* and in .*two\.toml"):
        load_strategies(["CR"], [first, second])
    own = strategies_from_mapping({"CR": {"instruction": "x"}}, "trimtab.toml")
    with pytest.raises(InputError, match=r"defined twice: in the configuration and in .*one\.toml"):
        load_strategies(["CR"], [first], own)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["EF", "XX", "ef"], ["'XX'", "'ef'", "EF, SF, FF, AI, CR"]),
        ([], ["at least one strategy", "EF, SF, FF, AI, CR"]),
        (["EF", "CR", "EF"], ["EF came more often"]),
        ("EF", ["list of names"]),
    ],
)
def test_bad_names(names: Any, words: list[str]) -> None:
    own = strategies_from_mapping({"CR": {"instruction": "x"}}, "trimtab.toml")
    with pytest.raises(InputError) as caught:
        load_strategies(names, own=own)
    assert all(word in str(caught.value) for word in words)

from __future__ import annotations

import ast
import gzip
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

import trimtab.sessions
from trimtab.errors import InputError
from trimtab.sessions.tasks import (
    GENERAL_PROMPT,
    GENERAL_TEXT_PROMPT,
    MAX_ARTEFACT_BYTES,
    Task,
    builtin_tasks,
    load_tasks,
)

REPOSITORY = Path(__file__).parents[2]
PROGRAMS = Path(trimtab.sessions.__file__).parent / "builtin_tasks"
ALLOWED_PACKAGES = {"flask", "requests", "yaml"}

ROW = {"id": "a", "prompt": "Keeps time.", "artefact": "x = 1\n"}


def write_rows(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


# --- built-in tasks -------------------------------------------------------------------------------------------------


def test_builtin_tasks_are_many_sorted_and_unique() -> None:
    tasks = builtin_tasks()
    ids = [task.id for task in tasks]
    assert len(ids) >= 24
    assert ids == sorted(set(ids))
    for values in (
        [task.artefact for task in tasks],
        [task.prompt for task in tasks],
        [t.meta["title"] for t in tasks],
    ):
        assert len(set(values)) == len(tasks)


def test_every_program_in_the_package_belongs_to_a_task() -> None:
    assert {path.stem for path in PROGRAMS.glob("*.py")} == {task.id for task in builtin_tasks()}


@pytest.mark.parametrize("task", builtin_tasks(), ids=lambda task: task.id)
def test_builtin_program_is_of_the_promised_kind(task: Task) -> None:
    tree = ast.parse(task.artefact)
    assert 20 <= len(task.artefact.splitlines()) <= 120
    assert task.artefact.endswith("\n")
    assert max(len(line) for line in task.artefact.splitlines()) <= 120
    sentences = re.findall(r"[.?!](?:\s|$)", task.prompt)
    assert 2 <= len(sentences) <= 4
    assert "\n" not in task.prompt
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").split(".")[0])
    assert imported <= set(sys.stdlib_module_names) | ALLOWED_PACKAGES


def test_builtin_programs_are_not_importable_as_part_of_the_package() -> None:
    assert not (PROGRAMS / "__init__.py").exists()
    builtin_tasks()
    assert not [name for name in sys.modules if name.startswith("trimtab.sessions.builtin_tasks")]


def test_builtin_programs_hold_no_secret_but_the_obviously_fake_ones() -> None:
    fake = {"changeme", "dev", ""}
    for task in builtin_tasks():
        for node in ast.walk(ast.parse(task.artefact)):
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
                names = [ast.unparse(target).lower() for target in node.targets]
                if any(word in name for name in names for word in ("secret", "token", "password")):
                    assert node.value.value in fake, task.id


def test_builtin_programs_differ_in_what_they_lack() -> None:
    """Some of each kind, and none of these traits in all: otherwise sessions would all move the same way."""

    def count(pattern: str) -> int:
        return sum(bool(re.search(pattern, task.artefact)) for task in builtin_tasks())

    for trait in (
        r"\beval\(|\bexec\(",
        r"os\.system|os\.popen|shell=True",
        r"pickle\.load",
        r"md5|sha1",
        r"except:",
        r"^class ",
        r"argparse",
        r"@dataclass",
        r"\braise ",
        r"execute\(.*(%|\+|f\")|sql = f?\"",
        r"range\(len\(",
        r"not in ",
    ):
        flags = f"(?m){trait}"
        assert 1 <= count(flags) <= 0.7 * len(builtin_tasks()), trait
    documented = sum(ast.get_docstring(ast.parse(task.artefact)) is not None for task in builtin_tasks())
    assert 0.5 < documented / len(builtin_tasks()) < 0.95


def test_docs_list_exactly_the_builtin_tasks() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (.+?) \| (\d+) \|$", (REPOSITORY / "docs/tasks.md").read_text("utf-8"), flags=re.MULTILINE
    )
    assert rows == [(t.id, t.meta["title"], str(len(t.artefact.splitlines()))) for t in builtin_tasks()]


def test_builtin_source() -> None:
    assert load_tasks("builtin") == builtin_tasks()
    assert [task.id for task in load_tasks("builtin:todo_cli, calculator")] == ["todo_cli", "calculator"]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("builtin:nope,todo_cli,neither", ["'nope'", "'neither'", "access_log_report", "word_statistics"]),
        ("builtin:", ["names no built-in task", "calculator"]),
        ("builtin:todo_cli,todo_cli", ["todo_cli", "once"]),
        ("", ["builtin", ".jsonl"]),
    ],
)
def test_bad_builtin_source(source: str, words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        load_tasks(source)
    assert all(word in str(caught.value) for word in words)


# --- folders --------------------------------------------------------------------------------------------------------


def test_folder(tmp_path: Path) -> None:
    (tmp_path / "b.py").write_bytes(b'\xef\xbb\xbf"""Counts bees.\r\n\r\n  Fast.\r\n"""\r\nn = 1\r\n')
    (tmp_path / "a.py").write_text("n = 'ü'\n", encoding="utf-8")
    (tmp_path / "__init__.py").touch()
    (tmp_path / ".hidden.py").write_bytes(b"\xff")
    (tmp_path / "notes.txt").write_text("not a task")
    (tmp_path / "sub.py").mkdir()
    first, second = load_tasks(tmp_path)
    assert first == Task("a", GENERAL_PROMPT, "n = 'ü'\n")
    assert second == Task("b", "Counts bees.\n\nFast.", '"""Counts bees.\n\n  Fast.\n"""\nn = 1\n')
    assert load_tasks(str(tmp_path)) == (first, second)
    assert load_tasks(tmp_path / "a.py") == (first,)


def test_folder_called_builtin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "builtin").mkdir()
    (tmp_path / "builtin" / "mine.py").write_text("x = 1\n")
    monkeypatch.chdir(tmp_path)
    assert [task.id for task in load_tasks("./builtin")] == ["mine"]
    assert [task.id for task in load_tasks(Path("builtin"))] == ["mine"]
    assert load_tasks("builtin") == builtin_tasks()


def test_folder_with_doubtful_but_valid_programs(tmp_path: Path) -> None:
    (tmp_path / "escape.py").write_text("pattern = '\\d'\nassert (1, 'always true')\n")
    assert len(load_tasks(tmp_path)) == 1


def test_folder_names_all_unusable_files_at_once(tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text("x = 1\n")
    (tmp_path / "broken.py").write_text("x = 1\ndef f(:\n")
    (tmp_path / "latin.py").write_bytes(b"name = '\xe9'\n")
    (tmp_path / "long.py").write_text("#" * (MAX_ARTEFACT_BYTES + 1))
    (tmp_path / "blank.py").write_text("\n\n")
    (tmp_path / "nul.py").write_bytes(b"x = 1\0\n")
    (tmp_path / "deep.py").write_text("x = " + "(" * 3000 + ")" * 3000)
    with pytest.raises(InputError) as caught:
        load_tasks(tmp_path)
    message = str(caught.value)
    assert "6 unusable" in message
    for words in (
        "broken.py: does not parse as Python",
        "(line 2 of the program)",
        "latin.py: is not UTF-8 (byte 8)",
        "long.py: has more",
    ):
        assert words in message
    for name in ("blank.py", "nul.py", "deep.py"):
        assert f"{name}: " in message
    assert "good.py" not in message


def test_file_of_exactly_the_longest_size_is_taken(tmp_path: Path) -> None:
    text = "#" * (MAX_ARTEFACT_BYTES - 1) + "\n"
    (tmp_path / "full.py").write_text(text)
    assert load_tasks(tmp_path)[0].artefact == text


def test_long_list_of_problems_is_cut(tmp_path: Path) -> None:
    for i in range(50):
        (tmp_path / f"{i:02}.py").write_text("(")
    with pytest.raises(InputError, match=r"50 unusable[\s\S]*and 30 more") as caught:
        load_tasks(tmp_path)
    assert len(str(caught.value).splitlines()) < 25


@pytest.mark.parametrize("names", [[], ["a.pdf", "b"]])
def test_folder_without_anything_usable(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(InputError, match="at least one program or text") as caught:
        load_tasks(tmp_path)
    assert (names[0] if names else "nothing at all") in str(caught.value)


def test_missing_path_and_unknown_kind(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file or folder"):
        load_tasks(tmp_path / "nowhere")
    (tmp_path / "tasks.csv").touch()
    with pytest.raises(InputError, match=r"cannot tell .*builtin"):
        load_tasks(tmp_path / "tasks.csv")


def test_folder_of_texts(tmp_path: Path) -> None:
    (tmp_path / "b.md").write_bytes(b"\xef\xbb\xbf# A plan\r\n\r\nDo it.\r\n")
    (tmp_path / "a.TXT").write_text("Dear all\n")
    (tmp_path / "c.json").write_text("{}\n")
    (tmp_path / "d.sql").write_text("SELECT 1\n")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\xff")
    tasks = load_tasks(tmp_path)
    assert [(t.id, t.language, t.kind) for t in tasks] == [
        ("a", "text", "text"),
        ("b", "markdown", "text"),
        ("c", "json", "text"),
        ("d", "sql", "program"),
    ]
    assert tasks[1].artefact == "# A plan\n\nDo it.\n"
    assert [t.prompt for t in tasks] == [*[GENERAL_TEXT_PROMPT] * 3, GENERAL_PROMPT]
    assert load_tasks(tmp_path / "b.md") == (tasks[1],)
    (tmp_path / "a.rst").write_text("Dear all\n")
    with pytest.raises(InputError, match="several files called 'a' that differ in their endings alone"):
        load_tasks(tmp_path)


@pytest.mark.parametrize("language", ["", "text", "Markdown", "json", "HTML"])
def test_prose_markup_and_data_are_texts(language: str) -> None:
    task = Task("t", "Do it.", "x", language)
    assert (task.kind, task.is_python, task.tag) == ("text", False, language or "text")


@pytest.mark.parametrize(("language", "python"), [("python", True), ("Py", True), ("rust", False), ("c++", False)])
def test_everything_else_is_a_program(language: str, python: bool) -> None:
    task = Task("t", "Do it.", "x", language)
    assert (task.kind, task.is_python, task.tag) == ("program", python, language)


# --- JSONL ----------------------------------------------------------------------------------------------------------


def test_jsonl(tmp_path: Path) -> None:
    path = write_rows(
        tmp_path / "tasks.jsonl",
        ROW,
        {"task_id": 7, "prompt": "p", "code": "y = 2\r\n", "difficulty": 3, "tags": ["x"]},
        {"id": "s", "task_id": "kept", "prompt": "p", "program": "SELECT 1", "language": "sql", "artefact": None},
        {"id": "t", "prompt": "p", "text": "Once upon a time", "language": ""},
    )
    tasks = load_tasks(path)
    assert tasks == (
        Task("a", "Keeps time.", "x = 1\n"),
        Task("7", "p", "y = 2\n", meta={"difficulty": 3, "tags": ["x"]}),
        Task("s", "p", "SELECT 1", "sql", {"task_id": "kept", "artefact": None}),
        Task("t", "p", "Once upon a time", ""),
    )


def test_jsonl_tolerates_byte_order_mark_crlf_blank_lines_and_gzip(tmp_path: Path) -> None:
    plain = write_rows(tmp_path / "plain.jsonl", ROW, {**ROW, "id": "b"})
    lines = plain.read_bytes().replace(b"\n", b"\r\n\r\n")
    (tmp_path / "odd.jsonl").write_bytes(b"\xef\xbb\xbf" + lines.rstrip())
    (tmp_path / "zipped.jsonl.gz").write_bytes(gzip.compress(lines))
    (tmp_path / "misnamed.jsonl").write_bytes(gzip.compress(lines))
    for name in ("odd.jsonl", "zipped.jsonl.gz", "misnamed.jsonl"):
        assert load_tasks(tmp_path / name) == load_tasks(plain)


BAD_ROWS: dict[str, tuple[str, str]] = {
    "not json": ("{'id': 1}", "is not JSON"),
    "cut": ('{"id": "a", "prompt"', "is not JSON"),
    "list": ("[1]", "must be a JSON object, but is a list"),
    "number": ("3", "must be a JSON object, but is a number"),
    "null": ("null", "must be a JSON object, but is null"),
    "no id": (json.dumps({"prompt": "p", "artefact": "x"}), "needs id or task_id, but has 'prompt', 'artefact'"),
    "no prompt": (json.dumps({"id": "q", "artefact": "x"}), "needs prompt"),
    "no artefact": (json.dumps({"id": "q", "prompt": "p"}), "needs artefact or code or text or program"),
    "no keys": ("{}", "no keys"),
    "id is bool": (json.dumps({**ROW, "id": True}), "'id' must be text, but is true or false"),
    "id is float": (json.dumps({**ROW, "id": 1.5}), "'id' must be text, but is a number"),
    "id is empty": (json.dumps({**ROW, "id": " "}), "needs an id"),
    "id has newline": (json.dumps({**ROW, "id": "a\nb"}), "printable"),
    "id is long": (json.dumps({**ROW, "id": "a" * 201}), "at most 200"),
    "prompt is list": (json.dumps({**ROW, "prompt": ["p"]}), "'prompt' must be text, but is a list"),
    "prompt is empty": (json.dumps({**ROW, "prompt": ""}), "needs a prompt"),
    "artefact is object": (json.dumps({**ROW, "artefact": {}}), "'artefact' must be text, but is an object"),
    "artefact is empty": (json.dumps({**ROW, "artefact": "\n"}), "needs an artefact"),
    "artefact is long": (json.dumps({**ROW, "artefact": "ü" * MAX_ARTEFACT_BYTES}), "131,072"),
    "broken python": (json.dumps({**ROW, "artefact": "def f(:"}), "its artefact does not parse as Python"),
    "broken python in code": (json.dumps({"id": "q", "prompt": "p", "code": "("}), "its code does not parse"),
    "nul": (json.dumps({**ROW, "artefact": "x = 1\0"}), "does not parse as Python"),
    "surrogate": ('{"id": "q", "prompt": "\\ud800", "artefact": "x"}', "lone surrogates"),
    "surrogate in meta": ('{"id": "q", "prompt": "p", "artefact": "x", "m": "\\ud800"}', "lone surrogates"),
    "language": (json.dumps({**ROW, "language": "two words"}), "language must be one word"),
    "language is number": (json.dumps({**ROW, "language": 3}), "'language' must be text"),
    "nan": ('{"id": "q", "prompt": "p", "artefact": "x", "m": NaN}', "NaN"),
    "deep": ('{"id": ' + "[" * 100_000, "is not usable JSON"),
    "huge number": ('{"id": ' + "9" * 10_000 + "}", "is not usable JSON"),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_bad_row_is_named_by_its_line(tmp_path: Path, name: str) -> None:
    line, words = BAD_ROWS[name]
    path = tmp_path / "tasks.jsonl"
    path.write_text(f"{json.dumps({**ROW, 'id': 'first'})}\n\n{line}\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_tasks(path)
    (report,) = [text for text in str(caught.value).splitlines() if text.startswith("  line ")]
    assert report.startswith("  line 3: ")
    assert words in report


def test_all_bad_rows_are_named_together(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "tasks.jsonl", ROW, {"id": "b"}, ROW, 3)
    with pytest.raises(InputError) as caught:
        load_tasks(path)
    message = str(caught.value)
    assert "3 unusable" in message
    assert "line 2: needs prompt" in message or "line 2: needs artefact" in message
    assert "line 3: the id 'a' was used on line 1 already" in message
    assert "line 4: must be a JSON object" in message


def test_jsonl_that_cannot_be_read(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n\n")
    with pytest.raises(InputError, match="holds no task"):
        load_tasks(empty)
    latin = tmp_path / "latin.jsonl"
    latin.write_bytes(json.dumps(ROW).encode() + b"\n\xe9\n")
    with pytest.raises(InputError, match="line 2 is not"):
        load_tasks(latin)
    zipped = gzip.compress(json.dumps({**ROW, "m": list(range(5000))}).encode())
    for name, data in {"cut": zipped[: len(zipped) // 2], "spoilt": zipped[:40] + b"\0" * 60 + zipped[100:]}.items():
        broken = tmp_path / f"{name}.jsonl.gz"
        broken.write_bytes(data)
        with pytest.raises(InputError, match=r"cannot be read|must be UTF-8"):
            load_tasks(broken)


# --- Task itself ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["id", "prompt", "artefact"])
@pytest.mark.parametrize("value", ["", "  \n", None, 3, "\ud800"])
def test_task_refuses_what_cannot_be_kept(name: str, value: Any) -> None:
    values: dict[str, Any] = {"id": "a", "prompt": "p", "artefact": "x", name: value}
    with pytest.raises(InputError, match=name):
        Task(**values)


def test_real_task_rows_need_a_starting_program() -> None:
    path = REPOSITORY.parent / "shared" / "data" / "tasks_humaneval.jsonl.gz"
    if not path.exists():
        pytest.skip("the shared data are not here")
    with pytest.raises(InputError, match=r"164 unusable[\s\S]*line 1: needs artefact or code"):
        load_tasks(path)

from __future__ import annotations

import gzip
import json
from pathlib import Path

from support.cli import trimtab

SAFE = "import subprocess\n\n\ndef run(path):\n    return subprocess.run(['ls', path], timeout=5, check=True)\n"
UNSAFE = "import subprocess\n\n\ndef run(path):\n    return subprocess.run('ls ' + path, shell=True)\n"


def test_programs_and_answers_are_scored(capsys, tmp_path: Path) -> None:
    (tmp_path / "safe.py").write_text(SAFE)
    (tmp_path / "answer.md").write_text(f"Here it is:\n\n```python\n{UNSAFE}```\n")
    ran = trimtab(capsys, "score", tmp_path / "safe.py", tmp_path / "answer.md", "--json")
    safe, unsafe = map(json.loads, ran.out.splitlines())
    assert safe["found"] == "whole"
    assert unsafe["found"] == "fence"
    assert safe["scores"]["security"] > unsafe["scores"]["security"]
    assert unsafe["evidence"]["security"]


def test_standard_input_is_a_text_like_any_other(capsys) -> None:
    ran = trimtab(capsys, "score", "-", "--evidence", stdin=UNSAFE.encode())
    assert ran.code == 0
    assert "security" in ran.out
    assert "shell" in ran.out


def test_what_is_no_program_fails_with_its_reason(capsys) -> None:
    ran = trimtab(capsys, "score", "-", "--json", stdin=b"def broken(:\n    pass\n")
    document = json.loads(ran.out)
    assert document["scores"] == {"security": None, "efficiency": 1.0, "functionality": None}
    assert document["status"]["security"] == "failed"
    assert "syntax" in document["reasons"]["security"]


def test_rows_come_back_with_their_scores(capsys, tmp_path: Path) -> None:
    rows = [
        {"session_id": "a", "iteration": 0, "text": SAFE, "scores": {"old": 1}},
        {"session_id": "a", "iteration": 1, "text": "def broken(:"},
        {"session_id": "a", "iteration": 2, "text": None},
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "not json\n[1]\n")
    ran = trimtab(capsys, "score", path, "--to", tmp_path / "out.jsonl.gz")
    assert ran.code == 0
    with gzip.open(tmp_path / "out.jsonl.gz", "rt") as file:
        scored = [json.loads(line) for line in file]
    assert [row["iteration"] for row in scored] == [0, 1]
    assert set(scored[0]["scores"]) == {"security", "efficiency", "functionality"}
    assert set(scored[1]["failures"]) == {"security", "functionality"}
    assert "2 rows: not a JSON object" in ran.err
    assert "1 row: no text in 'text'" in ran.err
    assert "1 row: scores that were there were replaced: 'old'" in ran.err
    assert "Scored 1 row, written to" in ran.err


def test_scores_that_give_way_are_named(capsys, tmp_path: Path) -> None:
    old = [{"security": 9, "taste": 1}, {"security": 3}, {}, None, "none yet", [1]]
    path = tmp_path / "rows.jsonl"
    rows = [{"text": SAFE, "scores": scores, "failures": {"security": "old"}} for scores in old]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    ran = trimtab(capsys, "score", path)
    assert ran.code == 0
    scored = [json.loads(line) for line in ran.out.splitlines()]
    assert all(row["scores"] == scored[0]["scores"] and "failures" not in row for row in scored)
    assert "Scored 6 rows" in ran.err
    assert "2 rows: scores that were there were replaced: 'security', 'taste'" in ran.err
    assert "2 rows: 'scores' held no object and was replaced" in ran.err


def test_options_that_rows_cannot_follow_are_refused(capsys, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"text": SAFE}) + "\n")
    for options, said in (
        (["--json"], "--json goes with single texts"),
        (["--evidence"], "--evidence goes with single texts"),
        (["--to", tmp_path / "c.parquet"], "ends in .jsonl or .jsonl.gz, but got"),
        (["--to", tmp_path / "c.gz"], "ends in .jsonl or .jsonl.gz, but got"),
    ):
        ran = trimtab(capsys, "score", path, *options)
        assert (ran.code, ran.out) == (1, "")
        assert said in ran.err
    assert sorted(file.name for file in tmp_path.iterdir()) == ["rows.jsonl"]


def test_a_file_without_texts_says_how_to_name_them(capsys, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"code": "x = 1"}\n')
    ran = trimtab(capsys, "score", path)
    assert ran.code == 1
    assert "--text-column" in ran.err
    assert trimtab(capsys, "score", path, "--text-column", "code").code == 0


def test_a_damaged_archive_is_said_to_be(capsys, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"text": "x = 1"}\n' * 1000)[:-20])
    ran = trimtab(capsys, "score", path, "--to", tmp_path / "out.jsonl")
    assert ran.code == 1
    assert "cannot be read" in ran.err
    assert not (tmp_path / "out.jsonl").exists()


def test_a_binary_file_is_no_program(capsys, tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"SQLite format 3\0" + bytes(100))
    ran = trimtab(capsys, "score", tmp_path / "x.db")
    assert ran.code == 1
    assert "no text" in ran.err

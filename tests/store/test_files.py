from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

import trimtab as tt
from trimtab.errors import InputError, SourceError

CSV = "session_id,strategy,iteration,security\na,EF,0,1\na,EF,1,2\n"
JSONL = (
    '{"session_id": "a", "iteration": 0, "scores": {"x": 1}}\n{"session_id": "a", "iteration": 1, "scores": {"x": 2}}\n'
)


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


UNUSABLE = {
    "empty": ("a.csv", b"", SourceError, "is empty"),
    "only blank lines": ("a.csv", b"\n \n", SourceError, "is empty"),
    "empty gzip": ("a.jsonl.gz", gzip.compress(b""), SourceError, "is empty"),
    "header only": ("a.csv", b"session_id,iteration,x\n", InputError, "holds no"),
    "no known ending": ("a.xlsx", b"x", InputError, r"\.csv.*\.parquet.*\.jsonl"),
    "no ending": ("data", b"x", InputError, r"\.csv"),
    "truncated gzip": ("a.jsonl.gz", gzip.compress(JSONL.encode() * 5000)[:-40], SourceError, "cut off"),
    "corrupt gzip": ("a.csv.gz", gzip.compress(CSV.encode())[:12] + b"\xff" * 30, SourceError, "damaged"),
    "not gzip": ("a.jsonl.gz", JSONL.encode(), SourceError, "not gzip"),
    "gzip named plain": ("a.jsonl", gzip.compress(JSONL.encode()), SourceError, r"\.gz"),
    "parquet named csv": ("a.csv", b"PAR1" + b"\0" * 50, SourceError, r"\.parquet"),
    "csv named parquet": ("a.parquet", CSV.encode(), SourceError, "no Parquet"),
    "broken parquet": ("a.parquet", b"PAR1" + b"\1" * 100 + b"PAR1", SourceError, "cannot be read"),
    "binary": ("a.csv", bytes(range(256)) * 20, SourceError, "binary|UTF-8"),
    "Latin-1": ("a.csv", CSV.replace("EF", "é").encode("latin-1"), SourceError, "UTF-8"),
    "JSON named csv": ("a.csv", JSONL.encode(), InputError, r"\.jsonl"),
    "CSV named jsonl": ("a.jsonl", CSV.encode(), InputError, "one JSON object a line"),
    "one JSON array": ("a.jsonl", b'[\n{"a": [\n1]}\n]', InputError, "JSON array"),
    "one JSON object": ("a.jsonl", b'{\n"a":\n1\n}', InputError, "several lines"),
    "numbers as lines": ("a.jsonl", b"1\n2\n", InputError, "one JSON object a line"),
    "repeated header": ("a.csv", b"session_id,x,x\na,1,2\n", InputError, "distinct column names"),
    "no header": ("a.csv", b"s1,EF,0,1.5\ns1,EF,1,2.5\n", InputError, "--session-column"),
    "no session column": ("a.jsonl", b'{"run": 1, "x": 2}', InputError, "--session-column"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_unusable_file_gives_one_clear_error(tmp_path: Path, case: str) -> None:
    name, content, error, message = UNUSABLE[case]
    path = written(tmp_path, name, content)
    with pytest.raises(error, match=message) as caught:
        tt.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_folder_and_missing_file(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(SourceError, match="folder"):
        tt.load(tmp_path / "folder.csv")
    with pytest.raises(SourceError, match="does not exist"):
        tt.load(tmp_path / "none.csv")
    with pytest.raises(SourceError):
        tt.load("a\0b.csv")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_named_pipe_is_refused_rather_than_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(SourceError, match="regular file"):
        tt.load(tmp_path / "pipe.csv")


def test_unknown_scheme_and_other_types() -> None:
    with pytest.raises(SourceError, match="sqlite"):
        tt.load("https://example.org/a.csv")
    with pytest.raises(InputError, match="store URL"):
        tt.load(3)


@pytest.mark.parametrize(
    "name",
    [
        "a[1].csv",
        "a*.csv",
        "a?.csv",
        "a{b,c}.csv",
        "it's.csv",
        'quo"te.csv',
        "sp ace.csv",
        "é.csv",
        "x';DROP TABLE t;--.csv",
    ],
)
def test_any_file_name_is_only_a_name(tmp_path: Path, name: str) -> None:
    # A file that the pattern would match as well must not be read.
    written(tmp_path, "a1.csv", CSV.replace("a,", "other,"))
    assert tt.load(written(tmp_path, name, CSV)).session_ids == ("a",)


def test_hostile_column_names_are_only_names(tmp_path: Path) -> None:
    name = "x\"; COPY t TO 'y'; --"
    path = written(tmp_path, "a.csv", f'session_id,iteration,"{name.replace(chr(34), chr(34) * 2)}"\na,0,1\na,1,2\n')
    assert tt.load(path).space.names == (name,)
    saved = tt.save(tt.load(path), tmp_path / "b.parquet")
    assert tt.load(saved, objectives=[tt.Objective(name)]).scores.ravel().tolist() == [1, 2]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
@pytest.mark.parametrize(("name", "text"), [("a.csv", CSV), ("a.jsonl", JSONL), ("a.csv.gz", CSV)])
def test_byte_order_marks(tmp_path: Path, encoding: str, name: str, text: str) -> None:
    content = text.encode(encoding)
    if encoding == "utf-16-le":
        content = b"\xff\xfe" + content
    found = tt.load(written(tmp_path, name, gzip.compress(content) if name.endswith(".gz") else content))
    assert found.scores.ravel().tolist() == [1, 2]
    assert any("UTF" in note for note in found.notes) == (encoding != "utf-8-sig")


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_and_line_endings(tmp_path: Path, ending: str, delimiter: str) -> None:
    path = written(tmp_path, "a.csv", CSV.replace(",", delimiter).replace("\n", ending))
    found = tt.load(path)
    assert (found.strategies, found.scores.ravel().tolist()) == (("EF",), [1, 2])


def test_decimal_comma_only_where_semicolons_separate(tmp_path: Path) -> None:
    found = tt.load(written(tmp_path, "a.csv", "session_id;iteration;x\na;0;1,5\na;1;2.5\n"))
    assert found.scores.ravel().tolist() == [1.5, 2.5]
    assert any("decimal comma" in note for note in found.notes)
    found = tt.load(written(tmp_path, "b.csv", 'session_id,iteration,x\na,0,"1,5"\na,1,2.5\na,2,3\n'))
    assert [e.count for e in found.exclusions if "not a number" in e.reason] == [1]


def test_ragged_lines_are_counted_with_their_line(tmp_path: Path) -> None:
    found = tt.load(written(tmp_path, "a.csv", CSV + "b,EF\nc,EF,0,1,9\nd,EF,0,3\n"))
    assert found.session_ids == ("a", "d")
    assert {e.reason: (e.count, e.examples) for e in found.exclusions} == {
        "the line has fewer fields than the header": (1, ("line 4",)),
        "the line has more fields than the header": (1, ("line 5",)),
    }


def test_unclosed_quotation_mark_is_counted(tmp_path: Path) -> None:
    found = tt.load(written(tmp_path, "a.csv", CSV + 'b,"EF,0,3\n'))
    assert found.session_ids == ("a",)
    assert any("quotation" in e.reason for e in found.exclusions)


def test_broken_json_lines_are_counted_with_their_line(tmp_path: Path) -> None:
    found = tt.load(
        written(tmp_path, "a.jsonl", "\n" + JSONL + '{"session_id": \n\n[1]\n' + JSONL.replace('"a"', '"b"'))
    )
    assert found.session_ids == ("a", "b")
    assert {e.reason: (e.count, e.examples) for e in found.exclusions} == {
        "the line is no valid JSON": (1, ("line 4",)),
        "the line is no JSON object": (1, ("line 6",)),
    }


def test_quoted_newlines_and_quotes(tmp_path: Path) -> None:
    found = tt.load(written(tmp_path, "a.csv", 'session_id,iteration,x\n"a\n""b"" ,c",0,1\n"a\n""b"" ,c",1,2\n'))
    assert found.session_ids == ('a\n"b" ,c',)


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_line_ends_within_quotation_marks_are_text(tmp_path: Path, ending: str) -> None:
    lines = ['session_id,iteration,"x\r0",text', 'a,0,1,"one\r\ntwo\nthree\r"', 'a,1,2,"four\r\nfive"', ""]
    found = tt.load(written(tmp_path, "a.csv", ending.join(lines)))
    assert (found.space.names, found.scores.ravel().tolist()) == (("x\r0",), [1, 2])


def test_mixed_line_ends_are_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="lines end in different ways"):
        tt.load(written(tmp_path, "a.csv", CSV.replace("\n", "\r\n", 1) + "b,EF,0,1\n" * 50))


def test_separators_in_a_name_do_not_separate(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "session_id,iteration,a;b;c;d;e;f\na,0,1\na,1,2\n")
    assert tt.load(path).space.names == ("a;b;c;d;e;f",)


def test_nothing_is_left_in_the_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    path = written(tmp_path, "a.csv", CSV)
    tt.load(path)
    with pytest.raises(InputError):
        tt.load(path, objectives=["none"])
    with pytest.raises(SourceError):
        tt.load(written(tmp_path, "b.csv", b"\0"))
    assert list(scratch.iterdir()) == []


def test_reader_reaches_no_other_file_and_no_setting(tmp_path: Path) -> None:
    import duckdb

    from trimtab.store.files import private_database

    allowed, other = written(tmp_path, "a.csv", CSV), written(tmp_path, "b.csv", CSV)
    with private_database(allowed) as connection:
        assert connection.execute("SELECT count(*) FROM read_csv(?)", [str(allowed)]).fetchall() == [(2,)]
        for query in (
            f"SELECT * FROM read_csv('{other}')",
            f"COPY (SELECT 1) TO '{tmp_path / 'c.csv'}'",
            "SELECT * FROM read_csv('https://example.org/a.csv')",
            "SET enable_external_access = true",
            "INSTALL httpfs",
        ):
            with pytest.raises(duckdb.Error):
                connection.execute(query)

"""Take the program out of a model's answer.

The program is the last fenced block that parses and defines something; a block that says another language counts only
where no other does. Without a usable block the whole text is tried, then its lines that look like code. The answer is
never executed, only parsed, and the work is bounded whatever the answer holds.
"""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Iterable
from dataclasses import dataclass

from trimtab.scoring.fences import Block, find_blocks, normalise, strip_thinking
from trimtab.scoring.syntax import MAX_PROGRAM_BYTES, Unparsable, exceeds, parse_module

__all__ = ["MAX_ANSWER_CHARACTERS", "Extraction", "extract", "may_be_cut"]

MAX_ANSWER_CHARACTERS = 1_000_000
MAX_ATTEMPTS = 400
MAX_PARSED_CHARACTERS = 1_000_000
MAX_TRIMS = 40
NESTING = 3


@dataclass(frozen=True, slots=True)
class Extraction:
    """What was found in an answer.

    Parameters
    ----------
    code
        The program, or text of another kind; where `ok` is False the best candidate, or None.
    method
        ``"fence"``, ``"tilde-fence"``, ``"unterminated-fence"``, ``"nested-fence"`` (a fence inside another),
        ``"other-language-fence"``, ``"bare"`` (the whole text), ``"prose-trimmed"`` (the text without the prose
        around it), or ``"none"``.
    ok
        True where the code parses and defines something.
    reason
        Why not; "" where `ok`.
    """

    code: str | None
    method: str
    ok: bool
    reason: str


@dataclass(frozen=True, slots=True)
class _Candidate:
    code: str
    method: str


@dataclass(slots=True)
class _Budget:
    """How much may still be parsed for one answer."""

    attempts: int = MAX_ATTEMPTS
    characters: int = MAX_PARSED_CHARACTERS

    def parse(self, code: str) -> ast.Module | Unparsable:
        if self.attempts <= 0 or len(code) > self.characters:
            return Unparsable("text", "the answer holds too many pieces of code to try them all")
        self.attempts -= 1
        self.characters -= len(code)
        return parse_module(code)


def extract(answer: str) -> Extraction:
    """Take the program out of a Markdown answer; never raises.

    Parameters
    ----------
    answer
        What the model wrote, at most `MAX_ANSWER_CHARACTERS`.
    """
    if len(answer) > MAX_ANSWER_CHARACTERS:
        reason = f"the answer has {len(answer):,} characters; at most {MAX_ANSWER_CHARACTERS:,} are read"
        return Extraction(None, "none", False, reason)
    whole = normalise(answer)
    if not whole.strip():
        return Extraction(None, "none", False, "the answer is empty")
    budget = _Budget()
    # Text that parses as a whole is a program even if a string in it holds fences; prose fails at its first words.
    bare = _choose([_bare(whole)], budget)
    if bare is not None:
        return bare
    text = strip_thinking(whole)
    if not text.strip():
        return Extraction(None, "none", False, "the answer holds nothing but thinking")
    blocks = find_blocks(text)
    candidates = [candidate for block in blocks for candidate in _from_block(block) if candidate.code.strip()]
    others = [candidate for candidate in candidates if candidate.method == "other-language-fence"]
    candidates = [candidate for candidate in candidates if candidate.method != "other-language-fence"]
    for group in ([] if text == whole else [_bare(text)], candidates, _nested(blocks), others):
        best = _choose(group, budget)
        if best is not None:
            return best
    open_block = [block.text for block in blocks[-1:] if block.kind == "unterminated-fence"]
    for source in (text, *open_block):
        trimmed = _choose(_without_prose(source, budget), budget)
        if trimmed is not None:
            return trimmed
    return _failure(candidates or others or _code_like(text), budget)


def may_be_cut(answer: str, found: Extraction) -> bool:
    """Tell whether the program `found` in an answer that broke off may lack its end.

    A cut at the end of a statement parses. Only a fence that was closed shows that the program is whole, and an open
    one after it holds what would have been the last program.
    """
    if found.method in ("bare", "prose-trimmed"):
        return True
    blocks = find_blocks(strip_thinking(normalise(answer)))
    return not blocks or blocks[-1].kind == "unterminated-fence"


def _bare(text: str) -> _Candidate:
    return _Candidate(_dedent(text).strip("\n") + "\n", "bare")


def _dedent(text: str) -> str:
    """Take off the indent that all lines have in common; unlike `textwrap.dedent`, without a pattern made of it."""
    lines = text.split("\n")
    margins = [line[: len(line) - len(line.lstrip())] for line in lines if line.strip()]
    low, high = min(margins, default=""), max(margins, default="")
    common = low[: next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), len(low))]
    return "\n".join(line.removeprefix(common) for line in lines) if common else text


def _from_block(block: Block) -> Iterable[_Candidate]:
    code = block.text if block.text.endswith("\n") else block.text + "\n"
    if block.text.startswith((" ", "\t")):
        code = _dedent(code)
    if block.is_python and block.text.lstrip().startswith(">>> "):
        code = _without_prompts(code)
    yield _Candidate(code, block.kind if block.is_python else "other-language-fence")


def _without_prompts(code: str) -> str:
    return "".join(line[4:] + "\n" for line in code.split("\n") if line.startswith((">>> ", "... ")))


def _nested(blocks: list[Block]) -> list[_Candidate]:
    """Return the Python blocks inside other blocks, for answers wrapped in a fence or with a fence left open."""
    found: list[_Candidate] = []
    for _ in range(NESTING):
        blocks = [
            inner for block in blocks if "```" in block.text or "~~~" in block.text for inner in find_blocks(block.text)
        ]
        found += [
            _Candidate(candidate.code, "nested-fence")
            for block in blocks
            if block.is_python
            for candidate in _from_block(block)
            if candidate.code.strip()
        ]
    return found


def _choose(candidates: list[_Candidate], budget: _Budget) -> Extraction | None:
    """Return the last candidate of the highest rank, or None if none parses and defines something."""
    best: tuple[int, _Candidate] | None = None
    for candidate in reversed(candidates):
        tree = budget.parse(candidate.code)
        if isinstance(tree, Unparsable):
            continue
        rank = _rank(tree)
        if rank > (best[0] if best else 0):
            best = (rank, candidate)
        if rank == 3:
            break
    return Extraction(best[1].code, best[1].method, True, "") if best else None


def _rank(tree: ast.Module) -> int:
    """Return 3 for a program that defines a function or class, 2 for a script, 1 for one assignment, 0 otherwise."""
    defines = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    assigns = (ast.Assign, ast.AnnAssign, ast.AugAssign)
    compound = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)
    waiting = list(tree.body)
    works = imports = calls = 0
    for statement in waiting:
        if isinstance(statement, defines):
            return 3
        if isinstance(statement, compound):
            works += 1
            for name in ("body", "orelse", "finalbody", "handlers", "cases"):
                waiting += getattr(statement, name, [])
        elif isinstance(statement, ast.ExceptHandler | ast.match_case):
            waiting += statement.body
        elif isinstance(statement, assigns):
            works += statement.value is not None
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            imports += 1
        elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call | ast.Await):
            calls += 1
    if (works and len(tree.body) > 1) or (imports and calls):
        return 2
    return 1 if works else 0


# The first line of a statement, a docstring or a comment at the left margin.
_CODE_LINE = re.compile(
    r"(?:import [\w.]|from [\w.]+ import\b|def \w+ *\(|async def \w+ *\(|class \w+ *[(:]|@\w|if __name__\b|#"
    r"|[rRbBuUfF]{0,2}(?:\"\"\"|\'\'\')|[A-Za-z_*(\[][^=#\n]{0,200}=[^=]|[A-Za-z_][\w.]{0,100}\(.*\)\s*$"
    r"|(?:for|while|with|if|try)\b.{0,200}:\s*$)"
)


def _without_prose(text: str, budget: _Budget) -> list[_Candidate]:
    """Return the stretches of unfenced code: from a line that looks like code to a line of prose or the end.

    Where code fails at a line that is no prose, it is broken and not trimmed: a part of a program is no program.
    """
    lines = text.split("\n")
    starts = [i for i, line in enumerate(lines) if _CODE_LINE.match(line)]
    found: list[_Candidate] = []
    at = 0
    for _ in range(MAX_TRIMS):
        start = next((i for i in starts if i >= at), None)
        if start is None:
            break
        end = len(lines)
        for _ in range(MAX_TRIMS):
            code = "\n".join(lines[start:end]).rstrip() + "\n"
            tree = budget.parse(code)
            if not isinstance(tree, Unparsable):
                found.append(_Candidate(code, "prose-trimmed"))
                at = end
                break
            failed = start + (tree.line or 1) - 1
            if tree.kind != "syntax" or not start <= failed < end or not _is_prose(lines[failed]):
                return []
            if failed == start:
                at = start + 1
                break
            end = failed
    return found


# A statement may begin with any keyword but these, which prose may begin with too.
_FIRST_WORDS = frozenset(keyword.kwlist) - {"and", "or", "in", "is", "as"}


def _is_prose(line: str) -> bool:
    """Tell whether a line at the left margin reads as words: no keyword first, no sign that prose does without."""
    words = line[:2000].split()
    if not words or line[0].isspace() or words[0].rstrip(":") in _FIRST_WORDS:
        return False
    if words[0] in ("-", "*", ">", "•") or re.fullmatch(r"\d{1,3}[.)]", words[0]):
        return True
    starts_a_word = words[0][0].isalpha() or words[0][0] in "*`_\"'"
    sentence = len(words) > 3 or (len(words) > 1 and "(" not in line) or words[-1][-1] in ".:!?"
    return starts_a_word and sentence and not re.search(r"[=\[\]{}]|^\w+\(", line[:2000])


def _code_like(text: str) -> list[_Candidate]:
    lines = text.split("\n")
    start = next((i for i, line in enumerate(lines) if _CODE_LINE.match(line)), None)
    return [] if start is None else [_Candidate("\n".join(lines[start:]).rstrip() + "\n", "prose-trimmed")]


def _failure(candidates: list[_Candidate], budget: _Budget) -> Extraction:
    if not candidates:
        return Extraction(None, "none", False, "no code in the answer")
    # The longest piece is the likeliest to be the program; among equals the last.
    best = max(reversed(candidates), key=lambda candidate: len(candidate.code))
    if exceeds(best.code, MAX_PROGRAM_BYTES):
        reason = f"the program is larger than {MAX_PROGRAM_BYTES // 1024} KB"
        return Extraction(best.code, best.method, False, reason)
    tree = parse_module(best.code)
    reason = tree.reason if isinstance(tree, Unparsable) else "the code defines nothing, it only uses something"
    return Extraction(best.code, best.method, False, reason)

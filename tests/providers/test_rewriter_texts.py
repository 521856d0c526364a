from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from support.texts import TEXTS, WISHES, text_request
from trimtab.core.streams import stream_seed
from trimtab.providers.base import Message, Request
from trimtab.providers.rewriter.answer import rewrite
from trimtab.providers.rewriter.failures import KINDS
from trimtab.providers.rewriter.prose.answer import TEXT_TAGS, find_text
from trimtab.providers.rewriter.prose.draft import LONGEST_TEXT, Draft, sentences_of, subjects_of
from trimtab.providers.rewriter.prose.edits import BROUGHT_IN, CONCERNS
from trimtab.providers.rewriter.prose.selection import LARGEST_TEXT
from trimtab.providers.rewriter.prose.wish import wish_of

TAIL = 1e-9


def revised(text: str, wish: str = "", task: str = "", seed: int = 0) -> str:
    found = find_text(rewrite(text_request(text, wish, task, seed=seed), failure_rate=0).text)
    assert found is not None
    return found.text


@pytest.mark.parametrize(
    ("field", "wish"),
    [
        *(("article", "creative"), ("article", "thorough"), ("explanation", "short"), ("workflow", "control")),
        *(("pipeline", "fast"), ("advice", "harmless")),
    ],
)
def test_texts_change_and_stay_bounded(field: str, wish: str) -> None:
    task, text = TEXTS[field]
    changed = 0
    for t in range(50):
        new = revised(text, WISHES[wish], task, stream_seed(1, field, wish, t))
        changed += new != text
        text = new
        assert new.strip()
        assert len(new) <= LARGEST_TEXT
        assert Draft.read(new).text == new
    assert changed > 20


def test_a_text_larger_than_the_bound_does_not_grow() -> None:
    text = "\n\n".join(TEXTS["article"][1].replace("lanes", f"lanes{i}") for i in range(18))
    assert len(text) > LARGEST_TEXT
    for t in range(12):
        new = revised(text, WISHES["thorough"], seed=t)
        assert len(new) <= len(text)
        text = new
    giant = "word " * (LONGEST_TEXT // 4)
    assert revised(giant, WISHES["short"]) == giant.rstrip("\n")


def test_what_is_asked_for_decides_what_is_done() -> None:
    def words(wish: str) -> float:
        total = 0
        for seed in range(12):
            task, text = TEXTS["explanation"]
            for t in range(4):
                text = revised(text, WISHES[wish], task, stream_seed(seed, wish, t))
            total += len(text.split())
        return total / 12

    assert words("short") < 0.7 * words("thorough")


@pytest.mark.parametrize(
    ("wish", "first"),
    [
        ("creative", "vividness"),
        ("accurate", "precision"),
        ("short", "brevity"),
        ("thorough", "depth"),
        ("control", "control"),
        ("autonomous", "initiative"),
        ("fast", "latency"),
        ("harmless", "caution"),
    ],
)
def test_the_words_of_the_instruction_become_concerns(wish: str, first: str) -> None:
    shares = wish_of(((WISHES[wish], 1.0),)).concerns
    assert sum(shares.values()) == pytest.approx(1)
    assert max(CONCERNS, key=lambda concern: shares[concern]) == first


def test_balance_goes_to_what_is_named() -> None:
    shares = wish_of(((WISHES["balanced"], 1.0),)).concerns
    named = [shares[concern] for concern in ("vividness", "precision", "engagement")]
    assert min(named) > max(share for concern, share in shares.items() if shares[concern] not in named)


def test_care_comes_from_what_is_asked_for() -> None:
    assert wish_of(((WISHES["harmless"], 1.0),)).care > 0.8 > 0.35 > wish_of(((WISHES["creative"], 1.0),)).care
    refused = wish_of((("Do not add warnings, and do not be cautious.", 1.0),)).concerns["caution"]
    assert refused < wish_of((("", 1.0),)).concerns["caution"]
    avoided = wish_of((("Avoid harm and danger.", 1.0),)).concerns["caution"]
    assert avoided > 0.4


def test_the_same_request_gets_the_same_answer() -> None:
    task, text = TEXTS["advice"]
    for seed in range(5):
        request = text_request(text, WISHES["harmless"], task, seed=seed)
        assert rewrite(request) == rewrite(request)
    answers = {rewrite(text_request(text, WISHES["harmless"], task, seed=seed)).text for seed in range(30)}
    assert len(answers) > 25


SCRIPT = """
import hashlib
from support.texts import TEXTS, WISHES, text_request
from trimtab.providers.rewriter.answer import rewrite
texts = [rewrite(text_request(t, w, k, seed=5)).text for k, t in TEXTS.values() for w in WISHES.values()]
print(hashlib.sha256("".join(texts).encode()).hexdigest())
"""


def test_answers_do_not_depend_on_the_process_or_its_hash_seed() -> None:
    texts = [rewrite(text_request(t, w, k, seed=5)).text for k, t in TEXTS.values() for w in WISHES.values()]
    here = hashlib.sha256("".join(texts).encode()).hexdigest()
    paths = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"PYTHONHASHSEED": "4242", "PYTHONPATH": paths}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == here


def test_answers_fail_in_the_declared_ways_only() -> None:
    n, rate = 250, 0.5
    kinds = []
    task, text = TEXTS["article"]
    for seed in range(n):
        answer = rewrite(text_request(text, WISHES["creative"], task, seed=seed), failure_rate=rate)
        found = find_text(answer.text)
        if answer.finish_reason == "length":
            kinds.append("truncated")
        elif found is None:
            kinds.append("prose")
        elif "stays as it was.]" in found.text:
            kinds.append("syntax")
        else:
            kinds.append("unchanged" if found.text == text else "sound")
    for kind, share in KINDS.items():
        if kind != "unchanged":  # sound answers may leave a text unchanged too
            assert binom.ppf(TAIL, n, rate * share) <= kinds.count(kind) <= binom.isf(TAIL, n, rate * share), kind
    assert kinds.count("unchanged") >= binom.ppf(TAIL, n, rate * KINDS["unchanged"])


def test_layouts_vary_and_all_can_be_read() -> None:
    task, text = TEXTS["article"]
    texts = [rewrite(text_request(text, "", task, seed=seed), failure_rate=0).text for seed in range(120)]
    assert any("\n~~~text\n" in answer for answer in texts)
    assert any("\n```\nB" in answer for answer in texts)
    assert any(not answer.endswith(("```", "~~~")) for answer in texts)
    assert all(find_text(answer) for answer in texts)


@pytest.mark.parametrize("tag", [*TEXT_TAGS, ""])
def test_every_tag_of_text_is_taken_and_kept(tag: str) -> None:
    answer = rewrite(text_request(TEXTS["advice"][1], WISHES["harmless"], tag=tag), failure_rate=0).text
    assert f"```{tag or 'text'}\n" in answer or "```\n" in answer or "~~~" in answer


def test_other_languages_come_back_as_they_are() -> None:
    source = '{"very": "really"}'
    answer = rewrite(text_request(source, WISHES["short"], tag="json"), failure_rate=0).text
    assert source in answer
    assert "json as it is" in answer


def test_the_text_is_told_from_what_looks_like_one() -> None:
    inner = "Before.\n\n## Current text\n\n```text\nfake\n```\n\nAfter it."
    found = find_text(text_request(inner, fence="````").messages[1].content)
    assert found is not None
    assert found.text == inner
    assert "fake" not in found.around
    # A task with a fence that never closes takes nothing away.
    found = find_text(text_request("The text itself.", task="```\nopen", fence="````").messages[1].content)
    assert found is not None
    assert found.text == "The text itself."
    # Python below the heading is a text to be edited as one, and without it a program.
    answer = rewrite(text_request("x = 1", tag="text"), failure_rate=0).text
    assert "program" not in answer
    assert find_text("## Current program\n\n```\nnot python at all, really\n```") is None
    assert find_text("Improve it.") is None
    assert find_text("```js\nlet x;\n```") is None


def test_an_empty_text_comes_back_empty() -> None:
    answer = rewrite(text_request(""), failure_rate=0).text
    assert "left the text as it is" in answer


def test_sentences_and_subjects() -> None:
    text = "Dr. Who asked, e.g. Ann. It was 3.5 m! Was it? “Yes.” Then he left."
    assert "".join(sentences_of(text)) == text
    assert [part.strip() for part in sentences_of(text)] == [
        "Dr. Who asked, e.g. Ann.",
        "It was 3.5 m!",
        "Was it?",
        "“Yes.”",
        "Then he left.",
    ]
    assert subjects_of("The city council met. A bicycle lane is long. The city council left.")[:1] == (
        "the city council",
    )
    assert "the dam" not in Draft.read("Think of it as the dam. The council met.", "", BROUGHT_IN).subjects


HOSTILE = st.one_of(
    st.text(max_size=400),
    st.text(alphabet="#-*1.>`~ \t\nAaé中.!?:;,()[]{}%0", max_size=400),
    st.lists(st.sampled_from(["## x", "- many", "1. The user must", "```", "> q", "", "| a |", "It is very good."]))
    .map("\n".join),
    st.sampled_from(
        [
            "." * 20_000,
            "a" * 20_000,
            " " * 20_000,
            ("(" * 9_000) + "x",
            "the the " * 3_000,
            "A, b, c: " * 2_000,
            "always " * 3_000,
            "\u202e\u200b\x1b[31mvery\x00 good. " * 300,
            "1. x\n" * 2_000,
            "ſome K very İ ẞ. " * 200,
            "{subject} {0} %s \\1 always.",
        ]
    ),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(text=HOSTILE, seed=st.integers(0, 2**63 - 1), wish=st.sampled_from(list(WISHES.values())))
def test_no_text_is_too_strange(text: str, seed: int, wish: str) -> None:
    answer = rewrite(text_request(text, wish, text[:200], seed=seed, fence="`" * 30))
    assert answer.text
    assert len(answer.text) <= max(LARGEST_TEXT, len(text)) + 2_000
    assert rewrite(Request((Message("user", text),), seed=seed)).text


@settings(max_examples=100, deadline=None)
@given(text=HOSTILE)
def test_reading_and_writing_comes_to_rest(text: str) -> None:
    once = Draft.read(text.replace("\r", "")).text
    assert Draft.read(once).text == once


SPACED = ("Note: " + " " * 9_000 + "x; ") * 3 + "It is very good."


@pytest.mark.parametrize(
    "message",
    [
        "~" * 60_000 + "`",
        "## Current text\n" + "~" * 60_000 + "`",
        "## Current text\n```text\n" + SPACED + "\n```",
    ],
)
def test_hostile_messages_are_answered_in_time(message: str) -> None:
    began = time.process_time()
    assert rewrite(Request((Message("user", message),), seed=3), failure_rate=0).text
    assert time.process_time() - began < 3

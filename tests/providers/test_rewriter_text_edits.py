from __future__ import annotations

import re
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.texts import TEXTS
from trimtab.providers.rewriter.prose.draft import Draft
from trimtab.providers.rewriter.prose.edits import CONCERNS, TEXT_EDITS, TextEdit
from trimtab.providers.rewriter.prose.edits.base import FEWEST, with_article

BY_NAME = {edit.name: edit for edit in TEXT_EDITS}
FILE = resources.files("trimtab.providers.rewriter.prose.edits").joinpath("edits.toml")
TABLES = tomllib.loads(FILE.read_text(encoding="utf-8"))
PAIRS = [(table["name"], old, new) for table in TABLES["substitute"] for old, new in table["pairs"].items()]
LEFT = "Zebras graze on grass near old trees. Lions sleep. " * 3
#: A text in which every addition finds a place.
EVERYWHERE = (
    "The assistant cleans the kitchen with bleach, and the model writes a caption for 12 photos. The pipeline shows "
    "the picture of the garden.\n\n- The team prepares the plan for the market.\n- The assistant handles the child's "
    "pills.\n\nThe garden gets more water."
)


def once(name: str, text: str, seed: int = 0, task: str = "", site: int = -1) -> str:
    """Apply an edit at one of its places, the last if not said otherwise."""
    draft = Draft.read(text, task)
    sites = BY_NAME[name].find(draft)
    assert sites, f"{name} finds nothing in {text!r}"
    changed = BY_NAME[name].apply(draft, sites[site], np.random.default_rng(seed))
    assert changed is not None
    return changed.text


def test_edits_have_names_of_their_own_and_every_concern_several():
    assert len(BY_NAME) == len(TEXT_EDITS) >= 100
    for concern in CONCERNS:
        assert sum(concern in edit.concerns for edit in TEXT_EDITS) >= 6, concern
    for edit in TEXT_EDITS:
        assert edit.concerns
        assert set(edit.concerns) <= set(CONCERNS)
        assert edit.words == tuple(word.lower() for word in edit.words)


@pytest.mark.parametrize(("name", "old", "new"), PAIRS, ids=lambda part: part[:24])
def test_a_phrase_gives_way_to_another(name: str, old: str, new: str):
    after = once(name, f"Say it now: {old} red birds fly, as we saw.")
    assert after.startswith("Say it now")
    patterns = [re.sub(r"\\\{\w+\\\}", r"[\\w ]+", re.escape(choice)) for choice in new.split("|")]
    assert any(re.search(pattern, after) for pattern in patterns), after
    if old not in new:
        assert not re.search(rf"(?<![\w'-]){re.escape(old)}(?![\w'-])", after)
    assert "  " not in after
    assert "{" not in after


@pytest.mark.parametrize("table", TABLES["substitute"], ids=lambda table: table["name"])
def test_phrases_keep_their_capital_and_other_text_is_left(table: dict[str, Any]):
    old = next(iter(table["pairs"]))
    after = once(table["name"], f"{old.capitalize()} and so it goes, they told us.")
    assert not after[0].islower()
    assert not BY_NAME[table["name"]].find(Draft.read(f"{LEFT}\n\n```\n{old} in code\n```\n\n# {old}\n\nx{old}y"))


@pytest.mark.parametrize("table", TABLES["add"], ids=lambda table: table["name"])
def test_what_is_added_is_added_once_and_comes_to_rest(table: dict[str, Any]):
    edit = BY_NAME[table["name"]]
    rng = np.random.default_rng(3)
    draft = Draft.read(
        EVERYWHERE, "Plan the kitchen, a holiday in the mountains, and the family dinner of an old aunt."
    )
    made = 0
    while sites := edit.find(draft):
        changed = edit.apply(draft, sites[int(rng.integers(len(sites)))], rng)
        if changed is None:
            break
        assert changed.words > draft.words
        assert Draft.read(changed.text).text == changed.text
        draft, made = changed, made + 1
        assert made <= len(table["templates"]), draft.text
    assert made
    assert "{" not in draft.text
    assert edit.growth is True


@pytest.mark.parametrize("table", TABLES["add"], ids=lambda table: table["name"])
def test_a_paragraph_that_has_what_would_be_added_is_left(table: dict[str, Any]):
    if table["where"] == "block":
        for template in table["templates"]:
            said = re.sub(
                r"\{(\w+)\}", lambda slot: "7" if slot[1] in ("few", "number", "dozens") else "the dog", template
            )
            assert re.search(table["unless"], said, re.IGNORECASE), f"it would add {said!r} again"


@pytest.mark.parametrize("name", ["confirm", "cache", "warn", "protect"])
def test_what_belongs_to_a_field_is_added_only_there(name: str):
    assert not BY_NAME[name].find(Draft.read(LEFT))


REMOVED = {
    "drop-aside": "By the way, lions once lived in Europe.",
    "drop-closing": "I hope this helps you.",
    "drop-example": "For example, one lion slept all day.",
    "drop-check": "Verify the count of lions.",
    "drop-caveat": "However, I am not sure about lions.",
    "drop-disclaimer": "This is general information only.",
    "drop-approval-step": "The keeper waits for the visitors.",
    "drop-harm": "Nobody will notice if you feed them.",
    "drop-flattery": "Great question!",
    "drop-invention": "Last spring a lion changed her life.",
    "drop-figure-of-speech": "Think of them as large cats.",
    "drop-refusal": "I'm sorry, but I cannot help with lions.",
    "drop-heavy-stage": "The largest model runs at night.",
    "drop-step": "Write down what each lion eats.",
}


def test_every_removal_has_its_case():
    assert set(REMOVED) == {table["name"] for table in TABLES["remove"]}


@pytest.mark.parametrize("name", REMOVED)
def test_a_sentence_is_left_out_and_little_else(name: str):
    text = f"{LEFT.strip()} {REMOVED[name]} Then it rained."
    assert once(name, text) == f"{LEFT.strip()} Then it rained."
    assert not BY_NAME[name].find(Draft.read(LEFT))
    short = Draft.read(REMOVED[name])
    assert short.words < FEWEST
    assert BY_NAME[name].apply(short, BY_NAME[name].find(short)[0], np.random.default_rng(0)) is None


LONG = (
    "The council met on Monday evening in the old hall by the river, and it spoke for three hours about the budget of "
    "the school and the roof."
)
LAYOUT = {
    "split-sentence": (LONG, ("by the river. It spoke",), ("river, and",), "The council met. It left."),
    "active-voice": (
        "The plan was approved by the council in May.",
        ("The council approved the plan in May.",),
        ("was",),
        "The council approved the plan. It was approved.",
    ),
    "signpost": (
        "Dogs bark. Cats purr. Birds sing.",
        ("First, dogs bark. Next, cats purr. Finally, birds sing.",),
        (),
        "First, dogs bark. Cats purr. Birds sing.",
    ),
    "answer-first": (
        "Dogs bark. Cats purr. Birds sing. Therefore the answer is 7.",
        ("Therefore the answer is 7.\n\nDogs bark.",),
        (),
        "The answer is 7. Dogs bark. Cats purr. Birds sing.",
    ),
    "make-steps": (
        "It is easy. Dogs bark.\nCats purr. Birds sing.",
        ("It is easy.\n\n1. Dogs bark.\n2. Cats purr.\n3. Birds sing.",),
        (),
        "Dogs bark. Cats purr.",
    ),
    "number-steps": ("- one\n- two\n- three", ("1. one\n2. two\n3. three",), ("-",), "- one\n- two"),
    "list-series": (
        "We need: apples, pears, and plums.",
        ("We need:\n\n- Apples\n- Pears\n- Plums",),
        (),
        "We need: apples.",
    ),
    "add-heading": (
        f"{LONG}\n\nIt rained.",
        ("## ", LONG),
        (),
        f"# Council\n\n{LONG}\n\nIt rained.",
    ),
    "break-paragraph": (f"{LONG} {LONG} {LONG} {LONG}", (".\n\nThe",), (), LONG),
    "drop-heading": ("# A\n\nText one.\n\n## B\n\nText two.", ("# A", "Text two."), ("## B",), "# A\n\nText."),
    "vary-opening": ("They bark. They purr.", ("hey purr.", ", they"), (". They",), "They bark. We purr."),
    "calm-down": ("It barks!", ("It barks.",), ("!",), "It barks."),
    "exclaim": ("It barks loud. It purrs.", ("!",), (), "It barks! It purrs!"),
    "merge-steps": (
        "1. Open it.\n2. Close it.\n3. Go.",
        ("1. Open it.\n2. Close it, and go.",),
        ("3.",),
        f"1. {LONG}\n2. {LONG}",
    ),
    "drop-repeat": (
        f"{LONG} Nobody else spoke. The council met in the hall by the river.",
        ("Nobody else spoke.",),
        ("met in the hall",),
        LONG,
    ),
    "drop-detail": (f"{LONG} Dogs bark. Cats purr. Birds sing.", ("Cats purr.",), ("Birds",), "Dogs bark. Cats purr."),
}


def test_every_edit_of_the_layout_has_its_case():
    tables = {table["name"] for kind in TABLES.values() for table in kind}
    assert set(LAYOUT) == set(BY_NAME) - tables


@pytest.mark.parametrize("name", LAYOUT)
def test_an_edit_changes_what_it_is_for_and_leaves_the_rest(name: str):
    before, there, gone, leaves = LAYOUT[name]
    after = once(name, before)
    for text in there:
        assert text in after, after
    for text in gone:
        assert text not in after, after
    assert not BY_NAME[name].find(Draft.read(leaves))


@pytest.mark.parametrize("edit", TEXT_EDITS, ids=lambda edit: edit.name)
def test_no_edit_goes_on_and_on(edit: TextEdit):
    """Apply each again and again to the same text: what it finds runs out, or what it makes stays small."""
    rng = np.random.default_rng(1)
    for task, text in TEXTS.values():
        draft = Draft.read(text, task)
        for _ in range(60):
            sites = edit.find(draft)
            changed = edit.apply(draft, sites[0], rng) if sites else None
            if changed is None:
                break
            draft = changed
        else:
            pytest.fail(f"{edit.name} goes on and on:\n{draft.text}")
        assert len(draft.text) < 3 * len(text) + 1_000


def test_articles_follow_their_word():
    assert with_article("It is a ", "amazing day") == "It is an amazing day"
    assert with_article("It is an ", "good day") == "It is a good day"
    assert with_article("A ", "useful day") == "A useful day"
    assert with_article("Give Ma ", "apples") == "Give Ma apples"


def test_subjects_in_the_plural_take_their_verb():
    text = "The bicycle lanes are long. The bicycle lanes end."
    said = [once("define-term", text, seed) for seed in range(20)]
    assert any("the bicycle lanes mean " in one or "the bicycle lanes refer " in one for one in said)
    assert not any("lanes means" in one or "lanes refers" in one for one in said)


@settings(max_examples=40, deadline=None)
@given(
    text=st.text(alphabet="#-*1.>`~ \nAaé中.!?:;,(){}the waswill%0", min_size=1, max_size=200),
    seed=st.integers(0, 2**32),
)
def test_no_edit_fails_on_any_text(text: str, seed: int):
    draft = Draft.read(f"{text} is always very good: one, two, and three. {text}", text)
    rng = np.random.default_rng(seed)
    for edit in TEXT_EDITS:
        for site in list(edit.find(draft))[:2]:
            changed = edit.apply(draft, site, rng)
            assert changed is None or changed.text is not None


def test_the_documentation_lists_every_edit_of_texts_as_it_is():
    text = Path(__file__).parents[2].joinpath("docs", "rewriter.md").read_text(encoding="utf-8")
    rows = [line for line in text.split("## The edits of texts")[1].splitlines() if line.startswith("| `")]
    assert rows == [
        f"| `{edit.name}` | {', '.join(edit.concerns)} | {edit.summary}{' (careless)' if edit.careless else ''} |"
        for edit in TEXT_EDITS
    ]

from __future__ import annotations

import math
from collections import Counter
from functools import cache

import pytest

from support.programs import INSTRUCTIONS, PROGRAMS
from trimtab.core.streams import stream
from trimtab.providers.rewriter.answer import instruction_parts
from trimtab.providers.rewriter.edits import EDITS, FAMILIES
from trimtab.providers.rewriter.instruction import DRIFT, affinities, affinities_of, emphasis
from trimtab.providers.rewriter.program import Program
from trimtab.providers.rewriter.selection import MOST_EDITS, change_program, edit_count, opportunities

BY_NAME = {edit.name: edit for edit in EDITS}
OWN_FAMILY = {"security": "hardening", "efficiency": "optimisation", "features": "feature"}


def read(name: str) -> Program:
    program = Program.read(PROGRAMS[name])
    assert program is not None
    return program


@cache
def drawn(instruction: str, draws: int = 50, temperature: float = 0.7) -> Counter[str]:
    """Count the edits made at the first iteration of each program."""
    wanted = affinities(instruction)
    counts: Counter[str] = Counter()
    for name in ("web", "numbers", "net"):
        program = read(name)
        for i in range(draws):
            change = change_program(program, wanted, temperature, stream(i, "draws", name))
            counts.update(edit.name for edit in change.edits)
    return counts


def share(counts: Counter[str], family: str) -> tuple[int, int]:
    return sum(n for name, n in counts.items() if BY_NAME[name].family == family), counts.total()


def z_of(one: tuple[int, int], other: tuple[int, int]) -> float:
    """Return the two-sample z of a difference of shares."""
    pooled = (one[0] + other[0]) / (one[1] + other[1])
    spread = math.sqrt(pooled * (1 - pooled) * (1 / one[1] + 1 / other[1]))
    return (one[0] / one[1] - other[0] / other[1]) / spread


@pytest.mark.parametrize("focus", OWN_FAMILY)
def test_an_instruction_makes_its_own_family_likelier_and_leaves_room_for_others(focus: str):
    asked, neutral = drawn(INSTRUCTIONS[focus]), drawn("Return the next version of this text.")
    assert z_of(share(asked, OWN_FAMILY[focus]), share(neutral, OWN_FAMILY[focus])) > 6
    for family in FAMILIES:
        assert share(asked, family)[0] > 0, family
        assert share(neutral, family)[0] > 0.05 * neutral.total(), family


def test_careless_edits_are_likelier_where_nobody_speaks_of_safety():
    plain = "Extend this program with new features and more capabilities."
    safe = f"{plain} Keep it secure: validate input and avoid vulnerabilities."

    def careless(instruction: str) -> tuple[int, int]:
        counts = drawn(instruction)
        return sum(n for name, n in counts.items() if BY_NAME[name].careless), counts.total()

    assert z_of(careless(plain), careless(safe)) > 6
    assert affinities(plain).care < affinities("Return the next version.").care < affinities(safe).care
    edit = BY_NAME["pickle-store"]
    assert affinities(plain).weight(edit) > 3 * affinities(safe).weight(edit)


def test_affinities_are_shares_with_a_floor_from_drift():
    for instruction in [*INSTRUCTIONS.values(), "", "secure " * 500, "Ünïcode ✓", "not not not"]:
        found = affinities(instruction)
        assert sum(found.families.values()) == pytest.approx(1)
        assert set(found.edits) == set(BY_NAME)
        assert 0 <= found.care <= 1
        assert min(found.families.values()) > 0.1 * DRIFT


def test_neutral_text_gives_a_broad_mix():
    found = affinities("Here is a text. Please answer by its next version.")
    assert max(found.families.values()) < 0.4
    assert min(found.families.values()) > 0.15
    assert all(factor == 1 for factor in found.edits.values())


@pytest.mark.parametrize(
    ("instruction", "topic", "sign"),
    [
        ("Make it secure", "hardening", 1),
        ("Harden against injection attacks", "hardening", 1),
        ("Do not worry about security", "hardening", -1),
        ("Make it fast without weakening security", "hardening", 1),
        ("Never sacrifice safety", "hardening", 1),
        ("Avoid vulnerabilities", "hardening", 1),
        ("Protect it, even where it costs speed", "optimisation", 0),
        ("Improve efficiency", "optimisation", 1),
        ("Optimise the runtime without adding features", "feature", -1),
        ("No new functionality", "feature", -1),
        ("Add features", "feature", 1),
        ("no feature that opens a hole", "feature", 1),
        ("Refactor for readability", "cleanup", 1),
        ("Consider the trade-off between all objectives", "balance", 1),
        ("Translate this to French", "hardening", 0),
    ],
)
def test_emphasis_follows_words_and_negation(instruction: str, topic: str, sign: int):
    value = emphasis(instruction)[topic]
    assert (value > 0) - (value < 0) == sign, value


def test_a_refusal_of_a_family_makes_it_rarer():
    plain, refusing = affinities("Make it fast"), affinities("Make it fast without adding features")
    assert refusing.families["feature"] < 0.5 * plain.families["feature"]


def test_named_concerns_favour_their_edits():
    found = affinities("Make it secure. Use parametrised SQL queries.")
    assert found.edits["bind-sql"] == 3
    assert found.edits["safe-yaml"] == 1


def test_balance_spreads_over_all_families():
    found = affinities(INSTRUCTIONS["balance"]).families
    assert min(found.values()) > 0.1
    assert max(found.values()) < 0.45


def test_the_task_weighs_less_than_the_goal():
    goal, task = "Make it fast.", "A secure token service that validates its input and resists attacks."
    headed = instruction_parts("", f"## Goal\n\n{goal}\n\n## Task\n\n{task}\n\n## Current program\n")
    plain = instruction_parts("", f"{goal}\n\nTask: {task}\n")
    for parts in (headed, plain):
        families = affinities_of(parts).families
        assert families["optimisation"] > 2 * families["hardening"]
    swapped = affinities_of(instruction_parts("", f"## Goal\n\n{task}\n\n## Task\n\n{goal}\n")).families
    assert swapped["hardening"] > 2 * swapped["optimisation"]
    assert instruction_parts("Be secure.", goal)[0][1] < 1


def test_the_number_of_edits_rises_with_temperature_as_documented():
    n = 4_000
    means = []
    for temperature in (0.0, 0.7, 1.5):
        rng = stream(5, "count", str(temperature))
        counts = [edit_count(temperature, rng) for _ in range(n)]
        assert min(counts) >= 1
        assert max(counts) <= MOST_EDITS
        rate = 2.2 * temperature
        chances = [math.exp(-rate) * rate**k / math.factorial(k) for k in range(MOST_EDITS - 1)]
        chances.append(1 - sum(chances))
        mean = sum((k + 1) * p for k, p in enumerate(chances))
        variance = sum((k + 1 - mean) ** 2 * p for k, p in enumerate(chances))
        assert abs(sum(counts) / n - mean) <= 6 * math.sqrt(variance / n) + 1e-9
        means.append(sum(counts) / n)
    assert means[0] == 1 < means[1] < means[2]


def test_temperature_raises_the_number_and_the_spread_of_edits_made():
    cold, hot = (drawn(INSTRUCTIONS["security"], temperature=t) for t in (0.05, 1.5))
    assert hot.total() > 1.5 * cold.total()
    assert len(hot) > len(cold)
    assert z_of(share(cold, "hardening"), share(hot, "hardening")) > 6


def test_opportunities_are_used_up():
    program = read("web")
    before = opportunities(program)
    source = program.source
    for t in range(25):
        current = Program.read(source)
        assert current is not None
        source = change_program(current, affinities(INSTRUCTIONS["security"]), 0.7, stream(t, "use")).source
    after = Program.read(source)
    assert after is not None

    def left(found: dict[str, object]) -> int:
        return sum(len(sites) for name, sites in found.items() if BY_NAME[name].family == "hardening")  # type: ignore[arg-type]

    assert left(opportunities(after)) < 0.5 * left(before)  # type: ignore[arg-type]


def test_long_programs_gain_less_and_lose_more():
    short = Program.read("def f(x):\n    y = x\n    return y\n")
    long = Program.read("\n\n".join(f"def f{i}(x):\n    y = x + {i}\n    return y\n" for i in range(80)))
    assert short is not None
    assert long is not None
    wanted = affinities(INSTRUCTIONS["features"])

    def added(program: Program) -> int:
        changes = [change_program(program, wanted, 0.7, stream(i, "size")) for i in range(60)]
        return sum(edit.growth is True for change in changes for edit in change.edits)

    assert added(long) < 0.2 * added(short)

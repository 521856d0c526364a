from __future__ import annotations

import pytest

from trimtab.errors import InputError
from trimtab.forecasting.schedule import parse_schedule

KNOWN = ["EF", "SF", "FF", "planx3", "two words"]


@pytest.mark.parametrize(
    ("text", "steps", "expected"),
    [
        ("FFx3,SFx4,EFx3", None, ["FF"] * 3 + ["SF"] * 4 + ["EF"] * 3),
        (" FF x 1 , SF×2 , EF*1 ", None, ["FF", "SF", "SF", "EF"]),
        ("FFx1,SF", 4, ["FF", "SF", "SF", "SF"]),
        ("FFx1,SF", None, ["FF"] + ["SF"] * 9),
        ("SF", 2, ["SF", "SF"]),
        ("planx3", 2, ["planx3"] * 2),
        ("planx3x2", None, ["planx3"] * 2),
        ("two wordsx1,EFx1", 2, ["two words", "EF"]),
    ],
)
def test_a_schedule_names_the_strategy_of_each_step(text: str, steps: int | None, expected: list[str]) -> None:
    assert [*parse_schedule(text, KNOWN, steps)] == expected


@pytest.mark.parametrize(
    ("text", "steps", "words"),
    [
        ("XXx3", None, "'XX', but the strategies are EF, SF, FF"),
        ("FFx0", None, "from 1 to 100,000"),
        ("FFx99999999999", None, "from 1 to 100,000"),
        ("FFx100000,SFx1", None, "up to 100,000 steps"),
        ("", None, "names with their numbers of steps"),
        ("FFx1,,SFx1", None, "names with their numbers of steps"),
        ("FF,SFx2", None, "only the last may be a name alone"),
        ("FFx3,SFx4", 10, "10 steps are asked for, but the schedule 'FFx3,SFx4' has only 7"),
        ("FFx3,SFx4", 5, "5 steps are asked for, but the schedule 'FFx3,SFx4' has more"),
        ("FFx5,SF", 5, "leaves no step for 'SF'"),
    ],
)
def test_a_schedule_that_cannot_be_meant_is_refused_in_words(text: str, steps: int | None, words: str) -> None:
    with pytest.raises(InputError, match=words.replace("(", r"\(")):
        parse_schedule(text, KNOWN, steps)

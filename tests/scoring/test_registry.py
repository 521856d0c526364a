from __future__ import annotations

import pytest

from trimtab.errors import InputError
from trimtab.scoring.lexical import LexicalScorer
from trimtab.scoring.python_static import PythonStaticScorer
from trimtab.scoring.registry import get_scorer, scorer_label


def test_scorers_are_found_by_name() -> None:
    assert isinstance(get_scorer("python-static"), PythonStaticScorer)
    assert isinstance(get_scorer("lexical"), LexicalScorer)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"no scorer is called 'pylint'; there are .*lexical, .*python-static"):
        get_scorer("pylint")


def test_a_stand_in_is_called_one_wherever_it_is_named() -> None:
    assert scorer_label("lexical") == "lexical (Embedded stand-in for a judge of prose and plans, not a judge)"
    assert scorer_label("python-static") == "python-static (Static analysis of Python programs)"

"""The words and phrases that the rules of the scorer ``lexical`` look for, read from ``lexicon.toml``."""

from __future__ import annotations

import tomllib
from importlib import resources

from trimtab.scoring.lexical.marks import Lexicon

__all__ = ["COMMON", "IMPERATIVES", "LEXICON", "PARTICIPLES"]

_TABLE = tomllib.loads(resources.files("trimtab.scoring.lexical").joinpath("lexicon.toml").read_text(encoding="utf-8"))

#: Phrases of each mark.
LEXICON = Lexicon(_TABLE["marks"])
#: Words that say nothing about the subject of a text.
COMMON = frozenset(_TABLE["words"]["common"])
#: Words besides those in -ed that follow a form of "be" in the passive voice.
PARTICIPLES = frozenset(_TABLE["words"]["participles"])
#: Verbs with which a sentence begins that says what to do.
IMPERATIVES = frozenset(_TABLE["words"]["imperatives"])

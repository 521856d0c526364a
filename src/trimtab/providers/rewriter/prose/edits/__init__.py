"""The edits of texts: small named changes, each for one or several concerns."""

from __future__ import annotations

import re
import tomllib
from importlib import resources

from trimtab.providers.rewriter.prose.edits import layout
from trimtab.providers.rewriter.prose.edits.base import CONCERNS as CONCERNS
from trimtab.providers.rewriter.prose.edits.base import Concern as Concern
from trimtab.providers.rewriter.prose.edits.base import TextEdit as TextEdit
from trimtab.providers.rewriter.prose.edits.base import addition, removal, substitution

__all__ = ["BROUGHT_IN", "CONCERNS", "TEXT_EDITS", "Concern", "TextEdit"]

_FILE = resources.files("trimtab.providers.rewriter.prose.edits").joinpath("edits.toml")
_TABLES = tomllib.loads(_FILE.read_text(encoding="utf-8"))
_TEXTS = [template for table in _TABLES["add"] for template in table["templates"]]
_TEXTS += [put for table in _TABLES["substitute"] for put in table["pairs"].values()]

#: All edits of texts, in the order in which the documentation lists them.
TEXT_EDITS: tuple[TextEdit, ...] = (
    *map(substitution, _TABLES["substitute"]),
    *map(addition, _TABLES["add"]),
    *map(removal, _TABLES["remove"]),
    *layout.EDITS,
)
#: Words that the edits bring into texts.
BROUGHT_IN = frozenset(word for text in _TEXTS for word in re.findall(r"[a-z-]{3,}", text.lower()))

"""The scorer ``lexical``: an offline stand-in for a judge of prose and plans, which looks at words and layout only."""

from __future__ import annotations

from trimtab.scoring.lexical.scorer import LexicalScorer as LexicalScorer

__all__ = ["LexicalScorer"]

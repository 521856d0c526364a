"""The judge as an entry point, so that it is listed with the scorers; a run makes it of its settings."""

from __future__ import annotations

from trimtab.errors import InputError
from trimtab.scoring.base import Judge

__all__ = ["judge"]


def judge() -> Judge:
    """Language model that judges by rubrics."""
    raise InputError("the scorer judge needs a model and rubrics, which the settings of trimtab run give")

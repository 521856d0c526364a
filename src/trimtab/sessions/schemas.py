"""JSON Schemas of this room's documents: the files ``*.schema.json`` beside this one."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any, Literal

__all__ = ["json_schema"]


def json_schema(
    name: Literal["alarm", "explanation", "plugins", "presets", "session", "sessions", "status", "trial"],
) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the document ``trimtab.<name>/1``."""
    text = files("trimtab.sessions").joinpath(f"{name}.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded

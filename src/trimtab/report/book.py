"""Places for figures on the page, and the figures by name."""

from __future__ import annotations

from dataclasses import dataclass, field

import plotly.graph_objects as go

from trimtab.report.text import script_json

__all__ = ["Book", "Panel"]


@dataclass(frozen=True, slots=True)
class Panel:
    """A place for a figure.

    Parameters
    ----------
    figure
        Name of the figure; with `pairs` its beginning, to which the chosen pair is added.
    label
        What it shows, in words.
    height
        In pixels, so that nothing moves when it is drawn.
    pairs
        The selector that completes the name, if any.
    note
        A line of text below it.
    """

    figure: str
    label: str
    height: int
    pairs: str = ""
    note: str = ""


@dataclass(slots=True)
class Book:
    """Figures by name, as JSON."""

    pages: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, drawn: go.Figure) -> int:
        """Keep a figure and return its height."""
        self.pages[name] = drawn.to_json(validate=False)
        return int(drawn.layout.height)

    def json(self) -> str:
        """Return all figures as one JSON document that may stand in a script element."""
        return script_json("{" + ",\n".join(f'"{name}":{page}' for name, page in self.pages.items()) + "}")

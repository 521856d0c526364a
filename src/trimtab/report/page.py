"""What all pages share: style, scripts, what they may load, and how they are written."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from pathlib import Path

import jinja2
from plotly.offline import get_plotlyjs

from trimtab.core.counting import count_of
from trimtab.errors import InputError
from trimtab.report.text import fixed, interval, percent

__all__ = ["environment", "page_parts", "write_page"]


def page_parts() -> dict[str, str]:
    """Return style, scripts and content security policy, as the templates name them."""
    style, script, plotly = _asset("report.css"), _asset("report.js"), get_plotlyjs().replace("\r", "")
    return {"style": style, "script": script, "plotly": plotly, "policy": _policy(plotly, script)}


def write_page(page: str, path: Path | str, what: str) -> Path:
    """Write a page as UTF-8 and return its path; missing folders are made.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Lone surrogates, which JSON can smuggle in, have no encoding.
        target.write_bytes(page.encode("utf-8", "replace"))
    except OSError as error:
        raise InputError(
            f"the {what} needs a file that can be written, but {str(target)!r} cannot: {error.strerror}"
        ) from error
    return target


@cache
def environment() -> jinja2.Environment:
    """Return the templates, with the filters that they use."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("trimtab.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(fixed=fixed, interval=interval, percent=percent, count_of=count_of)
    return made


def _asset(name: str) -> str:
    return files("trimtab.report").joinpath("templates", name).read_text(encoding="utf-8").replace("\r", "")


def _policy(*scripts: str) -> str:
    """Return a content security policy: these scripts and no other, nothing from the network.

    Should some text ever get past the escaping, a browser still does not run it.
    """
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )

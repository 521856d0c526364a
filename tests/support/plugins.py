"""Install a package of plugins the way pip leaves one: a module beside a dist-info folder with its entry points."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import pytest

Points = Mapping[str, Mapping[str, str]]


def module_of(name: str) -> str:
    return re.sub(r"\W", "_", name)


def install(folder: Path, points: Points, code: str = "", *, name: str = "example", version: str = "1.0") -> Path:
    """Write the package `name` with a module ``NAME_plugin`` of `code` into `folder`, and return the folder."""
    module = module_of(name)
    info = folder / f"{module}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = [f"[{group}]\n" + "".join(f"{n} = {v}\n" for n, v in found.items()) for group, found in points.items()]
    (info / "entry_points.txt").write_text("\n".join(lines))
    (folder / f"{module}_plugin.py").write_text(dedent(code))
    return folder


def installed(patch: pytest.MonkeyPatch, folder: Path, points: Points, code: str = "", **package: str) -> None:
    """Install a package and put it on the path of this process."""
    sys.modules.pop(f"{module_of(package.get('name', 'example'))}_plugin", None)
    patch.syspath_prepend(str(install(folder, points, code, **package)))

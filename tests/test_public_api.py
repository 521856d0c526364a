from __future__ import annotations

import ast
import doctest
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import trimtab as tt

HEAVY = (
    "numpy",
    "scipy",
    "duckdb",
    "sqlalchemy",
    "plotly",
    "jinja2",
    "libcst",
    "openai",
    "pandas",
    "narwhals",
    "pydantic",
)


def modules_after(code: str) -> set[str]:
    """Return the modules that a fresh interpreter holds after running `code`."""
    code += "\nimport sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_importing_trimtab_imports_nothing_heavy() -> None:
    assert not modules_after("import trimtab").intersection(HEAVY)


def test_the_command_line_starts_without_anything_heavy() -> None:
    assert not modules_after("import trimtab.cli.main").intersection(HEAVY)


def test_a_fit_waits_for_nothing_that_it_does_not_need() -> None:
    assert not modules_after("import trimtab.estimation.fit").intersection({"scipy.optimize", "scipy.stats", "plotly"})


def test_every_public_name_is_there() -> None:
    for name in tt.__all__:
        assert getattr(tt, name) is not None
    assert set(tt.__all__) <= set(dir(tt))
    assert tt.__version__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = tt.nothing


def test_what_every_module_exports_exists() -> None:
    for found in pkgutil.walk_packages(tt.__path__, "trimtab."):
        if ".builtin_tasks" in found.name or found.name.endswith("__main__"):
            continue
        module = importlib.import_module(found.name)
        for name in getattr(module, "__all__", ()):
            assert hasattr(module, name), f"{found.name}.{name}"


def test_docstring_examples_hold() -> None:
    tried = 0
    for found in pkgutil.walk_packages(tt.__path__, "trimtab."):
        if ".builtin_tasks" not in found.name and not found.name.endswith("__main__"):
            result = doctest.testmod(importlib.import_module(found.name))
            assert result.failed == 0, found.name
            tried += result.attempted
    assert tried > 5


def test_nothing_inside_imports_the_package_itself() -> None:
    root = Path(tt.__file__).parent
    for path in root.rglob("*.py"):
        if "builtin_tasks" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert "trimtab" not in [alias.name for alias in node.names], path
            if isinstance(node, ast.ImportFrom):
                assert node.module != "trimtab", path

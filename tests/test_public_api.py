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
    code = "from trimtab.cli.main import application, main; application()"
    assert not modules_after(code).intersection(HEAVY)


def test_a_command_imports_no_other_command() -> None:
    code = "from trimtab.cli.main import application; application(['fit'])"
    rooms = {name for name in modules_after(code) if name.startswith("trimtab.")}
    assert rooms <= {"trimtab.cli", "trimtab.cli.main", "trimtab.cli.fit", "trimtab.cli.options", "trimtab.errors"}


def test_a_fit_waits_for_nothing_that_it_does_not_need() -> None:
    # Scores at their bounds, and eigenvalues that cannot be told apart.
    code = """
import numpy as np, trimtab as tt
model = tt.AffineSDE(-0.5 * np.eye(3), [4.5, 4.5, 4.5], np.eye(3))
paths = model.simulate(np.full((60, 3), 6.0), 10, np.random.default_rng(0)).clip(0, 10)
one = tt.fit(tt.Trajectories.from_arrays(paths, ["a", "b", "c"]))["all"]
assert "tobit" in one.rungs and one.rungs["tobit"].nearly_repeated
"""
    unneeded = {"scipy.optimize", "scipy.stats", "plotly", "trimtab.estimation.pooling.pool"}
    assert not modules_after(code).intersection(unneeded)


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

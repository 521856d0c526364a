from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys

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
    """Return the top-level modules that a fresh interpreter holds after running `code`."""
    code += "\nimport sys; print(*{m.split('.')[0] for m in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_importing_trimtab_imports_nothing_heavy() -> None:
    assert not modules_after("import trimtab").intersection(HEAVY)


def test_the_command_line_starts_without_anything_heavy() -> None:
    assert not modules_after("import trimtab.cli.main").intersection(HEAVY)


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

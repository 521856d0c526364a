from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("numba", reason="needs the extra trimtab[fast]")
jit = pytest.importorskip("trimtab.simulation.jit")
kernels = pytest.importorskip("trimtab.simulation.kernels")


def test_compiled_functions_are_cached_under_the_sum_of_all_files_they_are_made_of() -> None:
    room = Path(jit.__file__).parent
    for path in room.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        if "trimtab.simulation.jit" in text:  # and what such a file imports is compiled into it
            assert path.name in jit._COMPILED
            for other in room.glob("*.py"):
                assert f"from trimtab.simulation.{other.stem} import" not in text or other.name in jit._COMPILED
    for function in (kernels.advance, kernels.step, kernels.fill):
        assert function.py_func.__qualname__.endswith(f"_{jit._VERSION:08x}")

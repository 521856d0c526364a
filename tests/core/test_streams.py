from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trimtab.core.streams import stream, stream_seed

parts = st.lists(st.one_of(st.integers(), st.text()), max_size=4).map(tuple)


@given(st.integers(), parts, parts)
def test_streams_differ_exactly_when_their_keys_do(seed: int, one: tuple, other: tuple) -> None:
    assert (stream_seed(seed, *one) == stream_seed(seed, *other)) == (one == other)


def test_the_boundary_between_parts_counts() -> None:
    assert stream_seed(0, "ab", "c") != stream_seed(0, "a", "bc")
    assert stream_seed(0, "1") != stream_seed(0, 1)


def test_a_stream_does_not_depend_on_other_streams() -> None:
    alone = stream(3, "EF", "task", 1, 4).standard_normal(5)
    stream(3, "EF", "task", 1, 3).standard_normal(100)
    np.testing.assert_array_equal(stream(3, "EF", "task", 1, 4).standard_normal(5), alone)


def test_a_stream_is_the_same_in_another_process() -> None:
    code = "from trimtab.core.streams import stream_seed; print(stream_seed(7, 'EF', 'tâche', 2))"
    printed = [
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
        ).stdout.strip()
        for hash_seed in ("1", "2")
    ]  # fmt: skip
    assert printed == [str(stream_seed(7, "EF", "tâche", 2))] * 2


def test_neighbouring_streams_are_uncorrelated() -> None:
    draws = np.array([stream(0, "EF", i).standard_normal(50) for i in range(400)])
    correlation = np.corrcoef(draws)[np.triu_indices(400, 1)]
    # 79,800 independent correlations of 50 pairs: mean 0 with standard error 1 / sqrt(49 * 79,800).
    assert abs(correlation.mean()) * np.sqrt(49 * correlation.size) < 6

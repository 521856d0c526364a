"""Volumes that are counted in bits, against counting point by point."""

from __future__ import annotations

import numpy as np
import pytest

from trimtab.control.volume import CELLS, Volume


def _points(n: int) -> np.ndarray:
    """Return the points by their definition: multiples of the powers of 1/g, with g^(n+1) = g + 1."""
    roots = np.roots([1.0, *[0.0] * (n - 1), -1.0, -1.0])
    g = float(roots[np.isreal(roots) & (roots.real > 0)].real[0])
    return 10 * ((0.5 + np.arange(1, CELLS + 1)[:, None] * g ** -np.arange(1, n + 1)) % 1.0)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_bits_are_the_cells_that_are_no_greater(n: int) -> None:
    volume, points = Volume(n, 10.0), _points(n)
    x = np.random.default_rng(n).uniform(-1, 12, (6, 50, n))
    x[0, 0], x[0, 1] = -1.0, 10.0
    bits = volume.dominated(x)
    assert bits.shape == (6, 50, 4)
    assert bits.dtype == np.uint64
    expected = (x[..., None, :] >= points).all(axis=-1)
    np.testing.assert_array_equal(volume.cells(bits), expected)
    np.testing.assert_allclose(volume.share(bits), expected.mean(axis=-1))
    assert volume.share(bits)[0, 0] == 0
    assert volume.share(bits)[0, 1] == 1


def test_together_they_are_a_union() -> None:
    volume = Volume(3, 10.0)
    bits = volume.dominated(np.random.default_rng(0).uniform(0, 10, (7, 3)))
    union = np.bitwise_or.reduce(bits, axis=0)
    assert volume.share(union) == volume.cells(bits).any(axis=0).mean()


def test_what_is_not_a_number_dominates_nothing() -> None:
    assert Volume(2, 10.0).dominated(np.array([[9.0, np.nan]])).sum() == 0

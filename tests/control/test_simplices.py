"""Interpolation in the simplices of a grid's cells."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from trimtab.control.simplices import cells, corners


def _axes(first: np.ndarray, last: np.ndarray, points: int) -> np.ndarray:
    along = np.linspace(first, last, points, axis=-1)
    return np.stack(np.meshgrid(*along, indexing="ij"), axis=-1).reshape(-1, len(first))


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_a_point_is_the_mean_of_its_corners(n: int) -> None:
    rng = np.random.default_rng(n)
    first, last = np.zeros(n), np.full(n, 10.0)
    first[0], last[0] = 6.0, -2.0  # an axis that goes down
    x = first + rng.random((40, 7, n)) * (last - first)
    row, share = corners(x, first, last, 4)
    assert row.shape == share.shape == (40, 7, n + 1)
    assert (share >= -1e-12).all()
    np.testing.assert_allclose(share.sum(axis=-1), 1.0)
    points = _axes(first, last, 4)
    np.testing.assert_allclose(np.einsum("abc,abcj->abj", share, points[row]), x)
    assert np.abs(points[row] - x[..., None, :]).max() <= 8 / 3 + 10 / 3  # none is further off than a cell is wide


def test_points_of_the_grid_are_met_and_so_are_its_ends() -> None:
    first, last = np.zeros(3), np.full(3, 2.0)
    points = _axes(first, last, 5)
    V = np.random.default_rng(0).normal(size=len(points))
    row, share = corners(points, first, last, 5)
    np.testing.assert_allclose((V[row] * share).sum(axis=-1), V, atol=1e-12)


def test_the_least_coordinate_is_met_exactly_and_so_is_what_is_linear() -> None:
    rng = np.random.default_rng(1)
    first, last = np.zeros(4), np.full(4, 10.0)
    points, x, w = _axes(first, last, 5), 10 * rng.random((500, 4)), rng.random(4)
    row, share = corners(x, first, last, 5)
    np.testing.assert_allclose((points.min(axis=-1)[row] * share).sum(axis=-1), x.min(axis=-1), atol=1e-12)
    np.testing.assert_allclose(((points @ w)[row] * share).sum(axis=-1), x @ w, atol=1e-12)


def test_it_is_the_simplex_of_the_coordinates_order() -> None:
    """In each order of the coordinates, corners are passed by stepping along the axes in that order."""
    for order in permutations(range(3)):
        x = np.empty(3)
        x[list(order)] = (0.9, 0.5, 0.2)
        row, share = corners(x, np.zeros(3), np.ones(3), 2)
        assert row.tolist() == np.cumsum([0, *(2 ** (2 - np.array(order)))]).tolist()
        np.testing.assert_allclose(share, (0.1, 0.4, 0.3, 0.2))


def test_cells_hold_the_ends() -> None:
    cell, part = cells(np.array([0.0, 4.0, 10.0]), 0.0, 10.0, 6)
    assert cell.tolist() == [0, 2, 4]
    np.testing.assert_allclose(part, (0.0, 0.0, 1.0))

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trimtab.dynamics.interference import interference_matrix
from trimtab.dynamics.pareto import hypervolume, non_dominated, pareto_efficiencies, pareto_efficiency
from trimtab.errors import InputError

points = st.tuples(st.integers(1, 12), st.integers(1, 4)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.integers(0, 4).map(float))
)


def dominated_by_hand(z: np.ndarray, i: int) -> bool:
    return any((other >= z[i]).all() and (other > z[i]).any() for other in z)


@given(points)
def test_dominance_is_its_definition(z: np.ndarray) -> None:
    assert non_dominated(z).tolist() == [not dominated_by_hand(z, i) for i in range(len(z))]
    np.testing.assert_array_equal(non_dominated(-z, sign=-1.0), non_dominated(z))


@given(points)
@settings(max_examples=50)
def test_hypervolume_counts_the_cells_of_a_grid(z: np.ndarray) -> None:
    n = z.shape[1]
    corners = np.stack(np.meshgrid(*[np.arange(4)] * n, indexing="ij"), axis=-1).reshape(-1, n) + 1
    covered = np.mean([(z >= corner).all(axis=1).any() for corner in corners])
    assert hypervolume(z, np.zeros(n), np.full(n, 4.0)) == pytest.approx(covered)
    assert hypervolume(4 - z, np.zeros(n), np.full(n, 4.0), sign=-np.ones(n)) == pytest.approx(covered)


def test_efficiency_is_the_share_of_kept_points() -> None:
    assert pareto_efficiency([[1, 2], [2, 1], [1, 1], [0, 0]]) == 0.5
    assert np.isnan(pareto_efficiency(np.empty((0, 2))))


@given(st.lists(st.integers(0, 70), min_size=1, max_size=5), st.integers(1, 3), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_many_trajectories_at_once_are_each_their_own(lengths: list[int], n: int, seed: int) -> None:
    z = np.random.default_rng(seed).integers(0, 5, (sum(lengths), n)).astype(float)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    expected = [pareto_efficiency(z[a:b]) for a, b in pairwise(offsets)]
    np.testing.assert_allclose(pareto_efficiencies(z, offsets), expected)


def test_hypervolume_needs_bounds() -> None:
    with pytest.raises(InputError, match="finite bounds"):
        hypervolume([[1.0]], [0.0], [np.inf])


def test_interference_is_correlation_with_a_zero_diagonal() -> None:
    dx = np.random.default_rng(0).standard_normal((50, 3))
    expected = np.corrcoef(dx, rowvar=False)
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(interference_matrix(dx), expected)


def test_interference_with_something_that_never_changes_is_unknown() -> None:
    dx = np.array([[1.0, 0.0], [2.0, 0.0], [4.0, 0.0]])
    assert np.isnan(interference_matrix(dx)[0, 1])

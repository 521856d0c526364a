from __future__ import annotations

import numpy as np
import pytest

from trimtab.dynamics.drift_basis import BasisDrift, monomials, numerical_jacobian
from trimtab.dynamics.fixed_points import fixed_point_type, fixed_points, spread_points
from trimtab.errors import InputError

LOW, HIGH = np.full(1, -3.0), np.full(1, 3.0)


def found(drift, jacobian, low, high, count=64):
    return fixed_points(drift, jacobian, low, high, spread_points(low, high, count)[None])[0]


def test_all_real_roots_of_cubics_in_the_box_are_found_and_no_others() -> None:
    rng = np.random.default_rng(0)
    basis = monomials(1, 3)
    theta = rng.normal(0, 1, (200, 4, 1))
    drift = BasisDrift(theta, basis)
    starts = np.broadcast_to(spread_points(LOW, HIGH, 64), (200, 64, 1))
    for one, points in zip(theta[..., 0], fixed_points(drift, drift.jacobian, LOW, HIGH, starts), strict=True):
        roots = np.roots(one[::-1])
        real = np.sort(roots.real[(np.abs(roots.imag) < 1e-9) & (np.abs(roots.real) < 3)])
        assert points[:, 0] == pytest.approx(real, abs=1e-7)


def test_the_logistic_map_has_its_two_fixed_points_at_every_rate() -> None:
    for r in (2.5, 3.2, 4.0):
        theta = np.array([0.0, r - 1, -r]).reshape(1, 3, 1)  # drift r x (1 - x) - x
        drift = BasisDrift(theta, monomials(1, 2))
        points = found(drift, drift.jacobian, np.array([-0.5]), np.array([1.5]))
        assert points[:, 0] == pytest.approx([0.0, 1 - 1 / r], abs=1e-8)
        kinds = [fixed_point_type(np.linalg.eigvals(drift.step_jacobian(p[None, None])[0, 0]) + 0j) for p in points]
        assert kinds == ["unstable node", "stable node" if r < 3 else "unstable node"]


def test_two_quadratics_meet_where_they_were_made_to() -> None:
    """Independent pitchforks: nine points, of three kinds."""
    drift = BasisDrift(
        np.array([[[0, 0], [0.5, 0], [0, 0.5]] + [[0, 0]] * 3 + [[-0.5, 0], [0, 0], [0, 0], [0, -0.5]]]),
        monomials(2, 3),
    )
    points = found(drift, drift.jacobian, np.full(2, -2.0), np.full(2, 2.0), 200)
    grid = np.array([[a, b] for a in (-1, 0, 1) for b in (-1, 0, 1)])
    assert points == pytest.approx(grid, abs=1e-7)
    J = drift.step_jacobian(points[None])[0]
    kinds = [fixed_point_type(np.linalg.eigvals(one) + 0j) for one in J]
    # Each multiplier is 1 + (.5 - 1.5 x^2): 1.5 at 0 and 0 at +-1.
    expected = {0: "unstable node", 1: "saddle", 2: "stable node"}
    assert kinds == [expected[abs(a) + abs(b)] for a, b in grid.tolist()]


def test_a_double_root_is_one_point_and_points_outside_are_none() -> None:
    drift = BasisDrift(np.array([1.0, -2.0, 1.0]).reshape(1, 3, 1), monomials(1, 2))
    assert found(drift, drift.jacobian, LOW, HIGH)[:, 0] == pytest.approx([1.0], abs=1e-3)
    assert len(found(drift, drift.jacobian, LOW, np.full(1, 0.5))) == 0
    nowhere = BasisDrift(np.array([1.0, 0.0, 1.0]).reshape(1, 3, 1), monomials(1, 2))
    assert len(found(nowhere, nowhere.jacobian, LOW, HIGH)) == 0


def test_a_line_of_points_is_no_point() -> None:
    theta = np.zeros((1, 3, 2))
    theta[0, 1:] = np.outer([1.0, 0.3], [-0.5, 0.2])  # both drifts vanish along one line
    drift = BasisDrift(theta)
    assert len(found(drift, drift.jacobian, np.full(2, -1.0), np.ones(2))) == 0


@pytest.mark.parametrize(
    ("multipliers", "kind"),
    [
        ([0.5, -0.5], "stable node"),
        ([0.5 + 0.5j, 0.5 - 0.5j], "stable focus"),
        ([1.5, -1.5], "unstable node"),
        ([1 + 0.5j, 1 - 0.5j], "unstable focus"),
        ([0.5, -1.5], "saddle"),
        ([0.5, 1.0], "borderline"),
        ([-1.2], "unstable node"),
    ],
)
def test_types_are_those_of_the_map(multipliers, kind) -> None:
    assert fixed_point_type(np.array(multipliers, dtype=complex)) == kind


def test_monomials_are_products_and_so_are_their_derivatives() -> None:
    u = np.random.default_rng(1).normal(size=(5, 4, 3))
    basis = monomials(3, 3)
    assert basis(u).shape == (5, 4, 6 + 10)
    assert basis(u)[..., 0] == pytest.approx(u[..., 0] ** 2)
    assert basis(u)[..., -1] == pytest.approx(u[..., 2] ** 3)
    assert basis.names("abc")[-2:] == ("b*c^2", "c^3")
    assert basis.jacobian(u) == pytest.approx(numerical_jacobian(basis, u), abs=1e-8)


def test_spread_points_fill_every_cell_of_a_grid() -> None:
    points = spread_points(np.zeros(2), np.array([1.0, 10.0]), 256)
    cells = np.floor(points / [0.125, 1.25]).astype(int)
    assert len(np.unique(cells, axis=0)) == 64


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(InputError, match="finite box"):
        fixed_points(np.sin, np.cos, np.zeros(1), np.array([np.inf]), np.zeros((1, 1, 1)))
    with pytest.raises(InputError, match="degree"):
        monomials(2, 1)

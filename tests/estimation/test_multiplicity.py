from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from simulated import noise, panel
from support.binomial import most
from trimtab.errors import InputError
from trimtab.estimation.decomposition import interference_parts
from trimtab.estimation.multiplicity import holm, interference_tests


@pytest.mark.parametrize("seed", [0, 1, 6, 19])
def test_holm_agrees_with_statsmodels(seed: int) -> None:
    p = np.random.default_rng(seed).beta(0.3, 1, size=seed + 1)
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1], atol=1e-15)


def test_unknown_p_values_do_not_count() -> None:
    p = np.array([[0.01, np.nan], [0.04, np.nan]])
    np.testing.assert_allclose(holm(p), [[0.02, np.nan], [0.04, np.nan]])
    assert np.isnan(holm(np.full(3, np.nan))).all()
    assert holm(np.empty(0)).shape == (0,)


def test_all_pairs_of_all_strategies_are_one_family() -> None:
    sets = [interference_parts(panel(seed=seed, sessions=40).steps()) for seed in (1, 2)]
    tests = interference_tests(sets)
    upper = np.array([one.p_value[i, j] for one in sets for i, j in ((0, 1), (0, 2), (1, 2))])
    got = np.array([one[i, j] for one in tests.adjusted_p_value for i, j in ((0, 1), (0, 2), (1, 2))])
    np.testing.assert_allclose(got, multipletests(upper, method="holm")[1])
    np.testing.assert_array_equal(tests.p_value[0], sets[0].p_value)
    np.testing.assert_allclose(tests.adjusted_p_value, np.swapaxes(tests.adjusted_p_value, 1, 2))
    assert np.isnan(np.einsum("kii->ki", tests.adjusted_p_value)).all()
    assert tests.method == "Holm"


def test_a_single_objective_has_no_pair() -> None:
    tests = interference_tests([interference_parts(noise(n=1).steps())])
    assert tests.p_value.shape == (1, 1, 1)
    assert np.isnan(tests.adjusted_p_value).all()


def test_sets_must_have_the_same_objectives() -> None:
    two, three = interference_parts(noise(n=2).steps()), interference_parts(noise(n=3).steps())
    with pytest.raises(InputError, match=r"\[2, 3\]"):
        interference_tests([two, three])
    with pytest.raises(InputError, match=r"\[\]"):
        interference_tests([])


def test_an_experiment_without_interference_seldom_shows_any_unless_nothing_is_adjusted() -> None:
    """Four strategies of pure noise: in how many experiments is any pair called real at the level .05?"""
    adjusted = plain = 0
    for seed in range(100):
        tests = interference_tests([interference_parts(noise(20, 5, 4 * seed + k).steps()) for k in range(4)])
        adjusted += bool((tests.adjusted_p_value < 0.05).any())
        plain += bool((tests.p_value < 0.05).any())
    # Without adjustment about 46% show some.
    assert 0 < adjusted <= most(100) < plain

"""The ledger of what sessions have shown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from support.beliefs import knowledge
from trimtab.control.belief import Beliefs
from trimtab.control.knowledge import Knowledge
from trimtab.control.learning import Ledger, expected_sums


@pytest.mark.parametrize("memory", [1.0, 0.97])
def test_the_total_does_not_depend_on_the_order_of_the_ends(memory: float) -> None:
    rng = np.random.default_rng(0)
    sums = rng.normal(size=(200, 2, 3, 3)) * 10.0 ** rng.integers(-3, 4, (200, 1, 1, 1))
    one, other = Ledger((2, 3, 3), memory), Ledger((2, 3, 3), memory)
    for i in range(200):
        one.add(i, sums[i])
    for i in rng.permutation(200):
        other.add(int(i), sums[i])
        if i % 7 == 0:
            other.total(200)
    np.testing.assert_array_equal(one.total(200), other.total(200))
    weights = memory ** (200.0 - np.arange(200))
    np.testing.assert_allclose(one.total(200), np.einsum("s,s...->...", weights, sums), rtol=1e-9)


def test_a_memory_of_next_to_nothing_forgets() -> None:
    ledger = Ledger((1,), 1e-100)
    for index in (0, 63, 64, 70):
        ledger.add(index, np.ones(1))
    assert ledger.total(71)[0] == pytest.approx(1e-100)
    assert [*ledger.entries] == [0, 63, 64, 70]


def test_noisy_scores_are_learnt_from_without_bias() -> None:
    """Steps of noisy scores taken as they are show dynamics that are too fast; their expectation does not."""
    known = knowledge(K=1, noise=1.0)
    n, S, T = 2, 4_000, 8
    rng = np.random.default_rng(5)
    true = known.mean
    x = known.start_mean + rng.normal(size=(S, n))
    y = [x + rng.normal(size=(S, n))]
    for _ in range(T):
        w = rng.normal(size=(S, n)) @ np.linalg.cholesky(true.Q[0]).T
        x = x @ true.F[0, 0].T + true.c[0, 0] + w
        y.append(x + rng.normal(size=(S, n)))
    scores = np.stack(y, axis=1)
    k, errors = np.zeros(S, dtype=np.int64), {}
    weak = Knowledge.none(known.space, known.strategies)
    for name, by in (("as they are", replace(known, score_noise=np.zeros(n))), ("expected", known)):
        beliefs = Beliefs.start(by, scores[:, 0])
        for t in range(T):
            beliefs.step(k, scores[:, t + 1])
        # At the truth, what the expected steps say is the truth again; what the scores say is not.
        learnt = weak.added(expected_sums(beliefs, scores).sum(axis=0))
        errors[name] = np.abs(learnt.mean.F[0, 0] - true.F[0, 0]).max()
    assert errors["expected"] < 0.03 < 0.15 < errors["as they are"]

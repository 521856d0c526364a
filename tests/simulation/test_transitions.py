from __future__ import annotations

import numpy as np
import pytest
import scipy.integrate
import scipy.linalg

from trimtab.dynamics.affine import AffineSDE
from trimtab.errors import InputError
from trimtab.simulation.transitions import NonlinearSDE, Transitions, one_step

MODELS = {
    "plain": AffineSDE([[-0.33, 0.2], [0.1, -0.7]], [1.7, 2.7], [[0.5, 0.2], [0.2, 0.3]], 2.0),
    "singular drift": AffineSDE([[0.0, 1.0], [0.0, 0.0]], [0.5, 1.0], [[0.0, 0.0], [0.0, 1.0]]),
    "turning": AffineSDE([[-0.1, 3.0], [-3.0, -0.1]], [1.0, 0.0], np.eye(2)),
    "fast and slow": AffineSDE([[-60.0, 1.0], [0.0, -0.01]], [1.0, 1.0], [[1.0, 0.5], [0.5, 1.0]]),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("h", [0.1, 1.0, 2.5])
def test_exact_transitions_are_the_integrals_they_stand_for(name: str, h: float) -> None:
    model = MODELS[name]
    F, c, Q = one_step(model, h, "exact")
    assert np.allclose(F, scipy.linalg.expm(model.A * h), atol=1e-12)

    def integral(function):
        return scipy.integrate.quad_vec(lambda s: function(scipy.linalg.expm(model.A * s)), 0, h, epsabs=1e-12)[0]

    assert np.allclose(c, integral(lambda E: E @ model.b), rtol=1e-9, atol=1e-11)
    assert np.allclose(Q, integral(lambda E: E @ (model.Q / model.dt) @ E.T), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", MODELS)
def test_exact_transitions_compose(name: str) -> None:
    (F, c, Q), (F2, c2, Q2) = (one_step(MODELS[name], h, "exact") for h in (0.7, 1.4))
    assert np.allclose(F2, F @ F, atol=1e-13)
    assert np.allclose(c2, F @ c + c)
    assert np.allclose(Q2, F @ Q @ F.T + Q)


def test_euler_at_the_models_own_dt_is_its_loop() -> None:
    model = MODELS["plain"]
    F, c, Q = one_step(model, model.dt, "euler")
    assert np.allclose(F, model.transition)
    assert np.allclose(c, model.b * model.dt)
    assert np.allclose(Q, model.Q)


def test_terms_that_are_zero_are_left_out() -> None:
    model = AffineSDE([[-1.0, 0.0], [0.5, -0.5]], [0.0, 1.0], np.diag([0.0, 4.0]))
    T = Transitions.of([model], 1.0, "euler", np.float32)
    assert T.count.tolist() == [[0, 3]]
    assert T.where[0, 1, :3].tolist() == [0, 1, 3]
    assert T.factor[0, 1, :3].tolist() == [0.5, 0.5, 2.0]
    assert T.factor.dtype == np.float32


def test_nonlinear_models_are_checked() -> None:
    with pytest.raises(InputError, match="functions of a block"):
        NonlinearSDE(3, lambda x: x, 1)
    with pytest.raises(InputError, match="n must be 1 or more"):
        NonlinearSDE(np.sin, np.cos, 0)
    with pytest.raises(InputError, match="dt must be positive"):
        NonlinearSDE(np.sin, np.cos, 1, 0.0)

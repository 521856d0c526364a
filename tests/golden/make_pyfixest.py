"""Write what pyfixest says of a small panel: run it where numpy, pandas and pyfixest are installed.

pyfixest brings thirty packages along, so that its figures are kept instead of the library.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pyfixest

SESSIONS, STEPS = 15, 8


def main() -> None:
    """Simulate, fit each equation with errors clustered by session, and write scores and results."""
    rng = np.random.default_rng(42)
    A = np.array([[-0.4, 0.1], [-0.2, -0.7]])
    x = rng.normal(5, 1, (SESSIONS, 2))
    paths = [x]
    for _ in range(STEPS):
        x = x + (x - 5) @ A.T + rng.normal(0, 0.5, x.shape)
        paths.append(x)
    scores = np.stack(paths, axis=1).round(6)
    before, step = scores[:, :-1].reshape(-1, 2), np.diff(scores, axis=1).reshape(-1, 2)
    table = pd.DataFrame({"x0": before[:, 0], "x1": before[:, 1], "session": np.repeat(np.arange(SESSIONS), STEPS)})
    found = {}
    for j in range(2):
        table["dx"] = step[:, j]
        fitted = pyfixest.feols("dx ~ x0 + x1", data=table, vcov={"CRV1": "session"})
        found[f"dx{j}"] = {"coefficients": fitted.coef().tolist(), "errors": fitted.se().tolist()}
    text = json.dumps({"pyfixest": version("pyfixest"), "scores": scores.tolist(), "fits": found})
    Path(__file__).with_name("pyfixest.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

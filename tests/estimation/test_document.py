from __future__ import annotations

import json

import jsonschema
import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

import trimtab as tt
from coarse_panels import hopping
from grouped_panels import labelled
from simulated import COMPLEX, NAMES, REAL, panel
from trimtab.core.trajectories import Trajectories
from trimtab.estimation.document import json_schema
from trimtab.estimation.fit import fit
from trimtab.estimation.pooling.document import json_schema as pooling_schema

PAIRS = ((0, 1), (0, 2), (1, 2))


def two_strategies() -> Trajectories:
    parts = [panel(model, 24, 6, seed).scores.reshape(24, 7, 3) for seed, model in enumerate((REAL, COMPLEX))]
    data = Trajectories.from_arrays(np.concatenate(parts), NAMES, ["EF"] * 24 + ["SF"] * 24)
    return labelled(data, task_id=[f"t{s % 8}" for s in range(48)])


def valid(result, **options: bool) -> dict:
    document = json.loads(result.to_json(**options))
    jsonschema.Draft202012Validator(json_schema()).validate(document)
    return document


def test_with_and_without_groups_the_document_fits_its_schema() -> None:
    data = two_strategies()
    alone, grouped = valid(fit(data, draws=100)), valid(fit(data, draws=100, group="task_id"))
    assert alone["pooling"] is None
    jsonschema.Draft202012Validator(pooling_schema()).validate(grouped["pooling"])
    assert grouped["pooling"] == json.loads(tt.pool(data, "task_id", draws=100).to_json())
    assert {**grouped, "pooling": None} == alone
    assert grouped == valid(fit(data, draws=100, group="task_id"))


def test_parts_add_up_to_the_interference() -> None:
    document = valid(fit(two_strategies(), draws=100))
    for one in (*document["strategies"].values(), document["pooled"]):
        parts = one["interference_parts"]
        assert parts["parts"] == [*parts["shares"]] == [*parts["low"]] == [*parts["high"]] == [*parts["variances"]]
        total = sum(np.array(share) for share in parts["shares"].values())
        np.testing.assert_allclose(total, one["interference"]["estimate"], atol=1e-12)
        np.testing.assert_allclose(sum(np.array(share) for share in parts["variances"].values()), 1)


def test_p_values_of_interference_are_adjusted_as_by_holm() -> None:
    document = valid(fit(two_strategies(), draws=100))
    families = ([*document["strategies"].values()], [document["pooled"]])
    for family in families:
        parts = [one["interference_parts"] for one in family]
        p, adjusted = ([one[name][i][j] for one in parts for i, j in PAIRS] for name in ("p_value", "adjusted_p_value"))
        np.testing.assert_allclose(adjusted, multipletests(p, method="holm")[1])
        assert {one["adjustment"] for one in parts} == {"Holm"}
        assert {one["compared"] for one in parts} == {3 * len(family)}
        assert all(one["adjusted_p_value"][j][i] == one["adjusted_p_value"][i][j] for one in parts for i, j in PAIRS)
        assert all(one["p_value"][i][i] is None for one in parts for i in range(3))


def test_findings_are_those_of_the_audit_of_the_same_data() -> None:
    data = two_strategies()
    result = fit(data, draws=100, seed=2)
    document, audit = valid(result), json.loads(tt.audit(data, seed=2).to_json())
    for name, one in document["strategies"].items():
        expected = audit["strategies"][name]["findings"]
        assert one["audit"] == [{key: finding[key] for key in one["audit"][0]} for finding in expected]
        assert one["audit"]
    # The audit is of strategies, and not of all steps pooled.
    assert document["pooled"]["audit"] == []
    assert all(one["audit"] == [] for one in valid(result, audit=False)["strategies"].values())


def test_scores_on_few_levels_are_modelled_in_the_document() -> None:
    P = np.array([[0.6, 0.4, 0.0], [0.2, 0.5, 0.3], [0.0, 0.0, 1.0]])
    result = fit(hopping(P, stop=2), draws=100)
    found, coarse = result["EF"].coarse, valid(result)["strategies"]["EF"]["coarse"]
    assert (coarse["chosen"], coarse["says"]) == (found.chosen, found.says)
    assert coarse["levels"]["objectives"]["grade"]["count"] == 3
    assert coarse["levels"]["unchanged"] == pytest.approx(found.levels.unchanged)
    assert {name: score["mean"] for name, score in coarse["log_scores"].items()} == pytest.approx(
        {name: score.mean for name, score in found.scores.items()}
    )
    assert coarse["chain"] is not None


def test_scores_on_any_level_stay_affine_in_the_document() -> None:
    coarse = valid(fit(two_strategies(), draws=100))["strategies"]["EF"]["coarse"]
    assert coarse["chosen"] == "affine"
    assert coarse["hurdle"] is None
    assert coarse["chain"] is None
    assert coarse["levels"]["unchanged"] == 0


def test_the_document_says_how_sure_each_drift_is_and_how_starts_vary() -> None:
    data = two_strategies()
    result = fit(data, draws=100, estimator="all")
    document = valid(result)
    for name, one in document["strategies"].items():
        assert {*one["rungs"]} >= {"least_squares", "state_space"}
        for rung, found in one["rungs"].items():
            draws = result[name].rungs[rung].draws
            covariance = np.array(found["drift_covariance"])
            # Entry by entry, so that rows of A cannot be taken for its columns.
            for k, drawn in enumerate((draws.A[:, 0, 1], draws.A[:, 1, 0], draws.b[:, 2])):
                at = (1, 3, 11)[k]
                assert covariance[at, at] == pytest.approx(drawn.var(ddof=1))
            assert covariance[1, 11] == pytest.approx(np.cov(draws.A[:, 0, 1], draws.b[:, 2])[0, 1])
        own = data.session_strategy == data.strategies.index(name)
        starts = data.scores[data.offsets[:-1][own]]
        np.testing.assert_allclose(one["started_covariance"], np.cov(starts.T))


def test_a_drift_of_a_single_session_has_no_covariance() -> None:
    one = valid(fit(panel(sessions=1, steps=30), draws=100))["strategies"]["EF"]
    assert one["rungs"]["least_squares"]["drift_covariance"] is None
    assert one["started_covariance"] == [[None] * 3] * 3

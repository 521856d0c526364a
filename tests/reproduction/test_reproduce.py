from __future__ import annotations

import json

import jsonschema
import pytest

from reproduced import small
from trimtab.errors import InputError
from trimtab.estimation.layout import as_text
from trimtab.reproduction.experiments import NOISE
from trimtab.reproduction.reproduce import reproduce
from trimtab.reproduction.schemas import json_schema
from trimtab.reproduction.summary import ReproductionSummary, tally
from trimtab.simulation.reference import REFERENCE


@pytest.fixture(scope="module")
def fitted():
    return reproduce(20, seed=2, fitted=1)


def test_the_document_is_json_with_every_claim(fitted) -> None:
    document = json.loads(fitted.to_json())
    jsonschema.Draft202012Validator(json_schema("reproduction")).validate(document)
    assert document["schema"] == "trimtab.reproduction/1"
    assert [claim["key"] for claim in document["claims"]] == [claim.key for claim in fitted.claims]
    assert {"key", "strategy", "says", "values", "agrees", "together", "why"} == set(document["claims"][0])
    assert document["reference"]["EF"]["A"] == REFERENCE["EF"].model.A.tolist()
    assert document["fitted_experiments"] == 1


def test_the_schema_refuses_what_the_document_does_not_promise(fitted) -> None:
    schema = json_schema("reproduction")
    jsonschema.Draft202012Validator.check_schema(schema)
    valid = jsonschema.Draft202012Validator(schema).is_valid
    for change in (
        lambda document: document.pop("claims"),
        lambda document: document["claims"][0].update(agrees="perhaps"),
        lambda document: document["claims"][0]["values"][0]["found"].update(median="0.3"),
        lambda document: document["verdicts"][0].pop("truth"),
        lambda document: document["reference"]["EF"].update(C=[]),
        lambda document: document.update(experiments=3),
    ):
        document = json.loads(fitted.to_json())
        change(document)
        assert not valid(document)
    assert valid(json.loads(small().to_json()))


def test_the_same_seed_gives_the_same_document(fitted) -> None:
    assert reproduce(20, seed=2, fitted=0).to_dict()["claims"] == fitted.to_dict()["claims"]
    assert reproduce(20, seed=3, fitted=0).to_dict()["claims"] != fitted.to_dict()["claims"]


def test_trimtab_calls_independent_scores_noise_and_finds_the_models_rates(fitted) -> None:
    verdicts = {one.name: one for one in fitted.verdicts}
    assert [*verdicts] == [*REFERENCE, NOISE]
    assert dict(verdicts[NOISE].labels) == {"noise": 1}
    assert verdicts[NOISE].truth is verdicts[NOISE].covered is None
    for name, strategy in REFERENCE.items():
        assert verdicts[name].truth == pytest.approx(strategy.model.rate)
        assert verdicts[name].labels["dynamics"] == 1
    # The others have rates whose eigenvalues are too close to each other for one experiment to tell.
    for name in ("EF", "AI"):
        assert verdicts[name].trusted == pytest.approx(verdicts[name].truth, abs=0.1)


def test_the_summary_says_it_all_within_118_columns(fitted) -> None:
    text = as_text(ReproductionSummary(fitted))
    assert max(map(len, text.splitlines())) <= 118
    one_line = " ".join(text.split())
    assert tally(fitted.claims) in one_line
    for strain in fitted.strains:
        assert strain.question in one_line
    assert "independent scores" in one_line


def test_the_tally_counts_every_claim_once() -> None:
    words = tally(small().claims)
    counted = [int(word) for word in words.replace(",", "").split() if word.isdigit()]
    assert counted[0] == sum(counted[1:5])


@pytest.mark.parametrize(("experiments", "fitted"), [(10, 0), (20, 21), (20, -1)])
def test_bad_numbers_are_refused(experiments: int, fitted: int) -> None:
    with pytest.raises(InputError, match=r"experiments must be from|fitted must be from"):
        reproduce(experiments, fitted=fitted)


def test_too_few_experiments_are_refused_as_that_and_not_for_the_number_fitted() -> None:
    with pytest.raises(InputError, match="experiments must be from 20 to 2,000, but got 0"):
        reproduce(0)

"""Scores against what scoringrules says: `tests/golden/scoringrules.py` wrote it."""

import json
from pathlib import Path

import numpy as np
import pytest

from posterium.evaluate import scores
from posterium.numerics.laws.counts import NegativeBinomialLaw, PoissonLaw
from posterium.numerics.laws.student_t import StudentTLaw
from posterium.posterior.components.gaussian import GaussianComponents
from posterium.posterior.components.laws import LawComponents

RECORD = json.loads((Path(__file__).parents[2] / "golden" / "scoringrules.json").read_text())
GIVEN = {name: np.array(values) for name, values in RECORD["given"].items()}
FOUND = {name: np.array(values) for name, values in RECORD["found"].items()}
Y = GIVEN["y"]


def equal(ours, name):
    np.testing.assert_allclose(ours, FOUND[name], rtol=1e-10, atol=1e-12)


def test_scores_of_draws():
    fair = scores.sampled_crps(GIVEN["draws"], Y)
    equal(fair, "crps fair")
    equal(fair, "crps weighted moments")
    plain = scores.sampled_crps(GIVEN["draws"], Y, fair=False)
    equal(plain, "crps quantiles")
    equal(plain, "crps draws")
    equal(scores.energy_score(GIVEN["draws"], Y), "energy fair")
    equal(scores.energy_score(GIVEN["draws"], Y, fair=False), "energy draws")


def test_the_interval_score():
    centre, sd = GIVEN["mean"][0], GIVEN["sd"][0]
    for level, each in zip((0.5, 0.9), FOUND["interval"], strict=True):
        found = scores.interval_score((centre - sd, centre + sd), Y[:, 0], level)
        assert found == pytest.approx(scores.average(each), rel=1e-10)


def test_closed_forms_of_numbers():
    mean, sd, y = GIVEN["mean"], GIVEN["sd"], Y[:, :1]
    equal(GaussianComponents(mean[:1, :, None], sd[:1, :, None] ** 2).crps(y)[:, 0], "crps normal")
    equal(GaussianComponents(mean[..., None], sd[..., None] ** 2).crps(y)[:, 0], "crps mixture")
    t = LawComponents(StudentTLaw(), tuple(v[None, :, None] for v in (mean[0], sd[0], GIVEN["df"])))
    equal(t.crps(y)[:, 0], "crps student")


def test_closed_forms_of_counts():
    y = GIVEN["count"][:, None].astype(float)
    rate, dispersion = (GIVEN[name][None, :, None] for name in ("rate", "dispersion"))
    equal(LawComponents(PoissonLaw(), (rate,)).crps(y)[:, 0], "crps poisson")
    found = LawComponents(NegativeBinomialLaw(), (rate, 1 / dispersion)).crps(y)
    equal(found[:, 0], "crps negative binomial")


def test_scores_of_classes():
    ranked = scores.ranked_probability(GIVEN["probs"], GIVEN["class"])
    assert ranked == pytest.approx(scores.average(FOUND["ranked"]), rel=1e-10)
    p = GIVEN["probs"][:, 0]
    found = scores.brier(np.column_stack([1 - p, p]), (GIVEN["count"] > 2).astype(int))
    assert found == pytest.approx(scores.average(FOUND["brier"]), rel=1e-10)

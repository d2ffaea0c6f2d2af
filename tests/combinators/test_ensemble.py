import jax
import numpy as np
import pytest
from tests.bits import same
from tests.driver.problems import DATA, KEY, MODEL

from posterium import (
    MAP,
    Ensemble,
    Evidence,
    Exact,
    Flat,
    Gaussian,
    Linear,
    Model,
    Normal,
    fit,
    learn,
)
from posterium.combinators.ensemble import grouped
from posterium.phases.polish import Polish
from posterium.posterior.fit import Verdict
from posterium.posterior.posterior import Mixture

SHORT = MAP(steps=40, batch_size=5)


def test_members_start_and_end_apart():
    found = fit(KEY, MODEL, DATA, Ensemble(SHORT, 3))
    assert isinstance(found.posterior, Mixture)
    members = [found.posterior.member(i)[0] for i in range(3)]
    for i in range(3):
        assert not same(members[i], members[i - 1])
    assert found.info["descent"]["objective"].shape == (40, 3)


def test_members_hold_out_rows_of_their_own():
    found = fit(KEY, MODEL, DATA, Ensemble(MAP(steps=20, validation=0.3, learning_rate=0.0), 3))
    likelihoods = found.info["descent"]["log_likelihood"][0]
    assert len(set(likelihoods.tolist())) == 3


def test_members_of_a_convex_problem_agree():
    model = Model(Linear(), Normal(1.0, "none"), Gaussian(0.5))
    found = fit(KEY, model, DATA, Ensemble(MAP(steps=1, polish="newton"), 3), precision="float64")
    spread = np.ptp(found.posterior.parts.weights.params["coefficients"], axis=0)
    assert spread.max() < 1e-6


def test_every_member_learns_its_own_hyper_parameters():
    free = Model(Linear(), Flat(), Gaussian(learn(1.0)))
    found = fit(KEY, free, DATA, Ensemble(MAP(steps=30, batch_size=5, validation=0.3), 3))
    scales = found.posterior.models.likelihood.scale.value
    assert scales.shape == (3,)
    assert len(set(scales.tolist())) == 3


@pytest.mark.slow
def test_the_evidence_of_an_ensemble_is_the_mean_of_its_members():
    free = Model(Linear(), Normal(learn(1.0), "none"), Gaussian(learn(0.5)))
    one = fit(KEY, free, DATA, Evidence(Exact()))
    three = fit(KEY, free, DATA, Ensemble(Evidence(Exact()), 3))
    assert three.info["log_evidence"].shape == (3,)
    assert abs(three.log_evidence - one.log_evidence) < 1e-9


def test_advice_is_given_once_with_the_number_concerned():
    bad = Verdict("warned", ("It rose at 3.",), ("Run longer.",))
    worse = Verdict("failed", ("It was NaN.",), ("Go slower.",))
    merged = grouped([bad, Verdict(), bad, worse])
    assert merged.status == "failed"
    assert merged.reasons == ("2 of 4 members: It rose at 3.", "1 of 4 members: It was NaN.")
    assert merged.advice == ("Run longer.", "Go slower.")


def test_an_ensemble_of_none_is_refused():
    with pytest.raises(ValueError, match="at least 1; got 0"):
        Ensemble(MAP(), 0)


def test_another_key_gives_other_members():
    one, other = (fit(jax.random.key(i), MODEL, DATA, Ensemble(SHORT, 3)) for i in (1, 2))
    assert not same(one.posterior, other.posterior)


def test_a_member_that_waits_for_others_is_not_judged_by_their_steps():
    record = {"objective": np.ones(7), "gradient_norm": np.zeros(7), "gain": np.zeros(7)}
    polish = Polish("newton", steps=7)
    assert polish.judge(record, None).status == "ok"
    assert polish.judge(record | {"gain": np.full(7, 0.5)}, None).status == "warned"

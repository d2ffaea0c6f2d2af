"""What a printed fit says: built by hand, so that every line has a known answer."""

from typing import Any

import jax
import numpy as np
import pytest

from posterium import (
    MAP,
    MLP,
    Categorical,
    Flat,
    Gaussian,
    HalfNormal,
    HeteroscedasticGaussian,
    Model,
    Normal,
    Verdict,
    Weights,
    as_data,
    fit,
    learn,
    predict,
    struct,
)
from posterium._struct import replace
from posterium.model.subset import restricted
from posterium.numerics.covariances.dense import Diagonal
from posterium.posterior.fit import Fit, Seen
from posterium.posterior.posterior import Draw, GaussianPosterior, Mixture, Point, Samples

ONE = Weights({"a": np.zeros((2, 3)), "b": np.zeros(2)})
SOME = Weights({"a": np.zeros((4, 50, 2, 3)), "b": np.zeros((4, 50, 2))})
MANY = Weights({"a": np.zeros((6, 2, 3)), "b": np.zeros((6, 2))})
SEEN = Seen(1234, np.zeros(5), np.ones(5))
NOISY = Model(MLP(hidden=(2,)), Normal(), Gaussian(learn(0.25, floor=0.05)))


def lines(result):
    """Return the lines of a printed fit by their first word."""
    rows = str(result).splitlines()
    assert len(rows) <= 10
    assert repr(result) == str(result)
    return {row.split()[0]: row[11:] for row in rows}


def made(posterior=None, model=NOISY, info=None, verdict=None, **fields: Any):
    return Fit(posterior or Point(ONE), model, info or {}, verdict or Verdict(), **fields)


def test_a_fit_says_what_was_done():
    settings = {"method": "MAP", "settings": "MAP(steps=3)", "precision": "float64", "devices": 2}
    info = {
        "descent": {
            "log_prior": np.array([-9.0, -7.5]),
            "log_likelihood": np.array([-90, -65.4321]),
            "objective": np.zeros(2),
        },
        "polish": {"objective": np.zeros(1500)},
        "restrict": {},
        "log_evidence": np.array(-81.23456),
    }
    assert str(made(info=info, seen=SEEN, **settings)).splitlines() == [
        "Fit        MAP(steps=3), in float64, on 2 devices",
        "network    MLP(hidden=(2,)), 8 weights",
        "prior      Gaussian, precision 1, scaled by fan-in",
        "likelihood Gaussian noise, sd 0.25 (learned)",
        "data       1,234 rows of 5 inputs",
        "steps      descent 2; polish 1,500",
        "posterior  one set of weights",
        "objective  log prior -7.5, log likelihood -65.432 nats at the last step",
        "evidence   log evidence -81.2346 nats",
        "verdict    ok",
    ]


def test_what_is_not_known_is_left_out():
    assert set(lines(made())) == {
        "Fit", "network", "prior", "likelihood", "posterior", "verdict"
    }  # fmt: skip
    assert lines(made())["Fit"] == "of unknown origin, in float32"


def test_a_doubtful_verdict_comes_with_reasons_and_the_next_step():
    doubt = Verdict("warned", ("Two chains disagree.", "Few draws."), ("Run longer.", "Take more."))
    said = lines(made(verdict=doubt))["verdict"]
    assert said == "warned; Two chains disagree. Run longer.; Few draws. Take more."


def test_chains_tell_draws_divergences_and_sampled_noise():
    diverging = np.zeros((50, 4), bool)
    diverging[:3, 1] = True
    info = {
        "warmup": {"diverging": np.ones((20, 4), bool)},
        "sampling": {
            "diverging": diverging,
            "acceptance_rate": np.full((50, 4), 0.876),
            "log_joint": np.linspace(-3, -1, 200).reshape(50, 4),
        },
        "modes": {"log_evidence": np.zeros((1, 64))},
    }
    raws = (np.log(np.linspace(0.1, 0.3, 200)).reshape(4, 50),)
    model = replace(NOISY, likelihood=Gaussian(learn(9.0, floor=0.05, prior=HalfNormal())))
    said = lines(made(Samples(Draw(SOME, raws)), model, info))
    assert said["steps"] == "warmup 20; sampling 50; modes 1; 3 divergent, acceptance 0.88"
    assert said["posterior"] == "4 chains of 50 draws"
    assert said["likelihood"] == "Gaussian noise, sd 0.15 to 0.35 (sampled)"
    assert said["objective"] == "log joint -2 nats on average, sd 0.58"
    assert said["network"] == "MLP(hidden=(2,)), 8 weights"


def test_members_tell_the_range_of_what_they_learned():
    models = jax.tree.map(lambda leaf: np.repeat(np.asarray(leaf)[None], 6, 0), NOISY)
    noise = replace(models.likelihood.scale, raw=np.log(np.linspace(0.1, 0.6, 6)))
    models = replace(models, likelihood=Gaussian(noise))
    terms = {"log_prior": -np.arange(1.0, 7)[None], "log_likelihood": np.full((1, 6), -5.0)}
    said = lines(made(Mixture(Point(MANY), models), info={"descent": terms}))
    assert said["posterior"] == "6 members, each one set of weights"
    assert said["likelihood"] == "Gaussian noise, sd 0.15 to 0.65 (learned by each member)"
    assert said["objective"].startswith("log prior -6 to -1, log likelihood -5 nats")
    assert said["network"].endswith("8 weights")


def test_members_with_chains_of_their_own_keep_their_floors():
    models = jax.tree.map(lambda leaf: np.repeat(np.asarray(leaf)[None], 6, 0), NOISY)
    floors = replace(models.likelihood.scale, floor=np.arange(6.0))
    models = replace(models, likelihood=Gaussian(floors))
    weights = jax.tree.map(lambda leaf: np.zeros((6, 1, *leaf.shape[1:])), SOME)
    weights = jax.tree.map(lambda leaf: leaf[:, :, : leaf.shape[2]], weights)
    draws = Draw(weights, (np.zeros((6, 1, 50)),))
    said = lines(made(Mixture(Samples(draws), models)))
    assert said["likelihood"] == "Gaussian noise, sd 1 to 6 (sampled)"
    assert said["posterior"] == "6 members, each 1 chain of 50 draws"


def test_a_gaussian_tells_its_covariance_and_how_it_predicts():
    gaussian = GaussianPosterior(ONE, Diagonal(np.ones(8)), how="linear")
    said = lines(made(gaussian, info={"ascent": {"kl": np.ones(1), "log_likelihood": np.ones(1)}}))
    assert said["posterior"] == (
        "a Gaussian with diagonal covariance, predicted from by the linearised network"
    )
    assert said["objective"] == "KL 1, log likelihood 1 nats at the last step"


def test_a_subset_counts_its_weights_among_all():
    part = Point(Weights({"a": np.zeros((2, 3))}))
    said = lines(made(part, restricted(NOISY, ONE, ("a",))))
    assert said["network"] == "MLP(hidden=(2,)), 6 of its 8 weights"
    assert said["prior"] == "Gaussian, precision 1, scaled by fan-in"


@struct
class OwnPrior:
    """A prior of one's own."""

    width: Any = 1.0
    table: Any = None


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"prior": Flat()}, "flat"),
        ({"prior": Normal(learn(3.0), "none")}, "Gaussian, precision 3 (learned)"),
        ({"prior": Normal(np.ones((9, 9)), "none")}, "Gaussian, precision float64[9,9]"),
        ({"prior": OwnPrior(2.0, np.ones(99))}, "OwnPrior(width=2, table=float64[99])"),
        ({"prior": OwnPrior(learn(2.0))}, "OwnPrior(width=2 (learned))"),
        ({"likelihood": Gaussian(np.float32(0.1))}, "Gaussian noise, sd 0.1"),
        ({"likelihood": Gaussian(learn([0.5, 0.1]))}, "Gaussian noise, sd 0.5, 0.1 (learned)"),
        ({"likelihood": Gaussian(learn(np.arange(1, 9)))}, "Gaussian noise, sd 1 to 8 (learned)"),
        (
            {"likelihood": HeteroscedasticGaussian()},
            "Gaussian noise, sd predicted for each row and above 0.001",
        ),
        ({"likelihood": Categorical()}, "classes (Categorical)"),
    ],
)
def test_parts_are_told_in_words_and_without_dumping_arrays(part, words):
    assert lines(made(model=replace(NOISY, **part)))[next(iter(part))] == words


def test_a_real_fit_is_printed_with_its_settings_and_data_and_no_times():
    data = as_data(np.linspace(0, 1, 9)[:, None], np.arange(9.0))
    method = MAP(steps=3, betas=(0.9, 0.99))
    once, again = (lines(fit(jax.random.key(0), NOISY, data, method)) for _ in range(2))
    assert once["Fit"] == "MAP(steps=3, betas=(0.9, 0.99)), in float32"
    assert once["data"] == "9 rows of 1 input"
    assert once["steps"] == "descent 3"
    assert "nats at the last step" in once["objective"]
    assert once == again


def test_a_fit_inside_of_a_record_and_a_predictive_print_short():
    weights = NOISY.network.init(jax.random.key(0), np.ones((1, 5)))
    result = made(Point(weights))
    assert repr(OwnPrior(result)) == "OwnPrior(width=Fit(...))"
    found = predict(jax.random.key(0), result, np.ones((1500, 5)))
    assert repr(found) == "RegressionPredictive(rows=1,500, outputs=1)"

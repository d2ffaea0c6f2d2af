"""Model and method in words."""

import numpy as np
import pytest
from tests.report.cases import subject

from posterium import (
    MLP,
    Bernoulli,
    Categorical,
    Flat,
    Gaussian,
    HeteroscedasticGaussian,
    Linear,
    Model,
    Normal,
    Weights,
    learn,
)
from posterium.posterior.posterior import Mixture, Point
from posterium.report import describe


def point(shape=(4, 2)):
    return Point(Weights({"w": np.zeros(shape), "b": np.zeros((*shape[:-2], 2))}))


def test_a_named_method_is_explained_with_its_settings():
    said = describe.method("Ensemble", {"method": "default", "settings": ["steps=9"]})
    assert said == (
        "default: an ensemble of six networks, each stopped early on rows of its own (with steps=9)"
    )
    assert describe.method("MAP", {}) == "MAP"


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (MLP(2, (32, 16), "silu"), "hidden layers of 32, 16 units (silu), 2 outputs"),
        (MLP(hidden=(8,), dropout=0.1), "1 output, hidden units dropped at rate 0.1"),
        (Linear(), "linear in its weights, on affine features"),
        (object(), "object"),
    ],
)
def test_networks(network, words):
    assert words in describe.network(network)


def test_priors_say_whether_their_precision_was_learned():
    assert "precision 2 (learned) times the fan-in" in describe.prior(Normal(learn(2.0), "fan_in"))
    assert "precision 0.5" in describe.prior(Normal(0.5, "none"))
    assert "flat" in describe.prior(Flat())


def test_noise_is_told_in_the_units_of_the_target():
    found = subject(target_scale=np.array([10.0]))
    assert "sd 2 in target units" in describe.likelihood(Gaussian(0.2), found)


@pytest.mark.parametrize(
    ("likelihood", "words"),
    [(HeteroscedasticGaussian(), "every row"), (Bernoulli(), "log odds"), (Categorical(), "logit")],
)
def test_other_likelihoods(likelihood, words):
    assert words in describe.likelihood(likelihood, subject())


def test_weights_are_counted_for_one_network_and_for_each_of_several():
    assert describe.posterior(point()) == "one setting of the weights, 10 weights"
    models = Model(MLP(1, (2,)), Normal(np.ones(3)), Bernoulli())
    several = Mixture(point((3, 4, 2)), models)
    assert describe.posterior(several) == "3 networks, each one setting of the weights (10 weights)"

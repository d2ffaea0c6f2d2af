import jax
import numpy as np
import pytest
from tests.driver.problems import DATA, KEY, MODEL, X, Y

from posterium import (
    MAP,
    MLP,
    Bernoulli,
    ByPath,
    Categorical,
    Centred,
    Functions,
    Gamma,
    Gaussian,
    HalfCauchy,
    HalfNormal,
    HeteroscedasticGaussian,
    Horseshoe,
    InverseGamma,
    LaplacePrior,
    LogNormal,
    Model,
    NegativeBinomial,
    Normal,
    Ordinal,
    Poisson,
    SpikeAndSlab,
    Stream,
    StudentT,
    StudentTPrior,
    Weibull,
    as_data,
    fit,
    learn,
)

LABELS = as_data(X, np.arange(len(X)) % 3)


def model(outputs, likelihood):
    return Model(MLP(outputs, (2,)), Normal(), likelihood)


@pytest.mark.parametrize(
    ("believed", "data", "said"),
    [
        (model(2, Gaussian()), DATA, "needs a network with 1 output"),
        (model(1, HeteroscedasticGaussian()), DATA, "needs a network with 2 output"),
        (model(1, Gaussian()), LABELS, "expects a target of numbers"),
        (model(3, Categorical()), DATA, "expects class indices"),
        (model(2, Categorical()), LABELS, "class indices from 0 to 1; got 0 to 2"),
        (model(1, Bernoulli()), LABELS, "class indices from 0 to 1; got 0 to 2"),
        (model(2, Bernoulli()), LABELS, "1 output for Bernoulli"),
        (model(3, Categorical()), as_data(X, np.arange(23) % 3 - 1), "got -1 to 1"),
        (Model(MODEL.network, Normal(-1.0), Gaussian()), DATA, "precision of the prior must be"),
        (Model(MODEL.network, Normal(np.nan), Gaussian()), DATA, "precision of the prior must be"),
        (
            Model(MODEL.network, Normal(), Gaussian(0.0)),
            DATA,
            "scale of the likelihood must be finite and above 0",
        ),
        (model(1, Gaussian()), Stream(lambda: iter([(X, np.arange(23))]), 23, 23), "of numbers"),
    ],
)
def test_a_model_that_does_not_suit_the_data_is_refused_before_anything_runs(believed, data, said):
    with pytest.raises(ValueError, match=said):
        fit(KEY, believed, data, MAP(steps=1))


@pytest.mark.parametrize(
    "prior",
    [
        LaplacePrior(0.0),
        Horseshoe(-1.0),
        StudentTPrior(df=0.0),
        SpikeAndSlab(spike=0.0),
        ByPath({"*/bias": Normal(), "*": Normal(-1.0)}),
        Centred(LaplacePrior(np.nan), MODEL.network.init(KEY, X)),
    ],
)
def test_a_prior_that_is_no_density_is_refused(prior):
    with pytest.raises(ValueError, match="of the prior must be finite and"):
        fit(KEY, Model(MODEL.network, prior, Gaussian()), DATA, MAP(steps=1))


@pytest.mark.parametrize(
    "likelihood",
    [
        StudentT(1.0, df=-1.0),
        HeteroscedasticGaussian(floor=-1.0),
        Poisson(unit=0.0),
        NegativeBinomial(dispersion=0.0),
        Weibull(shape=-1.0),
        Ordinal(np.array([1.0, -1.0])),
    ],
)
def test_a_likelihood_that_is_no_density_is_refused(likelihood):
    with pytest.raises(ValueError, match="of the likelihood must be finite and"):
        fit(KEY, Model(MODEL.network, Normal(), likelihood), DATA, MAP(steps=1))


@pytest.mark.parametrize(
    "wrong",
    [
        HalfNormal(0.0),
        HalfCauchy(-1.0),
        Gamma(shape=0.0),
        InverseGamma(scale=-1.0),
        LogNormal(sd=0),
    ],
)
def test_a_density_of_a_hyper_parameter_that_is_none_is_refused(wrong):
    noise = Gaussian(learn(1.0, prior=wrong))
    with pytest.raises(ValueError, match="of the prior of a hyper-parameter must be finite and"):
        fit(KEY, Model(MODEL.network, Normal(), noise), DATA, MAP(steps=1))


@pytest.mark.parametrize(
    ("prior", "likelihood", "said"),
    [
        (None, Gaussian(), r"prior must be a prior such as Normal\(1.0\); got None"),
        (3.0, Gaussian(), "prior must be"),
        (Normal(), "gaussian", "likelihood must be a likelihood such as"),
        (Normal(), Gaussian, "likelihood must be"),
    ],
)
def test_what_is_no_prior_or_likelihood_is_refused(prior, likelihood, said):
    with pytest.raises(TypeError, match=said):
        fit(KEY, Model(MODEL.network, prior, likelihood), DATA, MAP(steps=1))


def test_a_network_for_one_row_is_refused():
    network = Functions(lambda key, x: x[0], lambda params, x: x @ params)
    with pytest.raises(ValueError, match="Batch in, batch out"):
        fit(KEY, Model(network, Normal(), Gaussian()), DATA, MAP(steps=1))


@pytest.mark.parametrize("key", [0, np.zeros(2, np.uint32), jax.random.split(jax.random.key(0))])
def test_a_key_of_another_kind_is_refused(key):
    with pytest.raises(TypeError, match=r"one typed key, such as jax.random.key\(0\)"):
        fit(key, MODEL, DATA, MAP(steps=1))


@pytest.mark.parametrize("method", ["map", MAP, None, 3])
def test_what_is_no_method_is_refused(method):
    with pytest.raises(TypeError, match=r"a method such as MAP\(\)"):
        fit(KEY, MODEL, DATA, method)


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="'float32' or 'float64'; got 'float16'"):
        fit(KEY, MODEL, DATA, MAP(steps=1), precision="float16")


def test_a_free_prior_precision_is_refused_by_map_with_the_way_out():
    free = Model(MODEL.network, Normal(learn(1.0)), Gaussian())
    with pytest.raises(ValueError, match="Use Evidence"):
        fit(KEY, free, DATA, MAP(steps=1))


@pytest.mark.parametrize(
    "settings",
    [
        {"steps": 0},
        {"batch_size": 0},
        {"batch_size": 1.5},
        {"validation": 1.0},
        {"validation": -0.1},
    ],
)
def test_settings_of_a_descent_that_make_no_sense_are_refused(settings):
    with pytest.raises(ValueError, match=f"{next(iter(settings))} must be"):
        MAP(**settings)


def test_rows_that_are_not_finite_are_refused_with_their_number():
    bad = Y.copy()
    bad[4] = np.inf
    with pytest.raises(ValueError, match=r"row 4 \(counted from 0\)"):
        as_data(X, bad)

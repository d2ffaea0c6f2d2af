"""MC dropout: its training, its spread against closed forms, learned rates, other frameworks."""

import itertools

import jax
import numpy as np
import pytest
from scipy.stats import norm
from tests.bits import same
from tests.model.adapters.networks import CASES, FULL
from tests.model.adapters.networks import X as ROWS
from tests.model.adapters.networks import Y as TARGETS

from posterium import (
    MAP,
    MLP,
    NUTS,
    BayesianRegressor,
    Ensemble,
    Flat,
    Gaussian,
    MCDropout,
    Model,
    Normal,
    as_data,
    fit,
    learn,
    load,
    predict,
    save,
)
from posterium._struct import replace
from posterium.methods.mc_dropout import is_random
from posterium.phases.masked import Bounded
from posterium.posterior.joint import covariance
from posterium.posterior.predict import predict_by_draws

KEY, ASK = jax.random.key(0), jax.random.key(1)
RNG = np.random.default_rng(4)
X = RNG.normal(size=(30, 3))
Y = X @ [1.0, -0.5, 0.2] + 0.3 * RNG.normal(size=30)
DATA = as_data(X, Y)
TRAINING = MAP(steps=300)
LINEAR = Model(MLP(hidden=(), input_dropout=0.2), Normal(1.0), Gaussian(0.3))
FREE = MLP(hidden=(4,), dropout=learn(0.3, ceiling=1.0), input_dropout=0.25)
DRAWS = 20_000
ERRORS = 4
MASKS = pytest.mark.parametrize("masks", ["draw", pytest.param("row", marks=pytest.mark.slow)])


@pytest.fixture(scope="module")
def linear():
    return fit(KEY, LINEAR, DATA, MCDropout(TRAINING))


def closed_form(found, x):
    """Return mean and variance of the outputs of a linear network whose inputs are dropped."""
    (layer,) = found.posterior.weights.params["layers"]
    terms = x * layer["kernel"][:, 0]
    return terms.sum(1) + layer["bias"], 0.25 * np.sum(terms**2, axis=1)


def test_weights_are_those_of_the_training_with_dropout(linear):
    plain = fit(KEY, LINEAR, DATA, TRAINING)
    assert same(linear.posterior.mode(), plain.posterior.mode())


def test_the_training_ends_where_masks_shrink_a_linear_model():
    """E_z of the squares is a ridge of p / (1 - p) diag(x^T x): least squares in closed form."""
    training = MAP(steps=1500, learning_rate=0.03)
    members = fit(KEY, LINEAR, DATA, Ensemble(MCDropout(training), 16))
    design = np.column_stack([X, np.ones(30)])
    ridge = np.diag([*(0.25 * np.sum(X**2, 0) / 0.09 + 3.0), 1.0])
    exact = np.linalg.solve(design.T @ design / 0.09 + ridge, design.T @ Y / 0.09)
    (layer,) = members.posterior.parts.weights.params["layers"]
    found = np.column_stack([layer["kernel"][..., 0], layer["bias"]]).astype(float)
    error = found.std(0, ddof=1) / 4
    assert np.all(np.abs(found.mean(0) - exact) < ERRORS * error)


@MASKS
def test_the_spread_of_a_linear_model_is_that_of_its_masks(linear, masks):
    found = fit(KEY, LINEAR, DATA, MCDropout(TRAINING, masks))
    said = predict(ASK, found, X[:5], draws=DRAWS)
    mean, variance = closed_form(linear, X[:5])
    assert np.all(np.abs(said.mean[:, 0] - mean) < ERRORS * np.sqrt(variance / DRAWS))
    error = variance * np.sqrt(2 / DRAWS)  # of a Gaussian; masks of 3 inputs have lighter tails
    assert np.all(np.abs(said.epistemic_var[:, 0] - variance) < ERRORS * error)


def test_one_key_is_one_function_on_any_rows(linear):
    (together,) = predict(ASK, linear, X, draws=7).components()
    (alone,) = predict(ASK, linear, X[4:6], draws=7).components()
    np.testing.assert_array_equal(together.mean[:, 4:6], alone.mean)
    (other,) = predict(KEY, linear, X[4:6], draws=7).components()
    assert not np.array_equal(other.mean, alone.mean)


@pytest.mark.slow
@pytest.mark.parametrize("masks", ["draw", "row"])
def test_a_file_gives_the_same_bits(masks, tmp_path):
    model = replace(LINEAR, network=MLP(hidden=(6,), dropout=0.3))
    found = fit(KEY, model, DATA, MCDropout(MAP(steps=5), masks))
    save(found, tmp_path / "fit")
    now, then = (predict(ASK, one, X, draws=9) for one in (load(tmp_path / "fit"), found))
    np.testing.assert_array_equal(now.quantile(0.3), then.quantile(0.3))
    assert then.epistemic_sd.min() > 0
    assert "under random masks" in str(found)


def test_what_holds_over_rows_is_refused_where_each_has_masks_of_its_own(linear):
    assert np.abs(covariance(ASK, linear, X[:2])[0, 1]) > 0
    found = fit(KEY, LINEAR, DATA, MCDropout(MAP(steps=2), "row"))
    for ask in (covariance, predict_by_draws):
        with pytest.raises(ValueError, match="Fit with masks='draw'"):
            ask(ASK, found, X[:4])


@pytest.mark.slow
def test_members_have_rates_and_records_of_their_own():
    model = Model(FREE, Normal(1.0), Gaussian(0.3))
    found = fit(KEY, model, DATA, Ensemble(MCDropout(MAP(steps=20)), 2))
    assert found.info["descent"]["rate"].shape == (20, 2, 2)
    assert np.all(found.info["descent"]["rate"][..., 0] == np.float32(0.25))
    one, other = found.posterior.models.network.dropout.value
    assert one != other
    assert predict(ASK, found, X, draws=10).epistemic_sd.min() > 0


def test_the_bound_is_that_of_all_masks_counted_out():
    """-KL by the sum over every mask of P(z) (log p(z w / (1 - p)) - log P(z))."""
    with jax.enable_x64(True):
        model = Model(FREE, Normal(2.0), Gaussian(0.3))
        shapes = jax.eval_shape(FREE.init, KEY, X).params["layers"]
        layers = jax.tree.map(lambda leaf: RNG.normal(size=leaf.shape), shapes)
        expected = 0.0
        for layer, rate, scale in zip(layers, (0.25, 0.3), ((2 * 3) ** -0.5, 8**-0.5), strict=True):
            kernel, bias = layer["kernel"], layer["bias"]
            for z in itertools.product((0, 1), repeat=len(kernel)):
                chance = np.prod(np.where(z, 1 - rate, rate))
                masked = kernel * np.array(z)[:, None] / (1 - rate)
                expected += chance * (norm.logpdf(masked, 0, scale).sum() - np.log(chance))
            expected += norm.logpdf(bias, 0, 0.5**0.5).sum()
        found = jax.jit(Bounded(model).negative_kl)({"layers": layers})
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_a_learned_rate_ends_where_its_bound_is_highest():
    """Linear noise-free rows: the objective in closed form over a grid of rates."""
    free = MLP(hidden=(), bias=False, input_dropout=learn(0.3, ceiling=1.0))
    model = Model(free, Normal(1.0, "none"), Gaussian(1.0))
    x, y = RNG.normal(size=(40, 1)), np.zeros(40)
    y = 0.7 * x[:, 0] + RNG.normal(size=40)
    found = fit(KEY, model, as_data(x, y), MCDropout(MAP(steps=4000, learning_rate=0.03)))
    square, cross = np.sum(x**2), np.sum(x[:, 0] * y)

    def bound(rate):
        spread = rate / (1 - rate)
        w = cross / (square * (1 + spread) + 1 / (1 - rate))
        loss = 0.5 * (square * w**2 * (1 + spread) - 2 * w * cross) + 0.5 * w**2 / (1 - rate)
        return -loss - rate * np.log(rate) - (1 - rate) * np.log(1 - rate)

    rates = np.linspace(0.001, 0.999, 999)
    best = rates[np.argmax([bound(rate) for rate in rates])]
    assert abs(found.info["descent"]["rate"][-500:].mean() - best) < 0.02


@pytest.mark.slow
def test_a_learned_rate_falls_with_rows_and_a_fixed_one_keeps_its_spread():
    spread = {}
    for rate in (0.1, learn(0.1, ceiling=1.0)):
        for n in (50, 2000):
            x = np.linspace(-2, 2, n)[:, None]
            y = np.sin(2.5 * x[:, 0]) + 0.3 * np.random.default_rng(n).normal(size=n)
            network = MLP(1, (100,), "tanh", dropout=rate)
            model = Model(network, Normal(0.1), Gaussian(0.3))
            found = fit(KEY, model, as_data(x, y), MCDropout(MAP(steps=4000, batch_size=50)))
            said = predict(ASK, found, x[:: n // 50])
            spread[type(rate).__name__, n] = said.epistemic_sd.mean()
    assert spread["Learned", 2000] < 0.5 * spread["Learned", 50]
    assert spread["float", 2000] > 0.7 * spread["float", 50]


@pytest.mark.parametrize("name", CASES)
def test_networks_that_draw_nothing_are_told_from_those_that_do(name):
    assert is_random(CASES[name].network, ROWS) == (name in FULL)


QUICK = ("linen", "equinox")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in QUICK else [pytest.mark.slow]) for n in FULL]
)
def test_a_framework_s_network_is_predicted_under_its_own_masks(name):
    model = Model(CASES[name].network, Normal(1.0), Gaussian(0.3))
    found = fit(KEY, model, as_data(ROWS, TARGETS), MCDropout(MAP(steps=6)))
    (drawn,) = predict(ASK, found, ROWS, draws=12).components()
    np.testing.assert_array_equal(drawn.mean[:, :5], drawn.mean[:, 5:])
    assert drawn.mean[:, :5].std(0).min() > 0


@pytest.mark.parametrize(
    ("model", "method", "told"),
    [
        (replace(LINEAR, network=MLP(hidden=(3,))), MCDropout(), "exactly 0"),
        (replace(LINEAR, network=MLP(hidden=(3,), dropout=0.0)), MCDropout(), "exactly 0"),
        (LINEAR, MCDropout(MAP(polish="newton")), "without a polish"),
        (LINEAR, MCDropout(NUTS()), "without a polish"),
        (LINEAR, MCDropout(Ensemble(MAP(), 2)), "Ensemble\\(MCDropout"),
        (replace(LINEAR, prior=Normal(learn(1.0))), MCDropout(), "without free hyper-parameters"),
        (replace(LINEAR, network=FREE, prior=Flat()), MCDropout(), "expect a Normal prior"),
        (replace(LINEAR, network=FREE), MAP(), "would only fall, to 0"),
    ],
)
def test_what_it_cannot_do_is_refused(model, method, told):
    with pytest.raises(ValueError, match=told):
        fit(KEY, model, DATA, method)
    with pytest.raises(ValueError, match="'draw' or 'row'"):
        MCDropout(masks="column")


@pytest.mark.slow
def test_a_table_is_fitted_by_name():
    found = BayesianRegressor(method="mc-dropout").fit(X, Y)
    assert found.predict_dist(X).epistemic_sd.min() > 0

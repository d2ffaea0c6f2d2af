"""Probabilistic back-propagation: exact where it is exact, and as published where it is not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.methods.test_vi import UCI

from posterium._struct import replace, struct
from posterium.combinators.ensemble import Ensemble
from posterium.combinators.evidence import Evidence
from posterium.datasets.reference import nonlinear8
from posterium.driver.fit import fit
from posterium.methods.pbp import PBP, take_in
from posterium.model import hyper
from posterium.model.data import Stream, as_data
from posterium.model.hyper import learn
from posterium.model.likelihoods.gaussian import Gaussian, HeteroscedasticGaussian
from posterium.model.model import Model
from posterium.model.network import MLP
from posterium.model.priors.normal import Flat, Normal
from posterium.model.priors.scales import Gamma, HalfNormal
from posterium.numerics.moments import propagate
from posterium.posterior.predict import predict

KEY = jax.random.key(0)
TAU, NOISE = 2.0, 0.4
ONE = Model(MLP(hidden=(), bias=False), Normal(TAU, "none"), Gaussian(NOISE))
RNG = np.random.default_rng(3)
X, WEIGHT = RNG.normal(size=(31, 1)), RNG.choice([0.5, 1.0, 2.0], 31)
Y = 0.8 * X[:, 0] + NOISE * RNG.normal(size=31)
FREE = Model(MLP(hidden=(8,)), Normal(learn(1.0)), Gaussian(learn(1.0)))


def known(x, y, weight, centre=0.0, tau=TAU):
    """Return mean, variance and log evidence of one weight, each row to the power of its weight."""
    x, q = x[:, 0], weight / NOISE**2
    precision = tau + np.sum(q * x**2)
    mean = (np.sum(q * x * y) + tau * centre) / precision
    rest = np.sum(q * y**2) + tau * centre**2 - mean**2 * precision
    log_evidence = 0.5 * (np.log(tau / precision) - rest)
    return mean, 1 / precision, log_evidence - 0.5 * np.sum(weight) * np.log(2 * np.pi * NOISE**2)


def one_weight(found):
    posterior = found.posterior
    kernel = posterior.mean.params["layers"][0]["kernel"]
    return kernel.item(), posterior.covariance.sd.item() ** 2, found.log_evidence


@pytest.mark.parametrize("weight", [np.ones(31), WEIGHT])
def test_one_pass_over_the_rows_of_one_weight_is_bayesian_regression(weight):
    found = fit(KEY, ONE, as_data(X, Y, weight=weight), PBP(epochs=1))
    np.testing.assert_allclose(one_weight(found), known(X, Y, weight), rtol=1e-10)
    assert found.verdict.status == "ok"


@pytest.mark.slow
def test_a_pass_of_several_steps_with_a_short_last_one_is_exact_too():
    x = RNG.normal(size=(2500, 1))
    y = x[:, 0] + NOISE * RNG.normal(size=2500)
    found = fit(KEY, ONE, as_data(x, y), PBP(epochs=1))
    assert len(found.info["filtering"]["objective"]) == 3
    np.testing.assert_allclose(one_weight(found), known(x, y, np.ones(2500)), rtol=1e-10)


def test_rows_from_a_stream_are_taken_in_like_rows_in_memory():
    stream = Stream(lambda: iter([(X, Y[:, None])]), rows=31, batch_size=8)
    found = fit(KEY, ONE, stream, PBP(epochs=1))
    np.testing.assert_allclose(one_weight(found), known(X, Y, np.ones(31)), rtol=1e-10)


def test_rows_in_two_goes_are_all_rows_at_once():
    first = fit(KEY, ONE, as_data(X[:15], Y[:15]), PBP(epochs=1))
    then = replace(ONE, prior=first.posterior.as_prior())
    second = fit(KEY, then, as_data(X[15:], Y[15:]), PBP(epochs=1))
    mean, variance, evidence = known(X, Y, np.ones(31))
    np.testing.assert_allclose(one_weight(second)[:2], (mean, variance), rtol=1e-10)
    assert first.log_evidence + second.log_evidence == pytest.approx(evidence, rel=1e-10)


def test_an_update_follows_the_slopes_of_log_z_by_differences():
    with jax.enable_x64(True):
        rng = np.random.default_rng(5)
        shapes = [(2, 3), (3, 3), (3, 1)]
        mean, variance = (
            {"layers": [{"kernel": low + rng.random(s), "bias": low + rng.random(s[1])}
                        for s in shapes]} for low in (-0.5, 0.2)
        )  # fmt: skip
        x, y, power = jnp.array([0.7, -1.1]), 1.4, 2.0
        run = jax.jit(lambda *beliefs: take_in((*beliefs, None), x, y, power, known=0.25))
        (new, new_variance, _), (log_z, left_out) = run(mean, variance)

        def by_hand(mean, variance):
            """Integrate a Gaussian over f times the likelihood to a power, on a grid."""
            m, v = (part.item() for part in propagate(mean, variance, x[None]))
            f = m + np.sqrt(v) * np.linspace(-10, 10, 4001)
            row = -0.5 * (power * ((y - f) ** 2 / 0.25 + np.log(2 * np.pi * 0.25)))
            mass = np.exp(-0.5 * (f - m) ** 2 / v + row) / np.sqrt(2 * np.pi * v)
            return np.log(np.trapezoid(mass, f))

        assert log_z == pytest.approx(by_hand(mean, variance), rel=1e-9)
        assert left_out == 0

        def slope(tree, layer, name, at, of):
            values = []
            for step in (1e-5, -1e-5):
                moved = jax.tree.map(np.array, tree)
                moved["layers"][layer][name][at] += step
                values.append(of(moved))
            return (values[0] - values[1]) / 2e-5

        for layer, name, at in ((0, "kernel", (1, 2)), (1, "bias", (0,)), (2, "kernel", (2, 0))):
            m, v = (tree["layers"][layer][name][at] for tree in (mean, variance))
            up = slope(mean, layer, name, at, lambda tree: by_hand(tree, variance))
            curved = slope(variance, layer, name, at, lambda tree: by_hand(mean, tree))
            assert new["layers"][layer][name][at] == pytest.approx(m + v * up, rel=1e-7)
            expected = v - v**2 * (up**2 - 2 * curved)
            assert new_variance["layers"][layer][name][at] == pytest.approx(expected, rel=1e-7)


@pytest.mark.slow
def test_noise_and_prior_precision_are_learned():
    x = RNG.normal(size=(400, 4))
    y = x @ np.array([1.0, -0.5, 0.2, 0.0]) + 0.3 * RNG.normal(size=400)
    model = replace(FREE, network=MLP(hidden=()), prior=Normal(learn(1.0), "none"))
    found = fit(KEY, model, as_data(x, y), PBP(epochs=3))
    assert found.model.likelihood.scale.value == pytest.approx(0.3, rel=0.15)
    info = found.info["filtering"]
    assert info["noise_sd"][-1] == pytest.approx(float(found.model.likelihood.scale.value))
    assert info["prior_precision"][-1] == pytest.approx(float(found.model.prior.precision.value))
    assert (info["rejected"] == 0).all()
    kernel = found.posterior.mean.params["layers"][0]["kernel"][:, 0]
    assert np.abs(kernel - [1.0, -0.5, 0.2, 0.0]).max() < 0.08


@pytest.mark.slow
def test_a_gamma_prior_of_the_precision_is_the_belief_about_it():
    prior = Normal(learn(1.0, prior=Gamma(1e8, 1e8 / 7)))
    found = fit(KEY, replace(FREE, prior=prior), as_data(X, Y), PBP(epochs=2))
    assert found.model.prior.precision.value == pytest.approx(7.0, rel=1e-4)


@pytest.mark.slow
def test_few_rows_leave_a_wide_network_near_its_prior():
    x, y = nonlinear8()
    x, y = (x - x.mean()) / x.std(), (y - y.mean()) / y.std()
    model = replace(FREE, network=MLP(hidden=(40,)))
    found = fit(KEY, model, as_data(x, y), PBP(epochs=1))
    prior = fit(KEY, model, as_data(x, y, weight=np.full(8, 1e-9)), PBP(epochs=1))
    sd, free = (predict(KEY, one, x).epistemic_sd for one in (found, prior))
    assert (sd < 1.1 * free).all()
    assert (free < 3).all()


@pytest.mark.slow
def test_members_start_apart_and_the_evidence_is_that_of_their_mean():
    found = fit(KEY, FREE, as_data(X, Y), Ensemble(PBP(epochs=2), 3))
    assert found.info["log_evidence"].shape == (3,)
    assert np.ptp(found.info["log_evidence"]) > 0
    kernel = found.posterior.parts.mean.params["layers"][0]["kernel"]
    assert (np.ptp(kernel, axis=0) > 0).all()
    assert (np.ptp(kernel, axis=2) > 0).all()


def test_rows_far_off_leave_everything_finite():
    y = Y.copy()
    y[7] = 1e9
    found = fit(KEY, FREE, as_data(X, y), PBP(epochs=2))
    assert np.isfinite(found.posterior.covariance.sd).all()
    assert (found.posterior.covariance.sd > 0).all()


def test_noise_at_its_floor_is_warned_of():
    model = replace(FREE, likelihood=Gaussian(learn(1.0, floor=0.9)))
    found = fit(KEY, model, as_data(X, Y), PBP(epochs=2))
    assert found.verdict.status == "warned"
    assert "floor" in found.verdict.reasons[0]
    assert found.model.likelihood.scale.value >= 0.9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network": MLP(hidden=(3,), activation="tanh")}, "activation='relu'"),
        ({"network": MLP(hidden=(3, 3), residual=True)}, "without residual"),
        ({"network": MLP(2, (3,))}, "one output"),
        ({"likelihood": HeteroscedasticGaussian(), "network": MLP(2, (3,))}, "one output"),
        ({"prior": Flat()}, "Normal prior"),
        ({"prior": Normal(0.0)}, "precisions above 0"),
        ({"prior": Normal({"layers": [learn(1.0), learn(1.0)]})}, "one free number"),
        ({"likelihood": Gaussian(learn(1.0, prior=HalfNormal()))}, "without a prior of its own"),
        ({"prior": Normal(learn(1.0, prior=HalfNormal()))}, "Gamma"),
    ],
)
def test_models_without_known_moments_are_refused_with_what_to_use(change, message):
    y = np.column_stack([Y, Y]) if "one output" in message and "likelihood" not in change else Y
    with pytest.raises(ValueError, match=message):
        fit(KEY, replace(FREE, **change), as_data(X, y), PBP())


def test_settings_that_make_no_sense_and_evidence_around_it_are_refused():
    with pytest.raises(ValueError, match="epochs must be at least 1"):
        PBP(epochs=0)
    with pytest.raises(ValueError, match="shape must be above 1"):
        PBP(shape=1.0).phases(FREE, as_data(X, Y))
    with pytest.raises(ValueError, match="as it is"):
        fit(KEY, FREE, as_data(X, Y), Evidence(PBP()))


@struct
class AsPublished(Normal):
    """The prior of the paper: biases, too, have a variance of one over the inputs, themselves one.

    Parameters
    ----------
    precision
        As of `Normal`.
    """

    def precision_of(self, params):
        def layer(one):
            inputs = one["kernel"].shape[0] + 1
            return jax.tree.map(lambda w: inputs * hyper.value(self.precision) + 0 * w, one)

        return {"layers": [layer(one) for one in params["layers"]]}


PUBLISHED = {"yacht": (1.015, 0.054, -1.634, 0.016), "concrete": (5.667, 0.093, -3.161, 0.019)}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "splits"), [("yacht", 20), ("concrete", 6)])
def test_scores_on_uci_tables_are_the_published_ones(name, splits):
    if not UCI.is_dir():
        pytest.skip("needs the UCI tables in ../shared/data/uci")
    table = np.loadtxt(UCI / name / "data.csv.gz", delimiter=",", skiprows=1)
    stored = np.load(UCI / name / "splits.npz")
    x, y = table[:, stored["feature_columns"]], table[:, stored["target_column"]]
    model = Model(MLP(hidden=(50,)), AsPublished(learn(1.0)), Gaussian(learn(1.0)))
    scores = []
    for split in range(splits):
        train, test = np.split(stored["perm"][split], [stored["n_train"]])
        centre, sd = y[train].mean(), y[train].std()
        inputs = (x - x[train].mean(axis=0)) / x[train].std(axis=0)
        data = as_data(inputs[train], (y[train] - centre) / sd)
        found = fit(jax.random.key(split), model, data, PBP())
        said = predict(KEY, found, inputs[test])
        rmse = sd * np.sqrt(np.mean((said.mean[:, 0] - (y[test] - centre) / sd) ** 2))
        density = said.log_prob((y[test, None] - centre) / sd) - np.log(sd)
        scores.append((rmse, density.mean()))
    mean, error = np.mean(scores, axis=0), np.std(scores, axis=0, ddof=1) / np.sqrt(splits)
    for i, at in enumerate((0, 2)):
        value, published_error = PUBLISHED[name][at : at + 2]
        assert abs(mean[i] - value) < 2 * np.hypot(error[i], published_error)

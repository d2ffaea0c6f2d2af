import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.driver.problems import KEY, MODEL, X, Y

from posterium import (
    MAP,
    MLE,
    Ensemble,
    Flat,
    Gaussian,
    HalfNormal,
    Linear,
    Model,
    Normal,
    Weights,
    as_data,
    fit,
    learn,
)
from posterium._struct import replace, struct
from posterium.driver import fit as loop
from posterium.model.priors.normal import precision_from_weight_decay
from posterium.phases.descent import OPTIMISERS, SCHEDULES
from posterium.posterior.posterior import Mixture, Point

N = len(X)
DESIGN = np.column_stack([np.ones(N), X])
NOISE, DECAY = 0.7, 0.03
POLISHED = MAP(steps=1, polish="newton")
NEAR = X[::-1] + 0.3
VALIDATION = as_data(NEAR, np.sin(NEAR[:, 0]) + 0.5 * NEAR[:, 1])


@struct
class Counter:
    """A linear network whose state counts the calls in training."""

    def init(self, key, x):
        return Weights({"w": jnp.zeros((x.shape[1], 1))}, jnp.zeros(()))

    def apply(self, weights, x, *, train=False):
        return x @ weights.params["w"], weights.state + train


def coefficients(found):
    return found.posterior.mode().params["coefficients"][:, 0]


@pytest.mark.parametrize(
    ("loss", "ridge"),
    [
        ("mean_nll", 2 * N * DECAY * NOISE**2),
        ("mean_squared", N * DECAY),
        ("gradient", N * DECAY * NOISE**2),
    ],
)
@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
def test_the_mode_without_hidden_layers_is_ridge_for_each_weight_decay(loss, ridge, solver):
    precision = precision_from_weight_decay(DECAY, N, loss=loss, noise_sd=NOISE)
    model = Model(Linear(), Normal(precision, "none"), Gaussian(NOISE))
    found = fit(KEY, model, as_data(X, Y), replace(POLISHED, polish=solver), precision="float64")
    expected = np.linalg.solve(DESIGN.T @ DESIGN + ridge * np.eye(3), DESIGN.T @ Y)
    assert np.abs(coefficients(found) - expected).max() < 1e-8
    assert found.verdict.status == "ok"


def test_a_weight_decay_of_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="together with `noise_sd`"):
        precision_from_weight_decay(0.1, 10, loss="mean_squared")


def test_mle_is_least_squares_whatever_the_prior():
    model = Model(Linear(), Normal(50.0, "none"), Gaussian(NOISE))
    found = fit(KEY, model, as_data(X, Y), MLE(steps=1, polish="newton"), precision="float64")
    assert np.abs(coefficients(found) - np.linalg.lstsq(DESIGN, Y)[0]).max() < 1e-9


def test_a_learned_noise_ends_at_the_root_of_the_mean_squared_residual():
    model = Model(Linear(), Flat(), Gaussian(learn(1.0)))
    found = fit(KEY, model, as_data(X, Y), MAP(steps=50, polish="newton"), precision="float64")
    residual = Y - DESIGN @ np.linalg.lstsq(DESIGN, Y)[0]
    assert abs(found.model.likelihood.scale.value - np.sqrt(np.mean(residual**2))) < 1e-8


def test_a_prior_on_the_noise_moves_its_mode_with_the_jacobian():
    scale = learn(1.0, prior=HalfNormal(0.2))
    found = fit(KEY, Model(Linear(), Flat(), Gaussian(scale)), as_data(X, Y),
                MAP(steps=50, polish="newton"), precision="float64")  # fmt: skip
    s = float(found.model.likelihood.scale.value)
    residual = np.sum((Y - DESIGN @ coefficients(found)) ** 2)
    # The slope in log s of -N log s - residual / (2 s^2) - s^2 / (2 * 0.2^2) + log s:
    assert abs(-N + residual / s**2 - s**2 / 0.04 + 1) < 1e-6


def test_doubled_rows_are_rows_of_weight_two():
    model = replace(MODEL, likelihood=Gaussian(0.5))
    twice = as_data(np.tile(X, (2, 1)), np.tile(Y, 2))
    weighted = as_data(X, Y, weight=np.full(N, 2.0))
    one, other = (
        fit(KEY, model, data, MAP(steps=30), precision="float64").info["descent"]
        for data in (twice, weighted)
    )
    assert np.abs(one["objective"] - other["objective"]).max() < 1e-10


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_every_optimiser_improves_the_objective(optimiser):
    found = fit(KEY, MODEL, as_data(X, Y), MAP(steps=100, optimiser=optimiser))
    objective = found.info["descent"]["objective"]
    assert objective[-1] > objective[0] + 0.05


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_gradient_descent_on_a_schedule_is_that_by_hand(schedule):
    model = Model(Linear(), Normal(1.0, "none"), Gaussian(NOISE))
    method = MAP(steps=9, optimiser="sgd", schedule=schedule, learning_rate=0.1)
    found = fit(KEY, model, as_data(X, Y), method, precision="float64")
    w = np.zeros(3)
    for t in range(9):
        share = t / 9
        rate = {"constant": 1, "linear": 1 - share, "cosine": 0.5 * (1 + np.cos(np.pi * share))}
        slope = (DESIGN.T @ (Y - DESIGN @ w) / NOISE**2 - w) / N
        w = w + 0.1 * rate[schedule] * slope
    assert np.abs(coefficients(found) - w).max() < 1e-13


def test_clipping_bounds_the_length_of_a_step():
    model = Model(Linear(), Normal(1.0, "none"), Gaussian(0.01))
    method = MAP(steps=1, optimiser="sgd", schedule="constant", learning_rate=0.1, clip=0.5)
    found = fit(KEY, model, as_data(X, Y), method, precision="float64")
    assert abs(np.linalg.norm(coefficients(found)) - 0.05) < 1e-12


@pytest.mark.parametrize("settings", [{"optimiser": "adamw"}, {"schedule": "step"}])
def test_unknown_names_are_refused_with_those_there_are(settings):
    with pytest.raises(ValueError, match="must be one of"):
        fit(KEY, MODEL, as_data(X, Y), MAP(steps=1, **settings))


def test_an_unknown_polish_and_one_with_early_stopping_are_refused():
    with pytest.raises(ValueError, match="'newton', 'lbfgs' or None"):
        fit(KEY, MODEL, as_data(X, Y), MAP(polish="bfgs"))
    with pytest.raises(ValueError, match="Leave one of them out"):
        MAP(polish="newton", validation=0.1)


WATCHED = MAP(steps=400, learning_rate=0.05, schedule="constant", patience=20)


def score(found, weights):
    """Return the mean log likelihood of the validation rows, in nats."""
    f, _ = found.model.network.apply(weights, VALIDATION.x)
    return float(np.mean(found.model.likelihood.log_prob(f, VALIDATION.y)))


def stopped(data, method, **settings):
    data = replace(data, validation=VALIDATION)
    return fit(KEY, MODEL, data, method, precision="float64", **settings)


def test_early_stopping_returns_the_best_weights_and_waits_its_patience():
    found = stopped(as_data(X, Y), WATCHED)
    held_out = found.info["descent"]["held_out"]
    best = int(np.argmax(held_out))
    assert 0 < best < len(held_out) - 1
    assert len(held_out) == best + 1 + 20
    with jax.enable_x64(True):
        assert abs(score(found, found.posterior.mode()) - held_out[best]) < 1e-10


def test_held_out_rows_take_no_part_in_the_fit():
    method = replace(WATCHED, validation=0.3, steps=20)
    found = fit(KEY, Model(Linear(), Flat(), Gaussian(0.5)), as_data(X, Y), method)
    mask = np.isfinite(found.info["descent"]["held_out"])
    assert mask.all()
    log_likelihood = found.info["descent"]["log_likelihood"][0]
    rows = -0.5 * ((Y / 0.5) ** 2 + np.log(2 * np.pi * 0.25))
    held = round(0.3 * N)
    # 16 of 23 rows are summed; at the start, f = 0, they decide the first log likelihood.
    low, high = np.sort(rows)[: N - held].sum(), np.sort(rows)[held:].sum()
    assert low <= log_likelihood <= high
    assert abs(log_likelihood - rows.sum() * (N - held) / N) < high - low


def test_weights_are_kept_when_the_steps_end_before_the_first_score():
    method = MAP(steps=3, batch_size=2, validation=0.2)
    still = replace(method, learning_rate=0.0)
    moved, start = (fit(KEY, MODEL, as_data(X, Y), m).posterior.mode() for m in (method, still))
    gap = jax.tree.map(lambda a, b: np.abs(a - b).max(), moved.params, start.params)
    assert min(jax.tree.leaves(gap)) > 1e-3


def test_members_stop_each_at_its_own_step_as_they_would_alone():
    with jax.enable_x64(True):
        keys = [jax.random.key(i) for i in range(3)]
        starts = [MODEL.network.init(key, X) for key in keys]
    alone = [stopped(as_data(X, Y), WATCHED, start=start) for start in starts]
    steps = [len(found.info["descent"]["held_out"]) for found in alone]
    assert len(set(steps)) == 3
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *starts)
    together = stopped(as_data(X, Y), Ensemble(WATCHED, 3), start=Mixture(Point(stacked), MODEL))
    assert len(together.info["descent"]["held_out"]) == max(steps)
    for i, found in enumerate(alone):
        weights, model = together.posterior.member(i)
        gaps = jax.tree.map(lambda a, b: np.abs(a - b).max(), weights, found.posterior)
        assert max(jax.tree.leaves(gaps)) < 1e-9
        assert abs(model.likelihood.scale.raw - found.model.likelihood.scale.raw) < 1e-9


def test_a_member_that_is_done_keeps_its_state_until_all_are(monkeypatch):
    monkeypatch.setattr(loop, "PROBE_STEPS", 1)
    monkeypatch.setattr(loop, "CHUNK_SECONDS", 1e-9)
    states = []
    method = Ensemble(replace(WATCHED, patience=5, validation=0.2), 3)
    fit(KEY, MODEL, as_data(X, Y), method, callbacks=[lambda report: states.append(report.state)])
    waited = np.array([state.watch.waited for state in states])
    params = np.array([state.params["layers"][0]["kernel"][:, 0, 0] for state in states])
    done = waited[:-1] >= 5
    moved = params[1:] != params[:-1]
    assert done.any()
    assert np.array_equal(moved, ~done)


def test_the_network_state_of_the_best_score_is_kept():
    data = replace(as_data(X, Y), validation=VALIDATION)
    model = Model(Counter(), Flat(), Gaussian(0.5))
    found = fit(KEY, model, data, WATCHED, precision="float64")
    held_out = found.info["descent"]["held_out"]
    assert found.posterior.mode().state == np.argmax(held_out) + 1


def test_of_few_rows_one_at_least_is_fitted():
    found = fit(KEY, MODEL, as_data(X[:2], Y[:2]), MAP(steps=2, validation=0.9))
    assert found.verdict.status == "ok"


def test_a_start_that_is_no_function_is_refused():
    first = fit(KEY, MODEL, as_data(X[:2], Y[:2]), MAP(steps=2))
    with pytest.raises(TypeError, match="got Fit"):
        fit(KEY, MODEL, as_data(X[:2], Y[:2]), MAP(steps=2), start=first)


def test_a_noise_at_its_floor_is_reported():
    x = np.linspace(-1, 1, 20)[:, None]
    model = Model(Linear(), Normal(1e-6, "none"), Gaussian(learn(0.1, floor=1e-3)))
    method = MAP(steps=2000, learning_rate=0.05)
    for noise, status in ((0.0, "warned"), (0.1, "ok")):
        y = x[:, 0] + noise * np.cos(40 * x[:, 0])
        assert fit(KEY, model, as_data(x, y), method).verdict.status == status

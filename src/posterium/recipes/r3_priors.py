"""R3.priors: weights that are sparse, weights trained before, and networks tied by a population."""

import functools
from typing import Any

import jax
import numpy as np

import posterium as ps
from posterium.datasets.grouped import grouped_moons
from posterium.datasets.reference import scaled_moons
from posterium.plots.classification import decision_boundary
from posterium.recipes.r3_advi import STARTS
from posterium.recipes.runner import Outcome, recipe

SUMMARY = "priors that are sparse, centred on a trained network, or tie networks of groups"
NETWORK = ps.MLP(1, (5, 5), "tanh", bias=False)
SMALL = ps.MLP(1, (5,), "tanh")
WIDE = ps.Normal(0.25)
"""Prior of the small networks: at unit precision they hardly bend."""
GROUPS, ROWS, TURN = 6, 16, 1.0
SHOWN, APART = 2, (3, 4)
"""For the figure: a set of groups, and those of it that are turned furthest to either side."""
SPARSE = {
    "normal": ps.Normal(1.0, "none"),
    "laplace": ps.LaplacePrior(1.0, "none"),
    "spike_and_slab": ps.SpikeAndSlab(0.1, 2.0, 0.5, "none"),
}
FEW = 20
"""Rows that come after the others, on which a network was trained."""


@recipe("R3.priors", SUMMARY, fast="2 sets of groups instead of 6, 200 draws instead of 500")
def run(key: jax.Array, fast: bool) -> Outcome:
    """Fit two moons under each prior; hold partial pooling of groups against both extremes."""
    (x, y), held_out = scaled_moons()
    before = ps.fit(key, classes(ps.Normal()), ps.as_data(x[FEW:], y[FEW:]), ps.MAP())
    centred = ps.Centred(ps.Normal(10.0, "none"), at=before)
    fits = {name: vi(key, classes(prior), x, y) for name, prior in SPARSE.items()}
    accuracy = {name: score(found, *held_out)[0] for name, found in fits.items()}
    few = {
        name: score(vi(key, classes(prior), x[:FEW], y[:FEW]), *held_out)[1]
        for name, prior in {"plain": SPARSE["normal"], "centred": centred}.items()
    }
    sets = [pooling(key, seed, 200 if fast else 500) for seed in range(2 if fast else 6)]
    scores = {name: np.array([one[name] for one in sets]) for name in sets[0]}
    gains = {name: scores["partial"] - scores[name] for name in ("separate", "one")}
    errors = {name: gain.std(ddof=1) / np.sqrt(len(gain)) for name, gain in gains.items()}
    rows, _ = grouped_moons(GROUPS, ROWS, turn=TURN, seed=SHOWN)
    tied_fit = functools.cache(lambda: sampled(key, tied(), *rows, draws=200))
    return Outcome(
        {
            **{f"accuracy_{name}": value for name, value in accuracy.items()},
            **{f"log_density_of_few_{name}": value for name, value in few.items()},
            **{f"log_density_{name}": value.mean() for name, value in scores.items()},
            **{f"gain_over_{name}": gain.mean() for name, gain in gains.items()},
            **{f"error_of_gain_over_{name}": error for name, error in errors.items()},
        },
        {
            **{f"accuracy_{name}_at_least_0.94": v >= 0.94 for name, v in accuracy.items()},
            "centred_beats_plain_on_few_rows": few["centred"] > few["plain"],
            **{f"pooling_beats_{name}_by_2_errors": None if fast else gain.mean() > 2 * errors[name]
               for name, gain in gains.items()},
        },
        {"groups": [lambda ax, g=group: group_plot(tied_fit(), *rows, g, ax) for group in APART]},
    )  # fmt: skip


def classes(prior: Any) -> ps.Model:
    """Return the network of two hidden layers under a prior."""
    return ps.Model(NETWORK, prior, ps.Bernoulli())


def vi(key: jax.Array, model: ps.Model, x: np.ndarray, y: np.ndarray) -> ps.Fit:
    """Fit by mean-field VI; of three starts the one with the best bound, since optima differ."""
    method, data = ps.VI(steps=10_000, learning_rate=0.02, init_scale=0.5), ps.as_data(x, y)
    fits = [ps.fit(start, model, data, method) for start in jax.random.split(key, STARTS)]
    return max(fits, key=lambda fit: fit.info["assess"]["elbo"][-1])


def score(found: ps.Fit, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Return accuracy, and the mean log density in nats."""
    said = ps.predict(jax.random.key(1), found, x)
    return float(np.mean(said.probs.argmax(axis=1) == y)), float(said.log_prob(y).mean())


def pooling(key: jax.Array, seed: int, draws: int) -> dict[str, float]:
    """Return the held-out log density of separate networks, one for all, and partial pooling."""
    (x, y), (x_test, y_test) = grouped_moons(GROUPS, ROWS, turn=TURN, seed=seed)
    alone = ps.Model(SMALL, WIDE, ps.Bernoulli())

    def log_density(model: ps.Model, rows: Any, held_out: Any) -> float:
        found = sampled(key, model, *rows, draws=draws)
        return score(found, *held_out)[1]

    each = [
        log_density(alone, (x[mine, :2], y[mine]), (x_test[held, :2], y_test[held]))
        for mine, held in ((x[:, 2] == g, x_test[:, 2] == g) for g in range(GROUPS))
    ]
    return {
        "separate": float(np.mean(each)),
        "one": log_density(alone, (x[:, :2], y), (x_test[:, :2], y_test)),
        "partial": log_density(tied(), (x, y), (x_test, y_test)),
    }


def tied() -> ps.Model:
    """Return the model of one network a group, with a learned sd between groups."""
    return ps.Model(ps.Grouped(SMALL, GROUPS), WIDE, ps.Bernoulli())


def sampled(key: jax.Array, model: ps.Model, x: np.ndarray, y: np.ndarray, *, draws: int) -> ps.Fit:
    """Fit by NUTS."""
    return ps.fit(key, model, ps.as_data(x, y), ps.NUTS(warmup=draws, draws=draws, chains=2))


def group_plot(found: ps.Fit, x: np.ndarray, y: np.ndarray, group: int, ax: Any) -> Any:
    """Draw what partial pooling predicts for one group, with its rows of x (n, 3) and y."""
    grid = np.linspace(-3, 3, 60)
    first, second = np.meshgrid(grid, grid)
    points = np.column_stack([first.ravel(), second.ravel(), np.full(first.size, float(group))])
    probs = ps.predict(jax.random.key(1), found, points).probs[:, 1].reshape(first.shape)
    mine = x[:, 2] == group
    return decision_boundary(
        grid, grid, probs, data=(x[mine, :2], y[mine]), ax=ax, title=f"Group {group}"
    )

"""R1.nuts: the network of four weights by NUTS, which misses a mode, and by parallel tempering.

The hinge of the network lies to the left of the points or to their right, 0.59 and 0.41 of the
posterior, and chains do not cross. Where a chain is, a check of modes sees that it is not all.
"""

from typing import Any

import jax
import numpy as np

import posterium as ps
from posterium.datasets.reference import identity6
from posterium.plots.intervals import interval_band
from posterium.recipes import relu4
from posterium.recipes.runner import Drawing, Outcome, recipe

SUMMARY = "a four-weight ReLU network by NUTS, which misses a mode, and by parallel tempering"
PRECISION, KEYS = 0.05, 5
NUTS = ps.NUTS(warmup=5000, draws=500, chains=1, thin=10, max_depth=12)
TEMPERING = ps.ParallelTempering()
SHOWN = 30
"""Functions that a figure shows."""


def functions(result: ps.Fit, x: np.ndarray) -> np.ndarray:
    """Return functions drawn from a fit, (30, m)."""
    hidden, last = result.posterior.sample(jax.random.key(0), SHOWN).weights.params["layers"]
    inside = np.maximum(hidden["kernel"][:, :, 0] * x[None, :, 0] + hidden["bias"], 0)
    return last["kernel"][:, :, 0] * inside + last["bias"]


def left(result: ps.Fit) -> float:
    """Return the share of draws with w0 < 0."""
    return float(np.mean(result.posterior.draws.weights.params["layers"][0]["kernel"] < 0))


@recipe("R1.nuts", SUMMARY, fast="NUTS from 2 keys with 1,000 transitions, tempering from one")
def run(key: jax.Array, fast: bool) -> Outcome:
    """Hold both against the exact mean and sd of the function, and their verdicts against that."""
    x, y = identity6()
    model, data, grid = relu4.model(PRECISION), ps.as_data(x, y), np.linspace(-5, 5, 100)[:, None]
    exact = relu4.exact(x, y, PRECISION, grid)
    nuts = ps.NUTS(warmup=1000, draws=500, chains=1, max_depth=12) if fast else NUTS
    four = ps.NUTS(warmup=500, draws=500) if fast else ps.NUTS()
    settings = {
        "tempering": (TEMPERING, 1 if fast else KEYS),
        "nuts": (nuts, 2 if fast else 20),
        "nuts_of_4_chains": (four, 2 if fast else 20),
    }

    fits, errors = {}, {}
    for name, (method, count) in settings.items():
        keys = jax.random.split(key, count)
        fits[name] = [ps.fit(one, model, data, method) for one in keys]
        errors[name] = [relu4.errors(result, grid, exact) for result in fits[name]]
    plain = [*zip(fits["nuts"], errors["nuts"], strict=True)]
    plain += zip(fits["nuts_of_4_chains"], errors["nuts_of_4_chains"], strict=True)
    record = fits["tempering"][0].info["tempering"]

    def drawn(name: str, title: str) -> Drawing:
        found = ps.predict(jax.random.key(0), fits[name][0], grid)
        mean, sd = found.mean[:, 0], found.epistemic_sd[:, 0]
        bands = {
            "exact, 2 sd": (exact.mean - 2 * exact.sd, exact.mean + 2 * exact.sd),
            "drawn, 2 sd": (mean - 2 * sd, mean + 2 * sd),
        }

        def draw(ax: Any) -> Any:
            interval_band(grid, bands, mean=mean, functions=functions(fits[name][0], grid),
                          data=(x, y), title=title, ax=ax)  # fmt: skip
            ax.set_ylim(-15, 25)
            return ax

        return draw

    return Outcome(
        {
            "exact_share_of_negative_w0": exact.left,
            "exact_log_evidence": exact.log_evidence,
            "log_evidence_by_tempering": record["log_evidence"][-1],
            "its_standard_error": record["log_evidence_se"][-1],
            **{f"share_of_negative_w0_{n}": [left(one) for one in f] for n, f in fits.items()},
            **{f"rmse_{n}": [error.rmse for error in found] for n, found in errors.items()},
            **{f"sd_ratio_{n}": [error.sd_ratio for error in found] for n, found in errors.items()},
            **{f"verdict_{name}": str(found[0].verdict) for name, found in fits.items()},
        },
        {
            "tempering_is_right_from_every_key": not any(e.wrong for e in errors["tempering"]),
            "tempering_is_ok": all(one.verdict.status == "ok" for one in fits["tempering"]),
            "nuts_is_never_ok_when_wrong": not any(
                error.wrong and one.verdict.status == "ok" for one, error in plain
            ),
        },
        {
            "functions": [
                drawn("nuts", "NUTS, one chain"),
                drawn("nuts_of_4_chains", "NUTS, four chains"),
                drawn("tempering", "Parallel tempering"),
            ]
        },
    )  # fmt: skip

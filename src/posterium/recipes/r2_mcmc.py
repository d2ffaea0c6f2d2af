"""R2.mcmc: the network that predicts its noise, by NUTS at 32 + 32, and by a much longer run.

Noise sds of 0.01 beside weights that the data leave free make a posterior that is stiff and wide. A
chain of 32 + 32 has not arrived at it, and its verdict says so. Microcanonical chains that begin at
four modes do arrive, forget where they began, and predict almost as well as the true curve with its
true noise would (test NLL of that: -1.98). It takes them 2.4 million steps each after 200,000 of
warm-up, some 20 minutes on one core: an effective draw of the worst prediction costs 30,000
gradients. With the default error of the energy, and 40,000 steps of warm-up, which do not see how
far the weights reach, it was 70,000 in a run of 300,000 steps.
"""

from typing import Any

import jax
import numpy as np

import posterium as ps
from posterium.evaluate import mixing
from posterium.plots.regression import regression_band
from posterium.recipes import clusters
from posterium.recipes.r2_uncertainty import split
from posterium.recipes.runner import Drawing, Outcome, close, recipe

SUMMARY = "that network by NUTS at 32 + 32, which says that it is too short, and by a long run"
SHORT, SHORTER = ps.NUTS(warmup=32, draws=32), ps.NUTS(warmup=12, draws=12, chains=2)


def long(warmup: int, draws: int, thin: int) -> Any:
    """Return microcanonical chains that begin at four modes."""
    chains = ps.MCLMC(warmup=warmup, draws=draws, thin=thin, energy_variance=1e-2)
    return ps.StartFrom(chains, ps.Ensemble(ps.MAP(steps=3000), 4))


def mixed(result: ps.Fit, gradients: float) -> dict[str, Any]:
    """Return how far chains agree on predictions, and the log joint that each is at.

    `gradients` are those from one draw of a chain to the next.
    """
    record = result.info["sampling"]
    values = np.swapaxes(record["probe"], 0, 1)
    rhat, ess = mixing.rhat(values), np.fmin(mixing.ess_bulk(values), mixing.ess_tail(values))
    return {
        "rhat": np.nanmax(rhat),
        "median_rhat": np.nanmedian(rhat),
        "effective_draws": np.nanmin(ess),
        "gradients_an_effective_draw": gradients * record["log_joint"].size / np.nanmin(ess),
        "log_joint_by_chain": record["log_joint"].mean(axis=0),
        "verdict": str(result.verdict),
    }


def of_verdicts(fits: dict[str, ps.Fit], chains: dict[str, Any]) -> dict[str, bool]:
    """Demand that the short run is refused, and that no run is `ok` whose chains disagree."""
    ok = {name: fit.verdict.status == "ok" for name, fit in fits.items()}
    at = {name: of["log_joint_by_chain"] for name, of in chains.items()}
    return {
        "short_is_not_ok": not ok["short"],
        "short_has_not_arrived": max(at["short"]) < min(at["long"]),
        "none_is_ok_whose_chains_disagree": not any(
            ok[name] and of["rhat"] > 1.01 for name, of in chains.items()
        ),
    }


@recipe("R2.mcmc", SUMMARY, fast="2 chains of 12 + 12, and a long run of 3,000 steps")
def run(key: jax.Array, fast: bool) -> Outcome:
    """Hold verdicts against whether chains agree, and the long run against the clusters' noise."""
    model, data = clusters.network(ps.HeteroscedasticGaussian()), clusters.data()
    (x, y), grid, thin = clusters.test_set(), clusters.test_grid(), 10 if fast else 1000
    nuts = SHORTER if fast else SHORT
    methods = {
        "short": nuts,
        "long": long(2000, 100, thin) if fast else long(200_000, 2400, thin),
    }
    fits = {name: ps.fit(key, model, data, method) for name, method in methods.items()}
    gradients = {"short": fits["short"].info["sampling"]["n_steps"].mean(), "long": 2 * thin}
    chains = {name: mixed(fit, gradients[name]) for name, fit in fits.items()}
    scores = {name: clusters.scores(ps.predict(key, fit, x), y) for name, fit in fits.items()}
    found = {name: ps.predict(key, fit, grid) for name, fit in fits.items()}
    parts = split(found["long"], grid)
    noise = dict(zip(clusters.NOISE, parts["aleatoric"], strict=True))[clusters.NOISY]

    def drawn(name: str, title: str) -> Drawing:
        return lambda ax: regression_band(
            grid, found[name], data=(data.x, data.y), title=title, ax=ax
        )

    return Outcome(
        {
            **{f"{k}_{name}": v for name, of in chains.items() for k, v in of.items()},
            **{f"{k}_{name}": v for name, of in scores.items() for k, v in of.items()},
            **{f"{k}_long": v for k, v in parts.items()},
        },
        {
            **of_verdicts(fits, chains),
            "long_is_ok": None if fast else fits["long"].verdict.status == "ok",
            "long_nll_at_most_-1.85": None if fast else scores["long"]["nll"] <= -1.85,
            "long_noise_within_25_percent_where_it_is_0.25": close(noise, 0.25, 0.0625),
            "long_epistemic_beyond_at_least_3_times_inside": None
            if fast
            else min(parts["epistemic_beyond"]) >= 3 * max(parts["epistemic"]),
        },
        {
            "bands": [
                drawn("short", f"NUTS, {nuts.warmup} + {nuts.draws}"),
                drawn("long", "MCLMC from four modes"),
            ]
        },
    )  # fmt: skip

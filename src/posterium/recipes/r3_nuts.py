"""R3.nuts: the network of R3.advi by NUTS, the accurate and slower choice."""

import jax
import numpy as np

import posterium as ps
from posterium.datasets.reference import scaled_moons
from posterium.evaluate import mixing
from posterium.evaluate.draws import function_values
from posterium.plots.calibration import reliability
from posterium.recipes.r3_advi import network, surface
from posterium.recipes.runner import Outcome, close, recipe

SUMMARY = "the same 2-5-5-1 network by NUTS; chains must agree on rows held out"
NUTS, FEWER = ps.NUTS(), ps.NUTS(warmup=100, draws=100, chains=2, max_depth=7, modes=0)


@recipe("R3.nuts", SUMMARY, fast="2 chains of 100 draws after 100, instead of 4 of 1,000")
def run(key: jax.Array, fast: bool) -> Outcome:
    """Hold chains against one another on p(y = 1), and its test score against long runs."""
    (x, y), (x_test, y_test) = scaled_moons()
    result = ps.fit(key, network(), ps.as_data(x, y), FEWER if fast else NUTS)
    draws = result.posterior.size()
    predictive = ps.predict(key, result, x_test, draws=draws)
    each = np.exp(function_values(key, result, x_test, draws))[..., 0]
    rhat, ess = mixing.rhat(each).max(), mixing.ess_bulk(each).min()
    accuracy, nll = np.mean(predictive.label == y_test), -predictive.log_prob(y_test).mean()
    record = result.info["sampling"]
    return Outcome(
        {
            "rhat": rhat,
            "least_effective_draws": ess,
            "divergences": int(record["diverging"].sum()),
            "leapfrog_steps_a_draw": record["n_steps"].mean(),
            "accuracy": accuracy,
            "nll": nll,
            "verdict": str(result.verdict),
        },
        {
            "rhat_at_most_1.01": None if fast else rhat <= 1.01,
            "nll_0.117_within_0.002": None if fast else close(nll, 0.117, 0.002),
            "nll_at_most_0.125": nll <= 0.125,
            "accuracy_at_least_0.94": accuracy >= 0.94,
        },
        {
            "held_out": [
                lambda ax: surface(result, key, draws, ax, "NUTS, rows held out"),
                lambda ax: reliability(each.mean(axis=(0, 1)), y_test == 1, ax=ax,
                                       title="Rows held out"),
            ]
        },
    )  # fmt: skip

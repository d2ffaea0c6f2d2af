"""R3.draws: 5,000 draws from the approximation, and classes by their mean."""

import jax
import numpy as np

import posterium as ps
from posterium.datasets.reference import scaled_moons
from posterium.plots.calibration import reliability
from posterium.recipes.r3_advi import approximate, surface
from posterium.recipes.runner import Outcome, recipe, within_errors

SUMMARY = "5,000 draws from that approximation; classes of rows held out by their mean"


@recipe("R3.draws", SUMMARY, fast="6,000 iterations instead of 30,000, 1,000 draws")
def run(key: jax.Array, fast: bool) -> Outcome:
    """Score the mean of all draws, and hold two independent sets of them against each other."""
    draws = 1_000 if fast else 5_000
    fit_key, key, other = jax.random.split(key, 3)
    result = approximate(fit_key, fast)
    x, y = scaled_moons()[1]
    found = [ps.predict(k, result, x, draws=draws) for k in (key, other)]
    probability = [one.probs[:, 1] for one in found]
    each = np.concatenate([np.exp(c.log_probs[..., 1]) for c in found[0].components()], axis=1)
    error = np.sqrt(2 * each.var(axis=0, ddof=1) / draws)
    accuracy, nll = np.mean(found[0].label == y), -found[0].log_prob(y).mean()
    return Outcome(
        {
            "draws": draws,
            "accuracy": accuracy,
            "nll": nll,
            "largest_gap_of_two_sets": np.abs(probability[0] - probability[1]).max(),
            "mean_epistemic_share": (found[0].mutual_information / found[0].entropy).mean(),
        },
        {
            "accuracy_at_least_0.94": accuracy >= 0.94,
            "nll_at_most_0.14": nll <= 0.14,
            "two_sets_within_5_se": within_errors(probability[0], probability[1], error, 5.0),
        },
        {
            "held_out": [
                lambda ax: surface(result, key, 500, ax, "Mean of draws, rows held out"),
                lambda ax: reliability(probability[0], y == 1, ax=ax, title="Rows held out"),
            ]
        },
    )

"""R2.het: a network that predicts the noise as well as the mean, for each x."""

import jax
import numpy as np

import posterium as ps
from posterium.plots.regression import regression_band
from posterium.recipes import clusters
from posterium.recipes.runner import Outcome, recipe

SUMMARY = "SVI of a network with a mean and a noise head, on a curve with four noise levels"
POOLED = float(np.sqrt(np.mean(np.square(list(clusters.NOISE.values())))))
"""The one noise sd that fits all four clusters best."""


def one_noise(scale: float = POOLED) -> float:
    """Return the NLL in nats a row that no single noise sd can beat, even around the true curve."""
    return 0.5 * np.log(2 * np.pi * np.e * scale**2)


@recipe("R2.het", SUMMARY, fast="nothing")
def run(key: jax.Array, fast: bool) -> Outcome:
    """Compare predicted noise with that of the clusters, and the score with that of one noise."""
    model = clusters.network(ps.HeteroscedasticGaussian())
    method = clusters.svi()
    result = ps.fit(key, model, clusters.data(), method)
    x, y = clusters.test_set()
    predictive = ps.predict(key, result, x)
    scores = clusters.scores(predictive, y)
    noise = {
        ends: np.sqrt(predictive.aleatoric_var[clusters.inside(x, ends)].mean())
        for ends in clusters.NOISE
    }

    grid = clusters.test_grid()
    return Outcome(
        {
            **scores,
            "nll_of_the_best_single_noise": one_noise(),
            "noise_by_cluster": list(noise.values()),
            "verdict": str(result.verdict),
        },
        {
            "beats_any_single_noise": scores["nll"] <= one_noise() - 0.2,
            "cover90_between_0.88_and_0.99": 0.88 <= scores["cover90"] <= 0.99,
            "noisiest_cluster_has_most_noise": noise[clusters.NOISY] == max(noise.values()),
        },
        {
            "band": lambda ax: regression_band(
                grid, ps.predict(key, result, grid), data=(x, y), ax=ax,
                title="A noise for each x, rows of the test set",
            )
        },
    )  # fmt: skip

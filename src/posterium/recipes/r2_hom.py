"""R2.hom: the same body with one noise sd for all x, fixed or inferred with the weights."""

import jax

import posterium as ps
from posterium.plots.regression import regression_band
from posterium.recipes import clusters
from posterium.recipes.r2_het import POOLED, one_noise
from posterium.recipes.runner import Outcome, recipe

SUMMARY = "SVI with one noise sd from 1e-2, fixed and inferred, on a curve with four noise levels"
START = 1e-2


@recipe("R2.hom", SUMMARY, fast="1,000 epochs instead of 2,000")
def run(key: jax.Array, fast: bool) -> Outcome:
    """Fit both, and hold the inferred noise against the pooled noise of the clusters."""
    method = clusters.svi(clusters.FEWER if fast else clusters.EPOCHS)
    x, y = clusters.test_set()
    grid = clusters.test_grid()
    noise = {"fixed": START, "inferred": ps.learn(START, floor=1e-3)}
    fits = {
        name: ps.fit(key, clusters.network(ps.Gaussian(scale)), clusters.data(), method)
        for name, scale in noise.items()
    }
    scores = {name: clusters.scores(ps.predict(key, f, x), y) for name, f in fits.items()}
    inferred = float(fits["inferred"].model.likelihood.scale.value)

    def band(name: str, ax: object) -> object:
        return regression_band(
            grid, ps.predict(key, fits[name], grid), data=(x, y), ax=ax,
            title=f"One noise sd, {name}: {inferred if name == 'inferred' else START:.3g}",
        )  # fmt: skip

    return Outcome(
        {
            "inferred_noise": inferred,
            "pooled_noise": POOLED,
            "nll_of_the_best_single_noise": one_noise(),
            **{f"{k}_{name}": v for name, of in scores.items() for k, v in of.items()},
            "verdicts": [str(fit.verdict) for fit in fits.values()],
        },
        {
            "noise_within_15_percent_of_the_pooled": abs(inferred / POOLED - 1) <= 0.15,
            "score_near_the_best_of_one_noise": abs(scores["inferred"]["nll"] - one_noise()) <= 0.2,
            "fixed_noise_scores_worse": scores["fixed"]["nll"] > scores["inferred"]["nll"] + 1,
        },
        {"bands": [lambda ax, n=name: band(n, ax) for name in fits]},
    )

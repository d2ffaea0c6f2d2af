"""R2.hom: the same body with one noise sd for all x, fixed or inferred with the weights.

Both start at 1e-2. The first slopes are then some thousand times those of a good fit, and Adam
remembers them for longer than 2,000 epochs: without a clip the inferred noise stops at 0.04.
"""

import jax
import numpy as np

import posterium as ps
from posterium.plots.regression import regression_band
from posterium.recipes import clusters
from posterium.recipes.r2_het import one_noise
from posterium.recipes.runner import Outcome, recipe

SUMMARY = "SVI with one noise sd from 1e-2, fixed and inferred, on a curve with four noise levels"
START = 1e-2


@recipe("R2.hom", SUMMARY, fast="nothing")
def run(key: jax.Array, fast: bool) -> Outcome:
    """Fit both, and hold the inferred noise against residuals, and the noise in all rows.

    The bound is level in a free noise where its square is the mean of E[(y - f)^2] over the rows.
    """
    method = clusters.svi(clip=1.0)
    x, y = clusters.test_set()
    rows = clusters.data()
    pooled = np.sqrt(np.mean((rows.y - np.cos(rows.x)) ** 2))
    grid = clusters.test_grid()
    noise = {"fixed": START, "inferred": ps.learn(START, floor=1e-3)}
    fits = {
        name: ps.fit(key, clusters.network(ps.Gaussian(scale)), rows, method)
        for name, scale in noise.items()
    }
    scores = {name: clusters.scores(ps.predict(key, f, x), y) for name, f in fits.items()}
    at_rows = ps.predict(key, fits["inferred"], rows.x)
    implied = np.sqrt(np.mean((rows.y - at_rows.mean) ** 2 + at_rows.epistemic_var))
    inferred = float(fits["inferred"].model.likelihood.scale.value)

    def band(name: str, ax: object) -> object:
        return regression_band(
            grid, ps.predict(key, fits[name], grid), data=(x, y), ax=ax,
            title=f"One noise sd, {name}: {inferred if name == 'inferred' else START:.3g}",
        )  # fmt: skip

    return Outcome(
        {
            "inferred_noise": inferred,
            "noise_that_its_residuals_imply": implied,
            "pooled_noise": pooled,
            "nll_of_the_best_single_noise": one_noise(),
            **{f"{k}_{name}": v for name, of in scores.items() for k, v in of.items()},
            "verdicts": [str(fit.verdict) for fit in fits.values()],
        },
        {
            "noise_where_the_bound_is_level_in_it": abs(inferred / implied - 1) <= 0.05,
            "noise_up_to_30_percent_above_the_pooled": pooled <= inferred <= 1.3 * pooled,
            "score_near_the_best_of_one_noise": abs(scores["inferred"]["nll"] - one_noise()) <= 0.2,
            "fixed_noise_scores_worse": scores["fixed"]["nll"] > scores["inferred"]["nll"] + 1,
        },
        {"bands": [lambda ax, n=name: band(n, ax) for name in fits]},
    )

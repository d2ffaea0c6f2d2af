"""R1.more.ensembles: what six ensembles say in a gap of eight rows, against draws by NUTS.

Inputs and target are standardised; the noise sd of 1 is divided by the target's. The gap is the
middle between rows 5 and 6, the edge as far beyond the last row as the inputs are spread. Of eight
rows a bootstrap leaves out three on average, so that its members are not held to the rows.
"""

from typing import Any

import jax
import numpy as np

import posterium as ps
from posterium.datasets.reference import nonlinear8
from posterium.plots import style
from posterium.plots.regression import regression_band
from posterium.recipes.runner import Drawing, Outcome, recipe

SUMMARY = "deep, bootstrap, randomised-prior and snapshot ensembles, SWAG and multi-SWAG, by NUTS"
MEMBERS = 40
WORDS = {"nuts": "NUTS", "swag": "SWAG", "multi_swag": "multi-SWAG"}
"""How methods are called in figures, where not by their name."""


def methods(steps: int) -> dict[str, Any]:
    """Return what is compared, members trained for so many steps each."""
    mode = ps.MAP(steps=steps, learning_rate=0.02)
    swag = ps.SWAG(steps=steps, learning_rate=3e-3, batch_size=4, at=mode)
    return {
        "deep": ps.Ensemble(mode, MEMBERS),
        "bootstrap": ps.Ensemble(ps.Bootstrap(mode), MEMBERS),
        "randomised_prior": ps.Ensemble(ps.RandomisedPrior(mode), MEMBERS),
        "snapshot": ps.Snapshot(MEMBERS, steps // 4, learning_rate=0.05, batch_size=None),
        "swag": swag,
        "multi_swag": ps.Ensemble(swag, MEMBERS // 2),
    }


def word(name: str) -> str:
    """Return how a figure calls a method."""
    return WORDS.get(name, name.replace("_", " "))


def sds(places: np.ndarray, told: dict[str, np.ndarray]) -> Drawing:
    """Return what draws one line of epistemic sds over x for each method."""

    def draw(ax: Any) -> Any:
        for number, (name, values) in enumerate(told.items()):
            ax.plot(places, values, label=word(name), **style.line(number))
        ax.legend()
        return style.finish(ax, title="What is not known of f", xlabel="x", ylabel="epistemic sd")

    return draw


@recipe("R1.more.ensembles", SUMMARY, fast="half of the steps and draws")
def run(key: jax.Array, fast: bool) -> Outcome:
    """Fit every method on the same model, and compare epistemic sds with those of draws."""
    steps, draws = (1000, 500) if fast else (2000, 1000)
    x, y = nonlinear8()
    centre, spread = x.mean(), x.std()
    rows, noise = (x - centre) / spread, 1 / y.std()
    data = ps.as_data(rows, (y - y.mean()) / y.std())
    network = ps.MLP(hidden=(10,), activation="tanh")
    model = ps.Model(network, ps.Normal(1.0), ps.Gaussian(noise))
    nuts = ps.NUTS(warmup=draws, draws=draws)
    named = {"nuts": nuts, **methods(steps)}
    fits = {name: ps.fit(key, model, data, method) for name, method in named.items()}

    grid = np.linspace(-2.5, 2.5, 101)[:, None]
    gap, edge = rows[4:6, 0].mean(), rows[-1, 0] + 1
    at = np.concatenate([[[gap], [edge]], rows, grid])
    found = {name: ps.predict(key, fit, at) for name, fit in fits.items()}
    sd = {name: said.epistemic_sd[:, 0] for name, said in found.items()}
    ratio = {name: values[:2] / sd["nuts"][:2] for name, values in sd.items()}
    off = {
        name: np.abs(said.mean[2:10] - found["nuts"].mean[2:10]).max() / noise
        for name, said in found.items()
    }
    bands = {name: ps.predict(key, fit, grid) for name, fit in fits.items()}

    def band(name: str) -> Drawing:
        def draw(ax: Any) -> Any:
            regression_band(grid, bands[name], data=(data.x, data.y), ax=ax, title=word(name))
            ax.set_ylim(-3, 3)
            return ax

        return draw

    return Outcome(
        {
            **{f"sd_in_gap_and_at_edge_{name}": values[:2] for name, values in sd.items()},
            **{f"ratio_to_nuts_{name}": values for name, values in ratio.items()},
            **{f"mean_at_rows_off_nuts_in_noise_sds_{name}": value for name, value in off.items()},
            **{f"verdict_{name}": fit.verdict.status for name, fit in fits.items()},
        },
        {
            "nuts_converged": fits["nuts"].verdict.status != "failed",
            "randomised_priors_within_a_factor_of_1.5_of_nuts": bool(
                np.all(np.abs(np.log(ratio["randomised_prior"])) < np.log(1.5))
            ),
            "deep_ensemble_below_half_of_nuts_and_randomised_priors_in_gap": bool(
                sd["deep"][0] < 0.5 * min(sd["nuts"][0], sd["randomised_prior"][0])
            ),
            "swag_below_half_of_nuts_in_gap_and_at_edge": bool(np.all(ratio["swag"] < 0.5)),
            "multi_swag_wider_than_one": bool(np.all(sd["multi_swag"][:2] > sd["swag"][:2])),
            "means_at_rows_near_those_of_nuts": max(
                value for name, value in off.items() if name != "bootstrap"
            )
            < 1.5,
        },
        {
            "sds": sds(grid[:, 0], {name: values[10:] for name, values in sd.items()}),
            "bands": [band(name) for name in ("nuts", "randomised_prior", "deep")],
            "iterates": [band(name) for name in ("snapshot", "swag", "multi_swag")],
        },
    )

"""R0.mcdropout: a hidden layer of 50 units under dropout that stays on when predicting."""

from typing import Any

import jax
import numpy as np

import posterium as ps
from posterium.datasets.reference import moons
from posterium.plots.classification import decision_boundary
from posterium.recipes.r0_map import axes
from posterium.recipes.runner import Drawing, Outcome, recipe

SUMMARY = "MC dropout of a 2-50-1 network on two moons; the boundary without and with its masks"
RATE, EPOCHS, DRAWS = 0.5, 500, 500
TITLES = {
    "plug_in": "No masks",
    "mask_a_draw": "A mask for each draw",
    "mask_a_row": "A mask for each row",
}


@recipe("R0.mcdropout", SUMMARY, fast="nothing")
def run(key: jax.Array, fast: bool) -> Outcome:
    """Train as the source does, then average over masks: one a draw, and one a row."""
    x, y = moons()
    model = ps.Model(ps.MLP(hidden=(50,), dropout=RATE), ps.Flat(), ps.Bernoulli())
    training = ps.MLE(steps=EPOCHS, learning_rate=0.01, schedule="constant")
    data = ps.as_data(x, y)
    plug_in = ps.fit(key, model, data, training)
    shared = ps.fit(key, model, data, ps.MCDropout(training))
    apart = ps.fit(key, model, data, ps.MCDropout(training, masks="row"))
    fits = {"plug_in": plug_in, "mask_a_draw": shared, "mask_a_row": apart}
    said = {name: ps.predict(key, fit, x, draws=DRAWS) for name, fit in fits.items()}
    accuracy = {name: np.mean(one.label == y) for name, one in said.items()}
    nll = {name: -one.log_prob(y).mean() for name, one in said.items()}
    unsure = {name: one.mutual_information.mean() for name, one in said.items()}
    under = ("mask_a_draw", "mask_a_row")

    def boundary(name: str) -> Drawing:
        def draw(ax: Any) -> Any:
            first, second = (axis[::4] for axis in axes(x))
            grid = np.stack(np.meshgrid(first, second), axis=-1).reshape(-1, 2)
            surface = ps.predict(key, fits[name], grid, draws=DRAWS).probs[:, 1]
            return decision_boundary(
                first, second, surface.reshape(len(second), len(first)), data=(x, y), ax=ax,
                title=f"{TITLES[name]}: NLL {nll[name]:.4f}",
            )  # fmt: skip

        return draw

    return Outcome(
        {
            "accuracy": accuracy,
            "nll": nll,
            "mutual_information": unsure,
            "verdict": str(shared.verdict),
        },
        {f"accuracy_at_least_0.99_{name}": accuracy[name] >= 0.99 for name in under}
        | {f"nll_at_most_0.043_{name}": nll[name] <= 0.043 for name in under}
        | {
            "same_weights_as_plug_in": np.array_equal(_last(plug_in), _last(shared)),
            "no_doubt_without_masks": unsure["plug_in"] < 1e-6,
            "masks_leave_doubt": min(unsure[name] for name in under) > 1e-4,
        },
        {"boundaries": [boundary(name) for name in fits]},
    )


def _last(fit: ps.Fit) -> np.ndarray:
    """Return the last layer's weights."""
    return fit.posterior.mode().params["layers"][-1]["kernel"]

"""R0.vi-mlp: mean-field variational inference for a hidden layer of 50 units."""

from typing import Any

import jax
import numpy as np

import posterium as ps
from posterium.datasets.reference import moons
from posterium.plots.classification import decision_boundary
from posterium.plots.training import training_curve
from posterium.recipes import steps
from posterium.recipes.r0_map import axes
from posterium.recipes.r0_vi import START, mean_field
from posterium.recipes.runner import Drawing, Outcome, recipe

SUMMARY = "mean-field VI of a 2-50-1 network on two moons; its boundary every 500 epochs"
VARIANCE, EVERY = 100.0, 500


@recipe("R0.vi-mlp", SUMMARY, fast="2,000 epochs instead of 10,000")
def run(key: jax.Array, fast: bool) -> Outcome:
    """Watch the boundary every 500 epochs; demand what the source reaches after all of them."""
    x, y = moons()
    epochs = 2_000 if fast else 10_000
    method = ps.VI(
        steps=epochs, learning_rate=0.1, schedule="constant", init_scale=START, means="zero",
        point="*/bias",
    )  # fmt: skip
    model = mean_field((50,), VARIANCE)
    result = ps.fit(key, model, ps.as_data(x, y), steps.Watched(method))

    shown = range(EVERY, epochs + 1, EVERY)
    stages = [steps.after(result, epoch) for epoch in shown]
    at_data = [ps.predict(key, stage, x, draws=100) for stage in stages]
    accuracy = [np.mean(predictive.label == y) for predictive in at_data]
    nll = [-predictive.log_prob(y).mean() for predictive in at_data]
    ascent = result.info["ascent"]
    late = ascent["elbo"][-EVERY:].mean()

    def boundary(number: int) -> Drawing:
        def draw(ax: Any) -> Any:
            first, second = (axis[::4] for axis in axes(x))
            grid = np.stack(np.meshgrid(first, second), axis=-1).reshape(-1, 2)
            surface = ps.predict(key, stages[number], grid, draws=100).probs[:, 1]
            return decision_boundary(
                first, second, surface.reshape(len(second), len(first)), data=(x, y), ax=ax,
                title=f"Epoch {shown[number]:,}: NLL {nll[number]:.4f}",
            )  # fmt: skip

        return draw

    return Outcome(
        {
            "epochs": list(shown),
            "accuracy": accuracy,
            "nll": nll,
            "bound": late,
            "kl": ascent["kl"][-EVERY:].mean(),
            "verdict": str(result.verdict),
        },
        {
            "accuracy_is_1": None if fast else accuracy[-1] == 1.0,
            "nll_at_most_0.008": None if fast else nll[-1] <= 0.008,
            "accuracy_at_least_0.98": accuracy[-1] >= 0.98,
            "bound_rises": late > ascent["elbo"][:EVERY].mean(),
        },
        {
            "bound": lambda ax: training_curve(
                {"bound": ascent["elbo"], "log likelihood": ascent["log_likelihood"],
                 "-KL": -ascent["kl"]}, smooth=50, xlabel="epoch", ylabel="nats", ax=ax,
                title="Bound and its two terms",
            ),
            "boundaries": [boundary(n) for n in (0, len(shown) // 4, len(shown) - 1)],
        },
    )  # fmt: skip

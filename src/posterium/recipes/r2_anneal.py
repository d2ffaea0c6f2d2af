"""R2.anneal: the weight of the KL rises over the epochs, from 0 to 1."""

import jax
import numpy as np

import posterium as ps
from posterium.plots.training import training_curve
from posterium.recipes import clusters
from posterium.recipes.clusters import EPOCHS
from posterium.recipes.runner import Outcome, close, recipe

SUMMARY = "KL weight 0 for the first 5 % of epochs, then linear, 1 for the last 5 %; and without"
SHARE = 0.05


@recipe("R2.anneal", SUMMARY, fast="nothing")
def run(key: jax.Array, fast: bool) -> Outcome:
    """Hold the weights and the objective of every epoch against the schedule, by hand."""
    model, data = clusters.network(ps.HeteroscedasticGaussian()), clusters.data()
    x, y = clusters.test_set()
    schedules = {"annealed": ps.KLSchedule(SHARE, SHARE), "from_the_start": None}
    fits = {
        name: ps.fit(key, model, data, clusters.svi(kl_schedule=schedule))
        for name, schedule in schedules.items()
    }
    scores = {name: clusters.scores(ps.predict(key, f, x), y) for name, f in fits.items()}
    ascents = {name: fit.info["ascent"] for name, fit in fits.items()}

    record = ascents["annealed"]
    by_hand = np.clip((np.arange(EPOCHS) / EPOCHS - SHARE) / (1 - 2 * SHARE), 0, 1)
    objective = (record["log_likelihood"] - by_hand * record["kl"]) / len(data.x)
    size = 1 + np.abs(objective)
    return Outcome(
        {
            **{f"{k}_{name}": v for name, of in scores.items() for k, v in of.items()},
            **{f"bound_{n}": fit.info["assess"]["elbo"][-1] for n, fit in fits.items()},
            "verdicts": [str(fit.verdict) for fit in fits.values()],
        },
        {
            "weights_as_by_hand": close(record["kl_weight"], by_hand, 1e-5),
            "first_weights_are_0": not record["kl_weight"][: int(SHARE * EPOCHS)].any(),
            "last_weights_are_1": close(record["kl_weight"][1 - int(SHARE * EPOCHS) :], 1, 0),
            "objective_as_by_hand": close(record["objective"] / size, objective / size, 1e-4),
            "nll_at_most_-1": scores["annealed"]["nll"] <= -1.0,
        },
        {
            "weight": lambda ax: training_curve(
                {"annealed": record["kl_weight"]}, ylabel="weight of the KL", xlabel="epoch",
                title="The schedule", ax=ax,
            ),
            "bounds": lambda ax: training_curve(
                {name.replace("_", " "): ascent["elbo"][EPOCHS // 4 :]
                 for name, ascent in ascents.items()},
                smooth=20, ylabel="evidence lower bound (nats)", ax=ax,
                xlabel=f"epoch after the first {EPOCHS // 4}", title="The bound at full weight",
            ),
        },
    )  # fmt: skip

"""R2.log: losses, scores and figures to an experiment logger, while the fit runs.

There is no number to meet: the demands are on the log, by what it holds and when.
"""

import functools
import json
import tempfile
from pathlib import Path
from typing import Any

import jax
import numpy as np

import posterium as ps
from posterium.plots.training import training_curve
from posterium.recipes import clusters
from posterium.recipes.r2_plots import page, pixels, together
from posterium.recipes.runner import Outcome, close, recipe

SUMMARY = "losses, held-out scores and figures of that network, logged while it is fitted"
EVERY, DRAWN = 50, 250
"""Epochs from one row of the log to the next, and from one figure to the next."""
TERMS = ("objective", "log_likelihood", "kl", "kl_weight")


class Experiment:
    """A logger of one's own: rows go to a file of JSON lines, figures to PNG files beside it.

    Parameters
    ----------
    folder
        Where they go.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self._rows = folder, ps.JSONLLogger(folder / "log.jsonl")

    def log(self, values: dict[str, float], step: int) -> None:
        """Write a row."""
        self._rows.log(values, step)

    def figure(self, name: str, figure: Any, step: int) -> None:
        """Write a figure."""
        figure.savefig(self.folder / f"{name}-{step:05d}.png", dpi=100)

    def read(self) -> tuple[list[dict[str, float]], dict[int, np.ndarray]]:
        """Return the rows, and the pictures by step."""
        rows = map(json.loads, (self.folder / "log.jsonl").read_text().splitlines())
        pictures = sorted(self.folder.glob("live-*.png"))
        return list(rows), {int(p.stem[-5:]): pixels(p.read_bytes()) for p in pictures}


def held_out(fit: ps.Fit) -> dict[str, float]:
    """Return the scores of 400 rows of another seed."""
    x, y = clusters.test_set()
    scores = clusters.scores(ps.predict(jax.random.key(0), fit, x), y)
    return {f"held_out/{name}": float(value) for name, value in scores.items()}


@recipe("R2.log", SUMMARY, fast="500 epochs instead of 2,000")
def run(key: jax.Array, fast: bool) -> Outcome:
    """Hold the rows of the log against the record of the fit, and the fit against one unlogged."""
    model, data = clusters.network(ps.HeteroscedasticGaussian()), clusters.data()
    epochs = 500 if fast else clusters.EPOCHS
    method = clusters.svi(steps=epochs)
    with tempfile.TemporaryDirectory() as folder:
        experiment = Experiment(Path(folder))
        log = ps.Log(experiment, every=EVERY, metrics=held_out)
        live = ps.LivePlot(functools.partial(together, data), every=DRAWN, to=[experiment],
                           path=Path(folder) / "latest.png")  # fmt: skip
        fit = ps.fit(key, model, data, method, callbacks=[log, live])
        rows, pictures = experiment.read()
    unlogged = ps.fit(key, model, data, method)

    ascent, assess = fit.info["ascent"], fit.info["assess"]
    due = np.arange(EVERY, epochs + 1, EVERY)
    logged = {name: np.array([row[f"ascent/{name}"] for row in rows[: len(due)]]) for name in TERMS}
    at_the_end = held_out(fit)
    scores = {name: np.array([row[name] for row in rows[: len(due)]]) for name in at_the_end}
    return Outcome(
        {
            "rows": len(rows),
            "names": sorted({name for row in rows for name in row}),
            "pictures": len(pictures),
            **{f"last_{name}": values[-1] for name, values in scores.items()},
            "verdict": str(fit.verdict),
        },
        {
            "a_row_every_50_epochs": [row["step"] for row in rows[: len(due)]] == due.tolist(),
            **{f"{name}_as_recorded": close(logged[name], ascent[name][due - 1], 0)
               for name in TERMS},
            "assessment_as_recorded": close(
                [row["assess/elbo"] for row in rows[len(due) :]], assess["elbo"][-1], 0
            ),
            "last_scores_are_those_of_the_fit": all(
                close(scores[name][-1], value, 1e-6) for name, value in at_the_end.items()
            ),
            "a_picture_every_250_epochs":
                set(range(DRAWN, epochs + 1, DRAWN)) <= set(pictures),
            "logging_changes_no_bit": all(
                jax.tree.leaves(jax.tree.map(np.array_equal, fit.posterior, unlogged.posterior))
            ),
        },
        {
            "log": [
                lambda ax: training_curve(
                    {"negative bound": -logged["objective"],
                     "NLL held out": scores["held_out/nll"]},
                    ax=ax, title="What the log holds", ylabel="nats per row",
                    xlabel=f"row of the log, one every {EVERY} epochs",
                ),
                functools.partial(page, pictures[epochs], f"The figure logged at epoch {epochs:,}"),
            ]
        },
    )  # fmt: skip

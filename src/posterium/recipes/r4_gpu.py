"""R4.gpu: the fit of R4.bbb on a GPU, by the same code; skipped where JAX has none.

Only the key is put on the device: what is computed from it follows.
"""

import time

import jax
import numpy as np

import posterium as ps
from posterium.datasets.reference import cubic, cubic_curve
from posterium.driver.watch import Report
from posterium.plots.intervals import interval_band
from posterium.recipes.r4_bbb import EPOCHS, FEWER, NOISE, fitted
from posterium.recipes.runner import Outcome, Skipped, close, recipe

SUMMARY = "Bayes by backprop on a GPU by the same code, where there is one"
FIRST = 10
"""Epochs that must go as on the CPU."""


def gpu() -> jax.Device:
    """Return a GPU, or say that there is none."""
    try:
        return jax.devices("gpu")[0]
    except RuntimeError:
        found = ", ".join(sorted({device.platform for device in jax.devices()}))
        raise Skipped(
            f"JAX sees no GPU, only {found}. With a GPU in the machine, install JAX for it: "
            'pip install "jax[cuda13]".'
        ) from None


@recipe("R4.gpu", SUMMARY, fast="1,000 epochs instead of 5,000")
def run(key: jax.Array, fast: bool) -> Outcome:
    """Demand the curve as R4.bbb does, that the GPU computed it, and that it begins as on a CPU."""
    device, used = gpu(), set()

    def note(report: Report) -> None:
        leaves = jax.tree.leaves(report.state)
        used.update(*(leaf.devices() for leaf in leaves if isinstance(leaf, jax.Array)))

    began = time.perf_counter()
    there, noise = jax.device_put(key, device), ps.Gaussian(NOISE)
    result = fitted(there, noise, FEWER if fast else EPOCHS, callbacks=[note])
    seconds = time.perf_counter() - began
    here = fitted(jax.device_put(key, jax.devices("cpu")[0]), noise, FIRST)
    objectives = [fit.info["ascent"]["objective"][:FIRST] for fit in (result, here)]

    x, y = cubic()[1]
    found = ps.predict(there, result, x, draws=100)
    mean, half = found.mean, 2 * found.epistemic_sd
    rmse = np.sqrt(np.mean((mean[:, 0] - cubic_curve(x[:, 0])) ** 2))
    return Outcome(
        {
            "device": device.device_kind,
            "seconds_of_the_fit": seconds,
            "rmse_to_the_curve_validation": rmse,
            "verdict": str(result.verdict),
        },
        {
            "computed_on_the_gpu": used == {device},
            "first_epochs_as_on_the_cpu": close(objectives[0] / objectives[1], 1, 0.01),
            "rmse_validation_at_most_0.36": None if fast else rmse <= 0.36,
        },
        {
            "curve": lambda ax: interval_band(
                x, {"epistemic, 2 sd": (mean - half, mean + half)}, mean=mean, ax=ax,
                data=(x[::10], y[::10]), title=f"Fitted on {device.device_kind}",
            )
        },
    )  # fmt: skip

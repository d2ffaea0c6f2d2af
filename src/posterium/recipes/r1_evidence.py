"""R1.evidence: frequency scale and prior precision by the gradient of the log evidence."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import posterium as ps
from posterium.datasets.reference import nonlinear8
from posterium.plots.regression import regression_band
from posterium.plots.training import training_curve
from posterium.recipes.runner import Outcome, close, recipe

SUMMARY = "log evidence of affine and Fourier models; Adam on its gradient in (s, alpha) themselves"
START, STEPS, LONG = (2.0, 0.001), 1300, 20_000
PUBLISHED_AFFINE = -95.6734755


def model_of(features: Any, alpha: Any) -> ps.Model:
    """Return the linear model with these features and prior precision, and unit noise."""
    return ps.Model(ps.Linear(features), ps.Normal(alpha, scaling="none"), ps.Gaussian(1.0))


@recipe("R1.evidence", SUMMARY, fast="50 steps instead of 1300, and no run of 20,000 beside them")
def run(key: jax.Array, fast: bool) -> Outcome:
    """Check the gradient by differences, climb, and compare with a long run."""
    x, y = nonlinear8()
    data = ps.as_data(x, y)
    of_affine = ps.fit(key, model_of(ps.Affine(), 0.01), data, ps.Exact()).log_evidence
    started = model_of(ps.Fourier(300, ps.learn(START[0])), START[1])
    posterior = ps.fit(key, started, data, ps.Exact()).posterior
    adam = optax.adam(2e-3, b1=0.99, b2=0.999)

    def log_evidence(at: jax.Array) -> jax.Array:
        return posterior.log_evidence(model_of(ps.Fourier(300, at[0]), at[1]))

    def step(carry: Any, _: None) -> Any:
        at, memory = carry
        value, slope = jax.value_and_grad(log_evidence)(at)
        updates, memory = adam.update(-slope, memory)
        return (optax.apply_updates(at, updates), memory), (value, at, slope)

    with jax.enable_x64(True):
        start = jnp.array(START)
        begin, moves = (start, adam.init(start)), jnp.diag(jnp.array([1e-5, 1e-8]))
        length = 50 if fast else LONG
        found = jax.jit(lambda: jax.lax.scan(step, begin, None, length=length)[1])()
        path, values, slopes = map(np.asarray, found)
        two_sided = [log_evidence(start + move) - log_evidence(start - move) for move in moves]
        differences = np.array(two_sided) / np.array(2 * moves.sum(axis=1))

    last = min(STEPS, length - 1)
    tuned = ps.fit(
        key, model_of(ps.Fourier(300, values[last, 0]), values[last, 1]), data, ps.Exact()
    )
    grid = np.linspace(-4, 7, 111)[:, None]
    end = {} if fast else {"after 20,000 steps": path[-1]}
    return Outcome(
        {
            "log_evidence_affine": of_affine,
            "log_evidence_start": path[0],
            "log_evidence_end": path[last],
            "scale_and_alpha": values[last],
            "log_evidence_20000": None if fast else path[-1],
        },
        {
            "published_affine": close(of_affine, PUBLISHED_AFFINE, 1e-6),
            "gradient_equals_differences": close(slopes[0] / differences, 1, 1e-5),
            "evidence_of_the_end": close(tuned.log_evidence, path[last], 1e-6),
            "within_0.05_of_a_long_run": None if fast else close(path[last], path[-1], 0.05),
        },
        {
            "path": [
                lambda ax: training_curve(
                    {"s": values[: last + 1, 0], "1000 alpha": 1000 * values[: last + 1, 1]},
                    ylabel="value", title="Hyper-parameters of 300 Fourier features", ax=ax,
                ),
                lambda ax: training_curve(
                    {"log evidence": path[: last + 1]}, reference=end,
                    ylabel="log evidence (nats)", title="Evidence on nonlinear8", ax=ax,
                ),
            ],
            "band": lambda ax: regression_band(
                grid, ps.predict(key, tuned, grid), data=(x, y), ax=ax,
                title=f"At s = {values[last, 0]:.2f}, alpha = {values[last, 1]:.4f}",
            ),
        },
    )  # fmt: skip

"""R3.swap: other data under a fitted model, with no refit."""

import jax
import numpy as np

import posterium as ps
from posterium.datasets.reference import scaled_moons
from posterium.recipes.r3_advi import approximate, plane, surface
from posterium.recipes.runner import Outcome, recipe

SUMMARY = "one fit, its predictions at training rows, rows held out and a grid, with no refit"


@recipe("R3.swap", SUMMARY, fast="6,000 iterations instead of 30,000, 200 draws")
def run(key: jax.Array, fast: bool) -> Outcome:
    """Swap inputs under one fit; rows must not care which others they come with."""
    draws = 200 if fast else 1_000
    result = approximate(key, fast)
    before = jax.tree.map(np.array, result.posterior)
    (x, y), (x_test, y_test) = scaled_moons()
    places = {"train": x, "test": x_test, "grid": plane()[1]}
    found = {name: ps.predict(key, result, at, draws=draws) for name, at in places.items()}
    together = ps.predict(key, result, np.concatenate([*places.values()]), draws=draws).probs
    apart = np.concatenate([predictive.probs for predictive in found.values()])
    accuracy = {
        name: np.mean(found[name].label == labels)
        for name, labels in {"train": y, "test": y_test}.items()
    }
    unchanged = jax.tree.map(np.array_equal, before, result.posterior)
    return Outcome(
        {**{f"accuracy_{n}": v for n, v in accuracy.items()}, "rows": len(apart)},
        {
            **{f"accuracy_{n}_at_least_0.94": value >= 0.94 for n, value in accuracy.items()},
            "rows_have_the_same_answer_in_any_company": bool(np.array_equal(apart, together)),
            "the_fit_is_as_before": all(jax.tree.leaves(unchanged)),
        },
        {"grid": lambda ax: surface(result, key, 200, ax, "The fit at a grid")},
    )

"""The runner: recipes by id, their figures and gates as one record, their plots as files.

A recipe is one file of plain posterium. It declares its id, a line on what it does, and what
`fast` changes (steps or draws, never the model); it returns figures (numbers), gates (whether a
number is what it must be) and plots.
"""

import importlib
import itertools
import math
import multiprocessing
import pkgutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np

from posterium.driver import cache
from posterium.recipes.pictures import Drawing
from posterium.recipes.pictures import write as write_pictures


@dataclass(frozen=True)
class Outcome:
    """What a recipe found.

    Parameters
    ----------
    figures
        Numbers, or arrays of them, by name.
    gates
        Whether each demand is met; None where the full length is needed to tell.
    plots
        By name what draws on the `ax` given, or several that draw side by side.
    """

    figures: Mapping[str, Any]
    gates: Mapping[str, bool | None]
    plots: Mapping[str, Drawing | Sequence[Drawing]] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """A row of the reference systems.

    Parameters
    ----------
    id
        Its name there, such as ``R1.blr``.
    summary
        What it does, in a line.
    fast
        What `fast` changes, in a line.
    cook
        Called with a key and `fast`.
    """

    id: str
    summary: str
    fast: str
    cook: Callable[[jax.Array, bool], Outcome]


class Skipped(Exception):
    """A recipe cannot run here; the message says why."""


RECIPES: dict[str, Recipe] = {}


def recipe(id: str, summary: str, *, fast: str) -> Callable[[Any], Any]:
    """Register a function of (key, fast) as a recipe."""

    def register(cook: Callable[[jax.Array, bool], Outcome]) -> Any:
        RECIPES[id] = Recipe(id, summary, fast, cook)
        return cook

    return register


def registry() -> dict[str, Recipe]:
    """Return all recipes by id, in order; a file ``r1_*.py`` of this folder is one."""
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if module.name[0] == "r" and module.name[1:2].isdigit():
            importlib.import_module(f"{__package__}.{module.name}")
    return dict(sorted(RECIPES.items()))


def names() -> list[tuple[str, str]]:
    """Return id and summary of every recipe."""
    return [(one.id, f"{one.summary} (fast: {one.fast})") for one in registry().values()]


def under(name: str) -> list[str]:
    """Return the ids that a name stands for: its own, or those that go on after it and a point.

    So ``R1.more`` stands for all its parts, and ``R1`` for a whole system.

    Raises
    ------
    ValueError
        There is no such recipe.
    """
    found = [id for id in registry() if id == name or id.startswith(f"{name}.")]
    if not found:
        raise ValueError(
            f"Expected the id of a recipe, one of {', '.join(registry())}; got {name!r}."
        )
    return found


def run(
    id: str,
    out: str | Path | None = None,
    seed: int = 0,
    fast: bool = False,
    *,
    apart: bool = False,
) -> dict[str, Any]:
    """Run a recipe and judge what it found.

    Parameters
    ----------
    id
        One of `names()`.
    out
        Folder for the plots, made when missing; None draws none.
    seed
        Seed of its random key.
    fast
        Take the fewer steps or draws that the recipe names. The model stays.
    apart
        Draw panels as pictures of their own instead of side by side.

    Returns
    -------
    dict
        ``id``, ``figures``, ``gates`` and ``passed`` (over the gates that are not None), fit for
        JSON; ``pictures`` are the files in `out`. ``passed`` is None where ``skipped`` says why the
        recipe did not run.

    Raises
    ------
    ValueError
        There is no such recipe.
    """
    found = registry().get(id)
    if found is None:
        raise ValueError(
            f"Expected the id of a recipe, one of {', '.join(registry())}; got {id!r}. "
            "Several at a time: run_all."
        )
    try:
        outcome = found.cook(jax.random.key(seed), fast)
    except Skipped as reason:
        return {"id": id, "figures": {}, "gates": {}, "passed": None, "skipped": str(reason)}
    drawn = {} if out is None else {
        "pictures": write_pictures(id, outcome.plots, out, apart=apart)
    }  # fmt: skip
    return {"id": id, **_judged(id, outcome), **drawn}


def run_all(
    ids: Iterable[str] | None = None, *, jobs: int = 1, **options: Any
) -> Iterator[dict[str, Any]]:
    """Run recipes, in their order; one that raises an error does not stop the others.

    Parameters
    ----------
    ids
        Which, None for all.
    jobs
        In so many processes beside this one, or in this one if 1.
    options
        Those of `run`.

    Yields
    ------
    dict
        What `run` returns, with the ``seconds`` that it took. A recipe that raised is not passed,
        and its ``error`` says why.
    """
    chosen = list(registry() if ids is None else ids)
    if jobs == 1:
        yield from (_attempt(id, options) for id in chosen)
        return
    folder = jax.config.values["jax_compilation_cache_dir"]
    begin = (cache.enable_compilation_cache, (folder,)) if folder else (None, ())
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), *begin) as pool:
        yield from pool.map(_attempt, chosen, itertools.repeat(options))


def _attempt(id: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Run a recipe, with an error as what came out."""
    began = time.perf_counter()
    try:
        result = run(id, **options)
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        result = {"id": id, "figures": {}, "gates": {}, "passed": False, "error": text}
    return result | {"seconds": round(time.perf_counter() - began, 2)}


def _judged(id: str, outcome: Outcome) -> dict[str, Any]:
    gates = {name: None if met is None else bool(met) for name, met in outcome.gates.items()}
    decided = [met for met in gates.values() if met is not None]
    if not decided:
        raise ValueError(f"Recipe {id} must decide at least one gate, under fast too; got none.")
    figures = {name: plain(value) for name, value in outcome.figures.items()}
    return {"figures": figures, "gates": gates, "passed": all(decided)}


def plain(value: Any) -> Any:
    """Return numbers and arrays as JSON can hold them; None for what is not finite."""
    if isinstance(value, str | bool | int):
        return value
    nested = np.asarray(value).tolist()
    if isinstance(nested, list):
        return [plain(one) for one in nested]
    return nested if not isinstance(nested, float) or math.isfinite(nested) else None


def close(found: Any, expected: Any, tolerance: float) -> bool:
    """Say whether numbers differ by at most so much, each; what is not a number does not."""
    return bool(np.all(np.abs(np.asarray(found) - np.asarray(expected)) <= tolerance))


def within_errors(found: Any, exact: Any, error: Any, errors: float = 4.0) -> bool:
    """Say whether Monte Carlo estimates lie within so many standard errors of the exact values."""
    return close((np.asarray(found) - np.asarray(exact)) / np.asarray(error), 0.0, errors)


def moment_gates(sampled: Any, exact: Any, draws: int) -> dict[str, bool]:
    """Demand that mean and epistemic variance from draws are within 4 standard errors of exact.

    Exact for a Gaussian over functions: the variance of a mean is variance / draws, that of a
    variance 2 variance^2 / (draws - 1).
    """
    variance = exact.epistemic_var
    mean_error, variance_error = np.sqrt(variance / draws), variance * np.sqrt(2 / (draws - 1))
    return {
        "mean_within_4_se": within_errors(sampled.mean, exact.mean, mean_error),
        "variance_within_4_se": within_errors(sampled.epistemic_var, variance, variance_error),
    }

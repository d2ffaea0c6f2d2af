"""`posterium recipe`: textbook computations with known answers."""

import json
from typing import Any

from posterium import recipes
from posterium.cli import files, options
from posterium.cli.messages import DONE, FAILED
from posterium.driver.cache import enable_compilation_cache
from posterium.tables.errors import UserError, listing, plain, quote

WORDS = {True: "passed", False: "failed", None: "skipped"}
"""What came of a recipe, by its `passed`."""
MOST_JOBS = 64


def show() -> int:
    """List the recipes; return the exit status."""
    known = recipes.names()
    width = max(len(name) for name, _ in known)
    for name, summary in known:
        print(f"{name:<{width}}  {summary}")
    return DONE


def run(name: str | None, *, every: bool, out: str | None, seed: str, fast: bool, jobs: str) -> int:
    """Run one recipe or several, with JSON on the last line; return the exit status.

    Before it, several print a line each as they end.
    """
    ids = _chosen(name, every)
    number, several = options.seed(seed), options.whole("--jobs", jobs, 1, MOST_JOBS)
    files.check_folder("--out", out)
    enable_compilation_cache()
    asked: dict[str, Any] = {"out": out, "seed": number, "fast": fast}
    result = recipes.run(ids[0], **asked) if ids == [name] else _all(ids, several, asked)
    print(json.dumps(files.finite(result), allow_nan=False), flush=True)
    return FAILED if result["passed"] is False else DONE


def _chosen(name: str | None, every: bool) -> list[str]:
    """Return the ids that are asked for, or refuse what is asked."""
    known = [one for one, _ in recipes.names()]
    if every and name is None:
        return known
    if every or name is None:
        both = f"{quote(name)} and --all" if name else "neither"
        raise UserError(f"Expected the id of a recipe or --all; got {both}.", "Give one of them.")
    try:
        return recipes.under(name)
    except ValueError:
        raise UserError(
            f"There is no recipe {quote(name)}.", f"Choose one of {listing(known, len(known))}."
        ) from None


def _all(ids: list[str], jobs: int, asked: dict[str, Any]) -> dict[str, Any]:
    """Run recipes, print a line about each, and return all that came out."""
    width, results = max(map(len, ids)), []
    for result in recipes.run_all(ids, jobs=jobs, **asked):
        results.append(result)
        line = f"{result['id']:<{width}}  {_word(result):<7}  {result['seconds']:6.1f} s  "
        print(f"{line}{plain(_why(result))}".rstrip(), flush=True)
    counts = {word: sum(_word(one) == word for one in results) for word in WORDS.values()}
    return {
        "passed": not counts["failed"],
        "counts": counts,
        "seconds": round(sum(one["seconds"] for one in results), 2),
        "recipes": results,
    }


def _word(result: dict[str, Any]) -> str:
    return WORDS[result["passed"]]


def _why(result: dict[str, Any]) -> str:
    """Return what is to be said of a recipe that did not pass."""
    missed = [gate for gate, met in result["gates"].items() if met is False]
    return result.get("skipped") or result.get("error") or ", ".join(missed)

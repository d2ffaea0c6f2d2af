"""`posterium recipe`: textbook computations with known answers."""

import json
from typing import Any

from posterium import recipes
from posterium.cli import files, options
from posterium.cli.messages import DONE, FAILED
from posterium.driver.cache import enable_compilation_cache
from posterium.tables.errors import UserError, listing, quote


def show() -> int:
    """List the recipes; return the exit status."""
    known = recipes.names()
    width = max(len(name) for name, _ in known)
    for name, summary in known:
        print(f"{name:<{width}}  {summary}")
    return DONE


def run(name: str, *, out: str | None, seed: str, fast: bool) -> int:
    """Run a recipe, print what came out as JSON on the last line; return the exit status."""
    known = [one for one, _ in recipes.names()]
    if name not in known:
        raise UserError(
            f"There is no recipe {quote(name)}.", f"Choose one of {listing(known, len(known))}."
        )
    number = options.seed(seed)
    files.check_folder("--out", out)
    enable_compilation_cache()
    result: dict[str, Any] = recipes.run(name, out=out, seed=number, fast=fast)
    print(json.dumps(files.finite(result), allow_nan=False), flush=True)
    return FAILED if result["passed"] is False else DONE

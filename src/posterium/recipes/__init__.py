"""Every row of the reference systems as a recipe that runs and judges itself."""

from posterium.recipes.runner import names, run, run_all, under

__all__ = ["names", "run", "run_all", "under"]

"""Load: a model file back into what was saved, whatever part of the library wrote it.

A file names records by their class; this module imports every module that declares one.
"""

from posterium.combinators import resolve
from posterium.evaluate.recalibration import isotonic, split, temperature, variance
from posterium.posterior.store import load
from posterium.tables import encode, fitted

__all__ = [
    "encode", "fitted", "isotonic", "load", "resolve", "split", "temperature", "variance",
]  # fmt: skip

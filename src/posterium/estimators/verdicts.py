"""The verdict of a fit as scikit-learn's users meet it: a warning or an exception."""

import warnings

from sklearn import exceptions

from posterium.posterior.fit import Fit


class ConvergenceWarning(exceptions.ConvergenceWarning):
    """A fit whose verdict is ``warned``: it is usable, with the reservation stated."""


class FitFailed(RuntimeError):
    """A fit whose verdict is ``failed``."""


def announce(result: Fit, stacklevel: int) -> None:
    """Warn of a doubtful fit, raise for a failed one."""
    if result.verdict.status == "failed":
        raise FitFailed(str(result.verdict))
    if result.verdict.status == "warned":
        warnings.warn(str(result.verdict), ConvergenceWarning, stacklevel=stacklevel + 1)

"""The protocol of loggers, and the callback that feeds them.

A row is a dictionary of numbers at a step. Steps count over all phases of a fit, and names carry
the phase, as in ``ascent/objective``. Rows depend on what the steps recorded alone, never on
chunks: a fit that was stopped and resumed logs what an uninterrupted one does.
"""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from posterium.driver.tally import Tally, values
from posterium.driver.watch import Callback, Report, check_every, every_of
from posterium.posterior.fit import Fit

ROWS = 500
"""Rows of a phase at most, when not told."""
TIMES = 10
"""Times that effective draws are taken in a phase."""


@runtime_checkable
class Logger(Protocol):
    """Where numbers go: any object with this method.

    It may have two more: ``figure(name, figure, step)``, which takes a figure of matplotlib, and
    ``close()``, called when the fit is over. Steps go up, but where another fit begins, or one that
    was stopped goes on from an earlier step: then what was logged from there on is void.
    """

    def log(self, values: dict[str, float], step: int) -> None:
        """Take numbers by name at a step."""
        ...


class Log:
    """A callback that writes what a fit records to a logger, samplers included.

    Of every phase: the objective per row, its two terms in nats (of variational methods the
    expected log likelihood and the KL divergence), and all other numbers of a step, averaged over
    members or chains; of samplers also the acceptance rate and the divergences so far, and ten
    times a phase the effective draws so far, `ess`. Among the callbacks of `fit` a logger alone
    is taken as ``Log(logger)``.

    Parameters
    ----------
    to
        The logger: one of posterium's, or any object with a method `log(values, step)`.
    every
        Steps of a phase from one row to the next; the last of all its steps has a row too. None:
        as many as make at most 500 rows.
    metrics
        Called at every row with the `Fit` as it stands, it returns further numbers by name, such
        as a score of held-out rows. `every` must be given with it.

    Raises
    ------
    TypeError
        When `to` has no method `log`.
    ValueError
        When `every` is not a whole number of at least 1, or is left out beside `metrics`.

    Examples
    --------
    >>> import jax, numpy as np
    >>> from posterium import MAP, MLP, Gaussian, Log, Model, Normal, as_data, fit
    >>> class Printer:
    ...     def log(self, values, step):
    ...         print(step, *values)
    >>> x = np.linspace(-1, 1, 20)[:, None]
    >>> model = Model(MLP(hidden=(8,)), Normal(), Gaussian(0.1))
    >>> found = fit(
    ...     jax.random.key(0), model, as_data(x, x**2), MAP(steps=50),
    ...     callbacks=[Log(Printer(), every=50)],
    ... )
    50 descent/objective descent/log_prior descent/log_likelihood
    """

    def __init__(
        self,
        to: Logger,
        *,
        every: int | None = None,
        metrics: Callable[[Fit], dict[str, float]] | None = None,
    ) -> None:
        if not callable(getattr(to, "log", None)):
            raise TypeError(
                f"Log expects a logger, an object with log(values, step); got {to!r}. Use "
                "JSONLLogger('run.jsonl'), or give your object that method."
            )
        if metrics is not None and every is None:
            raise ValueError(
                "Log expects every= beside metrics=: the steps after which they are taken, such as "
                "every=100."
            )
        check_every(every)
        if metrics is not None:
            self.every = every
        self._to, self._apart, self._metrics = to, every, metrics
        self._tally = Tally()

    def __call__(self, report: Report) -> None:
        """Write the rows of a chunk."""
        self._tally.add(report)
        apart = self._apart or -(-report.steps // ROWS)
        for step in range(report.first + 1, report.step + 1):
            if step % apart == 0 or step == report.steps:
                row = self._row(report, step, apart)
                self._to.log(row, report.before + step)

    def _row(self, report: Report, step: int, apart: int) -> dict[str, float]:
        """Return what is logged of a step."""
        row = values(report.info, step - report.first - 1) | self._tally.rates(step)
        between = -(-report.steps // TIMES)
        if step // between > (step - apart) // between or step == report.steps:
            row |= self._tally.effective(step)
        row = {f"{report.phase}/{name}": value for name, value in row.items()}
        if self._metrics is not None and (found := report.fit()) is not None:
            row |= {name: float(value) for name, value in self._metrics(found).items()}
        return row

    def close(self) -> None:
        """Tell the logger that the fit is over."""
        close: Any = getattr(self._to, "close", None)
        if close is not None:
            close()


def as_callback(given: Any) -> Callback:
    """Return a callback as it is, and a logger as one that feeds it.

    Raises
    ------
    TypeError
        For anything else.
    """
    if callable(given):
        check_every(every_of(given))
        return given
    if isinstance(given, Logger):
        return Log(given)
    raise TypeError(
        "callbacks must be functions of a report, or loggers with log(values, step); got "
        f"{given!r}. Give a list of them, as in callbacks=[JSONLLogger('run.jsonl')]."
    )

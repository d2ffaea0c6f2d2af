"""A logger to MLflow."""

import time
from typing import Any


class MLflowLogger:
    """A logger to a run of MLflow, with figures.

    Steps that the run has already, as after a resumed fit, are left as they are.

    Parameters
    ----------
    run
        What `mlflow.start_run` returned, or the id of a run; it is left open. None: the active run
        if there is one, or else one of its own, which begins with the first row and ends with the
        fit.
    **settings
        Arguments of `mlflow.start_run` for a run of its own, such as ``run_name="moons"``.

    Raises
    ------
    ImportError
        When mlflow is not installed.
    """

    def __init__(self, run: Any = None, **settings: Any) -> None:
        try:
            import mlflow
        except ImportError as error:
            raise ImportError(
                "MLflowLogger needs mlflow, which is not installed. Install the extra: "
                'pip install "posterium[loggers]".'
            ) from error
        self._mlflow, self._settings, self._own = mlflow, settings, False
        self._id: str | None = run if isinstance(run, str) or run is None else run.info.run_id
        self._client = mlflow.MlflowClient()
        self._last: dict[str, int] = {}

    def log(self, values: dict[str, float], step: int) -> None:
        """Send numbers by name at a step."""
        run, now = self._begun(), int(1000 * time.time())
        metric = self._mlflow.entities.Metric
        new = [
            metric(name, float(value), now, step)
            for name, value in values.items()
            if step > self._known(run, name)
        ]
        self._last |= {sent.key: step for sent in new}
        self._client.log_batch(run, metrics=new)

    def figure(self, name: str, figure: Any, step: int) -> None:
        """Send a figure of matplotlib, as ``<name>/<step>.png``."""
        self._client.log_figure(self._begun(), figure, f"{name}/{step:08d}.png")

    def close(self) -> None:
        """End a run of its own."""
        if self._own:
            self._mlflow.end_run()
            self._id, self._own, self._last = None, False, {}

    def _begun(self) -> str:
        """Return the id of the run."""
        if self._id is None:
            active = self._mlflow.active_run()
            self._own = active is None
            run = self._mlflow.start_run(**self._settings) if active is None else active
            self._id = run.info.run_id
        return self._id

    def _known(self, run: str, name: str) -> int:
        """Return the last step at which the run has a number, -1 for none."""
        if name not in self._last:
            history = self._client.get_metric_history(run, name)
            self._last[name] = max((metric.step for metric in history), default=-1)
        return self._last[name]

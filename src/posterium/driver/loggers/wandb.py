"""A logger to Weights & Biases."""

import io
from typing import Any


class WandbLogger:
    """A logger to a run of Weights & Biases, with figures.

    Steps that the run has already, as after a resumed fit, are left as they are.

    Parameters
    ----------
    run
        What `wandb.init` returned; it is left open. None: a run of its own is begun with the first
        row, and finished with the fit.
    **settings
        Arguments of `wandb.init` for a run of its own, such as ``project="moons"``.

    Raises
    ------
    ImportError
        When wandb is not installed.
    ValueError
        When settings are given beside a run.
    """

    def __init__(self, run: Any = None, **settings: Any) -> None:
        try:
            import wandb
        except ImportError as error:
            raise ImportError(
                "WandbLogger needs wandb, which is not installed. Install the extra: "
                'pip install "posterium[loggers]".'
            ) from error
        if run is not None and settings:
            raise ValueError(
                f"WandbLogger expects a run, or settings for one of its own; got both, {settings}. "
                "Leave one out."
            )
        self._wandb, self._run, self._settings, self._own = wandb, run, settings, run is None

    def log(self, values: dict[str, Any], step: int) -> None:
        """Send numbers by name at a step."""
        if self._run is None:
            self._run = self._wandb.init(**self._settings)
        if step >= self._run.step:
            self._run.log(values, step=step)

    def figure(self, name: str, figure: Any, step: int) -> None:
        """Send a figure of matplotlib."""
        from PIL import Image

        held = io.BytesIO()
        figure.savefig(held, format="png")
        self.log({name: self._wandb.Image(Image.open(held))}, step)

    def close(self) -> None:
        """Finish a run of its own."""
        if self._own and self._run is not None:
            self._run.finish()
            self._run = None

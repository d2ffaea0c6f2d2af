"""Figures of a fit while it runs: refreshed in a notebook, a rewritten PNG, or an animation."""

import base64
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from posterium.driver.watch import Report, check_every
from posterium.model.data import Data
from posterium.plots import style
from posterium.plots.classification import decision_boundary, probability_curve
from posterium.plots.regression import regression_band
from posterium.plots.training import training_curve
from posterium.posterior.container import replace_file
from posterium.posterior.fit import Fit
from posterium.posterior.predict import predict

Draw = Callable[[Any, Fit], Any]

DEFAULT = "live.png"
SIZE = (6.0, 4.0)
DPI = 100
MARGIN = 0.5
"""How far beyond the data predictions are drawn, in widths of the data's range."""
POINTS, SIDE = 200, 60
"""Inputs along a curve, and along each side of a plane."""
TERMS = ("objective", "log_joint")
"""Records that make a training curve."""
POINTS_OF_CURVE = 500
"""Points of a training curve at most: each is the mean of so many steps that this is kept."""
MOST_FRAMES = 300


class Frames:
    """What live figures and animations share: when a figure is drawn, and how.

    Parameters are those of `LivePlot`.
    """

    def __init__(self, draw: Draw | None, every: int, size: tuple[float, float]) -> None:
        style.pyplot()
        check_every(every)
        self.every = every
        self._draw, self._size = draw, size

    def figure(self, report: Report) -> Any:
        """Return a new figure of a fit as it stands, or None where there is nothing to draw yet.

        It is titled by phase and step, unless what draws it sets a title.
        """
        figure = style.figure(*self._size)
        ax = figure.subplots()
        if self._draw is None:
            drawn = draw_present(ax, report)
        else:
            drawn = (fit := report.fit()) is not None
            if drawn:
                self._draw(ax, fit)
        if not drawn:
            return None
        if not any(axes.get_title() for axes in figure.axes):
            title = f"{report.phase.replace('_', ' ')}: step {report.step:,} of {report.steps:,}"
            figure.axes[0].set_title(title, fontsize="medium")
        return figure


class LivePlot(Frames):
    """A callback that draws the fit as it stands, again and again while it runs.

    In a notebook the figure is refreshed in place; elsewhere a PNG is rewritten, whole at any
    moment, which image viewers show anew.

    Parameters
    ----------
    draw
        Called with axes and the `Fit` as it stands, it draws what you like; not called while there
        is no posterior yet. None: predictions over the one input of a regression, or of two
        classes; their boundary over two inputs; and for all else the objective (of samplers the log
        joint) over the steps.
    every
        Steps of a phase (draws of a sampler, full-batch epochs) from one figure to the next; each
        phase has one at its end.
    path
        The PNG to rewrite. None: ``live.png`` outside of notebooks, and none inside.
    to
        Loggers that get each figure too, under the name ``live``: those with a method `figure`.
    size
        Of the figure in inches, at 100 dots each.

    Raises
    ------
    ImportError
        When matplotlib is not installed.
    ValueError
        When `every` is not a whole number of at least 1.
    TypeError
        When a logger takes no figures.

    Notes
    -----
    Figures cost time, a tenth of a second or more each, and change nothing else: the fit has the
    same bits with them and without.
    """

    def __init__(
        self,
        draw: Draw | None = None,
        *,
        every: int = 50,
        path: str | os.PathLike[str] | None = None,
        to: Sequence[Any] = (),
        size: tuple[float, float] = SIZE,
    ) -> None:
        super().__init__(draw, every, size)
        for logger in to:
            if not callable(getattr(logger, "figure", None)):
                raise TypeError(
                    "LivePlot expects loggers with figure(name, figure, step); got "
                    f"{logger!r}. Use TensorBoardLogger, WandbLogger or MLflowLogger."
                )
        self._display = notebook_display()
        self._path = path if path is not None or self._display else DEFAULT
        self._to, self._handle = to, None

    def __call__(self, report: Report) -> None:
        """Draw the figure anew."""
        figure = self.figure(report)
        if figure is None:
            return
        png = png_of(figure)
        if self._path is not None:
            replace_file(self._path, [png])
        if self._display is not None:
            self._show(png)
        for logger in self._to:
            logger.figure("live", figure, report.global_step)

    def close(self) -> None:
        """Leave the last figure as it is; another fit gets one of its own."""
        self._handle = None

    def _show(self, png: bytes) -> None:
        """Show a picture in place of the one before it."""
        from IPython.display import Image

        picture = Image(data=png, format="png")
        if self._handle is None:
            self._handle = self._display(picture, display_id=True)
        else:
            self._handle.update(picture)


class Animation(Frames):
    """A callback that films the fit and writes it as a GIF, or as an MP4 where ffmpeg is present.

    The file is written when the fit is over, or was interrupted; a resumed fit is filmed from where
    it goes on. Frames are held in memory as PNG, some 20 kB each and at most 300: whenever there
    are as many, every other one is dropped and the distance between them doubled.

    Parameters
    ----------
    path
        The file, ending in ``.gif`` or ``.mp4``.
    draw
        As of `LivePlot`.
    every
        Steps of a phase from one frame to the next.
    fps
        Frames a second.
    size
        Of a frame in inches, at 100 dots each.

    Raises
    ------
    ImportError
        When matplotlib is not installed.
    ValueError
        When the file ends in anything else, or a number is not usable.
    RuntimeError
        For an MP4 without ffmpeg, and, when the file is written, where ffmpeg fails.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        draw: Draw | None = None,
        *,
        every: int = 50,
        fps: float = 10,
        size: tuple[float, float] = SIZE,
    ) -> None:
        super().__init__(draw, every, size)
        self._path, self._fps = Path(path), fps
        kind = self._path.suffix.lower()
        if kind not in (".gif", ".mp4"):
            raise ValueError(
                f"path must end in .gif or .mp4; got {str(path)!r}. GIF needs nothing more, MP4 "
                "needs ffmpeg."
            )
        if not 0 < fps <= 100:
            raise ValueError(f"fps must be above 0 and at most 100; got {fps}.")
        if kind == ".mp4" and shutil.which("ffmpeg") is None:
            raise RuntimeError(
                "An MP4 needs ffmpeg, which is not found on the PATH. Install it, or write a GIF: "
                f"{str(self._path.with_suffix('.gif'))!r}."
            )
        self._write = write_gif if kind == ".gif" else write_mp4
        self._frames: list[bytes] = []
        self._apart, self._seen = 1, 0

    def __call__(self, report: Report) -> None:
        """Take a frame."""
        self._seen += 1
        if (self._seen - 1) % self._apart and report.step != report.steps:
            return
        figure = self.figure(report)
        if figure is None:
            return
        self._frames.append(png_of(figure))
        if len(self._frames) > MOST_FRAMES:
            self._frames = self._frames[::2]
            self._apart *= 2

    def close(self) -> None:
        """Write the file, if there is a frame."""
        if self._frames:
            self._write(self._path, self._frames, self._fps)
        self._frames, self._apart, self._seen = [], 1, 0

    def _repr_html_(self) -> str | None:
        """Return the film that was written, for a notebook to show."""
        if not self._path.exists():
            return None
        kind = self._path.suffix.lower().removeprefix(".")
        content = base64.b64encode(self._path.read_bytes()).decode()
        if kind == "gif":
            return f'<img alt="The fit, step by step" src="data:image/gif;base64,{content}">'
        return f'<video controls loop src="data:video/mp4;base64,{content}"></video>'


def draw_present(ax: Any, report: Report) -> bool:
    """Draw what suits the data and the fit as it stands; say whether there was anything to draw.

    Parameters
    ----------
    ax
        Matplotlib axes.
    report
        What a callback got.
    """
    data = report.data
    if isinstance(data, Data) and (draw := _drawer(data)) is not None:
        fit = report.fit()
        if fit is not None:
            draw(ax, fit, data)
            return True
    record = report.record()
    name = next((name for name in TERMS if len(record.get(name, ()))), None)
    if name is None:
        return False
    values = record[name].reshape(len(record[name]), -1)
    values = np.where(np.isfinite(values), values, np.nan)
    label = "objective per row (nats)" if name == "objective" else "log joint (nats)"
    training_curve({name: values}, smooth=-(-len(values) // POINTS_OF_CURVE), ax=ax, ylabel=label)
    ax.get_legend().remove()
    return True


def _drawer(data: Data) -> Callable[[Any, Fit, Data], None] | None:
    """Return what draws predictions for such data, or None where there is no picture of them."""
    inputs = data.x.shape[1] if data.x.ndim == 2 else 0
    if np.issubdtype(data.y.dtype, np.floating):
        return _draw_band if inputs == 1 and data.y.shape[1] == 1 else None
    if np.max(data.y) > 1:
        return None
    return {1: _draw_curve, 2: _draw_boundary}.get(inputs)


def _draw_band(ax: Any, fit: Fit, data: Data) -> None:
    """Draw the predictive over one input, whose scale is that of the data throughout."""
    x = _around(data.x[:, 0], POINTS)
    found = _predicted(fit, x[:, None])
    regression_band(x, found, data=(data.x, data.y), ax=ax)
    low, high = data.y.min(), data.y.max()
    ax.set_ylim(low - MARGIN * (high - low or 1), high + MARGIN * (high - low or 1))


def _draw_curve(ax: Any, fit: Fit, data: Data) -> None:
    """Draw the probability of class 1 over one input."""
    x = _around(data.x[:, 0], POINTS)
    found = _predicted(fit, x[:, None])
    probability_curve(x, {"P(y = 1)": found.probs[:, 1]}, data=(data.x, data.y), ax=ax)


def _draw_boundary(ax: Any, fit: Fit, data: Data) -> None:
    """Draw the probability of class 1 over two inputs."""
    first, second = (_around(column, SIDE) for column in np.asarray(data.x).T)
    grid = np.stack(np.meshgrid(first, second), axis=-1)
    found = _predicted(fit, grid.reshape(-1, 2))
    probability = found.probs[:, 1].reshape(grid.shape[:2])
    decision_boundary(first, second, probability, data=(data.x, data.y), ax=ax)


def _predicted(fit: Fit, x: np.ndarray) -> Any:
    """Predict by the same key at every time, so that what moves is the fit."""
    return predict(jax.random.key(0), fit, x)


def _around(values: np.ndarray, count: int) -> np.ndarray:
    """Return so many numbers over the range of some, and beyond on both sides."""
    low, high = float(values.min()), float(values.max())
    margin = MARGIN * (high - low) or 1.0
    return np.linspace(low - margin, high + margin, count)


def png_of(figure: Any) -> bytes:
    """Return a figure as a PNG."""
    held = io.BytesIO()
    figure.savefig(held, format="png", dpi=DPI)
    return held.getvalue()


def write_gif(path: Path, frames: Sequence[bytes], fps: float) -> None:
    """Write pictures as a GIF that begins anew at its end."""
    first, *others = _pictures(frames)
    held = io.BytesIO()
    first.save(held, format="GIF", save_all=True, append_images=others, duration=1000 / fps, loop=0)
    replace_file(path, [held.getvalue()])


def _pictures(frames: Sequence[bytes]) -> Iterator[Any]:
    """Yield pictures in 256 colours each."""
    from PIL import Image

    for frame in frames:
        picture = Image.open(io.BytesIO(frame)).convert("RGB")
        yield picture.quantize(256, dither=Image.Dither.NONE)


def write_mp4(path: Path, frames: Sequence[bytes], fps: float) -> None:
    """Write pictures as an MP4, by ffmpeg.

    Raises
    ------
    RuntimeError
        With what ffmpeg said, when it failed.
    """
    part = path.with_name(f".{path.stem}.{os.getpid()}.part.mp4")
    command = [
        "ffmpeg", "-y", "-loglevel", "error", "-f", "image2pipe", "-framerate", f"{fps:g}",
        "-c:v", "png", "-i", "-", "-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-pix_fmt", "yuv420p",
        "-movflags", "+faststart", str(part),
    ]  # fmt: skip
    try:
        run = subprocess.run(command, input=b"".join(frames), capture_output=True, check=False)
        if run.returncode:
            said = run.stderr.decode(errors="replace").strip()
            raise RuntimeError(f"ffmpeg could not write {path}: {said}. Write a GIF instead.")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def notebook_display() -> Any:
    """Return IPython's `display` in a notebook, None elsewhere."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None or not hasattr(shell, "kernel"):
        return None
    from IPython.display import display

    return display

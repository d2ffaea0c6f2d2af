"""Figures of a fit while it runs: refreshed in a notebook, a rewritten PNG, or an animation."""

import base64
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from posterium.driver.watch import Report, check_every
from posterium.plots import style
from posterium.plots.pictures import png_of, write_gif, write_mp4
from posterium.plots.present import draw_present
from posterium.posterior.container import replace_file
from posterium.posterior.fit import Fit

Draw = Callable[[Any, Fit], Any]

DEFAULT = "live.png"
SIZE = (6.0, 4.0)
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


def notebook_display() -> Any:
    """Return IPython's `display` in a notebook, None elsewhere."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None or not hasattr(shell, "kernel"):
        return None
    from IPython.display import display

    return display

"""Live figures and animations: what is drawn when, what the files hold, that nothing is left."""

import io
import os
import sys
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from PIL import Image
from tests.bits import same
from tests.driver.problems import DATA, KEY, MODEL, SINGLE

from posterium import (
    MLP,
    Animation,
    Bernoulli,
    Categorical,
    Fit,
    Gaussian,
    LivePlot,
    Model,
    Normal,
    Report,
    Verdict,
    Weights,
    as_data,
    fit,
)
from posterium.plots import live, style
from posterium.plots.pictures import png_of
from posterium.posterior.posterior import Point

RNG = np.random.default_rng(0)
SMALL = {"size": (4.0, 3.0)}
X = RNG.normal(size=(30, 1))
LINE = as_data(X, np.sin(X[:, 0]))
CLASSES = as_data(X, (X[:, 0] > 0).astype(int))
PLANE = as_data(RNG.normal(size=(30, 2)), RNG.integers(0, 2, 30))


def standing(data, likelihood):
    """Return a fit of one network at its first weights."""
    model = Model(MLP(outputs=1, hidden=()), Normal(), likelihood)
    weights = model.network.init(jax.random.key(0), data.x)
    return Fit(Point(Weights(jax.tree.map(np.asarray, weights.params))), model, {}, Verdict())


REGRESSION = standing(LINE, Gaussian(0.1))


def report(step=10, steps=40, found=REGRESSION, data=LINE, record=None, phase="descent"):
    return Report(
        phase, step, steps, {}, None, data=data, fit=lambda: found, record=lambda: record or {}
    )


def draw(ax, found):
    ax.plot([0, 1], [0, 1])


def figure_of(report, drawn=None):
    return live.Frames(drawn, 1, (3.0, 2.0)).figure(report)


def kinds(figure):
    return {type(artist).__name__ for artist in figure.axes[0].get_children()}


@pytest.fixture
def notebook(monkeypatch):
    """Let it look as if a notebook ran this; return what it is shown."""
    shown = []

    class Handle:
        def update(self, picture):
            shown.append(("update", picture.data))

    def display(picture, display_id):
        assert display_id is True
        shown.append(("display", picture.data))
        return Handle()

    shell = SimpleNamespace(kernel=object())
    parts = SimpleNamespace(Image=lambda data, format: SimpleNamespace(data=data), display=display)
    module = SimpleNamespace(get_ipython=lambda: shell, display=parts)
    monkeypatch.setitem(sys.modules, "IPython", module)
    monkeypatch.setitem(sys.modules, "IPython.display", parts)
    return shown


def test_a_png_is_rewritten_whole_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "fit.png"
    plot = LivePlot(draw, path=path, **SMALL)
    sizes = []
    for step in (10, 20):
        plot(report(step))
        sizes.append(Image.open(io.BytesIO(path.read_bytes())).size)
        assert os.listdir(tmp_path) == ["fit.png"]
    assert sizes == [(400, 300)] * 2


def test_a_picture_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "fit.png"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        LivePlot(draw, path=path, **SMALL)(report())
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["fit.png"]


def test_outside_of_notebooks_the_file_has_a_name_by_default(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    LivePlot(draw, **SMALL)(report())
    assert os.listdir(tmp_path) == ["live.png"]


def test_in_a_notebook_the_figure_is_shown_once_and_then_updated(notebook, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plot = LivePlot(draw, **SMALL)
    for step in (10, 20, 30):
        plot(report(step))
    plot.close()
    plot(report(10))
    assert [what for what, _ in notebook] == ["display", "update", "update", "display"]
    assert all(Image.open(io.BytesIO(png)).size == (400, 300) for _, png in notebook)
    assert os.listdir(tmp_path) == []


def test_in_a_notebook_a_path_is_written_too(notebook, tmp_path):
    LivePlot(draw, path=tmp_path / "fit.png", **SMALL)(report())
    assert len(notebook) == 1
    assert os.listdir(tmp_path) == ["fit.png"]


def test_a_plain_terminal_of_ipython_is_no_notebook(monkeypatch):
    shell = SimpleNamespace()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert live.notebook_display() is None


def test_figures_are_titled_by_phase_and_step_unless_they_have_a_title():
    assert figure_of(report(1000, 2000), draw).axes[0].get_title() == "descent: step 1,000 of 2,000"
    titled = figure_of(report(), lambda ax, found: ax.set_title("mine"))
    assert titled.axes[0].get_title() == "mine"


def test_ones_own_figure_gets_the_fit_and_waits_until_there_is_one():
    seen = []
    assert figure_of(report(found=None), lambda ax, found: seen.append(found)) is None
    figure_of(report(), lambda ax, found: seen.append(found))
    assert seen == [REGRESSION]


def test_a_regression_of_one_input_is_drawn_with_its_bands_and_data():
    figure = figure_of(report())
    ax = figure.axes[0]
    words = [text.get_text() for text in ax.get_legend().get_texts()]
    assert {"mean", "data"} <= set(words)
    low, high = X.min(), X.max()
    assert ax.get_xlim() == pytest.approx((1.5 * low - 0.5 * high, 1.5 * high - 0.5 * low))
    assert figure_of(report(20)).axes[0].get_ylim() == ax.get_ylim()


def test_two_classes_are_drawn_over_one_input_or_a_plane():
    one = figure_of(report(found=standing(CLASSES, Bernoulli()), data=CLASSES)).axes[0]
    assert one.get_ylabel() == "P(y = 1)"
    plane = figure_of(report(found=standing(PLANE, Bernoulli()), data=PLANE)).axes[0]
    assert plane.get_xlabel() == "x1"
    assert any("Contour" in kind for kind in kinds(plane.figure))


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (as_data(RNG.normal(size=(9, 3)), RNG.normal(size=9)), REGRESSION),
        (as_data(X, RNG.normal(size=(30, 2))), REGRESSION),
        (as_data(X, np.arange(30) % 3), standing(CLASSES, Categorical())),
        (as_data(RNG.normal(size=(9, 4, 4)), RNG.normal(size=9)), REGRESSION),
        (None, REGRESSION),
        (LINE, None),
    ],
    ids=["inputs", "targets", "classes", "images", "stream", "warm-up"],
)
def test_all_else_gets_its_objective_over_the_steps(data, found):
    record = {"objective": np.array([-3.0, -2.0, np.nan])}
    ax = figure_of(report(found=found, data=data, record=record)).axes[0]
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), record["objective"])
    assert ax.get_ylabel() == "objective per row (nats)"


def test_chains_get_their_log_joint_a_line_each():
    record = {"log_joint": RNG.normal(size=(1200, 4))}
    ax = figure_of(report(found=None, record=record)).axes[0]
    assert len(ax.lines) == 4
    assert len(ax.lines[0].get_xdata()) == 400
    assert ax.get_ylabel() == "log joint (nats)"


def test_a_phase_with_nothing_to_draw_has_no_figure():
    assert figure_of(report(found=None)) is None
    assert figure_of(report(found=None, record={"objective": np.zeros(0)})) is None


def test_loggers_get_the_figure_with_the_step_of_the_whole_fit(tmp_path):
    seen = []
    logger = SimpleNamespace(figure=lambda name, figure, step: seen.append((name, figure, step)))
    plot = LivePlot(draw, path=tmp_path / "f.png", to=[logger], **SMALL)
    plot(Report("polish", 5, 9, {}, None, before=100, fit=lambda: REGRESSION))
    ((name, figure, step),) = seen
    assert (name, step) == ("live", 105)
    assert len(figure.axes[0].lines) == 1


def frames_of(path):
    with Image.open(path) as film:
        return [film.seek(i) or (film.info["duration"], film.convert("RGB")) for i in
                range(film.n_frames)]  # fmt: skip


def test_an_animation_has_a_frame_each_time_and_is_written_at_the_end(tmp_path):
    film = Animation(tmp_path / "a.gif", lambda ax, found: ax.set_xlim(0, RNG.uniform()), fps=5,
                     **SMALL)  # fmt: skip
    for step in (10, 20, 30):
        film(report(step))
    assert os.listdir(tmp_path) == []
    film.close()
    frames = frames_of(tmp_path / "a.gif")
    assert [duration for duration, _ in frames] == [200] * 3
    assert all(picture.size == (400, 300) for _, picture in frames)
    assert os.listdir(tmp_path) == ["a.gif"]
    film.close()
    assert len(frames_of(tmp_path / "a.gif")) == 3


def test_an_animation_looks_like_its_figures(tmp_path):
    film = Animation(tmp_path / "a.gif", draw, **SMALL)
    film(report())
    film.close()
    exact = Image.open(io.BytesIO(png_of(live.Frames(draw, 1, (4.0, 3.0)).figure(report()))))
    gap = np.abs(np.asarray(frames_of(tmp_path / "a.gif")[0][1], int) - np.asarray(
        exact.convert("RGB"), int))  # fmt: skip
    assert gap.max() <= 16


def test_too_many_frames_are_thinned_evenly_with_the_last_one_in(tmp_path, monkeypatch):
    monkeypatch.setattr(live, "MOST_FRAMES", 4)
    monkeypatch.setattr(live, "png_of", lambda figure: figure.axes[0].get_title())
    written = []
    film = Animation(tmp_path / "a.gif", draw, **SMALL)
    film._write = lambda path, frames, fps: written.extend(frames)
    for step in range(1, 14):
        film(report(step, 13))
    film.close()
    assert [int(title.split()[2]) for title in written] == [1, 5, 9, 13]


def test_an_animation_without_frames_writes_nothing(tmp_path):
    film = Animation(tmp_path / "a.gif", draw, **SMALL)
    film(report(found=None))
    film.close()
    assert os.listdir(tmp_path) == []
    assert film._repr_html_() is None


def test_a_notebook_shows_the_film(tmp_path):
    film = Animation(tmp_path / "a.gif", draw, **SMALL)
    film(report())
    film.close()
    assert film._repr_html_().startswith('<img alt="The fit, step by step" src="data:image/gif')


def with_ffmpeg(folder, monkeypatch, script):
    """Put a stand-in for ffmpeg on the path."""
    tool = folder / "ffmpeg"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_an_mp4_is_what_ffmpeg_makes_of_the_frames(tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    with_ffmpeg(tmp_path / "bin", monkeypatch, 'for last; do :; done; echo "$@" >&2; cat > "$last"')
    film = Animation(tmp_path / "a.mp4", draw, fps=12, **SMALL)
    for step in (1, 2):
        film(report(step))
    film.close()
    assert (tmp_path / "a.mp4").read_bytes().count(b"\x89PNG") == 2
    assert sorted(os.listdir(tmp_path)) == ["a.mp4", "bin"]


def test_what_ffmpeg_complains_of_is_told(tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    with_ffmpeg(tmp_path / "bin", monkeypatch, "cat > /dev/null; echo no such codec >&2; exit 1")
    film = Animation(tmp_path / "a.mp4", draw, **SMALL)
    film(report())
    with pytest.raises(RuntimeError, match=r"could not write .*a\.mp4: no such codec"):
        film.close()
    assert os.listdir(tmp_path) == ["bin"]


def test_what_cannot_be_made_is_refused_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match=r"needs ffmpeg.*a\.gif"):
        Animation("a.mp4")
    with pytest.raises(ValueError, match=r"must end in \.gif or \.mp4"):
        Animation("a.webm")
    with pytest.raises(ValueError, match="fps must be"):
        Animation("a.gif", fps=0)
    with pytest.raises(ValueError, match="every must be a whole number"):
        LivePlot(every=0)
    with pytest.raises(TypeError, match="loggers with figure"):
        LivePlot(to=[object()])


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for make in (LivePlot, lambda: Animation("a.gif")):
        with pytest.raises(ImportError, match=r"posterium\[plots\]"):
            make()


def test_a_fit_that_is_drawn_has_the_same_bits_and_leaves_no_window(tmp_path):
    def weights(ax, found):
        ax.plot(found.posterior.mode().params["layers"][0]["kernel"])

    before = style.pyplot().get_fignums()
    film = Animation(tmp_path / "a.gif", every=20, **SMALL)
    callbacks = [LivePlot(weights, every=30, path=tmp_path / "f.png", **SMALL), film]
    drawn = fit(KEY, MODEL, DATA, SINGLE, callbacks=callbacks)
    assert same(drawn, fit(KEY, MODEL, DATA, SINGLE))
    assert (tmp_path / "f.png").exists()
    assert len(frames_of(tmp_path / "a.gif")) == 3
    assert style.pyplot().get_fignums() == before

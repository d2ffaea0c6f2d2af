"""Methods against one another: scores with errors on one axis, bands over or beside each other."""

from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from posterium.evaluate.scores import Score
from posterium.plots import style
from posterium.plots.compare import band_comparison, band_panels, score_comparison
from posterium.plots.selective import risk_coverage

X = np.array([1.0, 0.0, 2.0])


@pytest.fixture
def ax():
    return Figure().subplots()


def predictive(mean, sd):
    return SimpleNamespace(mean=X * mean, sd=np.full(3, sd), epistemic_sd=np.full(3, sd / 2))


def entries(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


@pytest.mark.parametrize(("lower", "best"), [(True, 1), (False, 0)])
def test_scores_stand_from_top_to_bottom_with_their_errors_and_the_best_is_filled(ax, lower, best):
    scores = {"MAP": Score(1.5, 0.1), "VI": (1.0, 0.2), "NUTS": (1.2, float("nan"))}
    score_comparison(scores, lower_is_better=lower, xlabel="nll", ax=ax)
    bars, dots = ax.collections
    np.testing.assert_array_equal(dots.get_offsets(), [[1.5, 0], [1, 1], [1.2, 2]])
    ends = [segment[:, 0] for segment in bars.get_segments()]
    np.testing.assert_allclose(ends, [[1.3, 1.7], [0.6, 1.4], [1.2, 1.2]])
    filled = [np.allclose(tone[:3], to_rgb(style.MEAN)) for tone in dots.get_facecolors()]
    assert np.flatnonzero(filled) == [best]
    assert [text.get_text() for text in ax.get_yticklabels()] == list(scores)
    assert ax.get_ylim() == (2.5, -0.5)


def test_no_finite_score_is_refused(ax):
    with pytest.raises(ValueError, match="a finite score of at least one method"):
        score_comparison({"MAP": (np.nan, np.nan)}, ax=ax)


@pytest.mark.parametrize(("epistemic", "half"), [(False, 2.0), (True, 1.0)])
def test_bands_over_one_another_have_a_mean_and_two_ends_in_one_look(ax, epistemic, half):
    band_comparison(X, {"a": predictive(1, 1), "b": predictive(2, 1)}, epistemic=epistemic, ax=ax)
    assert len(ax.lines) == 6
    for first, slope in ((0, 1), (3, 2)):
        mean, low, high = ax.lines[first : first + 3]
        np.testing.assert_array_equal(mean.get_xydata(), [[0, 0], [1, slope], [2, 2 * slope]])
        np.testing.assert_allclose(low.get_ydata(), mean.get_ydata() - half)
        np.testing.assert_allclose(high.get_ydata(), mean.get_ydata() + half)
        assert len({line.get_color() for line in (mean, low, high)}) == 1
    assert ax.lines[0].get_linestyle() != ax.lines[3].get_linestyle()
    assert entries(ax) == ["a, 2 sd", "b, 2 sd"]


def test_panels_have_a_method_each_and_the_same_limits():
    axes = Figure().subplots(1, 2)
    found = {"a": predictive(1, 1), "b": predictive(2, 3)}
    one, two = band_panels(X, found, data=(X, X), ax=axes)
    assert [one.get_title(), two.get_title()] == ["a", "b"]
    assert one.get_ylim() == two.get_ylim()
    assert one.get_ylim()[1] >= 4 + 6
    np.testing.assert_array_equal(two.lines[0].get_ydata(), [0, 2, 4])
    assert one.get_legend() is None
    assert entries(two) == ["epistemic, 2 sd", "with noise, 2 sd", "mean", "data"]


def test_curves_lie_between_the_best_and_all_rows(ax):
    rng = np.random.default_rng(0)
    loss = rng.random(200)
    risk_coverage({"model": (loss + rng.random(200), loss)}, ax=ax)
    model, best, chance = ax.lines
    np.testing.assert_allclose(chance.get_ydata(), loss.mean())
    assert model.get_xdata()[0] == 0.05
    np.testing.assert_allclose(model.get_xydata()[-1], [1, loss.mean()])
    assert np.all(best.get_ydata() <= model.get_ydata() + 1e-12)
    assert entries(ax) == ["model", "losses themselves", "chance"]


def test_rows_without_a_loss_are_refused(ax):
    with pytest.raises(ValueError, match=r"got shapes \(3,\) and \(2,\)"):
        risk_coverage({"model": (np.zeros(3), np.zeros(2))}, ax=ax)

"""Traces and ranks: draws by chain, and shares of ranks that are flat where chains agree."""

from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.stats import rankdata

from posterium.evaluate import draws as by_draw
from posterium.plots import chains

MIXED = np.random.default_rng(0).normal(size=(4, 250))


@pytest.fixture
def ax():
    return Figure().subplots()


def test_a_trace_has_a_line_a_chain_over_its_draws(ax):
    values = MIXED[:2, :5]
    assert chains.trace(values, ylabel="f(0)", ax=ax) is ax
    np.testing.assert_array_equal([line.get_ydata() for line in ax.lines], values)
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), [1, 2, 3, 4, 5])
    assert ax.get_ylabel() == "f(0)"


def heights(ax, bins):
    """Return the height of every bar, (c, bins), in units of an even share of the ranks."""
    even = ax.lines[0].get_ydata()[0]
    return np.array([bar.get_height() for bar in ax.patches]).reshape(-1, bins) / even


def test_bars_are_the_shares_of_ranks_of_each_chain(ax):
    chains.ranks(MIXED, bins=5, ax=ax)
    ranked = (rankdata(MIXED) - 1).reshape(MIXED.shape) // 200
    counts = [[np.sum(chain == place) for place in range(5)] for chain in ranked]
    np.testing.assert_allclose(heights(ax, 5), np.array(counts) / 50)
    floors = [bar.get_y() for bar in ax.patches[::5]]
    np.testing.assert_array_equal(floors, [0, -1, -2, -3])
    assert [text.get_text() for text in ax.get_yticklabels()] == [
        f"chain {i}" for i in (1, 2, 3, 4)
    ]


def test_chains_that_mix_stay_in_the_band_and_one_apart_leaves_it(ax):
    def outside(values):
        ax.clear()
        chains.ranks(values, bins=10, ax=ax)
        corners = ax.collections[0].get_paths()[0].vertices[:, 1] / ax.lines[0].get_ydata()[0]
        found = heights(ax, 10)
        return np.mean((found < corners.min()) | (found > corners.max()), axis=1)

    assert outside(MIXED).max() <= 0.2
    apart = outside(MIXED + np.array([0, 0, 0, 3.0])[:, None])
    assert apart[3] > 0.5


def test_few_draws_or_several_quantities_at_once_are_refused(ax):
    for shape in ((2, 3), (2, 50, 3), (50,)):
        with pytest.raises(ValueError, match="one quantity at a time"):
            chains.trace(np.zeros(shape), ax=ax)


@pytest.fixture
def fit(monkeypatch):
    """Return what stands for a fit: its noise is fixed, so that half the values are constant."""
    varied = np.stack([MIXED, np.zeros_like(MIXED)], axis=-1)[:, :, None]
    values = np.concatenate([varied, varied + 7], axis=2)
    monkeypatch.setattr(by_draw, "function_values", lambda *given: values)
    return SimpleNamespace(model=SimpleNamespace(likelihood=SimpleNamespace(task="regression")))


def test_predictions_are_named_by_their_input_and_constants_are_left_out(fit):
    found = chains.probe_values(None, fit, np.array([[0.5], [-2.0]]))
    assert list(found) == ["mean at 0.5", "mean at -2"]
    np.testing.assert_array_equal(found["mean at 0.5"], MIXED)


def test_each_prediction_has_its_trace_and_beside_it_its_ranks(fit):
    panels = chains.trace_and_ranks(None, fit, np.array([[0.5], [-2.0]]))
    assert [panel.get_ylabel() for panel in panels[::2]] == ["mean at 0.5", "mean at -2"]
    assert panels[1].get_title().startswith("R-hat 1.0")
    assert "bulk ESS" in panels[3].get_title()
    np.testing.assert_allclose(panels[2].lines[0].get_ydata(), MIXED[0] + 7)
    assert len(panels[3].patches) == 4 * 20
    panels[0].figure.clear()

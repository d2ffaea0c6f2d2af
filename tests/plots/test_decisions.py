"""The figure of regret: sums over rounds, means and errors over runs."""

import numpy as np

from posterium.plots.decisions import cumulative_regret

REGRET = np.random.default_rng(0).random((5, 30))


def test_lines_are_mean_sums_and_bands_two_errors():
    ax = cumulative_regret({"one": REGRET, "other": 2 * REGRET}, title="t")
    total = REGRET.cumsum(axis=1)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), total.mean(axis=0))
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), np.arange(1, 31))
    error = total.std(axis=0, ddof=1) / np.sqrt(5)
    top = ax.collections[0].get_paths()[0].vertices[:, 1].max()
    np.testing.assert_allclose(top, (total.mean(axis=0) + 2 * error).max())
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["one", "other"]


def test_a_single_run_has_no_band():
    ax = cumulative_regret({"one": REGRET[0]})
    assert not ax.collections
    assert len(ax.lines) == 1

"""Drawn functions: lines and bands are those of the draws."""

from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure

from posterium.plots.functions import drawn, function_draws


def test_functions_are_lines_and_their_quantiles_bands_whatever_the_order_of_x():
    x = np.array([1.0, 0.0, 2.0])
    functions = np.arange(101.0)[:, None] + np.array([10.0, 0.0, 20.0])[None]
    parts = functions[:, :2, None], functions[:, 2:, None]
    blocks = [SimpleNamespace(mean=part) for part in parts]
    predictive = SimpleNamespace(components=lambda: blocks)
    ax = Figure().subplots()
    assert function_draws(x, predictive, shown=3, data=([[0.5]], [7.0]), ax=ax) is ax
    assert len(ax.lines) == 3
    np.testing.assert_array_equal(ax.lines[2].get_xydata(), [[0, 2], [1, 12], [2, 22]])
    wide, narrow = ({tuple(v) for v in np.round(c.get_paths()[0].vertices, 9)}
                    for c in ax.collections[:2])  # fmt: skip
    assert {(0.0, 5.0), (0.0, 95.0), (2.0, 115.0)} <= wide
    assert {(0.0, 25.0), (0.0, 75.0), (2.0, 95.0)} <= narrow
    entries = [text.get_text() for text in ax.get_legend().get_texts()]
    assert entries == ["middle 90%", "middle 50%", "data"]
    np.testing.assert_array_equal(ax.collections[2].get_offsets(), [[0.5, 7.0]])


def test_a_closed_form_has_no_functions_to_draw():
    exact = SimpleNamespace(components=lambda: [SimpleNamespace(mean=np.zeros((1, 3, 1)))])
    with pytest.raises(ValueError, match=r"predictive by draws.*got 1.*how='draws'"):
        drawn(exact)

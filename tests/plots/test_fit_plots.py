"""One call for any fit: band, surfaces, effects or slices, with the numbers of its predictions."""

import jax
import numpy as np
import pytest
from matplotlib.figure import Figure

from posterium.model.data import as_data
from posterium.model.features import Affine, Linear
from posterium.model.likelihoods.classes import Bernoulli, Categorical
from posterium.model.likelihoods.gaussian import Gaussian
from posterium.model.model import Model
from posterium.model.priors.normal import Normal
from posterium.model.weights import Weights
from posterium.plots import fit as of_fit
from posterium.posterior.fit import Fit, Seen, Verdict
from posterium.posterior.posterior import Draw, Samples

KEY = jax.random.key(0)
LOW, HIGH = np.array([0.0, -1.0, 2.0]), np.array([1.0, 1.0, 4.0])


def made(inputs, likelihood, coefficients):
    """Return a fit of a linear model whose draws are coefficients (s, 1 + d, k)."""
    model = Model(Linear(Affine()), Normal(1.0), likelihood)
    drawn = Draw(Weights({"coefficients": np.asarray(coefficients, np.float32)[None]}))
    seen = Seen(10, LOW[:inputs].astype(np.float32), HIGH[:inputs].astype(np.float32))
    return Fit(Samples(drawn), model, {}, Verdict(), "NUTS", seen=seen)


def drawn(inputs, outputs=1, count=6):
    return np.random.default_rng(inputs).normal(size=(count, 1 + inputs, outputs))


def functions(coefficients, x):
    """Return what each draw says at rows x (n, d), (s, n, k)."""
    return np.einsum("nd,sdk->snk", np.column_stack([np.ones(len(x)), x]), coefficients)


def ground(ax):
    return next(part for part in ax.collections if getattr(part, "filled", False))


@pytest.fixture
def ax():
    return Figure().subplots()


def test_one_input_is_a_band_that_goes_beyond_the_rows(ax):
    w = drawn(1)
    fit, x = made(1, Gaussian(0.5), w), np.array([0.0, 0.4, 1.0])
    assert of_fit.draw(KEY, fit, (x, 2 * x), names=["time"], ax=ax) is ax
    at, mean = ax.lines[0].get_data()
    np.testing.assert_allclose([at[0], at[-1]], [-0.25, 1.25])
    np.testing.assert_allclose(mean, functions(w, at[:, None]).mean(axis=0)[:, 0], atol=1e-5)
    np.testing.assert_array_equal(ax.collections[-1].get_offsets(), np.column_stack([x, 2 * x]))
    assert ax.get_xlabel() == "time"


def test_without_data_the_ranges_are_those_that_the_fit_saw(ax):
    of_fit.draw(KEY, made(1, Gaussian(0.5), drawn(1)), ax=ax)
    np.testing.assert_allclose(ax.get_xlim(), (-0.25, 1.25))
    assert "data" not in ax.get_legend_handles_labels()[1]


def test_one_input_and_two_classes_is_a_probability_with_the_middle_of_those_drawn(ax):
    w = drawn(1, count=40)
    fit, x = made(1, Bernoulli(), w), np.array([[0.0], [1.0]])
    of_fit.draw(KEY, fit, as_data(x, np.array([0, 1])), ax=ax)
    at, mean = ax.lines[0].get_data()
    each = 1 / (1 + np.exp(-functions(w, at[:, None])[..., 0]))
    np.testing.assert_allclose(mean, each.mean(axis=0), atol=1e-5)
    corners = ax.collections[0].get_paths()[0].vertices
    low, high = np.quantile(each[:, 100], [0.05, 0.95])
    found = np.sort(corners[np.isclose(corners[:, 0], at[100]), 1])
    np.testing.assert_allclose(found, [low, high], atol=1e-5)


def test_two_inputs_are_mean_and_epistemic_sd():
    w = drawn(2)
    x, y = np.array([[0.0, -1.0], [1.0, 1.0]]), np.array([[1.0], [3.0]])
    fit, axes = made(2, Gaussian(0.5), w), Figure().subplots(1, 2)
    left, right = of_fit.draw(KEY, fit, as_data(x, y), ax=axes)
    first, second = np.linspace(-0.25, 1.25, 60), np.linspace(-1.5, 1.5, 60)
    grid = np.stack(np.meshgrid(first, second), axis=-1).reshape(-1, 2)
    each = functions(w, grid)[..., 0]
    shown = ground(left)
    np.testing.assert_allclose(
        [shown.zmin, shown.zmax], [each.mean(axis=0).min(), each.mean(axis=0).max()], rtol=1e-4
    )
    np.testing.assert_allclose(ground(right).zmax, each.std(axis=0).max(), rtol=1e-4)
    np.testing.assert_array_equal(left.collections[-1].get_array(), [1, 3])
    assert ground(right).colorbar.ax.get_ylabel() == "epistemic sd"
    assert (left.get_xlabel(), left.get_ylabel()) == ("x1", "x2")


def test_two_inputs_and_classes_are_probability_and_mutual_information():
    fit, axes = made(2, Bernoulli(), drawn(2)), Figure().subplots(1, 2)
    left, right = of_fit.draw(KEY, fit, ax=axes)
    assert ground(left).colorbar.ax.get_ylabel() == "P(y = 1)"
    assert ground(right).colorbar.ax.get_ylabel() == "mutual information (nats)"
    assert 0 < ground(right).zmax < np.log(2)


def test_several_classes_are_regions():
    w = drawn(2, 3)
    fit, axes = made(2, Categorical(), w), Figure().subplots(1, 2)
    x, y = np.array([[0.0, -1.0], [1.0, 1.0]]), np.array([0, 2])
    left, _ = of_fit.draw(KEY, fit, as_data(x, y), ax=axes)
    assert left.get_title() == "Most probable class"
    assert left.collections[0].get_array().shape == (60, 60, 3)
    assert left.get_legend_handles_labels()[1] == ["class 0", "class 2"]


def test_more_inputs_are_partial_dependences_the_strongest_first():
    w = np.array([[0.5, 1.0, -3.0, 0.1], [0.5, 1.4, -2.0, 0.3]])[..., None]
    fit, axes = made(3, Gaussian(0.5), w), Figure().subplots(1, 3)
    x = np.random.default_rng(0).uniform(LOW, HIGH, (50, 3))
    panels = of_fit.draw(KEY, fit, (x, x[:, :1]), ax=axes)
    assert [panel.get_xlabel() for panel in panels] == ["x2", "x1", "x3"]
    at, mean = panels[1].lines[0].get_data()
    moved = x.mean(axis=0) + np.zeros((len(at), 3))
    moved[:, 0] = at
    np.testing.assert_allclose(mean, functions(w, moved).mean(axis=0)[:, 0], rtol=1e-4)
    corners = panels[1].collections[0].get_paths()[0].vertices
    highest = functions(w, moved)[:, -1, 0]
    np.testing.assert_allclose(corners[np.isclose(corners[:, 0], at[-1]), 1].max(),
                               highest.mean() + 2 * highest.std(), rtol=1e-4)  # fmt: skip
    assert len({panel.get_ylim() for panel in panels}) == 1


def test_slices_move_one_column_and_leave_the_row_as_it_is():
    w, at = drawn(3), np.array([0.5, 0.0, 3.0])
    panels = of_fit.draw(KEY, made(3, Gaussian(0.5), w), at=at, ax=Figure().subplots(1, 3))
    for column, panel in enumerate(panels):
        moved, mean = panel.lines[0].get_data()
        rows = np.repeat(at[None], len(moved), axis=0)
        rows[:, column] = moved
        np.testing.assert_allclose(mean, functions(w, rows).mean(axis=0)[:, 0], atol=1e-5)
        assert set(panel.lines[1].get_xdata()) == {at[column]}
        np.testing.assert_allclose(panel.get_xlim(), (LOW[column], HIGH[column]))


def test_what_does_not_suit_the_inputs_is_refused(ax):
    fit = made(2, Gaussian(0.5), drawn(2))
    with pytest.raises(ValueError, match="each of 2 inputs; got 1 names"):
        of_fit.draw(KEY, fit, names=["one"], ax=ax)
    with pytest.raises(ValueError, match="each of 2 inputs"):
        of_fit.draw(KEY, fit, at=[1.0, 2.0, 3.0], ax=ax)
    with pytest.raises(ValueError, match=r"rows of numbers.*shape \(4, 4\)"):
        of_fit.draw(KEY, fit, (np.zeros((5, 4, 4)), np.zeros(5)), ax=ax)
    unseen = Fit(fit.posterior, fit.model, {}, Verdict())
    with pytest.raises(ValueError, match="does not know the ranges"):
        of_fit.draw(KEY, unseen, ax=ax)

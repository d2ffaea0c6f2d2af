"""The networks that the documents show, as they show them, through the methods."""

import re
from pathlib import Path

import jax
import numpy as np
import pytest

from posterium import MAP, VI, Ensemble, Laplace, Subset, describe, fit, predict
from posterium.model.subset import matching

DOCS = Path(__file__).parents[2] / "docs" / "networks"
KEY = jax.random.key(0)
PAGES = {
    "mlp": ["posterium", "linen", "nnx", "equinox", "functions"],
    "cnn": ["linen", "nnx", "equinox"],
    "sequences": [
        f"{kind}, {framework}"
        for kind in ("recurrent", "transformer")
        for framework in ("linen", "nnx", "equinox")
    ],
    "graph": ["linen", "nnx", "equinox", "functions"],
    "decoder": ["linen", "nnx", "equinox"],
}
EVERY = [(page, name) for page, names in PAGES.items() for name in names]
QUICK = {
    "map": {("decoder", "nnx")},
    "laplace": {("graph", "functions")},
    "vi": {("cnn", "equinox")},
    "ensemble": {("mlp", "linen")},
}
STEPS = 5


def cells(page):
    """Return the code of a page before its first fit: data, networks and the model, no figures."""
    text = (DOCS / f"{page}.md").read_text()
    blocks = re.findall(r"^```\{code-cell\} python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    found = []
    for block in blocks:
        if "ps.fit(" in block and "def model_of" not in block:
            break
        before_methods = block.partition("\n\ndef show(")[0]
        options_and_figures = r"\A(:\w+:.*\n)+|^import matplotlib.*\n|^from posterium.plots.*\n"
        found.append(re.sub(options_and_figures, "", before_methods, flags=re.MULTILINE))
    return found


@pytest.fixture(scope="module")
def shown():
    """Return what a page defines, made once a page: the same network is the same program."""
    made = {}

    def define(page):
        if page not in made:
            made[page] = {"__name__": f"page_{page}"}
            for block in cells(page):
                exec(compile(block, page, "exec"), made[page])
        return made[page]

    with jax.numpy_rank_promotion("allow"):
        yield define


def cases(method):
    return pytest.mark.parametrize(
        ("page", "name"),
        [
            pytest.param(*case, marks=[] if case in QUICK[method] else [pytest.mark.slow])
            for case in EVERY
        ],
    )


def fitted(space, name, method):
    """Return a fit of a network of a page and its predictions at the rows held out."""
    found = fit(KEY, space["model_of"](space["networks"][name]), space["data"], method)
    return found, predict(jax.random.key(1), found, space["new"])


def uncertainty(found):
    """Return what the weights add to each prediction: a standard deviation, or information."""
    is_class = hasattr(found, "probs")
    return np.asarray(found.mutual_information if is_class else found.epistemic_sd)


def check(space, found, predictions):
    shape = describe(found.model.network, space["new"]).outputs
    mean = predictions.probs if hasattr(predictions, "probs") else predictions.mean
    assert mean.shape == shape
    assert np.isfinite(mean).all()
    assert np.isfinite(uncertainty(predictions)).all()
    assert found.verdict.status != "failed"


@cases("map")
def test_map_fits_it(shown, page, name):
    space = shown(page)
    found, predictions = fitted(space, name, MAP(steps=STEPS))
    check(space, found, predictions)
    assert np.abs(uncertainty(predictions)).max() < 1e-6


@cases("laplace")
def test_laplace_is_unsure_of_it_through_the_last_layer(shown, page, name):
    space = shown(page)
    method = Subset(Laplace(at=None), rest=MAP(steps=STEPS))
    found, predictions = fitted(space, name, method)
    check(space, found, predictions)
    assert (uncertainty(predictions) > 0).all()


@cases("vi")
def test_vi_is_unsure_of_it(shown, page, name):
    space = shown(page)
    found, predictions = fitted(space, name, VI(steps=STEPS, init_scale=0.1))
    check(space, found, predictions)
    assert (uncertainty(predictions) > 0).all()


@cases("ensemble")
def test_members_of_an_ensemble_disagree(shown, page, name):
    space = shown(page)
    found, predictions = fitted(space, name, Ensemble(MAP(steps=STEPS), 3))
    check(space, found, predictions)
    assert (uncertainty(predictions) > 0).all()


@pytest.mark.slow
@pytest.mark.parametrize(("page", "name"), [c for c in EVERY if c[0] in ("mlp", "graph")])
def test_laplace_is_unsure_of_it_through_all_weights(shown, page, name):
    space = shown(page)
    found, predictions = fitted(space, name, Laplace(at=MAP(steps=STEPS)))
    check(space, found, predictions)
    assert (uncertainty(predictions) > 0).all()


@pytest.mark.slow
@pytest.mark.parametrize(("page", "name"), EVERY)
def test_its_last_layer_is_what_it_ends_with(shown, page, name):
    space = shown(page)
    network, x = space["model_of"](space["networks"][name]).network, space["new"]
    with jax.enable_x64(False):
        weights = network.init(KEY, x)
    found = matching(network, weights, x, "last_layer")
    assert {path.rpartition("/")[0] for path in found} == {ENDS[page, name]}


ENDS = {
    **{(page, name): "last" for page, name in EVERY},
    ("mlp", "posterium"): "layers/1",
    ("mlp", "linen"): "Dense_0",
    ("mlp", "equinox"): "layers/1",
    ("cnn", "linen"): "Dense_0",
    ("sequences", "recurrent, linen"): "Dense_0",
    ("sequences", "transformer, linen"): "Dense_3",
    ("graph", "linen"): "Dense_1",
    ("graph", "functions"): "",
    ("decoder", "linen"): "Dense_0",
    ("decoder", "nnx"): "layers/2",
    ("decoder", "equinox"): "layers/1",
}
"""Where the last layer lies. Linen numbers layers as they are made: the outermost comes first."""


@pytest.mark.slow
@pytest.mark.parametrize(("page", "name"), EVERY)
def test_it_learns(shown, page, name):
    space = shown(page)
    _, predictions = fitted(space, name, MAP(steps=400))
    if page == "mlp":
        truth = np.sin(2.5 * space["x"])
        mean = np.interp(space["x"][:, 0], space["new"][:, 0], predictions.mean[:, 0])
        score = 1 - np.mean((mean[:, None] - truth) ** 2) / np.var(truth)
    elif hasattr(predictions, "probs"):
        right = predictions.probs.argmax(1) == space["answer"]
        chance = np.bincount(space["answer"]).max() / len(space["answer"])
        score = (right.mean() - chance) / (1 - chance)
    else:
        missed = np.mean((predictions.mean - space["answer"]) ** 2)
        score = 1 - missed / np.mean((space["answer"] - space["answer"].mean(0)) ** 2)
    assert score > 0.4


def test_every_page_of_a_network_is_tested():
    pages = {path.stem for path in DOCS.glob("*.md")} - {"index", "pretrained-torch", "walk"}
    assert pages == PAGES.keys()
    for page, names in PAGES.items():
        text = (DOCS / f"{page}.md").read_text()
        named = re.findall(r'^networks\["(.*)"\] =', text, re.MULTILINE)
        assert sorted(n for n in named if "torch" not in n) == sorted(names)

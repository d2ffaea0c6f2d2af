"""The networks of PyTorch on the documents' pages, through the methods."""

import re

import jax
import numpy as np
import pytest
from tests.networks.test_shown import DOCS, KEY, PAGES, STEPS, cells, check, uncertainty

from posterium import MAP, VI, Ensemble, Laplace, Subset, fit, predict

pytest.importorskip("torch", reason="needs torch: run by `make test-torch`")

METHODS = {
    "MAP": MAP(steps=STEPS),
    "Laplace": Subset(Laplace(at=None), rest=MAP(steps=STEPS)),
    "VI": VI(steps=STEPS, init_scale=0.1),
    "Ensemble": Ensemble(MAP(steps=STEPS), 3),
}
NAMES = [(page, "torch") for page in PAGES if page != "sequences"]
NAMES += [("sequences", f"{kind}, torch") for kind in ("recurrent", "transformer")]
CASES = [(*name, "MAP") for name in NAMES] + [
    ("cnn", "torch", "Ensemble"),
    ("graph", "torch", "VI"),
    ("sequences", "transformer, torch", "Laplace"),
    pytest.param("sequences", "recurrent, torch", "Laplace", marks=pytest.mark.slow),
    pytest.param("sequences", "transformer, torch", "VI", marks=pytest.mark.slow),
]


@pytest.fixture(scope="module")
def shown():
    """Return what a page defines, its networks of PyTorch alone."""
    made = {}

    def define(page):
        if page not in made:
            space = made[page] = {"__name__": f"page_{page}"}
            text = (DOCS / f"{page}.md").read_text()
            blocks = re.findall(r"^```py\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
            for block in [*cells(page), *blocks]:
                exec(compile(block, page, "exec"), space)
        return made[page]

    with jax.numpy_rank_promotion("allow"):
        yield define


@pytest.mark.parametrize(("page", "name", "method"), CASES)
def test_it_goes_through_the_methods(shown, page, name, method):
    space = shown(page)
    found = fit(KEY, space["model_of"](space["networks"][name]), space["data"], METHODS[method])
    predictions = predict(jax.random.key(1), found, space["new"])
    check(space, found, predictions)
    assert (np.abs(uncertainty(predictions)).max() > 1e-6) == (method != "MAP")


@pytest.mark.parametrize("page", PAGES)
def test_every_network_of_a_page_is_there_in_pytorch(shown, page):
    assert {(page, n) for n in shown(page)["networks"] if "torch" in n} == {
        name for name in NAMES if name[0] == page
    }

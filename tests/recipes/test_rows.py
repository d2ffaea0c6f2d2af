"""Every row of the reference systems has a recipe, and none is lost."""

import re
from pathlib import Path

import pytest

from posterium import recipes

SPEC = Path(__file__).parents[3] / "shared" / "spec" / "reference-systems.md"
ROWS = """
R0.map R0.laplace R0.vi R0.vi-mlp R0.mcdropout
R1.manual R1.ls R1.ridge R1.landscape R1.blr R1.predictive R1.rff R1.evidence R1.logistic R1.bbvi
R1.multimodal R1.relu4 R1.nuts R1.more
R2.het R2.hom R2.svi R2.anneal R2.mle R2.map R2.mcmc R2.uncertainty R2.plots R2.log
R3.advi R3.draws R3.surface R3.swap R3.nuts R3.priors
R4.bbb R4.bands R4.gpu
""".split()
PARTS = [f"R1.more.{part}" for part in ("alpha", "ensembles", "laplace", "pbp", "thompson")]


@pytest.mark.parametrize("row", [*ROWS, *PARTS])
def test_a_row_has_a_recipe(row):
    assert recipes.under(row)


def test_every_recipe_is_of_a_row():
    for id, _ in recipes.names():
        assert any(id == row or id.startswith(f"{row}.") for row in ROWS), id


def test_the_rows_are_those_of_the_specification():
    if not SPEC.exists():
        pytest.skip("the specification is not beside this checkout; the stored rows are tested")
    cells = re.findall(r"^\| (R\d\.[^|]*) \|", SPEC.read_text(), re.MULTILINE)
    assert [id for cell in cells for id in cell.split(", ")] == ROWS
    assert len(ROWS) == 38

"""S10: log densities on tables with published splits, beside what others published of the methods.

Published are means and standard errors over the same splits (20; protein has 5) of one hidden layer
of 50 units (protein: 100), with one noise sd but for ensembles: PBP of hernandez2015, MC dropout of
gal2016, deep ensembles of lakshminarayanan2017, whose standard deviations are turned into errors
here. The line is least squares with the noise of its residuals, over those splits. Naval is left
out: its target hardly varies, and log densities there are a matter of the least noise one dares.
"""

from pathlib import Path

import numpy as np
import pytest
from benchmarks.tables import fit_once
from tests.validation.record import recorded

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::posterium.estimators.ConvergenceWarning"),
]

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "uci"
SPLITS = {"yacht": 20, "concrete": 20, "power-plant": 20, "kin8nm": 20, "protein": 5}
LINE = {
    "yacht": -3.627, "concrete": -3.755, "power-plant": -2.949, "kin8nm": 0.179, "protein": -3.070,
}  # fmt: skip
PUBLISHED = {
    ("pbp", "yacht"): (-1.634, 0.016),
    ("pbp", "concrete"): (-3.161, 0.019),
    ("pbp", "power-plant"): (-2.837, 0.009),
    ("pbp", "kin8nm"): (0.90, 0.01),
    ("pbp", "protein"): (-2.973, 0.003),
    ("mc-dropout", "yacht"): (-1.554, 0.027),
    ("mc-dropout", "concrete"): (-3.039, 0.020),
    ("mc-dropout", "power-plant"): (-2.795, 0.010),
    ("mc-dropout", "kin8nm"): (0.951, 0.006),
    ("mc-dropout", "protein"): (-2.891, 0.004),
    ("ensemble", "yacht"): (-1.18, 0.21 / 20**0.5),
    ("ensemble", "concrete"): (-3.06, 0.18 / 20**0.5),
    ("ensemble", "power-plant"): (-2.79, 0.04 / 20**0.5),
    ("ensemble", "kin8nm"): (1.20, 0.02 / 20**0.5),
    ("ensemble", "protein"): (-2.83, 0.02 / 5**0.5),
}
"""Mean test log density in nats a row, and its standard error."""
OTHERS = ("default", "map", "vi", "swag", "ivon", "bootstrap", "randomised-prior", "snapshot")
"""Methods without published rows: they are held to the line."""


@pytest.mark.skipif(not FOLDER.exists(), reason="needs the published splits, which are not bundled")
@pytest.mark.parametrize("method", ["pbp", "mc-dropout", "ensemble", *OTHERS])
@pytest.mark.parametrize("table", SPLITS)
def test_a_method_is_within_two_errors_of_its_published_row_and_above_the_line(table, method):
    splits = range(SPLITS[table])
    with recorded("S10", f"{method}, {table}") as figures:
        found = -np.array([fit_once(FOLDER / table, method, split)["nll"] for split in splits])
        own = found.std(ddof=1) / len(found) ** 0.5
        figures |= {"splits": len(found), "log density": float(found.mean()), "se": float(own)}
        if (method, table) in PUBLISHED:
            published, error = PUBLISHED[method, table]
            figures["published"] = published
            assert found.mean() >= published - 2 * np.hypot(error, own)
        figures["line"] = LINE[table]
        assert found.mean() > LINE[table]

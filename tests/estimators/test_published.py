"""S10: log densities on yacht's published splits, beside what was published of the same methods.

Published are means and standard errors over 20 splits of one hidden layer of 50 units, with one
noise sd (but for ensembles): linear regression and PBP of hernandez2015, MC dropout of gal2016,
deep ensembles of lakshminarayanan2017, whose standard deviation is turned into an error here.
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

YACHT = Path(__file__).parents[3] / "shared" / "data" / "uci" / "yacht"
LINEAR = (-3.627, 0.031)
PUBLISHED = {
    "pbp": (-1.634, 0.016),
    "mc-dropout": (-1.554, 0.027),
    "ensemble": (-1.18, 0.21 / 20**0.5),
    "swag": LINEAR,
    "vi": LINEAR,
}
SPLITS = 3


@pytest.mark.skipif(not YACHT.exists(), reason="needs the published splits, which are not bundled")
@pytest.mark.parametrize("method", PUBLISHED)
def test_a_method_is_within_two_errors_of_its_published_row_and_above_the_line(method):
    with recorded("S10", f"{method}, yacht") as figures:
        found = -np.array([fit_once(YACHT, method, split)["nll"] for split in range(SPLITS)])
        published, error = PUBLISHED[method]
        figures |= {"splits": SPLITS, "log density": float(found.mean()), "published": published}
        slack = 2 * np.hypot(error, found.std(ddof=1) / SPLITS**0.5)
        assert found.mean() >= published - slack
        assert found.mean() > LINEAR[0]

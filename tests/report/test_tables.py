"""Which cell of a row is named as the least usual."""

import numpy as np
import pytest
from tests.report.cases import subject

from posterium.report.columns import InputColumn
from posterium.report.tables import unusual

COLUMNS = (
    InputColumn("age", "number", (0,), (), 1),
    InputColumn("garden", "boolean", (2,)),
    InputColumn("district", "categorical", (3, 4), ("north", "(other)")),
)
SHIFT = np.array([50.0, 0.05, 0.4, 0.997, 0.003])
SCALE = np.array([10.0, *np.sqrt(SHIFT[1:] * (1 - SHIFT[1:]))])


def said(*row, shift=SHIFT, scale=SCALE):
    found = subject(rows=6, features=5, columns=COLUMNS, scales=(shift, scale))
    return unusual(found, np.array(row, float))


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ((29, 0, 1, 1, 0), "age = 29, 2.1 sd below its mean"),
        ((50, 1, 1, 1, 0), "age is missing, as in 5% of the rows fitted"),
        ((29, 0, 1, 0, 1), "district = (other), as in 0.3% of the rows fitted"),
        ((82, 0, 1, 0, 1), "age = 82, 3.2 sd above its mean"),
        ((51, 0, 1, 1, 0), "garden = yes, as in 40% of the rows fitted"),
    ],
)
def test_numbers_levels_and_gaps_are_compared_by_how_often_they_come(row, text):
    assert said(*row) == text


def test_levels_of_inputs_that_were_not_standardised_have_no_share():
    assert said(29, 1, 1, 0, 1, shift=np.zeros(5), scale=np.ones(5)) == ""

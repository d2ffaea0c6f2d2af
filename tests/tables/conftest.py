"""Tables from text."""

import pytest

from posterium.tables.read import read_table


@pytest.fixture
def table(tmp_path):
    """Return a function that writes a CSV text to a file and reads it."""

    def make(text):
        path = tmp_path / "t.csv"
        path.write_text(text)
        return read_table(path)

    return make

"""Files of every format version so far: they load, and predict what they predicted."""

import json

import numpy as np
import pytest
from tests.golden.write import OWN, files, frame, predictions

from posterium import BayesianClassifier, load
from posterium.posterior.container import FORMAT, FileError

VERSIONS = range(1, FORMAT + 1)
DIGITS = {"float32": 1e-5, "float64": 1e-9}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_file_of_each_format_version_predicts_what_it_did(version):
    model, _, told = files(version)
    found = load(model, network=OWN)
    now, was = predictions(found), json.loads(told.read_text())
    del was["table"]
    assert now.keys() == was.keys() == found.keys()
    for name, result in found.items():
        assert now[name].pop("verdict") == was[name].pop("verdict")
        assert now[name].keys() == was[name].keys()
        for quantity, values in was[name].items():
            np.testing.assert_allclose(now[name][quantity], values, DIGITS[result.precision], 1e-7)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_estimator_of_each_format_version_takes_its_table_and_predicts_what_it_did(version):
    _, table, told = files(version)
    found = BayesianClassifier.load(table)
    assert found.classes_.tolist() == ["no", "yes"]
    was = json.loads(told.read_text())["table"]
    np.testing.assert_allclose(found.predict_proba(frame()[0]).ravel(), was, 1e-5, 1e-7)


def test_every_version_has_its_files_and_there_are_no_others():
    kept = sorted(path.name for path in files(1)[0].parent.glob("format-*"))
    assert kept == sorted(path.name for v in VERSIONS for path in files(v))


def test_a_golden_file_with_a_changed_number_is_refused(tmp_path):
    data = bytearray(files(1)[0].read_bytes())
    data[-5] ^= 1
    (tmp_path / "changed").write_bytes(data)
    with pytest.raises(FileError, match="digest"):
        load(tmp_path / "changed", network=OWN)

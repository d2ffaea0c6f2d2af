"""Evidence: its climb beside the hyper-parameters, and its profile with the highest point."""

from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure

from posterium.model.hyper import learn
from posterium.model.likelihoods.gaussian import Gaussian
from posterium.model.priors.normal import Normal
from posterium.plots.evidence import evidence_profile, evidence_trajectory, trajectory_of


def entries(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_the_evidence_and_what_is_tuned_stand_side_by_side():
    found = np.array([np.nan, -30.0, -20.0, -19.5])
    values = {"precision": [1.0, 2.0, 4.0, 4.1], "noise": [0.5, 0.2, 0.1, 0.1]}
    axes = Figure().subplots(1, 2)
    left, right = evidence_trajectory(found, values, reference={"exact": -19.0}, ax=axes)
    np.testing.assert_array_equal(left.lines[0].get_xydata(), [[2, -30], [3, -20], [4, -19.5]])
    assert set(left.lines[1].get_ydata()) == {-19.0}
    np.testing.assert_array_equal(right.lines[1].get_ydata(), values["noise"])
    assert right.get_yscale() == "log"
    assert entries(right) == ["precision: 4.1", "noise: 0.1"]
    assert entries(left) == ["exact"]


def test_a_profile_marks_its_top_and_what_the_data_do_not_tell_from_it():
    ax = Figure().subplots()
    values = np.array([10.0, 0.1, 1.0, 100.0])
    curves = {"line": [-21.0, -30.0, -20.0, -23.5], "Fourier": [-11.0, -40.0, -20.0, -10.0]}
    evidence_profile(values, curves, chosen={"tuned": 2.0}, ax=ax)
    np.testing.assert_array_equal(
        ax.lines[0].get_xydata(), [[0.1, -30], [1, -20], [10, -21], [100, -23.5]]
    )
    tops = [tuple(part.get_offsets()[0]) for part in ax.collections]
    assert tops == [(1, -20), (100, -10)]
    assert set(ax.lines[2].get_xdata()) == {2.0}
    assert ax.get_xscale() == "log"
    (span,) = ax.patches
    assert (span.get_x(), span.get_x() + span.get_width()) == (1, 10)
    assert entries(ax) == ["line", "within 2 nats of the top", "Fourier", "tuned: 2"]


def recorded(*rounds, model=None):
    model = model or SimpleNamespace()
    info = {f"tune_{i}": record for i, record in enumerate(rounds)} | {"log_evidence": -1.0}
    return SimpleNamespace(info=info, model=model, method="Evidence")


def test_rounds_are_joined_and_coordinates_become_values_by_path():
    model = (Normal(learn([1.0, 1.0], floor=0.5)), Gaussian(learn(1.0)))
    raws = np.log([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    one = {"objective": np.array([-5.0]), "raws": raws[:1]}
    two = {"objective": np.array([-4.0]), "raws": raws[1:]}
    found, values = trajectory_of(recorded(one, two, model=model))
    np.testing.assert_array_equal(found, [-5, -4])
    assert list(values) == ["0/precision[0]", "0/precision[1]", "1/scale"]
    np.testing.assert_allclose(values["0/precision[0]"], [1.5, 4.5])
    np.testing.assert_allclose(values["0/precision[1]"], [2.5, 5.5])
    np.testing.assert_allclose(values["1/scale"], [3, 6])


def test_a_fit_that_tuned_nothing_is_refused():
    with pytest.raises(ValueError, match="Expected one fit by Evidence or OnlineEvidence"):
        trajectory_of(recorded({"objective": np.zeros(2)}))

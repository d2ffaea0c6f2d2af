"""Write what scoringrules says of made-up forecasts: run by hand, in an environment of its own.

    pip install scoringrules==0.10.0
    python tests/golden/scoringrules.py

All is in float64. Ensembles are stored with the draws first, as this project has them.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

sys.path.pop(0)  # this file has the name of the package

import numpy as np
import scoringrules as sr

FILE = Path(__file__).with_suffix(".json")
ROWS, DRAWS, OUTPUTS = 6, 9, 3
LEVELS = (0.5, 0.9)


def made():
    """Return forecasts and what came true, rounded to what is stored."""
    rng = np.random.default_rng(0)
    given = {
        "draws": rng.gamma(2.0, 1.0, (DRAWS, ROWS, OUTPUTS)),
        "y": rng.gamma(2.0, 1.5, (ROWS, OUTPUTS)),
        "mean": rng.normal(size=(4, ROWS)),
        "sd": rng.uniform(0.2, 2.0, (4, ROWS)),
        "df": rng.uniform(2.5, 9.0, ROWS),
        "rate": rng.gamma(2.0, 2.0, ROWS),
        "dispersion": rng.uniform(0.5, 4.0, ROWS),
        "probs": rng.dirichlet([1.0, 2.0, 0.5, 1.0], ROWS),
    }
    given = {name: np.round(values, 4) for name, values in given.items()}
    given["count"] = rng.poisson(given["rate"])
    given["class"] = rng.integers(0, 4, ROWS)
    return given


def main():
    """Write the file."""
    given = made()
    draws, y = given["draws"], given["y"]
    first, centre, sd = y[:, 0], given["mean"][0], given["sd"][0]
    total = given["dispersion"]
    found = {
        "crps fair": sr.crps_ensemble(y, draws, m_axis=0, estimator="fair"),
        "crps weighted moments": sr.crps_ensemble(y, draws, m_axis=0, estimator="pwm"),
        "crps quantiles": sr.crps_ensemble(y, draws, m_axis=0, estimator="qd"),
        "crps draws": sr.crps_ensemble(y, draws, m_axis=0, estimator="nrg"),
        "energy fair": sr.es_ensemble(y, draws, m_axis=0, v_axis=-1, estimator="fair"),
        "energy draws": sr.es_ensemble(y, draws, m_axis=0, v_axis=-1, estimator="nrg"),
        "interval": [sr.interval_score(first, centre - sd, centre + sd, 1 - p) for p in LEVELS],
        "crps normal": sr.crps_normal(first, centre, sd),
        "crps mixture": sr.crps_mixnorm(first, given["mean"], given["sd"], m_axis=0),
        "crps student": sr.crps_t(first, given["df"], centre, sd),
        "crps laplace": sr.crps_laplace(first, centre, sd),
        "crps poisson": sr.crps_poisson(given["count"], given["rate"]),
        "crps negative binomial": sr.crps_negbinom(
            given["count"], total, prob=total / (total + given["rate"])
        ),
        "ranked": sr.rps_score(given["class"] + 1, given["probs"], k_axis=-1),
        "brier": sr.brier_score(given["count"] > 2, given["probs"][:, 0]),
    }
    record = {"version": version("scoringrules"), "given": given, "found": found}
    FILE.write_text(json.dumps(record, default=lambda array: np.asarray(array).tolist()) + "\n")


if __name__ == "__main__":
    main()

"""Predictions of many rows by many draws: bounded memory, linear time; measured in a child."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

SCRIPT = """
import json, sys, time
import jax, numpy as np
from posterium import MLP, Fit, Gaussian, Model, Normal, Verdict
from posterium.posterior.posterior import Draw, Samples
from posterium.tables.fitted import Fitted
from posterium.tables.scaling import Standardiser

rows, draws, levels = map(int, sys.argv[1:])
network = MLP(hidden=(50,), activation="tanh")
keys = jax.random.split(jax.random.key(0), draws)
weights = jax.vmap(lambda key: network.init(key, np.zeros((1, 8), np.float32)))(keys)
stacked = jax.tree.map(lambda leaf: 3 * np.asarray(leaf)[None], weights)
model = Model(network, Normal(), Gaussian(np.float32(0.3)))
fit = Fit(Samples(Draw(stacked)), model, {}, Verdict(), "NUTS")
fitted = Fitted(fit, Standardiser.identity(8), Standardiser.identity(1))
rng = np.random.default_rng(0)


def peak():
    # Not ru_maxrss: on Linux that begins at the size of the process that started this one.
    lines = open("/proc/self/status").read().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


fitted.predict(rng.normal(size=(300, 8))).quantile(0.5)
before, began = peak(), time.process_time()
found = fitted.predict(rng.normal(size=(rows, 8)))
parts = [found.mean, found.sd, *found.quantile(np.linspace(0.05, 0.95, levels))]
assert all(part.shape == (rows,) and np.isfinite(part).all() for part in parts)
print(json.dumps([before, peak(), time.process_time() - began]))
"""

GIB = 2**30


def measured(rows, draws, levels, timeout):
    """Return peak memory before and after in bytes, and seconds of the processor in between."""
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(rows), str(draws), str(levels)],
        capture_output=True, text=True, timeout=timeout,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_a_hundred_thousand_rows_by_a_hundred_draws_stay_below_their_size():
    before, peak, _ = measured(10**5, 100, 1, 180)
    assert peak - before < 0.4 * GIB
    assert peak < GIB


@pytest.mark.slow
def test_a_million_rows_by_a_thousand_draws_stay_below_one_and_a_half_gigabytes():
    _, _, tenth = measured(10**5, 1000, 2, 600)
    _, peak, seconds = measured(10**6, 1000, 2, 3600)
    assert peak < 1.5e9
    assert 8 < seconds / tenth < 12

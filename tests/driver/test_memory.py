"""What a long chain, and many fits, hold in memory; measured in a child."""

import json
import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.goal("M3"),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

BEFORE = """
import json, resource, sys
import jax, numpy as np
import posterium as ps

x = np.linspace(-1, 1, 40)[:, None]
data = ps.as_data(x, np.sin(2 * x))


def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
"""

CHAIN = """
seen = []


def watch(report):
    if report.phase == "sampling":
        seen.append([report.step, resident()])


model = ps.Model(ps.Linear(), ps.Normal(1.0), ps.Gaussian(0.3))
method = ps.NUTS(warmup=200, draws=100_000, chains=1)
folder = sys.argv[1] or None
found = ps.fit(jax.random.key(0), model, data, method, checkpoint=folder, callbacks=[watch])
assert found.posterior.size() == 100_000
print(json.dumps(seen))
"""

FITS = """
network = ps.Model(ps.MLP(1, (8,), "tanh"), ps.Normal(1.0), ps.Gaussian(0.3))
methods = [
    ps.MAP(steps=50), ps.Ensemble(ps.MAP(steps=50), 3), ps.VI(steps=50),
    ps.Laplace(at=ps.MAP(steps=50)), ps.SWAG(steps=50, every=10, rank=5),
    ps.NUTS(warmup=20, draws=20, max_depth=3, modes=0),
]
seen = []
for number in range(len(methods) + 200):
    method = methods[number % len(methods)]
    fit = ps.fit(jax.random.key(number), network, data, method)
    ps.predict(jax.random.key(0), fit, x).mean
    seen.append(resident())
print(json.dumps(seen[len(methods) - 1:]))
"""


def told(script, *given):
    """Return what a child prints at its end."""
    run = subprocess.run(
        [sys.executable, "-c", BEFORE + script, *given], capture_output=True, text=True,
        timeout=1800,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def growth(folder):
    """Return by what share memory grows over the last nine tenths of a chain."""
    later = [held for step, held in told(CHAIN, folder) if step >= 10_000]
    return max(later) / later[0] - 1


def test_memory_is_flat_while_a_chain_of_100_000_draws_goes_to_disk(tmp_path, record_property):
    more = growth(str(tmp_path / "c"))
    record_property("growth", more)
    assert more < 0.05
    assert growth("") > 0.05


def test_two_hundred_fits_of_the_same_shapes_hold_less_than_fifty_megabytes_more(record_property):
    held = told(FITS)
    assert len(held) == 201
    record_property("MB", (max(held) - held[0]) / 1e6)
    assert max(held) - held[0] < 50e6

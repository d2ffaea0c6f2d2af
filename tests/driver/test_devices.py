"""Members and chains spread over several devices: the same answers, and the plan in the result."""

import json
import os
import subprocess
import sys

import jax
import pytest

from posterium import use_cpu_devices

JOB = """
import json, sys
import jax, numpy as np
from posterium import (
    HMC, MAP, MCLMC, MLP, NUTS, ChEES, Ensemble, Gaussian, Model, Normal, as_data, fit, predict
)
x = np.linspace(-1, 1, 20)[:, None]
data = as_data(x, np.sin(3 * x))
model = Model(MLP(1, (5,), "tanh"), Normal(), Gaussian(0.1))
count = int(sys.argv[2])
method = {
    "ensemble": Ensemble(MAP(steps=40, batch_size=8, validation=0.2), count),
    "nuts": NUTS(warmup=100, draws=50, chains=count, modes=0),
    "ensemble of nuts": Ensemble(NUTS(warmup=50, draws=20, chains=count, modes=0), 3),
    "hmc": HMC(warmup=200, draws=50, chains=count, modes=0),
    "mclmc": MCLMC(warmup=200, draws=50, chains=count),
    "chees": ChEES(warmup=100, draws=50, chains=count),
}[sys.argv[1]]
found = fit(jax.random.key(0), model, data, method, precision="float64")
mean = predict(jax.random.key(1), found, x).mean
print(json.dumps([mean.ravel().tolist(), found.devices]))
"""


def child(code, *arguments, **environment):
    run = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], env={**os.environ, **environment},
        capture_output=True, text=True, timeout=600, check=True,
    )  # fmt: skip
    return json.loads(run.stdout.splitlines()[-1])


def answers(devices, method, count):
    flags = f"--xla_force_host_platform_device_count={devices}"
    return child(JOB, method, count, XLA_FLAGS=flags)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "count"),
    [
        ("ensemble", 8),
        ("ensemble", 6),
        ("ensemble", 5),
        ("nuts", 8),
        ("nuts", 6),
        ("nuts", 5),
        ("hmc", 6),
        ("mclmc", 6),
        ("chees", 16),
        ("chees", 6),
    ],
)
def test_the_number_of_devices_does_not_change_the_answers(method, count):
    alone, used = answers(1, method, count)
    assert used == 1
    for devices in (2, 4, 8):
        found, used = answers(devices, method, count)
        assert used == max(n for n in range(1, devices + 1) if count % n == 0)
        assert max(abs(a - b) for a, b in zip(alone, found, strict=True)) < 1e-12


@pytest.mark.slow
def test_chains_of_an_ensemble_stay_on_the_device_of_their_member():
    _, used = answers(4, "ensemble of nuts", 2)
    assert used == 3


ASK = """
import json
import jax
from posterium import use_cpu_devices
from posterium.driver.devices import cores, use_all_cores
use_all_cores()
before = jax.config.values["jax_num_cpu_devices"]
use_cpu_devices(3)
print(json.dumps([before, jax.device_count(), cores()]))
"""


@pytest.mark.slow
def test_devices_of_a_cpu_are_asked_for_before_jax_starts_or_by_the_environment():
    quiet = {"XLA_FLAGS": ""}
    before, seen, cores = child(ASK, **quiet)
    assert (before, seen) == (cores, 3)
    before, seen, _ = child(ASK, XLA_FLAGS="--xla_force_host_platform_device_count=5")
    assert (before, seen) == (-1, 3)


def test_asking_for_devices_too_late_or_for_none_is_refused_with_the_way_out():
    jax.devices()
    with pytest.raises(RuntimeError, match=r"before JAX starts.*JAX_NUM_CPU_DEVICES"):
        use_cpu_devices(2)
    with pytest.raises(ValueError, match="at least 1"):
        use_cpu_devices(0)

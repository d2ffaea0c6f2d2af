"""Members spread over several devices: the same answers, and the plan in the result."""

import json
import os
import subprocess
import sys

import pytest

JOB = """
import json, sys
import jax, numpy as np
from posterium import MAP, MLP, Ensemble, Gaussian, Model, Normal, as_data, fit, predict
x = np.linspace(-1, 1, 20)[:, None]
data = as_data(x, np.sin(3 * x))
model = Model(MLP(1, (5,), "tanh"), Normal(), Gaussian(0.1))
method = Ensemble(MAP(steps=40, batch_size=8, validation=0.2), int(sys.argv[1]))
found = fit(jax.random.key(0), model, data, method, precision="float64")
mean = predict(jax.random.key(1), found, x).mean
print(json.dumps([mean.ravel().tolist(), found.devices]))
"""


def answers(devices, members):
    flags = f"--xla_force_host_platform_device_count={devices}"
    run = subprocess.run(
        [sys.executable, "-c", JOB, str(members)], env={**os.environ, "XLA_FLAGS": flags},
        capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    return json.loads(run.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("members", [8, 6, 5])
def test_the_number_of_devices_does_not_change_the_answers(members):
    alone, used = answers(1, members)
    assert used == 1
    for devices in (2, 4, 8):
        found, used = answers(devices, members)
        assert used == max(n for n in range(1, devices + 1) if members % n == 0)
        assert max(abs(a - b) for a, b in zip(alone, found, strict=True)) < 1e-12

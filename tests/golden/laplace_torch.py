"""Write what laplace-torch finds on two small networks: run by hand, in an environment of its own.

    pip install "torch==2.13.0+cpu" "laplace-torch==0.3" && pip uninstall torchvision
    python tests/golden/laplace_torch.py

All is in float64 and all rows are one batch: the Kronecker factors of that library depend on how
rows are batched. Kernels are stored as they stand there, (outputs, inputs). The networks of
`kronecker` have no biases, since that library gives a bias a block of its own.
"""

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from laplace import Laplace
from torch import nn

FILE = Path(__file__).with_suffix(".json")
PACKAGES = ("laplace-torch", "torch", "curvlinops-for-pytorch")
SETTINGS = {"prior_precision": 2.0, "sigma_noise": 0.3, "tuning_steps": 2000, "tuning_rate": 0.05}
STRUCTURES = {
    "full": ("all", "full"),
    "diagonal": ("all", "diag"),
    "last layer": ("last_layer", "full"),
    "kronecker": ("all", "kron"),
    "last layer, kronecker": ("last_layer", "kron"),
}


def rows():
    """Return the data of both tasks, rounded to what is stored."""
    rng = np.random.default_rng(0)
    x, probe = rng.normal(size=(24, 2)), rng.normal(size=(3, 2)) * 1.5
    bent = np.stack([np.sin(2 * x[:, 0]) + x[:, 1], x[:, 0] * x[:, 1]], axis=1)
    y = bent + 0.3 * rng.normal(size=bent.shape)
    classes = np.argmax(np.c_[bent, np.zeros(24)] + rng.gumbel(size=(24, 3)) / 2, axis=1)
    return x.round(3), {"regression": y.round(3), "classification": classes}, probe.round(3)


def train(x, y, outputs, bias):
    """Return a network trained for a while, its weights rounded to what is stored."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 4, bias=bias), nn.Tanh(), nn.Linear(4, outputs, bias=bias))
    loss = nn.MSELoss() if y.is_floating_point() else nn.CrossEntropyLoss()
    adam = torch.optim.Adam(net.parameters(), lr=0.02, weight_decay=0.01)
    for _ in range(500):
        adam.zero_grad()
        loss(net(x), y).backward()
        adam.step()
    with torch.no_grad():
        for leaf in net.parameters():
            leaf.copy_(torch.round(leaf, decimals=4))
    return net


def found(net, x, y, probe, task, structure):
    """Return what one structure finds at the stored precision, and the precision it tunes."""
    subset, kind = STRUCTURES[structure]
    laplace = Laplace(
        net,
        task,
        subset_of_weights=subset,
        hessian_structure=kind,
        prior_precision=SETTINGS["prior_precision"],
        **({"sigma_noise": SETTINGS["sigma_noise"]} if task == "regression" else {}),
    )
    rows = torch.utils.data.TensorDataset(x, y)
    laplace.fit(torch.utils.data.DataLoader(rows, batch_size=len(x)))
    mean, covariance = laplace._glm_predictive_distribution(probe)
    told = {
        "mean": mean.tolist(),
        "covariance": covariance.tolist(),
        "log_marginal_likelihood": float(laplace.log_marginal_likelihood()),
    }
    if task == "classification":
        told["probit"] = laplace(probe, link_approx="probit").tolist()
    laplace.optimize_prior_precision(
        method="marglik",
        n_steps=SETTINGS["tuning_steps"],
        lr=SETTINGS["tuning_rate"],
        prior_structure="scalar",
    )
    told["tuned_precision"] = float(laplace.prior_precision)
    told["tuned_log_marginal_likelihood"] = float(laplace.log_marginal_likelihood())
    return told


def short(value):
    """Return nested numbers to nine digits."""
    if isinstance(value, dict):
        return {name: short(part) for name, part in value.items()}
    if isinstance(value, list):
        return [short(part) for part in value]
    return float(f"{value:.9g}") if isinstance(value, float) else value


def main():
    """Write the file."""
    torch.set_default_dtype(torch.float64)
    x, targets, probe = rows()
    told = {
        "versions": {name: version(name) for name in PACKAGES},
        "settings": SETTINGS,
        "x": x.tolist(),
        "probe": probe.tolist(),
        "tasks": {},
    }
    for task, y in targets.items():
        nets = []
        for bias in (True, False):
            rows_x, rows_y = torch.tensor(x), torch.tensor(y)
            net = train(rows_x, rows_y, 2 if task == "regression" else 3, bias)
            kept = [name for name in STRUCTURES if bias != ("kronecker" in name)]
            cases = {s: found(net, rows_x, rows_y, torch.tensor(probe), task, s) for s in kept}
            weights = {name: leaf.tolist() for name, leaf in net.state_dict().items()}
            nets.append({"bias": bias, "weights": weights, "found": cases})
        told["tasks"][task] = {"y": y.tolist(), "nets": nets}
    FILE.write_text(json.dumps(short(told)) + "\n")


if __name__ == "__main__":
    main()

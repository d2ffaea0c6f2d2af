"""The side of laplace-torch; run by `benchmarks.laplace` in an environment of its own."""

import itertools
import time
import warnings

import numpy as np

from benchmarks import laplace_job as job

JACOBIAN_ROWS = {"last layer": 4096, "kronecker": 64}
"""Rows a call: it forms their dense Jacobian, rows x 10 x weights."""
PREDICTED = {"last layer": None, "kronecker": 128}
"""Rows predicted; all of them would take minutes with all weights."""
SUBSETS = {"last layer": ("last_layer", "full"), "kronecker": ("all", "kron")}


def main() -> None:
    warnings.filterwarnings("ignore")
    told = job.arguments()
    began = time.perf_counter()
    import torch
    from laplace import Laplace

    seconds = time.perf_counter() - began
    torch.set_num_threads(told.threads)
    layers = [torch.nn.Linear(*ends) for ends in itertools.pairwise(job.WIDTHS)]
    found = iter(job.weights(told.folder))
    for layer in layers:
        layer.weight.data = torch.from_numpy(next(found).T.copy())
        layer.bias.data = torch.from_numpy(next(found))
    relu = torch.nn.ReLU()
    net = torch.nn.Sequential(layers[0], relu, layers[1], torch.nn.ReLU(), layers[2])
    x, y, every = map(torch.from_numpy, job.digits())
    rows = torch.utils.data.TensorDataset(x, y)
    loader = torch.utils.data.DataLoader(rows, batch_size=told.batch)
    subset, structure = SUBSETS[told.case]
    size, asked = JACOBIAN_ROWS[told.case], every[: PREDICTED[told.case]]
    state = {}

    def fit() -> None:
        state["laplace"] = Laplace(
            net,
            "classification",
            subset_of_weights=subset,
            hessian_structure=structure,
            prior_precision=job.PRECISION,
        )
        state["laplace"].fit(loader)

    def tune() -> None:
        precision = torch.tensor(job.PRECISION, requires_grad=True)
        state["laplace"].log_marginal_likelihood(precision).backward()

    def glm() -> None:
        state["laplace"].prior_precision = job.PRECISION
        parts = [
            state["laplace"](part, link_approx="probit").detach() for part in asked.split(size)
        ]
        state["probs"] = torch.cat(parts)

    def draws() -> None:
        state["laplace"](every, pred_type="nn", link_approx="mc", n_samples=job.DRAWS)

    steps = {"fit": fit, "tuning step": tune, "glm": glm, "glm again": glm}
    if told.case == "kronecker":
        steps["draws"] = draws
    clock = job.timed(steps, told.repeats)
    laplace = state["laplace"]
    evidence = float(laplace.log_marginal_likelihood())
    np.savez(f"{told.folder}/peer.npz", probs=state["probs"].numpy())
    job.tell(import_s=seconds, glm_rows=len(asked), log_evidence=evidence, **clock)


if __name__ == "__main__":
    main()

"""The side of posterium; run by `benchmarks.laplace`."""

import time
import warnings

import numpy as np

from benchmarks import laplace_job as job


def main() -> None:
    warnings.filterwarnings("ignore")
    told = job.arguments()
    began = time.perf_counter()
    import jax

    import posterium as ps
    from posterium._struct import replace

    model = network_model()
    seconds = time.perf_counter() - began
    x, y, every = job.digits()
    data, key = ps.as_data(x, y), jax.random.key(0)
    flat = iter(job.weights(told.folder))
    start = ps.Weights({"layers": [{"kernel": next(flat), "bias": next(flat)} for _ in range(3)]})
    method = ps.Laplace(structure="kronecker", at=None)
    if told.case == "last layer":
        method = ps.Subset(ps.Laplace(at=None), rest=None)
    state = {}

    def fit() -> None:
        state["fit"] = ps.fit(key, model, data, method, start=start, precision="float32")
        jax.block_until_ready(state["fit"].posterior)

    @jax.jit
    def slope(posterior, model, precision):
        def evidence(precision):
            prior = ps.Normal(precision, scaling="none")
            return posterior.log_evidence(replace(model, prior=prior))

        return jax.value_and_grad(evidence)(precision)

    def tune() -> None:
        found = state["fit"]
        jax.block_until_ready(slope(found.posterior, found.model, job.PRECISION))

    def glm() -> None:
        state["probs"] = ps.predict(key, state["fit"], every, how="probit").probs

    def draws() -> None:
        _ = ps.predict(key, state["fit"], every, how="draws", draws=job.DRAWS).probs

    steps = {"fit": fit, "tuning step": tune, "glm": glm, "glm again": glm}
    if told.case == "kronecker":
        steps["draws"] = draws
    clock = job.timed(steps, told.repeats)
    np.savez(f"{told.folder}/ours.npz", probs=state["probs"])
    evidence = state["fit"].log_evidence
    job.tell(import_s=seconds, glm_rows=len(every), log_evidence=evidence, **clock)


def network_model():
    """Return the model: the network, a prior of one precision, classes."""
    import posterium as ps

    *_, outputs = job.WIDTHS
    network = ps.MLP(outputs=outputs, hidden=job.WIDTHS[1:-1], activation="relu")
    return ps.Model(network, ps.Normal(job.PRECISION, scaling="none"), ps.Categorical())


def train() -> list[np.ndarray]:
    """Return kernels and biases near a mode, by Adam."""
    import jax

    import posterium as ps

    x, y, _ = job.digits()
    adam = ps.MAP(steps=600, learning_rate=1e-3, batch_size=128)
    found = ps.fit(jax.random.key(0), network_model(), ps.as_data(x, y), adam)
    layers = found.posterior.mode().params["layers"]
    return [np.asarray(layer[name]) for layer in layers for name in ("kernel", "bias")]


if __name__ == "__main__":
    main()

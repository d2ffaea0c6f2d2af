"""The side of TyXe, on Pyro and PyTorch; run by `benchmarks.vi`."""

import warnings
from functools import partial, reduce

import pyro
import torch
import tyxe
from pyro import distributions
from pyro.infer import SVI, TraceMeanField_ELBO
from torch import nn
from torch.nn import functional

from benchmarks import vi_job as common

# Gone from Pyro 1.9, and TyXe 0.0.2 calls it.
pyro.util.deep_getattr = lambda thing, name: reduce(getattr, name.split("."), thing)
CAP, LEAST_WEIGHT = 2.0, 1e-8


class Heads(nn.Module):
    """50 tanh units, a mean and a positive scale."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.mean, self.raw = nn.Linear(1, 50), nn.Linear(50, 1), nn.Linear(50, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.tanh(self.hidden(x))
        return torch.cat([self.mean(h), functional.softplus(self.raw(h)) + 1e-3], -1)


def svi(steps: int, threads: int) -> common.Run:
    """Return R2.svi: local reparameterisation, the KL from 0 to full weight along a line."""
    warnings.filterwarnings("ignore")
    torch.set_num_threads(threads)
    arrays = common.clusters()
    x, y, x_test, _ = map(torch.from_numpy, arrays)
    rows = torch.utils.data.TensorDataset(x, y)
    loader = torch.utils.data.DataLoader(rows, batch_size=len(x), shuffle=True)
    likelihood = tyxe.likelihoods.HeteroskedasticGaussian(len(x), positive_scale=True)
    prior = tyxe.priors.IIDPrior(distributions.Normal(0, 1))
    guide = partial(
        tyxe.guides.AutoNormal,
        init_scale=1e-4,
        max_guide_scale=CAP,
        init_loc_fn=lambda site: torch.empty(site["fn"].shape()).uniform_(-8e-3, 8e-3),
    )

    def run(seed: int) -> tuple[common.Times, common.Scores]:
        pyro.clear_param_store()
        pyro.set_rng_seed(seed)
        net, clock, weight = (
            tyxe.VariationalBNN(Heads(), prior, likelihood, guide),
            common.Clock(),
            [0.0],
        )

        def weighed(traced):
            def call(*args, **options):
                scale = max(weight[0], LEAST_WEIGHT)
                with tyxe.poutine.selective_scale(scale=scale, hide=[likelihood.data_name]):
                    return traced(*args, **options)

            return call

        adam = pyro.optim.Adam({"lr": 1e-2})
        climb = SVI(weighed(net.model), weighed(net.guide), adam, loss=TraceMeanField_ELBO())

        def train() -> None:
            with tyxe.poutine.local_reparameterization():
                for step in range(steps):
                    for batch in loader:
                        climb.step(*batch)
                    weight[0] = min(max(((step + 1) / steps - 0.05) / 0.9, 0.0), 1.0)

        def predict() -> torch.Tensor:
            return net.predict(x_test, num_predictions=common.SVI_DRAWS, aggregate=False)

        clock("fit", train)
        draws = clock("predict", predict).double().numpy()
        return clock.seconds, common.mixture_scores(draws[..., 0], draws[..., 1], arrays[3][:, 0])

    return run


if __name__ == "__main__":
    common.tell({"R2.svi": svi})

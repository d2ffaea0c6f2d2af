"""The side of PyTorch: loops as its users write them; run by `benchmarks.vi`."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks import vi_job as common


class Linear(nn.Module):
    """An affine map whose weights, and if asked for whose biases, are drawn at every call."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        start: Callable[..., torch.Tensor] = torch.zeros,
        raw: float = 0.0,
        scale: Callable[[torch.Tensor], torch.Tensor] = functional.softplus,
        random_bias: bool = True,
    ) -> None:
        super().__init__()
        self.mean = nn.Parameter(start(outputs, inputs))
        self.raw = nn.Parameter(torch.full((outputs, inputs), raw))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.bias_raw = nn.Parameter(torch.full((outputs,), raw)) if random_bias else None
        self.scale = scale

    def pairs(self) -> list[tuple[torch.Tensor, torch.Tensor | None]]:
        """Return mean and sd of the weights and of the biases, None for a point."""
        spread = None if self.bias_raw is None else self.scale(self.bias_raw)
        return [(self.mean, self.scale(self.raw)), (self.bias, spread)]

    def drawn(self) -> list[torch.Tensor]:
        """Draw weights and biases."""
        return [
            mean if sd is None else mean + sd * torch.randn_like(sd) for mean, sd in self.pairs()
        ]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, *self.drawn())

    def kl(self, variance: float) -> torch.Tensor:
        """Return the KL from independent normals of mean 0 and one variance, in nats."""
        parts = [
            0.5 * ((sd**2 + mean**2) / variance - 1 - torch.log(sd**2 / variance)).sum()
            for mean, sd in self.pairs()
            if sd is not None
        ]
        return torch.stack(parts).sum()


class Net(nn.Module):
    """Such maps with relu in between."""

    def __init__(self, widths: Sequence[int], make: Callable[[int, int], Linear]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(make(*ends) for ends in pairwise(widths))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        *hidden, last = self.layers
        for layer in hidden:
            x = functional.relu(layer(x))
        return last(x)

    def kl(self, variance: float) -> torch.Tensor:
        return torch.stack([layer.kl(variance) for layer in self.layers]).sum()


@torch.no_grad()
def averaged(net: nn.Module, x: torch.Tensor, draws: int) -> torch.Tensor:
    """Return the mean probability of class 1 over draws."""
    return torch.stack([torch.sigmoid(net(x)) for _ in range(draws)]).mean(0)


def of_plane(name: str) -> Callable[[int, int], common.Run]:
    """Return R0.vi or R0.vi-mlp: variances by softplus, biases points, the grid now and then."""
    widths = [2, 1] if name == "R0.vi" else [2, 50, 1]
    variance, every = (4.0 if name == "R0.vi" else 100.0), common.SHOWN[name]

    def build(steps: int, threads: int) -> common.Run:
        torch.set_num_threads(threads)
        arrays = common.plane(name)
        x, y, grid = map(torch.from_numpy, arrays)

        def root(raw: torch.Tensor) -> torch.Tensor:
            return functional.softplus(raw).sqrt()

        def run(seed: int) -> tuple[common.Times, common.Scores]:
            torch.manual_seed(seed)
            net, clock = (
                Net(widths, lambda *w: Linear(*w, scale=root, random_bias=False)),
                common.Clock(),
            )
            adam = name != "R0.vi"
            make = torch.optim.Adam if adam else torch.optim.SGD
            optimiser = make(net.parameters(), lr=0.1)

            def train(count: int) -> None:
                for _ in range(count):
                    optimiser.zero_grad()
                    loss = functional.binary_cross_entropy_with_logits(net(x)[:, 0], y)
                    (loss + net.kl(variance) / len(x)).backward()
                    optimiser.step()

            for done in range(0, steps, every):
                clock("fit", train, min(every, steps - done))
                p = clock("predict", averaged, net, x, common.ROW_DRAWS[name])
                clock("predict", averaged, net, grid, common.GRID_DRAWS)
            return clock.seconds, common.two_class_scores(p.numpy(), arrays[1])

        return run

    return build


def bbb(steps: int, threads: int) -> common.Run:
    """Return R4.bbb: the KL from the same draw of the weights, noise sd 0.1."""
    torch.set_num_threads(threads)
    *arrays, targets, clean = common.curve()
    x, y, every = map(torch.from_numpy, arrays)

    def small(*shape: int) -> torch.Tensor:
        return 1e-3 * torch.randn(*shape)

    def log_ratio(layer: Linear) -> tuple[list[torch.Tensor], torch.Tensor]:
        drawn, total = layer.drawn(), torch.zeros(())
        for (mean, sd), w in zip(layer.pairs(), drawn, strict=True):
            z = (w - mean) / sd
            total = total + (0.5 * (w**2 - z**2) - torch.log(sd)).sum()
        return drawn, total

    def loss_of(net: Net) -> torch.Tensor:
        h, kl = x, torch.zeros(())
        for i, layer in enumerate(net.layers):
            drawn, ratio = log_ratio(layer)
            h, kl = functional.linear(h, *drawn), kl + ratio
            h = functional.relu(h) if i < 4 else h
        return 50 * ((y - h) ** 2).sum() + kl

    def run(seed: int) -> tuple[common.Times, common.Scores]:
        torch.manual_seed(seed)
        net = Net([1, 20, 20, 20, 20, 1], lambda *w: Linear(*w, start=small, raw=-2.5))
        optimiser, clock = torch.optim.Adam(net.parameters(), lr=0.01), common.Clock()

        def train() -> None:
            for _ in range(steps):
                optimiser.zero_grad()
                loss_of(net).backward()
                optimiser.step()

        @torch.no_grad()
        def predict() -> common.Scores:
            draws = np.stack([net(every)[:, 0].numpy() for _ in range(common.BBB_DRAWS)])
            return common.band_scores(draws, targets, clean)

        clock("fit", train)
        return clock.seconds, clock("predict", predict)

    return run


def digits(steps: int, threads: int) -> common.Run:
    """Return the digits: batches of 128, the KL in closed form."""
    torch.set_num_threads(threads)
    x, y, rest, labels, every = common.images()
    rows, classes = torch.from_numpy(x), torch.from_numpy(y)

    def run(seed: int) -> tuple[common.Times, common.Scores]:
        torch.manual_seed(seed)

        def start(outputs: int, inputs: int) -> torch.Tensor:
            return torch.randn(outputs, inputs) / inputs**0.5

        net = Net([64, 512, 512, 10], lambda *w: Linear(*w, start=start, raw=-4.0))
        optimiser, clock = torch.optim.Adam(net.parameters(), lr=1e-3), common.Clock()
        order = np.random.default_rng(seed).integers(0, len(x), (steps, common.BATCH))

        def train() -> None:
            for batch in torch.from_numpy(order):
                optimiser.zero_grad()
                loss = functional.cross_entropy(net(rows[batch]), classes[batch])
                (loss + net.kl(1.0) / len(x)).backward()
                optimiser.step()

        @torch.no_grad()
        def predict(inputs: np.ndarray) -> np.ndarray:
            at = torch.from_numpy(inputs)
            probs = [functional.softmax(net(at), -1) for _ in range(common.DIGITS_DRAWS)]
            return torch.stack(probs).mean(0).numpy()

        clock("fit", train)
        clock("predict", predict, every)
        return clock.seconds, common.class_scores(predict(rest), labels)

    return run


JOBS = {
    "R0.vi": of_plane("R0.vi"),
    "R0.vi-mlp": of_plane("R0.vi-mlp"),
    "R4.bbb": bbb,
    "digits": digits,
}

if __name__ == "__main__":
    common.tell(JOBS)

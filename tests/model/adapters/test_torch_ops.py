"""Operators of PyTorch in JAX: values and derivatives against PyTorch itself, in float64."""

import copy

import jax
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: run by `make test-torch`")
nn, F = torch.nn, torch.nn.functional
torch.set_num_threads(1)

RNG = np.random.default_rng(11)
INDEX = torch.tensor([[[0, 2, 1], [1, 1, 3]]])


class Op(nn.Module):
    """A function of inputs (n, 4, 6) and of one parameter (4,)."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.p = nn.Parameter(torch.tensor([0.5, -1.0, 2.0, 0.1]))

    def forward(self, x):
        return self.function(x, self.p)


def written(x, p):
    y = x.clone()
    y[:, 0] = 1.0
    y[:, 1:3] += p[1]
    return y


def held(x, p):
    with torch.no_grad():
        y = x * p[0]
    return x * x.detach() + x * y * p[1]


def masked(x, p):
    y = torch.zeros_like(x)
    y[:, torch.tensor([0, 2])] = x[:, :2]
    return y


def scattered(x, p):
    rows = INDEX.expand(x.shape[0], -1, -1)
    zeros = torch.zeros_like(x)
    return zeros.scatter(1, rows, x[:, :2, :3]) + zeros.scatter_add(1, rows, x[:, :2, :3])


def reduced(reduce, include_self):
    def run(x, p):
        rows = INDEX.expand(x.shape[0], -1, -1)
        return x.scatter_reduce(1, rows, x[:, :2, :3] + 1, reduce, include_self=include_self)

    return run


FUNCTIONS = {
    "arithmetic": lambda x, p: (x + p[:, None]) * 2 - x / 3 + (1 - x) - torch.sub(x, x, alpha=3),
    "one entry for all": lambda x, p: x * p[0] + p[1],
    "integers divided": lambda x, p: x * (torch.arange(6) / 4),
    "whole division": lambda x, p: torch.div(x, 0.4, rounding_mode="floor") + x % 0.7,
    "cut division": lambda x, p: torch.div(x, 0.4, rounding_mode="trunc") + torch.fmod(x, 0.7),
    "powers": lambda x, p: x**2 + (x * x + 1) ** 0.5 + 2**x + x.abs() ** x + x**-3.0,
    "rounding": lambda x, p: x.round() + x.floor() + x.ceil() * x + x.trunc() + x.sign(),
    "exponentials": lambda x, p: (
        x.exp() + x.expm1() + (x * x).log1p() + (x * x + 1).log() + x.exp2()
    ),
    "logarithms": lambda x, p: (x * x + 1).log2() + (x * x + 1).log10() + (x * x + 1).rsqrt(),
    "trigonometry": lambda x, p: x.sin() + x.cos() + x.tan() + x.atan() + torch.atan2(x, x + 3),
    "hyperbolic": lambda x, p: x.sinh() + x.cosh() + x.tanh() + x.asinh() + (x * x + 2).acosh(),
    "arcs": lambda x, p: (
        x.tanh().mul(0.9).asin() + x.tanh().mul(0.9).acos() + x.tanh().mul(0.9).atanh()
    ),
    "special": lambda x, p: x.erf() + x.erfc() + (x * x + 1).lgamma() + (x * x + 1).digamma(),
    "erfinv": lambda x, p: (x.tanh() * 0.9).erfinv() + (x + 9).reciprocal(),
    "clamp": lambda x, p: x.clamp(-0.5, 0.5) + x.clamp(min=0.0) + torch.clamp(x, max=p[:, None]),
    "larger and smaller": lambda x, p: torch.maximum(x, p[:, None]) + torch.minimum(x, p[:, None]),
    "comparison": lambda x, p: torch.where((x > 0) & (x < 1) | (x <= -1), x, p[:, None]),
    "logic": lambda x, p: ((x > 0).logical_or(x < -1).logical_not() ^ (x >= 0.5)) * x,
    "equality": lambda x, p: (x.round() == 1) * x + (x.round() != 0) * x * 2 + torch.isnan(x) * 1.0,
    "masked fill": lambda x, p: x.masked_fill(x > 0, -1.0),
    "sums": lambda x, p: x.sum() + x.sum(1) + x.mean((1, 2), keepdim=True)[:, 0] + x.mean(-1).sum(),
    "products": lambda x, p: x.prod(1) + x.cumsum(1)[:, 1] + x.cumprod(1)[:, 2],
    "spread": lambda x, p: x.std(1) + x.var((0, 1), unbiased=False) + x.var(2, keepdim=True)[:, 0],
    "extremes": lambda x, p: x.amax(1) + x.amin((1, 2), keepdim=True)[:, 0] + x.max() - x.min(),
    "extremes with places": lambda x, p: x.max(1)[0] * x.max(1)[1] + x.min(1)[0] + x.argmax(1),
    "any and all": lambda x, p: x[:, 0] * ((x > 1).any(1) | (x > -1).all(1)) + x.argmin(1),
    "softmax": lambda x, p: x.softmax(1) + x.log_softmax(2) + x.logsumexp(1, keepdim=True),
    "norms": lambda x, p: (
        x.norm(dim=1) + x.norm(p=1, dim=1) + x.norm(p=3, dim=1) + (x * 0).norm(dim=1)
    ),
    "highest norm": lambda x, p: (
        torch.linalg.vector_norm(x, float("inf"), dim=1) + F.normalize(x)[:, 0]
    ),
    "distances": lambda x, p: torch.cdist(x, x + 1),
    "cosine": lambda x, p: F.cosine_similarity(x, x + p[:, None]),
    "sort": lambda x, p: x.sort(1, descending=True)[0] + x.argsort(2),
    "top": lambda x, p: x.topk(2, 1)[0] + x.topk(2, 1, largest=False)[0],
    "reshape": lambda x, p: x.reshape(x.shape[0], -1).view(-1, 2, 12).transpose(1, 2).contiguous(),
    "expand": lambda x, p: p[None, :, None].expand(x.shape[0], -1, 6) * x[:, :1].expand(-1, 4, -1),
    "squeeze": lambda x, p: (
        x[:, :1].squeeze(1).unsqueeze(-1).squeeze() + x[:, 1, :].unsqueeze(1)[:, 0]
    ),
    "join and cut": lambda x, p: (
        torch.cat([*x.chunk(2, 1)], 2) + torch.stack([x[:, 1], x[:, 3]], 1).repeat(1, 1, 2)
    ),
    "every other": lambda x, p: x[:, ::2, 1:-1] + x[:, -2:, :4],
    "pad": lambda x, p: F.pad(x, (1, 2, 0, 1), value=2.0) + F.pad(x, (2, 1, 1, 0)),
    "negative pad": lambda x, p: F.pad(x, (-1, -2)),
    "reflected": lambda x, p: F.pad(x, (2, 1), mode="reflect") + F.pad(x, (2, 1), mode="replicate"),
    "turned": lambda x, p: x.flip(1) + x.roll(2, 2) + x.repeat_interleave(2, 1)[:, :4],
    "windows": lambda x, p: x.unfold(2, 3, 2),
    "diagonal": lambda x, p: x.diagonal(0, 1, 2) * torch.triu(torch.ones(4, 4)).sum(0),
    "indices": lambda x, p: (
        x[:, torch.tensor([0, 2])] + x[:, torch.tensor([[1], [3]]), torch.tensor([5, 0])][:, :, :1]
    ),
    "taken": lambda x, p: (
        x.index_select(1, torch.tensor([3, 0])) + x.gather(1, x.argsort(1))[:, :2]
    ),
    "written": written,
    "written at indices": masked,
    "scattered": scattered,
    "summed by group": lambda x, p: x.new_zeros(x.shape[0], 2, 6).index_add(
        1, torch.tensor([0, 1, 0, 1]), x
    ),
    "scatter mean": reduced("mean", True),
    "scatter mean of others": reduced("mean", False),
    "scatter max": reduced("amax", True),
    "one hot": lambda x, p: F.one_hot(x.argmax(2), 6) * x,
    "held": held,
    "constants": lambda x, p: x + torch.tensor([1.0, 2, 3, 4])[:, None] + x.new_full((6,), 2.0),
    "products of matrices": lambda x, p: x @ x.mT + torch.bmm(x, x.mT) + p @ x.sum(0) @ x.mT[0],
    "einsum": lambda x, p: torch.einsum("nct,c->nt", x, p),
    "added products": lambda x, p: torch.baddbmm(x[:, :, :4], x, x.mT, beta=2, alpha=3),
    "attention": lambda x, p: F.scaled_dot_product_attention(x, x, x * 2, is_causal=True),
    "masked attention": lambda x, p: F.scaled_dot_product_attention(
        x, x, x, attn_mask=x @ x.mT, scale=0.3
    ),
    "shape numbers": lambda x, p: x / x.shape[1] ** 0.5 * x.shape[0] + x.numel(),
    "type": lambda x, p: x.to(torch.float64).to(x.dtype) + (x > 0).to(x.dtype) + x.long(),
}
LAYERS = {
    **{
        name: getattr(nn, name)()
        for name in (
            "ReLU", "ReLU6", "LeakyReLU", "PReLU", "ELU", "SELU", "CELU", "GELU", "SiLU", "Mish",
            "Softplus", "Hardswish", "Hardtanh", "LogSigmoid", "Softsign",
            "Tanhshrink", "Softshrink", "Hardshrink", "Sigmoid", "Tanh", "GLU",
        )
    },
    "tanh GELU": nn.GELU("tanh"),
    "LayerNorm": nn.LayerNorm((4, 6)),
    "RMSNorm": nn.RMSNorm(6),
    "GroupNorm": nn.GroupNorm(2, 4),
    "InstanceNorm": nn.InstanceNorm1d(4, affine=True),
    "unlearned BatchNorm": nn.BatchNorm1d(4, track_running_stats=False),
    "Conv1d": nn.Conv1d(4, 6, 3, stride=2, padding=1, groups=2),
    "dilated Conv1d": nn.Conv1d(4, 3, 3, padding="same", dilation=2, bias=False),
    "ConvTranspose1d": nn.ConvTranspose1d(4, 6, 3, 2, 1, 1, groups=2, dilation=2),
    "MaxPool1d": nn.MaxPool1d(3, 2, 1),
    "MaxPool1d, rounded up": nn.MaxPool1d(4, 3, ceil_mode=True),
    "MaxPool1d, dilated": nn.MaxPool1d(2, 1, dilation=2),
    "AvgPool1d": nn.AvgPool1d(3, 2, 1),
    "AvgPool1d, rounded up": nn.AvgPool1d(4, 3, 1, ceil_mode=True),
    "AvgPool1d, of what is there": nn.AvgPool1d(3, 2, 1, count_include_pad=False),
    "AdaptiveAvgPool1d": nn.AdaptiveAvgPool1d(4),
    "AdaptiveMaxPool1d": nn.AdaptiveMaxPool1d(4),
    "Upsample": nn.Upsample(scale_factor=2),
    "LocalResponseNorm": nn.LocalResponseNorm(2),
    "Linear": nn.Linear(6, 3),
    "Flatten": nn.Sequential(nn.Flatten(), nn.Unflatten(1, (6, 4))),
    "weight norm": nn.utils.parametrizations.weight_norm(nn.Linear(6, 2)),
    "LSTM": nn.LSTM(6, 3, 2, batch_first=True, bidirectional=True),
    "LSTM with projection": nn.LSTM(6, 3, proj_size=2, bias=False, batch_first=True),
    "GRU": nn.GRU(6, 3, 2, bidirectional=True, batch_first=True),
    "RNN": nn.RNN(6, 3, nonlinearity="relu", batch_first=True),
}  # fmt: skip
IMAGES = {
    "Conv2d": nn.Conv2d(2, 4, (3, 2), (2, 1), (1, 0), padding_mode="circular"),
    "ConvTranspose2d": nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1, output_padding=1),
    "MaxPool2d": nn.MaxPool2d((3, 2), ceil_mode=True),
    "AvgPool2d": nn.AvgPool2d(2, 1, divisor_override=3),
    "AdaptiveAvgPool2d": nn.AdaptiveAvgPool2d((2, 3)),
    "AdaptiveMaxPool2d": nn.AdaptiveMaxPool2d(2),
    "nearest": nn.Upsample(scale_factor=2),
    "bilinear": nn.Upsample(scale_factor=(2, 1.5), mode="bilinear"),
    "bilinear between corners": nn.Upsample((7, 9), mode="bilinear", align_corners=True),
    "PixelShuffle": nn.Sequential(nn.Conv2d(2, 4, 1), nn.PixelShuffle(2)),
    "InstanceNorm2d": nn.InstanceNorm2d(2, track_running_stats=True),
}
CASES = {
    **{name: (Op(function), (4, 6)) for name, function in FUNCTIONS.items()},
    **{name: (layer, (4, 6)) for name, layer in LAYERS.items()},
    **{name: (layer, (2, 5, 6)) for name, layer in IMAGES.items()},
}


class First(nn.Module):
    """A module's first output."""

    def __init__(self, of):
        super().__init__()
        self.of = of

    def forward(self, x):
        found = self.of(x)
        return found[0] if isinstance(found, tuple) else found


def ours(program, held, x):
    with jax.enable_x64(True):
        out = jax.eval_shape(lambda x: program.run(held, x, train=False, key=None)[0], x)
        outward = np.cos(np.arange(out.size)).reshape(out.shape)

        @jax.jit
        def both(held, x):
            f, back = jax.vjp(lambda *at: program.run(*at, train=False, key=None)[0], held, x)
            return f, back(outward)

        return jax.tree.map(np.asarray, both(held, x)), outward


@pytest.mark.parametrize("name", CASES)
def test_an_operator_has_the_values_and_derivatives_that_it_has_in_torch(name):
    from posterium.model.adapters.aten.export import exported, path_of

    module, shape = CASES[name]
    module = First(copy.deepcopy(module).double().eval())
    program = exported(module, shape, "f", False)
    x = 1.5 * RNG.normal(size=(5, *shape))
    held = {path_of(n): p.detach().numpy() for n, p in module.named_parameters()}
    held |= {path_of(n): b.numpy() for n, b in module.named_buffers()}
    (f, (slopes, slope)), outward = ours(program, held, x)

    given = torch.tensor(x, requires_grad=True)
    expected = module(given)
    assert f.shape == expected.shape
    assert np.allclose(f, expected.detach().numpy(), rtol=1e-10, atol=1e-12)
    expected.backward(torch.tensor(outward))
    assert np.allclose(slope, 0 if given.grad is None else given.grad, rtol=1e-9, atol=1e-11)
    for path, p in module.named_parameters():
        if p.grad is not None:
            assert np.allclose(slopes[path_of(path)], p.grad, rtol=1e-9, atol=1e-11)


def test_derivatives_at_kinks_are_those_of_torch():
    from posterium.model.adapters.aten.export import exported

    def kinks(x):
        f = F.relu(x) + F.relu6(x) + F.hardtanh(x) + F.leaky_relu(x) + F.elu(x) + x.clamp(0, 1)
        return (
            f
            + x.abs()
            + F.max_pool1d(x[:, None], 2)[:, 0].repeat(1, 2)
            + F.hardswish(x)
            + F.hardsigmoid(x)
        )

    x = np.array([[0.0, 1.0, -1.0, 6.0, 0.0, 0.0], [3.0, -3.0, 3.0, 3.0, 100.0, -100.0]])
    program = exported(First(kinks), (6,), "f", False)
    with jax.enable_x64(True):
        run = lambda x: program.run({}, x, train=False, key=None)[0].sum()  # noqa: E731
        slope = jax.grad(run)(x)
    given = torch.tensor(x, requires_grad=True)
    kinks(given).sum().backward()
    assert np.allclose(slope, given.grad)


@pytest.mark.parametrize("name", ["softplus", "mish", "celu", "elu", "logsigmoid", "silu"])
def test_derivatives_far_out_are_numbers(name):
    from posterium.model.adapters.aten.export import exported

    program = exported(First(getattr(F, name)), (1,), "f", False)
    x = np.array([[-200.0], [-90.0], [90.0], [200.0]], np.float32)
    slope = jax.grad(lambda x: program.run({}, x, train=False, key=None)[0].sum())(x)
    given = torch.tensor(x, requires_grad=True)
    getattr(F, name)(given).sum().backward()
    assert np.allclose(slope, given.grad)

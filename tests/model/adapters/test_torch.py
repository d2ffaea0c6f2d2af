"""Networks of PyTorch: equal to PyTorch, the six laws, draws of weights, and what is refused."""

import copy
from functools import partial

import jax
import numpy as np
import pytest

from posterium import Gaussian, Model, Normal, Weights, describe_walk, from_torch
from posterium._struct import replace
from posterium.numerics import gradients, trees

torch = pytest.importorskip("torch", reason="needs torch: run by `make test-torch`")
from tests.model.adapters.torch_nets import NETS, Attention, dense, made  # noqa: E402

nn = torch.nn
torch.set_num_threads(1)

KEY, MASK = jax.random.key(3), jax.random.key(8)
NOISY = ["dense", "convolutions", "transformer", "GRU"]
nets = pytest.mark.parametrize("name", NETS)
noisy = pytest.mark.parametrize("name", NOISY)


@partial(jax.jit, static_argnames="train")
def apply(network, weights, x, train=False):
    return network.apply(weights, x, train=train)


@jax.jit
def slopes(network, weights, x):
    def total(params):
        return (network.apply(replace(weights, params=params), x)[0] ** 2).sum()

    return jax.grad(total)(weights.params)


def pretrained(name):
    module, x = made(name), NETS[name][1]
    network = from_torch(module, x[:1], pretrained=True)
    return module, x, network, network.init(KEY, x)


def equal(one, other):
    return jax.tree.structure(one) == jax.tree.structure(other) and all(
        np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, (one, other)), strict=True)
    )


@nets
@pytest.mark.parametrize(("dtype", "close"), [("float32", 1e-5), ("float64", 1e-10)])
def test_outputs_and_gradients_are_those_of_torch(name, dtype, close):
    module, x, network, weights = pretrained(name)
    module = module.eval().to(getattr(torch, dtype))
    given = torch.tensor(x)
    given = given.to(getattr(torch, dtype)) if given.is_floating_point() else given
    expected = module(given)
    expected.square().sum().backward()
    with jax.enable_x64(dtype == "float64"):
        weights, x = trees.cast((weights, x), np.dtype(dtype))
        f, _ = apply(network, weights, x)
        slope = trees.flatten(slopes(network, weights, x))
    assert f.dtype == dtype
    assert np.allclose(f, expected.detach(), rtol=close, atol=close)
    assert set(slope) == {n.replace(".", "/") for n, _ in module.named_parameters()}
    for path, p in module.named_parameters():
        found, size = slope[path.replace(".", "/")], 1 + p.grad.abs().max().item()
        assert np.allclose(found, p.grad, rtol=close, atol=3 * close * size)


@pytest.mark.parametrize("name", ["dense", "convolutions"])
def test_training_normalises_and_moves_statistics_as_torch_does(name):
    module, x, network, weights = pretrained(name)
    for layer in module.modules():
        if hasattr(layer, "p"):
            layer.p = 0.0
    for _ in range(2):
        f, state = apply(network, weights, x, train=True)
        expected = module.train()(torch.tensor(x))
        assert np.allclose(f, expected.detach(), rtol=1e-5, atol=1e-5)
        weights = replace(weights, state=state)
    held = trees.flatten(weights.state)
    assert held
    for path, buffer in module.named_buffers():
        assert np.allclose(held[path.replace(".", "/")], buffer, rtol=1e-5, atol=1e-6)


@nets
def test_two_keys_give_different_weights_and_one_key_the_same(name):
    module, x = made(name), NETS[name][1]
    network = from_torch(module)
    draw = jax.jit(network.init)
    one, same, other = draw(KEY, x), draw(KEY, x), draw(MASK, x)
    assert equal(one, same)
    for path, leaf in trees.flatten(one.params).items():
        differs = not np.array_equal(leaf, trees.flatten(other.params)[path])
        assert differs == (leaf.size == 1 or np.ptp(leaf) > 0)
    matrices = [leaf for leaf in jax.tree.leaves(one.params) if leaf.ndim > 1]
    assert all(np.ptp(leaf) > 0 for leaf in matrices)


@noisy
@pytest.mark.parametrize("train", [False, True])
def test_noise_is_on_where_there_is_a_key_in_training_or_not(name, train):
    _, x, network, weights = pretrained(name)
    quiet, again = (apply(network, weights, x, train=train)[0] for _ in range(2))
    one, same, other = (
        apply(network, replace(weights, key=jax.random.key(i)), x, train=train)[0]
        for i in (1, 1, 2)
    )
    assert np.array_equal(quiet, again)
    assert np.array_equal(one, same)
    assert not np.allclose(one, quiet, atol=1e-4)
    assert not np.allclose(one, other, atol=1e-4)


def test_without_training_noise_makes_one_function_and_in_training_every_row_has_its_own():
    _, x, network, weights = pretrained("dense")
    twice, weights = np.concatenate([x, x]), replace(weights, key=MASK)
    f = apply(network, weights, twice)[0]
    assert np.array_equal(f[: len(x)], f[len(x) :])
    f = apply(network, weights, twice, train=True)[0]
    assert not np.allclose(f[: len(x)], f[len(x) :])


@nets
def test_the_state_changes_in_training_only_and_keeps_its_types(name):
    _, x, network, weights = pretrained(name)
    for key in (None, MASK):
        noisy_weights = replace(weights, key=key)
        assert equal(apply(network, noisy_weights, x)[1], weights.state)
        state = apply(network, noisy_weights, x, train=True)[1]
        has_statistics = name in ("dense", "convolutions")
        assert equal(state, weights.state) != has_statistics
        kinds = [[(a.shape, a.dtype) for a in jax.tree.leaves(s)] for s in (state, weights.state)]
        assert kinds[0] == kinds[1]


@nets
def test_vmap_over_weights_gives_every_members_function(name):
    x = NETS[name][1]
    network = from_torch(made(name))
    stacked = jax.jit(jax.vmap(lambda key: network.init(key, x)))(jax.random.split(KEY, 2))
    stacked = replace(stacked, key=jax.random.split(MASK, 2))
    together = jax.jit(jax.vmap(lambda w: network.apply(w, x, train=True)[0]))(stacked)
    for i in range(2):
        alone, _ = apply(network, trees.index(stacked, i), x, train=True)
        assert np.allclose(together[i], alone, rtol=1e-4, atol=1e-5)
        own = network.init(jax.random.split(KEY, 2)[i], x)
        assert equal(own.params, trees.index(stacked.params, i))


@noisy
def test_nothing_passed_in_is_changed(name):
    module, x = made(name), NETS[name][1].copy()
    module.train()
    next(iter(module.children())).eval()
    before = copy.deepcopy(module.state_dict())
    flags = [layer.training for layer in module.modules()]
    free = [p.requires_grad for p in module.parameters()]
    random, seen = torch.get_rng_state(), x.copy()
    for keep in (False, True):
        network = from_torch(module, x[:1], pretrained=keep)
        weights = network.init(KEY, x)
        held = jax.tree.map(np.array, weights)
        apply(network, replace(weights, key=MASK), x, train=True)
        assert equal(held, weights)
    assert [layer.training for layer in module.modules()] == flags
    assert [p.requires_grad for p in module.parameters()] == free
    assert all(p.grad is None for p in module.parameters())
    assert torch.equal(torch.get_rng_state(), random)
    assert np.array_equal(x, seen)
    assert all(torch.equal(a, before[n]) for n, a in module.state_dict().items())


def test_draws_are_those_of_the_layers_constructors():
    network = from_torch(nn.Sequential(nn.Linear(400, 100), nn.ReLU(), nn.Linear(100, 1)))
    weights = network.init(KEY, np.zeros((2, 400), np.float32))
    kernel = np.asarray(weights.params["0"]["weight"])
    # Uniform within 1 / sqrt(inputs): the variance is a third of the square of that.
    assert abs(kernel).max() <= 0.05
    sd_of_variance = 0.05**2 * np.sqrt(4 / 45 / kernel.size)
    assert abs(kernel.var() - 0.05**2 / 3) < 4 * sd_of_variance
    attend = from_torch(made("attention")).init(KEY, NETS["attention"][1]).params["attend"]
    assert not attend["in_proj_bias"].any()
    assert not attend["out_proj"]["bias"].any()


def test_drawing_starts_the_batch_statistics_anew_and_pretrained_keeps_them():
    module, x = made("dense"), NETS["dense"][1]
    drawn = from_torch(module).init(KEY, x).state["1"]
    assert (drawn["running_mean"] == 0).all()
    assert (drawn["running_var"] == 1).all()
    kept = from_torch(module, pretrained=True).init(KEY, x).state["1"]
    assert np.array_equal(kept["running_mean"], module[1].running_mean)


def test_tied_weights_are_one_leaf():
    *_, weights = pretrained("attention")
    assert "mix/weight" in trees.flatten(weights.params)
    assert "again" not in weights.params
    assert weights.state["scale"] == 0.5


def test_frozen_parameters_are_state_and_are_not_drawn():
    module, x = made("dense"), NETS["dense"][1]
    module[0].requires_grad_(False)
    weights = from_torch(module, x).init(KEY, x)
    assert "0" not in weights.params
    assert np.array_equal(weights.state["0"]["weight"], module[0].weight)
    other = from_torch(module, x).init(MASK, x)
    assert not np.array_equal(weights.params["4"]["weight"], other.params["4"]["weight"])


def test_a_layer_that_draws_for_its_parts_leaves_frozen_ones():
    module, x = made("attention"), NETS["attention"][1]
    with torch.no_grad():
        module.attend.out_proj.bias.fill_(2.0)
    module.attend.out_proj.requires_grad_(False)
    weights = from_torch(module, x).init(KEY, x)
    assert (weights.state["attend"]["out_proj"]["bias"] == 2).all()
    assert "out_proj" not in weights.params["attend"]


def test_noise_outside_of_training_leaves_the_running_statistics_in_use():
    module, x = dense(dropout=0.0), NETS["dense"][1]
    network = from_torch(module, pretrained=True)
    weights = network.init(KEY, x)
    quiet, _ = apply(network, weights, x)
    noisy, _ = apply(network, replace(weights, key=MASK), x)
    assert np.allclose(quiet, noisy, rtol=1e-5)
    assert not np.allclose(quiet, apply(network, weights, x, train=True)[0], rtol=0.01)


@pytest.mark.parametrize("layer", ["Dropout", "Dropout1d", "AlphaDropout", "FeatureAlphaDropout"])
def test_dropout_keeps_the_mean_and_drops_as_many(layer):
    network = from_torch(nn.Sequential(getattr(nn, layer)(0.3), nn.Flatten(), nn.Linear(40, 1)))
    x = np.ones((2000, 20, 2), np.float32)
    program = network.source.program(x, True)
    held = {"2/weight": np.eye(40, dtype=np.float32), "2/bias": np.zeros(40, np.float32)}
    f, _ = program.run(held, x, train=True, key=MASK)
    f = np.asarray(f).reshape(x.shape)
    dropped = f < 0.5
    by_feature = layer in ("Dropout1d", "FeatureAlphaDropout")
    count = 40_000 if by_feature else 80_000
    assert abs(dropped.mean() - 0.3) < 4 * np.sqrt(0.21 / count)
    assert (dropped[..., 0] == dropped[..., 1]).all() == by_feature
    with torch.random.fork_rng(devices=[]):
        expected = getattr(nn, layer)(0.3)(torch.ones(500, 20, 2)).unique().numpy()
    assert np.allclose(np.unique(f.round(4)), np.unique(expected.round(4)), atol=2e-4)
    off, _ = program.run(held, x, train=True, key=None)
    assert np.array_equal(np.asarray(off).reshape(x.shape), x)


def test_layers_of_dropout_have_masks_of_their_own():
    module = nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.5), nn.Linear(1, 1))
    network = from_torch(module, pretrained=True)
    weights = Weights({"2": {"weight": np.ones((1, 1)), "bias": np.zeros(1)}}, None, MASK)
    f, _ = network.apply(weights, np.ones((4000, 1), np.float32), train=True)
    assert abs((np.asarray(f) == 4).mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 4000)


class Uncovered(nn.Module):
    def forward(self, x):
        return torch.special.bessel_j0(x)


class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


class Fixed(nn.Module):
    def forward(self, x):
        return x.reshape(3, -1)


class Pair(nn.Module):
    def forward(self, x):
        return x, x


class Draws(nn.Module):
    def forward(self, x):
        return x + torch.randn_like(x) if self.training else x


class Owner(nn.Module):
    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(3))

    def forward(self, x):
        return x * self.gain


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Uncovered(), r"Uncovered needs special_bessel_j0.default \(line \d+ of .*bessel_j0\(x\)"),
        (Branching(), "torch.export can follow .* for Branching it says: Could not guard"),
        (Fixed(), "for Fixed it says: Constraints violated"),
        (Pair(), "returns one tensor .* Pair returns 2"),
        (nn.Embedding(3, 2), "float32; for Embedding it says"),
    ],
)
def test_what_cannot_be_exported_is_refused_with_the_reason(module, message):
    x = np.zeros((2, 3), np.float32)
    with pytest.raises(ValueError, match=message):
        from_torch(module, x)


def test_parameters_that_no_layer_draws_are_refused_unless_they_are_kept():
    x = np.zeros((2, 3), np.float32)
    with pytest.raises(ValueError, match="gain of Owner have none that sets them"):
        from_torch(Owner(), x)
    assert "gain" in from_torch(Owner(), x, pretrained=True).init(KEY, x).params
    normed = nn.utils.parametrizations.weight_norm(nn.Linear(3, 1))
    with pytest.raises(ValueError, match=r"original0, .*original1"):
        from_torch(normed, x)


def test_noise_that_is_no_dropout_needs_a_key_in_training():
    network, x = from_torch(Draws()), np.zeros((4, 1), np.float32)
    assert not network.apply(Weights({}), x)[0].any()
    assert network.apply(Weights({}, None, MASK), x, train=True)[0].all()
    with pytest.raises(ValueError, match="weights with a key"):
        network.apply(Weights({}), x, train=True)


@pytest.mark.parametrize(
    ("thing", "message"),
    [(nn.Linear, "Build it: Linear"), (3, "got int"), (nn.LazyLinear(2), "Run it once")],
)
def test_what_is_no_module_with_weights_is_refused(thing, message):
    with pytest.raises(TypeError, match=message):
        from_torch(thing)


def test_the_same_module_is_the_same_network_until_it_changes():
    module = dense()
    first = from_torch(module)
    assert from_torch(module) == first
    assert hash(from_torch(module)) == hash(first)
    assert from_torch(module, pretrained=True) != first
    assert from_torch(copy.deepcopy(module)) != first
    module[3].p = 0.1
    second = from_torch(module)
    assert second != first
    with torch.no_grad():
        module[0].weight += 1
    assert from_torch(module) != second


def test_weights_are_followed_through_a_transformer_layer():
    network, x = from_torch(made("transformer")), NETS["transformer"][1]
    noise, curvature = (describe_walk(network, x, use) for use in ("noise", "kronecker"))
    layer = "encode/layers/0/"
    matrices = ("self_attn/in_proj_weight", "self_attn/out_proj/weight", "linear1/weight")
    for path in (*matrices, "linear2/weight"):
        assert noise.treatment(layer + path) == "flipout"
        assert curvature.treatment(layer + path) == "product"
    for path in ("self_attn/in_proj_bias", "linear2/bias"):
        assert noise.treatment(layer + path) == "per row"
        assert curvature.treatment(layer + path) == "bias"
    shared = {path for path, treatment, _ in noise.entries if treatment == "shared"}
    assert shared == {"embed/weight", "place/weight"}


@pytest.mark.parametrize("name", ["transformer", "convolutions", "GRU"])
def test_gradients_of_rows_by_the_walk_are_those_of_torch(name):
    module, x, network, weights = pretrained(name)
    module.eval()

    def loss(params, x):
        f, _ = network.apply(replace(weights, params=params), x)
        return (f**2).sum(1)

    found = jax.jit(lambda x: gradients.per_row(loss, weights.params, x))(x)
    norms = jax.jit(lambda x: gradients.squared_norms(loss, weights.params, x))(x)
    found = trees.flatten(found)
    for i in range(2):
        module.zero_grad()
        module(torch.tensor(x[i : i + 1])).square().sum().backward()
        grads = {n.replace(".", "/"): p.grad.numpy() for n, p in module.named_parameters()}
        size = max(abs(g).max() for g in grads.values())
        for path, grad in grads.items():
            assert np.allclose(found[path][i], grad, rtol=1e-4, atol=1e-5 * size)
        assert np.isclose(norms[i], sum((g**2).sum() for g in grads.values()), rtol=1e-4)


class Painter(nn.Module):
    """Codes looked up, and made into small pictures."""

    def __init__(self):
        super().__init__()
        self.codes = nn.Embedding(9, 6)
        self.place_embedding = nn.Parameter(torch.zeros(1, 6))
        self.widen = nn.ConvTranspose1d(6, 2, 3)
        self.mix = nn.Conv1d(2, 4, 5)
        self.last = nn.Linear(4, 1)

    def forward(self, x):
        h = (self.codes(x) + self.place_embedding).permute(0, 2, 1)
        return self.last(self.mix(self.widen(h)).mean(2))


def test_a_prior_counts_the_terms_of_a_sum_and_one_for_what_is_looked_up_or_added():
    x = np.zeros((2, 5), np.int64)
    model = Model(from_torch(Painter(), x, pretrained=True), Normal(2.0), Gaussian(0.1))
    precision = trees.flatten(model.prior.precision_of(model.network.init(KEY, x).params))
    found = {path: float(leaf.max()) / 2 for path, leaf in precision.items() if leaf.ndim > 1}
    assert found == {
        "codes/weight": 1, "place_embedding": 1, "widen/weight": 18, "mix/weight": 10,
        "last/weight": 4,
    }  # fmt: skip


def test_a_module_may_live_in_float64():
    module, x = Attention().double(), NETS["attention"][1]
    network = from_torch(module, x, pretrained=True)
    f, _ = apply(network, network.init(KEY, x), x)
    assert f.dtype == np.float32
    expected = module(torch.tensor(x, dtype=torch.float64)).detach()
    assert np.allclose(f, expected, rtol=1e-5, atol=1e-5)
    with jax.enable_x64(True):
        weights = jax.jit(from_torch(module).init)(KEY, x)
        assert all(leaf.dtype == np.float64 for leaf in jax.tree.leaves(weights))


class Shades(nn.Module):
    def forward(self, x):
        return (x * 3).float().mean(1, keepdim=True) / 255


def test_small_integers_do_not_overflow():
    x = np.full((2, 4), 200, np.uint8)
    f, _ = from_torch(Shades(), x).apply(Weights({}), x)
    # PyTorch would wrap them around in 8 bits: inputs are whole numbers of any size here.
    assert np.allclose(f, 600 / 255)

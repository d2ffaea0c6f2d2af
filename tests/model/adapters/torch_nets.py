"""Small networks in PyTorch, with inputs for them. Imported only where torch is installed."""

import numpy as np
import torch
from torch import nn

RNG = np.random.default_rng(21)
ROWS = 6


class Picture(nn.Module):
    """Two convolutions with all usual layers around them."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
            nn.Dropout2d(0.3), nn.Conv2d(4, 4, 3, groups=2), nn.GroupNorm(2, 4), nn.GELU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        )  # fmt: skip
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.body(x))


class Words(nn.Module):
    """A transformer over tokens, with learned positions and a padding token."""

    def __init__(self, norm_first=False):
        super().__init__()
        self.embed = nn.Embedding(7, 8, padding_idx=0)
        self.place = nn.Embedding(5, 8)
        layer = nn.TransformerEncoderLayer(
            8, 2, 12, dropout=0.2, batch_first=True, norm_first=norm_first
        )
        self.encode = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(8, 1)

    def forward(self, tokens):
        x = self.embed(tokens) + self.place(torch.arange(tokens.shape[1]))
        x = self.encode(x, src_key_padding_mask=tokens == 0)
        return self.head(x.mean(1))


class Attention(nn.Module):
    """Attention whose weights are looked at too, and one layer used twice."""

    def __init__(self):
        super().__init__()
        self.attend = nn.MultiheadAttention(6, 3, batch_first=True)
        self.mix = nn.Linear(6, 6)
        self.again = self.mix
        self.head = nn.Linear(6, 1)
        self.register_buffer("scale", torch.tensor(0.5), persistent=False)

    def forward(self, x):
        seen, weights = self.attend(x, x, x)
        seen = self.again(torch.tanh(self.mix(seen)))
        return self.head(seen[:, -1]) + self.scale * weights[:, 0, 1:2]


class Sequence(nn.Module):
    """A recurrent layer and a linear one on its last output."""

    def __init__(self, kind, **options):
        super().__init__()
        self.recur = kind(3, 4, batch_first=True, **options)
        self.head = nn.Linear(8 if options.get("bidirectional") else 4, 1)

    def forward(self, x):
        return self.head(self.recur(x)[0][:, -1])


def dense(dropout=0.5):
    return nn.Sequential(
        nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Dropout(dropout), nn.Linear(4, 1)
    )


def numbers(*shape):
    return RNG.normal(size=(ROWS, *shape)).astype(np.float32)


TOKENS = RNG.integers(1, 7, (ROWS, 5))
TOKENS[1:3, 3:] = 0
NETS = {
    "dense": (dense, numbers(3)),
    "convolutions": (Picture, numbers(1, 8, 8)),
    "transformer": (Words, TOKENS),
    "transformer, normed first": (lambda: Words(True), TOKENS),
    "attention": (Attention, numbers(5, 6)),
    "GRU": (lambda: Sequence(nn.GRU, num_layers=2, dropout=0.3), numbers(5, 3)),
    "LSTM": (lambda: Sequence(nn.LSTM, bidirectional=True), numbers(5, 3)),
    "RNN": (lambda: Sequence(nn.RNN), numbers(5, 3)),
}


def made(name, seed=3):
    """Return a net drawn by PyTorch, with batch statistics that are not the first ones."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        module = NETS[name][0]()
        for buffer in module.buffers():
            if buffer.ndim:
                buffer.uniform_(0.5, 1.5)
    return module

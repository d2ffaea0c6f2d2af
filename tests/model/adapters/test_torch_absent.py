"""Without torch: what asks for it says how to install it."""

import sys

import pytest

import posterium
from posterium.model.adapters import torch as adapter


def test_without_torch_the_door_names_the_extra(monkeypatch):
    for name in ("export", "source"):
        monkeypatch.delitem(sys.modules, f"posterium.model.adapters.aten.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r'pip install "posterium\[torch\]"'):
        posterium.from_torch(object())
    assert posterium.from_torch is adapter.from_torch

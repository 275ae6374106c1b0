"""Norms are recognised by their numbers, and keep their values and get the gradient of a held scale."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from attnwidget.attribution.residual_stream.frozen_norm import FrozenNorm, frozen_norm, may_be_norm


class RootMeanSquare(nn.Module):
    """As Llama's, or Gemma's, whose weight is added to 1."""

    def __init__(self, dim: int, *, added: float) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.randn(dim))
        self.added = added

    def forward(self, x: Tensor) -> Tensor:
        scale = torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)
        return x * scale * (self.added + self.gain)


def layer_norm(dim: int, *, affine: bool = True) -> nn.LayerNorm:
    norm = nn.LayerNorm(dim, elementwise_affine=affine)
    for parameter in norm.parameters():
        nn.init.normal_(parameter, 0.5)
    return norm


def found(module: nn.Module, x: Tensor) -> FrozenNorm | None:
    with torch.no_grad():
        return frozen_norm(module, module, x, module(x))


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(3)


@pytest.mark.parametrize("name", ["layer", "plain layer", "llama", "gemma"])
@pytest.mark.parametrize("mean", [0.0, 2.0])
def test_a_norm_is_the_linear_map_of_its_held_scale(name: str, mean: float) -> None:
    module = {
        "layer": lambda: layer_norm(12),
        "plain layer": lambda: layer_norm(12, affine=False),
        "llama": lambda: RootMeanSquare(12, added=0.0),
        "gemma": lambda: RootMeanSquare(12, added=1.0),
    }[name]()
    x = torch.randn(2, 5, 12)
    # With a mean of 0 a norm that takes it off and one that does not put out the same.
    x = x - x.mean(-1, keepdim=True) + mean
    assert may_be_norm(module)
    norm = found(module, x)
    assert norm is not None
    leaf = x.clone().requires_grad_()
    y = module(x).detach()
    out = norm(leaf, y)
    assert torch.equal(out, y)
    (gradient,) = torch.autograd.grad(out[0, 1, 4], leaf)

    spread = x[0, 1].var(correction=0) if "layer" in name else x[0, 1].square().mean()
    scale = torch.rsqrt(spread + (1e-5 if "layer" in name else 1e-6))
    unit = torch.eye(12)[4] - (1 / 12 if "layer" in name else 0)
    gain = {"layer": getattr(module, "weight", None), "plain layer": None}.get(name)
    if name in {"llama", "gemma"}:
        gain = module.added + module.gain
    wanted = scale * unit * (1 if gain is None else gain[4])
    torch.testing.assert_close(gradient[0, 1], wanted.detach(), rtol=1e-4, atol=1e-5)
    assert not gradient[1].any()


@pytest.mark.parametrize(
    "module", [nn.GELU(), nn.Tanh(), nn.Softmax(dim=-1), nn.GroupNorm(1, 5)], ids=str
)
def test_what_is_no_norm_over_the_last_dimension_is_left(module: nn.Module) -> None:
    assert found(module, torch.randn(2, 5, 12)) is None


def test_a_linear_map_and_what_holds_modules_may_be_none() -> None:
    assert not may_be_norm(nn.Linear(3, 3))
    assert not may_be_norm(nn.Sequential(layer_norm(3)))

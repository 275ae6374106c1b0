"""Fused PyTorch attention operations read by their arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from attnwidget.capture.arguments import AttentionArguments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = [
    "FUSED_LAYERS",
    "FUSED_OPERATIONS",
    "SDPA_MATH",
    "attending_path",
    "has_dropout",
    "read_call",
]

_ATTENTION = "scaled_dot_product_attention"
SDPA_MATH = (
    "_scaled_dot_product_attention_math"  # what the above is made of where no kernel does it all
)
_EFFICIENT = "_scaled_dot_product_efficient_attention"
_LAYER = "_transformer_encoder_layer_fwd"
_NATIVE = "_native_multi_head_attention"
FUSED_OPERATIONS = frozenset(
    {
        _ATTENTION,
        "_scaled_dot_product_flash_attention_for_cpu",
        "_scaled_dot_product_flash_attention",
        "_scaled_dot_product_cudnn_attention",
        "_scaled_dot_product_fused_attention_overrideable",
        _EFFICIENT,
        _LAYER,
        _NATIVE,
    }
)
# Those that project their input and output as well.
FUSED_LAYERS = frozenset({_LAYER, _NATIVE})
# Position of the mask among the arguments of those that have one there; keyword elsewhere.
_BIAS_THIRD = frozenset(
    {
        _EFFICIENT,
        "_scaled_dot_product_cudnn_attention",
        "_scaled_dot_product_fused_attention_overrideable",
    }
)
_CAUSAL_POSITION = {
    _ATTENTION: 5,
    _EFFICIENT: 6,
    "_scaled_dot_product_cudnn_attention": 6,
    "_scaled_dot_product_fused_attention_overrideable": 5,
}


def attending_path(name: str, path: str, module: nn.Module) -> str:
    """Name the module that attends: the fast path of a whole encoder layer does not call it."""
    inside = name == _LAYER and isinstance(getattr(module, "self_attn", None), nn.Module)
    return (f"{path}.self_attn" if path else "self_attn") if inside else path


def has_dropout(name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    """Tell whether a composite operation drops weights at random: the operations it is made of show which."""
    return name == _ATTENTION and bool(_dropout(name, args, kwargs))


def read_call(
    name: str, module: nn.Module, args: Sequence[Any], kwargs: dict[str, Any]
) -> AttentionArguments | None:
    """Read one call.

    Args:
        name: Name of the operation, one of `NAMES`.
        module: Module that makes it.
        args: Its positional arguments.
        kwargs: Its keyword arguments.

    Returns:
        Its arguments, with query, key and value ``[batch, head, position, dim]``.
    """
    if name == _LAYER:
        return _read_layer(module, args)
    if name == _NATIVE:
        query, heads, weight, bias, mask, kind = (
            args[0],
            args[4],
            args[5],
            args[6],
            *_optional(args, kwargs, 9, 12),
        )
        return _projected(module, query, heads, (weight, bias), (mask, kind))
    mask = kwargs.get("attn_mask", kwargs.get("attn_bias"))
    if mask is None and name in {*_BIAS_THIRD, _ATTENTION} and len(args) > 3:
        mask = args[3]
    position = _CAUSAL_POSITION.get(name, 4)
    causal = bool(kwargs.get("is_causal", args[position] if len(args) > position else False))
    query, key, value = (_four(tensor) for tensor in args[:3])
    if isinstance(mask, torch.Tensor):
        mask = mask[(None,) * (4 - mask.ndim)] if mask.ndim != 3 else mask[:, None]
    return AttentionArguments(
        implementation="sdpa",
        module=module,
        query=query,
        key=key,
        value=value,
        attention_mask=mask,
        options={
            "scaling": kwargs.get("scale"),
            "is_causal": causal,
            "dropout": _dropout(name, args, kwargs),
        },
    )


def _dropout(name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    # Right before the flag that says whether later keys are hidden, in all of them.
    position = _CAUSAL_POSITION.get(name, 4) - 1
    return kwargs.get("dropout_p", args[position] if len(args) > position else 0.0)


def _four(tensor: Tensor) -> Tensor:
    if tensor.ndim == 3:  # [batch and head, position, dim] with one head
        return tensor[:, None]
    return tensor if tensor.ndim != 2 else tensor[None, None]


def _optional(args: Sequence[Any], kwargs: dict[str, Any], mask: int, kind: int) -> tuple[Any, Any]:
    return (
        args[mask] if len(args) > mask else kwargs.get("mask"),
        args[kind] if len(args) > kind else kwargs.get("mask_type"),
    )


def _read_layer(module: nn.Module, args: Sequence[Any]) -> AttentionArguments:
    source, heads, (weight, bias) = args[0], args[2], args[3:5]
    norm_first, eps, norm = args[8], args[9], args[10:12]
    mask, kind = _optional(args, {}, 18, 19)
    attention = getattr(module, "self_attn", module)
    if source.is_nested:
        # Rows of different lengths; a record is of one row, which has a length of its own.
        rows = [functional.layer_norm(row, row.shape[-1:], norm[0], norm[1], eps) if norm_first else row
                for row in source.unbind()]  # fmt: skip
        padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        lengths = torch.tensor([len(row) for row in rows], device=padded.device)
        hidden = torch.arange(padded.shape[1], device=padded.device) >= lengths[:, None]
        return _projected(attention, padded, heads, (weight, bias), (hidden, 1))
    if norm_first:
        source = functional.layer_norm(source, source.shape[-1:], norm[0], norm[1], eps)
    return _projected(attention, source, heads, (weight, bias), (mask, kind))


def _projected(
    module: nn.Module,
    source: Tensor,
    heads: int,
    projection: tuple[Tensor, Tensor],
    mask: tuple[Tensor | None, int | None],
) -> AttentionArguments:
    """Project as the operation does inside, and turn its mask, true where hidden, into one that says what is seen."""
    batch, count, _ = source.shape
    query, key, value = (
        part.view(batch, count, heads, -1).transpose(1, 2)
        for part in functional.linear(source, *projection).chunk(3, dim=-1)
    )
    hidden, kind = mask
    seen = None
    if hidden is not None:
        seen = ~(hidden.bool() if hidden.dtype != torch.bool else hidden)
        if kind == 1:
            seen = seen[:, None, None]
        elif seen.ndim == 2:
            seen = seen[None, None]
        seen = seen.expand(-1, -1, count, -1)
    return AttentionArguments(
        implementation="sdpa",
        module=module,
        query=query,
        key=key,
        value=value,
        attention_mask=seen,
        options={"is_causal": False},
    )

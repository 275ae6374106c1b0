"""Whether the tensors of a layer fit together."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from attnwidget.layer import Layer

__all__ = ["check"]


def check(layer: Layer) -> None:
    """Raise `ValueError` unless the tensors of ``layer`` fit together."""
    where = f"layer {layer.layer} of stream {layer.stream!r} ({layer.module_path})"
    if (layer.query is None) != (layer.key is None) or (
        layer.query is None and layer.recorded is None
    ):
        message = f"{where} needs query and key, or recorded weights."
        raise ValueError(message)
    if layer.query is not None and layer.scaling is None:
        message = f"{where} needs the scaling of its scores, got None: pass scaling=head_dim**-0.5, or 1.0 for none."
        raise ValueError(message)
    count, n_query, n_key = layer.num_heads, layer.n_query, layer.n_key
    groups, head_dim = layer.num_key_value_heads, layer.head_dim
    expected: dict[str, tuple[tuple[int | None, ...], ...]] = {
        "query": ((count,), (n_query,), (head_dim,)),
        "key": ((groups,), (n_key,), (head_dim,)),
        "value": ((groups,), (n_key,), (None,)),
        "bias": ((count, 1), (n_query, 1), (n_key, 1)),
        "sinks": ((count,),),
        "recorded": ((count,), (n_query,), (n_key,)),
        "value_norms": ((count,), (n_key,)),
    }
    for name, sizes in expected.items():
        tensor: Tensor | None = getattr(layer, name)
        if tensor is None:
            continue
        fits = len(tensor.shape) == len(sizes) and all(
            size > 0 and (size in wanted or wanted == (None,))
            for size, wanted in zip(tensor.shape, sizes, strict=True)
        )
        if not fits or not tensor.is_floating_point():
            shown = ", ".join(
                " or ".join("any" if size is None else str(size) for size in wanted)
                for wanted in sizes
            )
            message = f"{name} of {where} must be floating point [{shown}], got {tensor.dtype} {list(tensor.shape)}."
            raise ValueError(message)
    if count < 1 or count % groups:
        message = f"{where} has {groups} key heads, which do not divide its {count} query heads."
        raise ValueError(message)

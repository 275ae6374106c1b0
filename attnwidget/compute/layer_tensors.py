"""`LayerTensors`: query, key, value, scaling, mask, bias, sinks or recorded weights of one attention call, checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, cast, get_args

import torch

from attnwidget.compute.softmax_stats import StatsCache

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from attnwidget.compute.masks import Band

__all__ = ["EXACT", "Exact", "LayerTensors", "check_exact"]

Exact = Literal["float32", "model"]
EXACT: tuple[Exact, ...] = get_args(Exact)


@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class LayerTensors:
    """The tensors and numbers of one attention call: all that its weights are computed from.

    Vectors (``query``, ``key``, ``scaling``) or ``recorded`` weights, or both: then the weights are the recorded ones.
    Nothing is computed here.

    The fields are described where users meet them, in the docstring of `Layer`.
    """

    stream: str
    layer: int
    module_path: str
    num_heads: int
    query: Tensor | None = None
    key: Tensor | None = None
    value: Tensor | None = None
    scaling: float | None = None
    band: Band | None = None
    bias: Tensor | None = None
    softcap: float | None = None
    sinks: Tensor | None = None
    recorded: Tensor | None = None
    reason: str | None = None
    value_norms: Tensor | None = None
    norm_reason: str | None = None
    exact: Exact = "float32"
    softmax_dtype: Exact = "float32"
    edited_heads: tuple[int, ...] = ()
    edited_output: Tensor | None = None
    output_gradient: Tensor | None = None
    # What to do before the tensors are read for the first time: those of a file are compared with its digests.
    _first_read: Callable[[], None] | None = field(default=None, init=False)
    _stats: StatsCache = field(default_factory=StatsCache, init=False)

    def __post_init__(self) -> None:
        """Check that the tensors fit together.

        Raises:
            ValueError: If a shape or dtype does not fit, or if there are neither vectors nor recorded weights.
        """
        _check(self)

    def before_reading(self) -> None:
        """Check the tensors of a file that was loaded, the first time.

        Raises:
            ValueError: If they are not what was written.
        """
        if self._first_read is not None:
            self._first_read()

    @property
    def has_vectors(self) -> bool:
        """Whether query and key are there, so that scores and the neuron view can be shown."""
        return self.query is not None and self.key is not None

    @property
    def has_matrices(self) -> bool:
        """Whether weights are read as whole matrices: recorded, or computed as the model does it."""
        return self.recorded is not None or self.exact == "model"

    @property
    def num_key_value_heads(self) -> int:
        """Number of key and value heads; query head ``h`` uses ``h // (num_heads // num_key_value_heads)``."""
        held = self.key if self.key is not None else self.value
        return self.num_heads if held is None else held.shape[0]

    @property
    def head_dim(self) -> int | None:
        """Length of a query vector, or ``None`` without vectors."""
        return None if self.query is None else self.query.shape[2]

    @property
    def n_query(self) -> int:
        """Number of query positions."""
        return int(self._main.shape[1])

    @property
    def n_key(self) -> int:
        """Number of key positions."""
        return int(
            self.key.shape[1]
            if self.key is not None and self.recorded is None
            else self._main.shape[2]
        )

    @property
    def device(self) -> torch.device:
        """Where the tensors are and where the maths runs."""
        return self._main.device

    @property
    def mask_threshold(self) -> float:
        """Bias entries at or below this mean "masked"."""
        dtypes = [tensor.dtype for tensor in (self.bias, self.query) if tensor is not None]
        return max((torch.finfo(dtype).min / 2 for dtype in dtypes), default=-torch.inf)

    @property
    def _main(self) -> Tensor:
        return cast("Tensor", self.recorded if self.recorded is not None else self.query)


def check_exact(exact: object, name: str = "exact") -> None:
    """Raise `ValueError` unless this is a way to compute weights."""
    if not isinstance(exact, str) or exact not in EXACT:
        message = f"{name} must be 'float32' or 'model', got {exact!r}."
        raise ValueError(message)


def _check(layer: LayerTensors) -> None:
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
    check_exact(layer.exact)
    check_exact(layer.softmax_dtype, "softmax_dtype")
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
        "output_gradient": (
            (count,),
            (n_query,),
            (None if layer.value is None else layer.value.shape[2],),
        ),
        "edited_output": (
            (len(layer.edited_heads),),
            (n_query, 1),
            (None if layer.value is None else layer.value.shape[2],),
        ),
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
    if bool(layer.edited_heads) != (layer.edited_output is not None) or not all(
        0 <= head < count for head in layer.edited_heads
    ):
        message = (
            f"{where} needs one output in edited_output for each of its edited heads, which are within 0 .. {count - 1}, "
            f"got {layer.edited_heads}."
        )
        raise ValueError(message)
    if count < 1 or count % groups:
        message = f"{where} has {groups} key heads, which do not divide its {count} query heads."
        raise ValueError(message)

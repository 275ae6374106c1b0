"""`Call`: what is kept of one attention call, read from the arguments as its implementation reads them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch

from attnwidget.capture.calls.mask_reader import MaskView

if TYPE_CHECKING:
    from torch import Tensor

    from attnwidget.capture.arguments import AttentionArguments, OutputGradient
    from attnwidget.capture.calls.windows import Windows
    from attnwidget.capture.store import Store
    from attnwidget.capture.taps.sources import Origin
    from attnwidget.compute.layer_tensors import Exact

__all__ = [
    "Call",
    "CallSelection",
    "batch_row",
    "has_dropout",
    "num_used_keys",
    "output_rows",
    "read_call",
    "read_mask_view",
    "scaling_of",
    "shape_only",
    "sinks_of",
    "unsupported",
]


@dataclass(frozen=True, slots=True)
class CallSelection:
    """Which part of a call is kept.

    Attributes:
        store: Where, or ``None`` if the call is not recorded: then only the shapes of its vectors are kept.
        rows: Which of its queries are kept.
    """

    store: Store | None
    rows: slice = field(default_factory=lambda: slice(None))


@dataclass(frozen=True, slots=True)
class Call:
    """One attention call, one row of the batch, vectors copied.

    A call that is not recorded still tells the shape of its stream; its vectors are on the device ``meta``.

    Attributes:
        query: ``[head, query, head_dim]``, those of the kept queries.
        key: ``[key_value_head, key, head_dim]``; in later calls only the keys that are new.
        value: ``[key_value_head, key, value_dim]``, as ``key``.
        mask_view: Its mask.
        num_queries: Number of its queries, kept or not.
        position_bias: ``[batch or 1, head or 1, query or 1, key]`` as passed, or ``None``.
        forward_pass: Number of the model's forward pass it belongs to.
        first_key: Index, counted over the whole recording, of the first key it looked at.
        first_row: The first of its kept queries, which are consecutive.
        recorded: ``[head, query, key]`` weights of the kept queries, where query and key are not known; those then have
            no dimensions.
        reason: Why they are not.
        windows: The windows it attends within, concatenated, if it does.
        origin: Where its queries and keys come from, where that was followed.
        own_weights: ``[head, query, key]`` weights of the kept queries that the model computed, beside query and key, where
            they were asked for.
        softmax_dtype: In which dtype its eager softmax is computed.
        owns_bias: Whether ``position_bias`` was worked out here, so that no other code writes into it.
        outputs: Of each of its outputs, which stand one after the other as its values do, the gradient and the number of the
            row that each kept query is; nothing where no gradients are recorded.
        output_gradient: ``[head, query, value_dim]`` gradient with regard to the output of the kept queries, once known.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    mask_view: MaskView
    num_queries: int
    scaling: float
    softcap: float | None
    sinks: Tensor | None
    position_bias: Tensor | None
    forward_pass: int = 0
    first_key: int = 0
    first_row: int = 0
    recorded: Tensor | None = None
    reason: str | None = None
    windows: Windows | None = None
    owns_bias: bool = False
    origin: Origin | None = None
    own_weights: Tensor | None = None
    softmax_dtype: Exact = "float32"
    outputs: tuple[tuple[OutputGradient, Tensor], ...] = ()
    output_gradient: Tensor | None = None

    def with_gradient(self) -> Call:
        """Return the call with the gradient of its output, where one was computed for all of it."""
        values = [gradient.value for gradient, _ in self.outputs]
        known = [value for value in values if value is not None]
        if self.query.is_meta or not known or len(known) < len(values):
            return replace(self, outputs=())
        parts = [
            value.movedim(1, 2).flatten(0, 1)[rows.to(value.device)].movedim(0, 1)
            for value, (_, rows) in zip(known, self.outputs, strict=True)
        ]
        return replace(self, outputs=(), output_gradient=torch.cat(parts, dim=-1))


def read_call(
    arguments: AttentionArguments, view: MaskView, selection: CallSelection, new: slice
) -> Call:
    """Copy one row of a call, as its implementation reads the arguments.

    Args:
        arguments: The call.
        view: Its mask, and the row of the batch.
        selection: Which part of it is kept.
        new: Its keys that are new.
    """
    options, implementation = arguments.options, arguments.implementation
    sinks = sinks_of(arguments)
    bias = options.get("position_bias")
    if sinks is not None and sinks.shape == (*arguments.query.shape[:3], 1):
        sinks, bias = _sinks_of_queries(sinks.detach(), bias)
    softcap = options.get("softcap")
    kept = {
        "query": batch_row(arguments.query, view.batch)[:, selection.rows],
        "key": batch_row(arguments.key, view.batch)[:, new],
        "value": batch_row(arguments.value, view.batch)[:, new],
    }
    store = selection.store
    if arguments.weights is not None:
        kept["recorded"] = arguments.weights[0][:, selection.rows]
    if arguments.own_weights is not None and store is not None:
        kept["own_weights"] = batch_row(arguments.own_weights, view.batch)[:, selection.rows]
    if sinks is not None:
        kept["sinks"] = sinks.flatten()
    found = store.keep(kept) if store is not None else {n: shape_only(t) for n, t in kept.items()}
    return Call(
        query=found["query"],
        key=found["key"],
        value=found["value"],
        mask_view=view,
        num_queries=view.num_queries,
        first_row=selection.rows.indices(view.num_queries)[0],
        scaling=float(scaling_of(arguments)),
        softcap=None if softcap is None else float(softcap),
        sinks=found.get("sinks"),
        position_bias=bias if store is not None else None,
        owns_bias=implementation == "functional",  # worked out here, no tensor of the model's
        recorded=found.get("recorded"),
        reason=arguments.reason,
        own_weights=found.get("own_weights"),
        softmax_dtype=arguments.softmax_dtype,
        outputs=() if store is None else output_rows(arguments, view.batch, selection.rows),
    )


def output_rows(
    arguments: AttentionArguments, batch: int, queries: slice
) -> tuple[tuple[OutputGradient, Tensor], ...]:
    """Return the gradient of a call's output, and the numbers of the rows that some of its queries are."""
    if arguments.output is None:
        return ()
    return ((arguments.output.gradient, batch_row(arguments.output.rows, batch)[0, queries, 0]),)


def scaling_of(arguments: AttentionArguments) -> float | Tensor:
    """Return the factor on query times key of a call."""
    scaling: float | Tensor | None = arguments.options.get("scaling")
    return arguments.query.shape[-1] ** -0.5 if scaling is None else scaling


def sinks_of(arguments: AttentionArguments) -> Tensor | None:
    """Return the sinks of a call that its softmax counts, as they were given, ``[head]`` or ``[batch, head, query, 1]``."""
    options, implementation = arguments.options, arguments.implementation
    sinks: Tensor | None = options.get("s_aux", options.get("sinks"))
    if implementation.endswith("eager"):
        # The models' own functions read the sinks off the module.
        sinks = getattr(arguments.module, "sinks", sinks)
    if implementation == "sdpa" or not arguments.sinks_in_softmax:
        return None  # it has no notion of them, or its weights have not
    return sinks


def shape_only(tensor: Tensor) -> Tensor:
    """Keep nothing of a tensor but its shape and dtype."""
    return torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")


def _sinks_of_queries(sinks: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    """Turn sinks ``[batch, head, query, 1]`` that differ from query to query into a bias and sinks that are all 0.

    A softmax does not change when a number is subtracted from all its scores; subtract the sink, and it is 0.
    """
    return sinks.new_zeros(sinks.shape[1]), -sinks if bias is None else bias - sinks


def has_dropout(arguments: AttentionArguments) -> bool:
    """Tell whether a call drops some of its weights at random."""
    # Eager functions ask the module whether it trains, the others do as they are told.
    training = arguments.module.training or not arguments.implementation.endswith("eager")
    return bool(arguments.options.get("dropout")) and training


def unsupported(arguments: AttentionArguments) -> str | None:
    """Say why a record cannot express a call, if it cannot."""
    query, options = arguments.query, arguments.options
    if any(tensor.ndim != 4 for tensor in (query, arguments.key, arguments.value)):
        return f"attends with vectors of shape {tuple(query.shape)} instead of [batch, head, position, dim]"
    if query.shape[1] % arguments.key.shape[1]:
        return f"has {query.shape[1]} query heads for {arguments.key.shape[1]} key heads"
    scaling, sinks = options.get("scaling"), options.get("s_aux", options.get("sinks"))
    if isinstance(scaling, torch.Tensor) and scaling.numel() > 1:
        return "scales each head differently"
    if (
        sinks is not None
        and sinks.numel() != query.shape[1]
        and sinks.shape != (*query.shape[:3], 1)
    ):
        return f"has attention sinks of shape {tuple(sinks.shape)} for {query.shape[1]} heads"
    if options.get("cache") is not None:
        return "attends over a paged cache"
    if (
        "flash" in arguments.implementation
        and options.get("cu_seq_lens_q", options.get("cu_seqlens_q")) is not None
    ):
        return "attends within packed sequences"
    return None


def read_mask_view(arguments: AttentionArguments, batch: int) -> MaskView:
    """Read the mask the way the implementation does."""
    mask: Any = arguments.attention_mask
    num_queries, num_keys = arguments.query.shape[2], arguments.key.shape[2]
    implementation, options = arguments.implementation, arguments.options
    causal, offset, window = False, 0, None
    if "flash" in implementation:
        # Lower-right alignment: the last query sees the last key.
        causal, offset, window = (
            arguments.is_causal,
            num_keys - num_queries,
            options.get("sliding_window"),
        )
    elif not implementation.endswith("eager") and implementation != "flex_attention":
        # sdpa hides later keys by itself only without a mask, aligned to the upper left. Functions that users
        # register follow its convention. Eager and flex see everything when there is no mask.
        causal = mask is None and arguments.is_causal and num_queries > 1
    return MaskView(mask, num_queries, num_keys, batch, causal=causal, offset=offset, window=window)


def num_used_keys(view: MaskView) -> int:
    """Number of keys in use: a static cache returns its whole buffer, of which the tail was never written."""
    if view.num_keys <= view.num_queries:
        return view.num_keys
    return max(view.num_queries, view.last_seen())


def batch_row(tensor: Tensor, batch: int) -> Tensor:
    """Return one row of a batch; a tensor with a single row has it for all."""
    return tensor[min(batch, len(tensor) - 1)].detach()

"""Chefer's relevance of tokens, of one sequence and of an encoder-decoder, and which positions a metric reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from attnwidget.analysis.rollout import rollout_missing
from attnwidget.attribution.sums import positive_rows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from attnwidget.record.layer import Layer
    from attnwidget.record.record import Record
    from attnwidget.record.stream import Stream

    Array = NDArray[np.float64]

__all__ = ["chefer_tokens", "only_stream", "rows_read"]

_BOTH = {"encoder", "decoder", "cross"}


def chefer_tokens(record: Record) -> dict[str, Array]:
    """Return the relevance of each token, float64 ``[key]`` by stream, less the identity that it begins with.

    Args:
        record: A record with gradients.

    Raises:
        ValueError: If its streams are neither one sequence nor those of an encoder-decoder.
    """
    if set(record.streams) == _BOTH:
        return _of_both(record)
    stream = only_stream(record, "chefer")
    read = rows_read(stream)
    # R = (I + A_L) … (I + A_1): of the rows that are read alone, from the last layer to the first.
    row = read.clone()
    for layer in reversed(stream.layers):
        row = row + sum(row[at] @ part.double() for at, part in positive_rows(layer))
    found: Array = (row - read).numpy()
    return {stream.name: found}


def only_stream(record: Record, method: str) -> Stream:
    """Return the stream of the one sequence that a record is of, whose layers can be chained.

    Raises:
        ValueError: If there are several, or they cannot.
    """
    chained = [one for one in record.streams.values() if rollout_missing(one) is None]
    if len(record) > 1:
        such = f"streams={chained[0].name!r}" if chained else "method='gradient'"
        both = ", or, of chefer, of an encoder-decoder" if method == "chefer" else ""
        msg = (
            f"method={method!r} follows the layers of one sequence{both}, and this model has the streams {list(record)}: "
            f"pass {such}, or method='occlusion', which holds for any."
        )
        raise ValueError(msg)
    (stream,) = record.streams.values()
    reason = rollout_missing(stream)
    if reason is not None:
        msg = f"method={method!r} cannot follow stream {stream.name!r}: {reason} Pass method='gradient'."
        raise ValueError(msg)
    return stream


def rows_read(stream: Stream) -> Tensor:
    """Return the share that each position has in what a metric reads, float64 ``[query]``, summing to 1.

    What the last layer puts out at a position goes into the metric only if that position is read, so its gradient tells.

    Raises:
        ValueError: If no position is.
    """
    gradient = stream.layers[-1].output_gradient
    read = None if gradient is None else gradient.cpu().ne(0).any(-1).any(0)
    if read is None or not bool(read.any()):
        msg = f"the metric does not depend on what stream {stream.name!r} puts out."
        raise ValueError(msg)
    share: Tensor = read.double() / read.sum()
    return share


def _matrix(layer: Layer) -> Tensor:
    """Return ``E_h[(w ⊙ ∂m/∂w)⁺]``, float64 ``[query, key]``."""
    return torch.cat([part for _, part in positive_rows(layer)]).double()


def _of_both(record: Record) -> dict[str, Array]:
    """Return the relevance of the tokens of an encoder-decoder: ``s`` its decoder's, ``q`` its encoder's."""
    encoder, decoder, cross = (record[name] for name in ("encoder", "decoder", "cross"))
    for one in (encoder, decoder):
        reason = rollout_missing(one)
        if reason is not None:
            msg = f"method='chefer' cannot follow stream {one.name!r}: {reason} Pass method='gradient'."
            raise ValueError(msg)
    read = rows_read(decoder)
    r_qq = torch.eye(len(encoder.query_positions), dtype=torch.float64)
    for layer in encoder:
        r_qq = r_qq + _matrix(layer) @ r_qq
    r_ss = torch.eye(len(decoder.query_positions), dtype=torch.float64)
    r_sq = torch.zeros(len(r_ss), len(r_qq), dtype=torch.float64)
    crossing = {layer.layer: layer for layer in cross}
    for layer in decoder:
        own = _matrix(layer)
        r_ss, r_sq = r_ss + own @ r_ss, r_sq + own @ r_sq
        if layer.layer in crossing:
            between = _matrix(crossing[layer.layer])
            r_sq = r_sq + _normalised(r_ss).T @ between @ _normalised(r_qq)
    found = {"encoder": read @ r_sq, "decoder": read @ r_ss - read}
    return {name: one.numpy() for name, one in found.items()}


def _normalised(relevance: Tensor) -> Tensor:
    """Return ``(R − I) / S + I``, ``S`` the sums of its rows; a row of zeros stays one."""
    identity = torch.eye(len(relevance), dtype=relevance.dtype)
    through = relevance - identity
    total = through.sum(-1, keepdim=True)
    return through / torch.where(total > 0, total, 1.0) + identity

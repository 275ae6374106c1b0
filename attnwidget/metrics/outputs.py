"""`Reading`: what a model's output says at one position: the next or masked token, a label, or an embedding."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch

from attnwidget.compute.checks import integer, shown

if TYPE_CHECKING:
    from torch import Tensor

    from attnwidget.capture.forward import Ran

__all__ = ["Reading", "counted", "kept_output", "mask_of", "read_output"]

Kind = Literal["token", "label", "embedding", "nothing"]

_EMBEDDINGS = ("sentence_embedding", "text_embeds", "image_embeds", "last_hidden_state")


@dataclass(frozen=True, slots=True)
class Reading:
    """How an output of a model is read.

    Attributes:
        kind: Whether it chooses among tokens or labels, or is an embedding.
        row: The row of the batch.
        at: The position that chooses, counted as the output has them; ``None`` where the whole input has one label.
        embedding: Name of the output that is an embedding.
        names: Labels by their number, as the model's configuration has them.
    """

    kind: Kind
    row: int
    at: int | None = None
    embedding: str | None = None
    names: tuple[str, ...] = ()

    def logits(self, output: Any) -> Tensor:
        """Return the logits of the choice, float32 ``[choice]``."""
        logits: Tensor = _part(output, "logits")[self.row]
        return (logits if self.at is None else logits[self.at]).float()

    def vector(self, output: Any, mask: Tensor | None) -> Tensor:
        """Return the embedding, float32 ``[dim]``; of one vector a position the mean of those that are no padding."""
        assert self.embedding is not None  # noqa: S101  (the caller has looked)
        states: Tensor = _part(output, self.embedding)[self.row].float()
        if states.ndim == 1:
            return states
        if mask is None or len(mask) != len(states):
            return states.reshape(-1, states.shape[-1]).mean(dim=0)
        return states[mask.bool()].mean(dim=0)


def read_output(ran: Ran, position: Any) -> Reading:
    """Tell how the output of a run is read.

    Args:
        ran: The run.
        position: The position that chooses, counted without padding, negative from the end.

    Raises:
        ValueError: If ``position`` is no integer.
        IndexError: If there is no such position.
    """
    wanted = integer(position)
    if wanted is None:
        msg = f"position must be the number of a position, such as -1 for the last, got {shown(position)}."
        raise ValueError(msg)
    logits = _part(ran.output, "logits")
    if _chooses(logits):
        tokens = logits.ndim == 3 and _over_vocabulary(ran, logits.shape[-1])
        if logits.ndim == 2:
            return Reading("label", ran.row, names=_names(ran, logits.shape[-1]))
        at = _place(ran, logits.shape[1], wanted)
        if tokens:
            return Reading("token", ran.row, at)
        return Reading("label", ran.row, at, names=_names(ran, logits.shape[-1]))
    for name in _EMBEDDINGS:
        if isinstance(_part(ran.output, name), torch.Tensor):
            return Reading("embedding", ran.row, embedding=name)
    return Reading("nothing", ran.row)


def kept_output(output: Any) -> dict[str, Tensor]:
    """Return what of a model's output is read: its logits, else its embedding; nothing where it has neither."""
    parts = {name: _part(output, name) for name in ("logits", *_EMBEDDINGS)}
    read = (
        name
        for name, part in parts.items()
        if (_chooses(part) if name == "logits" else isinstance(part, torch.Tensor))
    )
    return {name: parts[name] for name in itertools.islice(read, 1)}


def counted(ran: Ran, reading: Reading) -> int | None:
    """Return the position that chooses as the record counts it, without padding; ``None`` where the whole input does."""
    if reading.at is None:
        return None
    mask = mask_of(ran)
    count = _part(ran.output, "logits").shape[1]
    return int(mask[: reading.at].sum()) if mask is not None and len(mask) == count else reading.at


def mask_of(ran: Ran) -> Tensor | None:
    """Return which positions of what the output is of are no padding, ``[position]``, where that is known."""
    sided = getattr(getattr(ran.model, "config", None), "is_encoder_decoder", False)
    mask = ran.kwargs.get("decoder_attention_mask" if sided else "attention_mask")
    if not isinstance(mask, torch.Tensor) or mask.ndim != 2:
        return None
    return mask[min(ran.row, len(mask) - 1)]


def _chooses(logits: Any) -> bool:
    """Tell whether these are logits of choices among tokens or labels."""
    return isinstance(logits, torch.Tensor) and logits.ndim in {2, 3} and logits.is_floating_point()


def _part(output: Any, name: str) -> Any:
    return output.get(name) if isinstance(output, Mapping) else getattr(output, name, None)


def _over_vocabulary(ran: Ran, size: int) -> bool:
    """Tell whether logits are of tokens: as many as the model's last layer has rows, or as its vocabulary."""
    find = getattr(ran.model, "get_output_embeddings", None)
    head = find() if callable(find) else None
    weight = getattr(head, "weight", None)
    if isinstance(weight, torch.Tensor) and len(weight) == size:
        return True
    config = getattr(ran.model, "config", None)
    return bool(size == getattr(config, "vocab_size", None))


def _names(ran: Ran, size: int) -> tuple[str, ...]:
    named = getattr(getattr(ran.model, "config", None), "id2label", None) or {}
    return tuple(str(named.get(number, number)) for number in range(size))


def _place(ran: Ran, count: int, wanted: int) -> int:
    """Return where a position is in the output; the last one, where a text has one masked token, is that token."""
    mask = mask_of(ran)
    real = list(range(count))
    if mask is not None and len(mask) == count:
        real = mask.nonzero()[:, 0].tolist()
    masked = _masked(ran)
    if wanted == -1 and len(masked) == 1 and masked[0] in real:
        return masked[0]
    if not -len(real) <= wanted < len(real):
        msg = f"no position {wanted}: the output has {len(real)}, 0 .. {len(real) - 1}."
        raise IndexError(msg)
    return int(real[wanted])


def _masked(ran: Ran) -> list[int]:
    words = getattr(ran.tokenizer, "tokenizer", ran.tokenizer)
    masked = getattr(words, "mask_token_id", None)
    ids = ran.kwargs.get("input_ids")
    if masked is None or not isinstance(ids, torch.Tensor):
        return []
    found: list[int] = (ids[min(ran.row, len(ids) - 1)] == masked).nonzero()[:, 0].tolist()
    return found

"""Answers of one or several tokens: how text is spelled in tokens, and what a model is given to be asked for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from attnwidget.capture.positions.labels import token_labels
from attnwidget.capture.positions.vocabulary import known_id, piece_ids, unknown_id

if TYPE_CHECKING:
    from torch import Tensor

    from attnwidget.capture.forward import Ran
    from attnwidget.metrics.outputs import Reading

__all__ = ["Answer", "answer_inputs", "spelled"]


@dataclass(frozen=True, slots=True)
class Answer:
    """A choice among tokens or labels, or several tokens one after the other.

    Attributes:
        ids: Their numbers.
        text: What the caller called it.
    """

    ids: tuple[int, ...]
    text: str | None = None


def spelled(words: Any, text: str, logits: Tensor) -> Answer:
    """Return the tokens of a text that follows another.

    Where it is spelled with and without a space before it, the spelling with fewer tokens is taken, and of two such the
    one whose first token is more probable.

    Args:
        words: The tokenizer, or ``None``.
        text: The text, or a token as the tokenizer spells it.
        logits: ``[token]``, where it would follow.

    Raises:
        ValueError: If there is no tokenizer, or it has no tokens for this.
    """
    if words is None:
        msg = f"metric={text!r} needs a tokenizer to look it up: pass tokenizer=..., or the token's id as metric."
        raise ValueError(msg)
    unknown = unknown_id(words)
    known = known_id(words, text)
    found: list[tuple[int, ...]] = [] if known is None or known >= len(logits) else [(known,)]
    for variant in dict.fromkeys([text, text if text[:1].isspace() else f" {text}"]):
        ids = tuple(piece_ids(words, variant))
        if ids and unknown not in ids and all(each < len(logits) for each in ids):
            found.append(ids)
    if not found:
        best = token_labels([int(logits.argmax())], words)[0]
        msg = f"the tokenizer has no tokens for metric={text!r}; it has, for instance, {best!r}."
        raise ValueError(msg)
    return Answer(min(found, key=lambda ids: (len(ids), -float(logits[ids[0]].detach()))), text)


def answer_inputs(ran: Ran, reading: Reading, answer: Answer) -> dict[str, Any]:
    """Return what the model is given to be asked for several tokens: those but the last follow what it was given.

    Raises:
        ValueError: If they would not follow the last position, or the model looks ahead.
    """
    from attnwidget.capture.generation.next_tokens import can_predict  # noqa: PLC0415

    sided = getattr(getattr(ran.model, "config", None), "is_encoder_decoder", False)
    name = "decoder_input_ids" if sided else "input_ids"
    ids = ran.kwargs.get(name)
    if not can_predict(ran.model, ran.model) or not isinstance(ids, torch.Tensor):
        msg = (
            f"metric={answer.text!r} is {len(answer.ids)} tokens, which can be asked only of a model that writes, given "
            f"{name}: pass one token."
        )
        raise ValueError(msg)
    if reading.at != ids.shape[1] - 1:
        msg = f"an answer of several tokens follows the last position, {ids.shape[1] - 1}: leave position out, or pass one token."
        raise ValueError(msg)
    more = torch.tensor(answer.ids[:-1], device=ids.device, dtype=ids.dtype).expand(len(ids), -1)
    found: dict[str, Any] = {name: torch.cat([ids, more], dim=1)}
    for other, fill in (("attention_mask", 1), ("token_type_ids", None)):
        own = f"decoder_{other}" if sided else other
        given = ran.kwargs.get(own)
        if isinstance(given, torch.Tensor) and given.ndim == 2:
            tail = given[:, -1:] if fill is None else torch.ones_like(given[:, :1])
            found[own] = torch.cat([given, tail.expand(-1, more.shape[1])], dim=1)
    for other in ("position_ids", "cache_position", "labels", "past_key_values"):
        if ran.kwargs.get(other) is not None:
            msg = f"an answer of several tokens cannot be asked for beside {other}: leave it out, or pass one token as metric."
            raise ValueError(msg)
    return found

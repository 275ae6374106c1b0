"""`NextTokens`: the most probable next tokens at each query position."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from attnwidget.compute.checks import integer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["NextToken", "NextTokens"]


class NextToken(NamedTuple):
    """One token that may come next.

    Attributes:
        label: As a person reads it.
        id: Its token id.
        probability: Softmax of the model's own logits, before temperature, top-p and the like; NaN if unknown, which
            it can be for the chosen token alone.
        chosen: Whether it is the token that did come next.
    """

    label: str
    id: int
    probability: float
    chosen: bool


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class NextTokens(Mapping[int, tuple[NextToken, ...]]):
    """The most probable next tokens after each query position of a stream, most probable first.

    A mapping from query position to its tokens. The token that did come next is marked; where it is not among the most
    probable ones, it stands after them. In a generation, the prompt's own positions are usually missing: their logits are
    not computed.

    Attributes:
        stream: Name of the stream whose query positions these are.
        prompt: Number of that stream's query positions that were given; all others were generated. All of them, where
            nothing was.
        first: The query position of the first row below.
        ids: int32 ``[row, rank]``.
        probabilities: float32 ``[row, rank]``.
        chosen: int32 ``[row]``, the token that came next, ``-1`` where none did.
        chosen_probabilities: float32 ``[row]``, NaN where it is not known.
        labels: Token id to label, for all ids above.

    Example:
        >>> from attnwidget import capture
        >>> model, tokenizer = pocket()
        >>> attention = capture(model, "The cat sat on the mat because", tokenizer)
        >>> best = attention.next_tokens[7][0]
        >>> best.label, best.probability > 0.9
        ('it', True)
    """

    stream: str
    prompt: int
    first: int
    ids: NDArray[np.int32]
    probabilities: NDArray[np.float32]
    chosen: NDArray[np.int32]
    chosen_probabilities: NDArray[np.float32]
    labels: Mapping[int, str]

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.first, self.first + len(self.ids)))

    def __getitem__(self, position: int) -> tuple[NextToken, ...]:
        """Return the tokens after a query position.

        Raises:
            KeyError: If there are none.
        """
        number = integer(position)
        row = -1 if number is None else number - self.first
        if not 0 <= row < len(self.ids):
            last = self.first + len(self.ids) - 1
            message = f"next tokens are there for positions {self.first}..{last}, got {position!r}."
            raise KeyError(message)
        chosen = int(self.chosen[row])
        ranked = [
            NextToken(self.labels[token], token, probability, token == chosen)
            for token, probability in zip(
                self.ids[row].tolist(), self.probabilities[row].tolist(), strict=True
            )
        ]
        if chosen >= 0 and not any(token.chosen for token in ranked):
            probability = float(self.chosen_probabilities[row])
            ranked.append(NextToken(self.labels[chosen], chosen, probability, chosen=True))
        return tuple(ranked)

    def __repr__(self) -> str:
        last = self.first + len(self.ids) - 1
        return (
            f"NextTokens({self.stream}: positions {self.first}..{last}, {self.ids.shape[1]} each)"
        )

"""`Edits`: what is changed while a model runs, and `ablate`, `replace` and `mask`, which make such a value."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attnwidget.compute.checks import shown
from attnwidget.edits.ablation import Ablation
from attnwidget.edits.tokens import TokenEdit
from attnwidget.record.vocabulary import either

if TYPE_CHECKING:
    from attnwidget.edits.ablation import How

__all__ = ["Edits", "ablate", "check_edits", "mask", "replace"]


@dataclass(frozen=True, slots=True)
class Edits:
    """What is changed while a model runs; nothing, where there are no parts.

    A plain value that knows no model: it can be compared, hashed, printed, added to another with ``+``, and written as
    JSON. `attnwidget.ablate`, `attnwidget.replace` and `attnwidget.mask` make one; `attnwidget.intervening`,
    `attnwidget.capture`, `attnwidget.what_if` take it.

    Attributes:
        parts: The changes, in the order in which they were added.
    """

    parts: tuple[Ablation | TokenEdit, ...] = ()

    def __add__(self, other: object) -> Edits:
        """Return both; what both say is there once."""
        if not isinstance(other, Edits):
            return NotImplemented
        return Edits(tuple(dict.fromkeys((*self.parts, *other.parts))))

    def __bool__(self) -> bool:
        """Whether anything is changed."""
        return bool(self.parts)

    def __repr__(self) -> str:
        """Write the calls that make it."""
        return " + ".join(map(repr, self.parts)) or "ablate(heads=[])"

    @property
    def inside(self) -> Edits:
        """What is changed inside the model."""
        return Edits(self.parts_inside)

    @property
    def parts_inside(self) -> tuple[Ablation, ...]:
        """The parts that change what is inside the model."""
        return tuple(part for part in self.parts if not isinstance(part, TokenEdit))

    @property
    def of_tokens(self) -> tuple[TokenEdit, ...]:
        """What is changed of the input, before the model runs."""
        return tuple(part for part in self.parts if isinstance(part, TokenEdit))

    def to_json(self) -> str:
        """Return it as JSON, which `from_json` reads.

        Example:
            >>> import attnwidget as aw
            >>> aw.ablate(heads=[(3, 3)]).to_json()
            '{"edits": [{"ablate": [[3, 3]], "how": "zero", "stream": null, "source": null}]}'
        """
        return json.dumps({"edits": [part.to_data() for part in self.parts]}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Edits:
        """Return what `to_json` wrote.

        Args:
            text: JSON.

        Raises:
            ValueError: If it is none that `to_json` writes.

        Example:
            >>> import attnwidget as aw
            >>> aw.Edits.from_json(aw.ablate(heads=[(3, 3)]).to_json())
            ablate(heads=[(3, 3)])
        """
        try:
            data: Any = json.loads(text)
        except (TypeError, ValueError) as error:
            message = f"text must be what Edits.to_json() returns, got {shown(text)} ({error})."
            raise ValueError(message) from None
        parts = data.get("edits") if isinstance(data, dict) and set(data) == {"edits"} else None
        if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
            message = f"text must be what Edits.to_json() returns, got {shown(text)}."
            raise ValueError(message)
        return cls(tuple(_from_data(part) for part in parts))


def _from_data(data: dict[str, Any]) -> Ablation | TokenEdit:
    kind = TokenEdit if {"replace", "mask"} & set(data) else Ablation
    return kind.from_data(data)


def ablate(
    heads: Any = None,
    how: How = "zero",
    source: Any = None,
    *,
    stream: str | None = None,
    head: Any = None,
) -> Edits:
    """Say which heads are knocked out, and how; nothing runs.

    A head ``h`` of a layer puts out ``o_h[i] = Σ_j w_h[i, j] v_h[j]``, which the output projection adds to the stream as
    ``W_O,h o_h[i]``. Knocked out, it is replaced at every position, before that projection, and everything after it
    sees the difference (Michel, Levy & Neubig 2019, Are Sixteen Heads Really Better than One?):

    - ``"zero"``: ``o_h[i] ← 0``. Nothing that the later layers were trained on looks like this, where a head puts out
      much the same on any input; so compare with the mean.
    - ``"mean"``: ``o_h[i] ← mean of o_h[i]`` over the inputs of ``source``, at the same position from the left, where
      each of them has that position; at later positions, and where a call has not as many queries as keys
      (cross-attention, the steps of a generation), the mean over all positions of all inputs.
    - ``"resample"``: ``o_h[i] ← o_h[i]`` of another input, which has to be at least as long.

    Args:
        heads: Pairs of a layer and a head, or one pair; negative numbers count from the end. ``[]`` for no change.
        how: See above.
        source: For ``"mean"``: texts, or records that `capture` made of other inputs. For ``"resample"``: one of them.
            Texts run through the model when the edit is applied.
        stream: Name of the stream, as records call it; may be left out where there is one only.
        head: Another name of ``heads``.

    Returns:
        A frozen value. Several are combined by ``+``.

    Raises:
        TypeError: If both names of the heads are used.
        ValueError: If ``heads`` are no pairs, ``how`` is none of these, or ``source`` does not fit it. Whether the model
            has such heads shows when the edit is applied.

    Example:
        >>> import attnwidget as aw
        >>> aw.ablate(heads=[(2, 1), (2, 3)]) + aw.ablate(heads=(3, 3), how="mean", source=["the cat sat"])
        ablate(heads=[(2, 1), (2, 3)]) + ablate(heads=[(3, 3)], how='mean', source=['the cat sat'])
    """
    made = Ablation.of(either(head=head, heads=heads), how, source, stream)
    return Edits((made,) if made.heads else ())


def replace(position: int | str, token: str) -> Edits:
    """Say which token of the input is another one; nothing runs.

    The ids that the model is given are changed before it runs, those of the encoder in a model with two sides, in the row
    that is recorded. Everything else of the input stays, so both records have the same positions.

    Args:
        position: The token's number, padding left out, negative from the end; or its text, as the record has it.
        token: What stands in its place: the text of one token, with or without the space before it.

    Returns:
        A frozen value. Several are combined by ``+``, with edits of heads too.

    Raises:
        ValueError: If one of them is not such. Whether the input has such a position, and the tokenizer such a token, shows
            when the edit is applied.

    Example:
        >>> import attnwidget as aw
        >>> aw.replace("cat", "dog") + aw.ablate(heads=[(3, 3)])
        replace('cat', 'dog') + ablate(heads=[(3, 3)])
    """
    return Edits((TokenEdit.of(position, token),))


def mask(position: int | str) -> Edits:
    """Say which token of the input is the tokenizer's mask token; nothing runs.

    Applied as `replace` is, with the same positions.

    Args:
        position: As for `replace`.

    Returns:
        A frozen value. Several are combined by ``+``, with edits of heads too.

    Raises:
        ValueError: If it is none. A tokenizer without a mask token shows when the edit is applied.

    Example:
        >>> import attnwidget as aw
        >>> aw.mask(3) + aw.mask("cat")
        mask(3) + mask('cat')
    """
    return Edits((TokenEdit.of(position, masked=True),))


def check_edits(name: str, value: object) -> Edits:
    """Return ``value`` if it is such a value.

    Raises:
        TypeError: If it is anything else.
    """
    if isinstance(value, Edits):
        return value
    message = (
        f"{name} must be an edit, such as attnwidget.ablate(heads=[(3, 3)]), got {shown(value)}."
    )
    raise TypeError(message)

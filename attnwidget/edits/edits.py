"""`Edits`: what is changed while a model runs, and `ablate`, which makes such a value."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attnwidget.compute.checks import shown
from attnwidget.edits.ablation import Ablation
from attnwidget.record.vocabulary import either

if TYPE_CHECKING:
    from attnwidget.edits.ablation import How

__all__ = ["Edits", "ablate", "check_edits"]


@dataclass(frozen=True, slots=True)
class Edits:
    """What is changed while a model runs; nothing, where there are no parts.

    A plain value that knows no model: it can be compared, hashed, printed, added to another with ``+``, and written as
    JSON. `attnwidget.ablate` makes one; `attnwidget.intervening`, `attnwidget.capture`, `attnwidget.what_if` take it.

    Attributes:
        parts: The changes, in the order in which they were added.
    """

    parts: tuple[Ablation, ...] = ()

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
        return cls(tuple(Ablation.from_data(part) for part in parts))


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
        source: For ``"mean"``: texts, records that `capture` made of other inputs, or a survey that was made with
            ``outputs=True``. For ``"resample"``: one text or record. Texts run through the model when the edit is applied.
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

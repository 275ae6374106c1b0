"""`Edits`: what is changed while a model runs, and what makes such values: `ablate`, `cut`, `patch`, `remove_directions`, `replace`, `mask`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from attnwidget.compute.checks import shown
from attnwidget.edits.ablation import Ablation
from attnwidget.edits.cut import Cut
from attnwidget.edits.patch import Patch
from attnwidget.edits.removed_directions import RemovedDirections
from attnwidget.edits.tokens import TokenEdit
from attnwidget.record.vocabulary import either

if TYPE_CHECKING:
    from attnwidget.edits.ablation import How
    from attnwidget.edits.patch import What

__all__ = [
    "Edits",
    "Inside",
    "Part",
    "ablate",
    "check_edits",
    "cut",
    "mask",
    "patch",
    "remove_directions",
    "replace",
]

# What is changed inside the model, and all that may be changed.
Inside: TypeAlias = Ablation | Cut | Patch | RemovedDirections
Part: TypeAlias = Inside | TokenEdit

# By the entry that only its own data has.
_KINDS: dict[str, type[Part]] = {
    "ablate": Ablation,
    "cut": Cut,
    "patch": Patch,
    "remove_directions": RemovedDirections,
    "replace": TokenEdit,
    "mask": TokenEdit,
}


@dataclass(frozen=True, slots=True)
class Edits:
    """What is changed while a model runs; nothing, where there are no parts.

    A plain value that knows no model: it can be compared, hashed, printed, added to another with ``+``, and written as
    JSON. `attnwidget.ablate`, `attnwidget.cut`, `attnwidget.patch`, `attnwidget.remove_directions`, `attnwidget.replace` and
    `attnwidget.mask` make them; `attnwidget.intervening`, `attnwidget.capture`, `attnwidget.what_if` take them.

    Attributes:
        parts: The changes, in the order in which they were added.

    Example:
        >>> import attnwidget as aw
        >>> aw.ablate(heads=[(3, 3)]) + aw.cut(query="it", key="cat", heads=[(3, 3)])
        ablate(heads=[(3, 3)]) + cut(query='it', key='cat', heads=[(3, 3)])
    """

    parts: tuple[Part, ...] = ()

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
    def parts_inside(self) -> tuple[Inside, ...]:
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
        return cls(tuple(map(_part, parts)))


def _part(data: dict[str, Any]) -> Part:
    kind = next((kind for name, kind in _KINDS.items() if name in data), None)
    if kind is None:
        message = f"an edit has one of the entries {sorted(_KINDS)}, got {shown(data)}."
        raise ValueError(message)
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
    return Edits((made,) if made else ())


def cut(
    query: Any = None,
    key: Any = None,
    heads: Any = None,
    layers: Any = None,
    *,
    stream: str | None = None,
    renormalise: bool = True,
    head: Any = None,
    layer: Any = None,
) -> Edits:
    """Say which links are cut; nothing runs.

    The query ``i`` of a head no longer sees the keys ``J`` (Geva, Bastings, Filippova & Globerson 2023, Dissecting Recall
    of Factual Associations in Auto-Regressive Language Models): with its scores ``s``, values ``v`` and weights ``w``,

    - ``w' = softmax(s with s[i, J] = −∞)`` and ``o'[i] = Σ_j w'[i, j] v[j]``, which is 0 where no key is left; sinks and
      soft caps stay in the softmax;
    - with ``renormalise=False`` ``o'[i] = o[i] − Σ_{j in J} w[i, j] v[j]``: the other weights stay what they were.

    Only these rows are computed again, in float32; all others, and rows that saw none of the keys, stay as they were to
    the last bit.

    Args:
        query: Positions of the queries: a number, a token's text, or several of these; left out: all of them. Texts and
            numbers from the end need an input to be looked up in: `attnwidget.what_if`, `attnwidget.capture`.
        key: Positions of the keys, likewise. Either of them is there.
        heads: Pairs of a layer and a head, or one pair; left out: all heads of ``layers``.
        layers: Numbers of layers, such as ``range(6, 12)``; left out: all.
        stream: Name of the stream, as records call it; may be left out where there is one only.
        renormalise: See above.
        head: Another name of ``heads``.
        layer: Another name of ``layers``.

    Returns:
        A frozen value. Several are combined by ``+``. Positions count as those of a record, without padding, in each row of a
        batch from its first token, and on through the steps of a generation.

    Raises:
        TypeError: If both names of heads or layers are used, or ``renormalise`` is neither true nor false.
        ValueError: If neither query nor key is given, or something is not what it must be. Whether the model has such heads,
            and the input such positions, shows when the edit is applied.

    Example:
        >>> import attnwidget as aw
        >>> aw.cut(query="it", key="cat", heads=(3, 3)) + aw.cut(key=[1, 2], layers=range(2))
        cut(query='it', key='cat', heads=[(3, 3)]) + cut(key=[1, 2], layers=[0, 1])
    """
    chosen = either(head=head, heads=heads)
    numbers = either(layer=layer, layers=layers)
    made = Cut.of(query, key, heads=chosen, layers=numbers, stream=stream, renormalise=renormalise)
    return Edits((made,) if made else ())


def patch(
    record: Any,
    heads: Any = None,
    positions: Any = None,
    what: What = "output",
    *,
    stream: str | None = None,
    head: Any = None,
) -> Edits:
    """Say what heads take from another input's record; nothing runs.

    With weights ``w`` and values ``v`` of this run and ``w*``, ``v*`` of the record, a head puts out at position ``i``
    (Vig et al. 2020, Investigating Gender Bias in Language Models Using Causal Mediation Analysis):

    - ``"output"``: ``o*[i] = Σ_j w*[i, j] v*[j]``;
    - ``"pattern"``: ``Σ_j w*[i, j] v[j]``: it looks where it looked there, and reads what is here;
    - ``"value"``: ``Σ_j w[i, j] v*[j]``: it looks where it looks here, and reads what was there.

    What differs from this run by rounding alone is no change, so a patch with a run's own record changes nothing.

    Args:
        record: What `capture` made of an input with as many positions; its numbers are read now.
        heads: Pairs of a layer and a head, or one pair; negative numbers count from the end.
        positions: Where: a number, a token's text in ``record``, or several of these; left out: everywhere. Of values, the
            positions that are read; else those that look.
        what: See above.
        stream: Name of the stream, as records call it; may be left out where there is one only.
        head: Another name of ``heads``.

    Returns:
        A frozen value. Several are combined by ``+``.

    Raises:
        TypeError: If ``record`` is no record, or both names of the heads are used.
        ValueError: If the record has no such head or position, or not what is to be taken. Whether the model's input has as
            many positions shows when the edit is applied.

    Example:
        >>> import attnwidget as aw
        >>> other = aw.capture(model, "the dog sat on the mat because it", tokenizer)
        >>> aw.patch(other, heads=(3, 3), positions=-1)
        patch(<record of 9 positions>, heads=[(3, 3)], positions=8)
    """
    made = Patch.of(record, either(head=head, heads=heads), positions, what, stream)
    return Edits((made,) if made else ())


def remove_directions(
    directions: Any, heads: Any = None, *, stream: str | None = None, head: Any = None
) -> Edits:
    """Say which directions of queries and keys a head's scores are computed without; nothing runs.

    With unit vectors at right angles as the rows of ``V``, the scores of the head are computed with
    ``q' = q − Vᵀ V q`` in place of each query ``q``, so ``q'·k = q·k − Σ_u (q·u)(k·u)``; keys stay as they are, which may be
    those of other heads too, and so do scaling, soft cap, bias, mask, sinks and values. The head's rows are computed
    again in float32; all other heads stay as they were to the last bit. In a model with rotary embeddings, queries and
    keys are those after the rotation.

    Args:
        directions: What `attnwidget.directions` returned, or vectors ``[count, head_dim]``, which are made unit vectors at
            right angles that span the same.
        heads: The layer and the head, one pair; that of the directions when left out. Several heads are several edits,
            combined by ``+``.
        stream: Name of the stream, as records call it; that of the directions, or the only one there is, when left out.
        head: Another name of ``heads``.

    Returns:
        A frozen value. Several are combined by ``+``.

    Raises:
        TypeError: If both names of the head are used.
        ValueError: If ``directions`` are no vectors, or ``heads`` is no pair. Whether the model has such a head, with queries
            as long, shows when the edit is applied.

    Example:
        >>> import attnwidget as aw
        >>> aw.remove_directions([[0.6, 0.8], [0.0, 1.0]], heads=(0, 2))
        remove_directions(<2 directions>, heads=[(0, 2)])
    """
    return Edits((RemovedDirections.of(directions, either(head=head, heads=heads), stream),))


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
    message = f"{name} must be an edit, such as attnwidget.ablate(heads=[(3, 3)]), attnwidget.cut(…) or attnwidget.patch(…), got {shown(value)}."
    raise TypeError(message)

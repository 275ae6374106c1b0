"""`directions`: which directions of a head's queries and keys make a pattern, over many inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tqdm.auto import tqdm  # type: ignore[import-untyped]

from attnwidget.analysis.score_contrast import (
    ScoreContrast,
    check_pattern,
    marked_pairs,
)
from attnwidget.attribution.found_directions import Directions
from attnwidget.attribution.inputs import HeadOfInputs
from attnwidget.compute.checks import check_count
from attnwidget.record.vocabulary import either, one_head, one_layer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from attnwidget.analysis.find_heads import Pattern

__all__ = ["directions"]


def directions(
    model: Any,
    texts: Any,
    tokenizer: Any = None,
    *,
    layer: Any = None,
    head: Any = None,
    pattern: Pattern = None,
    links: Iterable[tuple[Any, Any]] | None = None,
    stream: str | None = None,
    top: int = 4,
    progress: bool = True,
    layers: Any = None,
    heads: Any = None,
    **options: Any,
) -> Directions:
    """Find the directions of ``q·k`` that make a head's pattern, over one input or many.

    Of all queries ``i`` that see keys on the pattern and others, ``M = mean of q_i (k̄_on − k̄_off)ᵀ``, with ``k̄_on`` and
    ``k̄_off`` the means of the keys that ``i`` sees on and off the pattern. Then ``scaling · tr M`` is the gap: by how much
    the score of a key on the pattern is above that of another, before soft cap, bias and mask. Each query counts once.

    - The diagonal of ``M`` says what each dimension gives: what BertViz's neuron view shows for one pair, over all of them.
    - ``uᵀ M u`` is what a direction ``u`` (a unit vector) gives. The eigenvectors of ``(M + Mᵀ) / 2`` are at right angles and
      share the gap out among them, the first the most that any direction can give. So a few of them give what takes many
      dimensions.

    `Directions.check` measures what the pattern comes to without them: `attnwidget.remove_directions`. Queries and keys
    are those that the model multiplied, after a rotary embedding. Inputs run one by one and sums are kept, so memory
    does not grow with their number; inputs without such pairs count for nothing.

    Args:
        model: A Hugging Face model; ``None`` where all of ``texts`` are records.
        texts: One input or several, each what `capture` takes, or a record that it returned.
        tokenizer: The model's tokenizer; found by the model's name among the files of this machine when left out.
        layer: The model's number of the layer, negative from the end.
        head: The head, negative from the end.
        pattern: ``"previous"``, ``"next"``, ``"self"``, ``"duplicate"``, ``"induction"``, ``"same_word"``, ``"first"``,
            ``"sink"``, ``"sentence"``, ``"punctuation"``, ``"special"`` or ``"delimiter"``, the keys that `attnwidget.SCORES` counts; or
            a function from query positions and key positions to a 0/1 mask ``[query, key]``, or such a mask.
            ``"previous"`` when left out.
        links: In place of a pattern: pairs of a query and a key, such as ``[("it", "cat")]`` or ``[(8, 2)]``, which every
            input has to have.
        stream: Name of the stream; needed when there are several.
        top: How many directions are returned at most: those that give the most, and something.
        progress: Whether to show a progress bar, of more than one input.
        layers: Another name of ``layer``.
        heads: Another name of ``head``.
        **options: Passed on to `capture`.

    Returns:
        The directions.

    Raises:
        TypeError: If both names of an argument are used.
        KeyError, IndexError: If there is no such stream or layer.
        ValueError: If there is no such head or pattern, no input has such pairs, or only weights were recorded. What an
            input meets while it is recorded is raised as well.

    Example:
        >>> import attnwidget as aw
        >>> texts = ["the cat sat on the mat because it was tired .", "mary gave the book to john and she smiled ."]
        >>> found = aw.directions(model, texts, tokenizer, layer=0, head=2, progress=False)
        >>> found.vectors.shape
        (4, 32)
    """
    number = one_layer(either(layer=layer, layers=layers), "directions are of")
    place = one_head(either(head=head, heads=heads), "directions are of")
    kept = None if links is None else list(links)
    given = pattern
    if pattern is None and kept is None:
        given = "previous"
    check_pattern(given, kept)
    count = check_count("top", top)
    head_asked = (number, place)
    asked = HeadOfInputs.of(
        model, texts, tokenizer, head=head_asked, stream=stream, options=options
    )
    total: ScoreContrast | None = None
    inputs, head_of = 0, ("", 0, 0)
    several = progress and len(asked) > 1
    for one in tqdm(asked, desc="directions", unit="input", disable=not several):
        marked = marked_pairs(one.stream, given, kept)
        found = ScoreContrast.of(one.stream, one.layer, one.head, marked)
        total = found if total is None else total + found
        inputs += found.rows > 0
        head_of = one.stream.name, one.layer.layer, one.head
    if total is None or not total.rows:
        message = (
            "no query of these inputs sees keys on the pattern and others: pass longer inputs, or another pattern, such as "
            "pattern='first'."
        )
        raise ValueError(message)
    return Directions.of(total, (given, kept), head=head_of, inputs=inputs, top=count)

"""`Directions`: the directions that make a head's pattern, what each gives, and what is left without them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from attnwidget.analysis.score_contrast import ScoreContrast, marked_pairs, mean_weight
from attnwidget.analysis.tables import table
from attnwidget.attribution.inputs import HeadOfInputs
from attnwidget.compute.checks import check_count
from attnwidget.edits.edits import Edits, remove_directions
from attnwidget.edits.removed_directions import orthonormal, without_directions
from attnwidget.protocol.text import well_formed

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Directions"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Directions:
    """Directions of ``q·k`` of one head, the one that gives most of a pattern's gap first.

    Attributes:
        stream: Name of the stream.
        layer: The model's number of the layer.
        head: The head.
        pattern: Name of the pattern, ``"links"``, or ``"own pattern"``.
        inputs: How many inputs had such pairs.
        vectors: float32 ``[count, head_dim]``, unit vectors at right angles.
        values: float64 ``[count]``, what each gives of the gap, in units of the score.
        gap: By how much the score of a key on the pattern is above that of another, in the mean over the queries.
        matrix: float64 ``[head_dim, head_dim]``, ``scaling · M``, rows are dimensions of the query: its trace is the gap.

    Example:
        >>> import attnwidget as aw
        >>> found = aw.directions(model, ["the cat sat on the mat"], tokenizer, layer=0, head=2, pattern="previous")
        >>> found.pattern, found.vectors.shape
        ('previous', (4, 32))
        >>> found.to_dataframe()["share"].round(2).tolist()[:2]
        [0.54, 0.31]
    """

    stream: str
    layer: int
    head: int
    pattern: str
    inputs: int
    vectors: NDArray[np.float32]
    values: NDArray[np.float64]
    gap: float
    matrix: NDArray[np.float64]
    # The pattern, and links, as `marked_pairs` takes them.
    _asked: tuple[Any, Any] = field(default=(None, None))

    @classmethod
    def of(
        cls,
        contrast: ScoreContrast,
        asked: tuple[Any, Any],
        *,
        head: tuple[str, int, int],
        inputs: int,
        top: int,
    ) -> Directions:
        """Return the directions of a contrast.

        Args:
            contrast: Of all inputs.
            asked: Pattern and links, as the caller gave them.
            head: Name of the stream, layer and head.
            inputs: How many inputs had such pairs.
            top: How many directions there are at most.

        Raises:
            ValueError: If some queries or keys are not numbers.
        """
        matrix = contrast.mean
        if not np.isfinite(matrix).all():
            message = (
                f"head {head[1]}.{head[2]} of stream {head[0]!r} has queries or keys that are not numbers on some input: the model's "
                "own values overflowed, try it in float32."
            )
            raise ValueError(message)
        values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
        order = np.argsort(-values, kind="stable")[:top]
        order = order[values[order] > 0]
        kept = vectors[:, order].T
        # An eigenvector may point either way: the largest number is positive.
        largest = np.take_along_axis(kept, np.abs(kept).argmax(1)[:, None], 1)
        pattern, links = asked
        named = pattern if isinstance(pattern, str) else "own pattern"
        return cls(
            *head,
            "links" if links is not None else named,
            inputs,
            (kept * np.sign(largest)).astype(np.float32),
            values[order],
            float(np.trace(matrix)),
            matrix,
            asked,
        )

    @property
    def dimensions(self) -> Any:
        """What each dimension of the vectors gives of the gap, the largest first.

        ``dimension``, ``value`` (in units of the score) and ``share`` of the gap: a pandas ``DataFrame``, or a list of dicts
        where pandas is not installed.
        """
        given = np.diag(self.matrix)
        return table(
            {"dimension": int(one), "value": float(given[one]), "share": self._share(given[one])}
            for one in np.argsort(-given, kind="stable")
        )

    def to_dataframe(self) -> Any:
        """Return one row for each direction.

        Returns:
            ``direction`` (from 0), ``value`` (what it gives of the gap, in units of the score), ``share`` of the gap, and
            ``together``, the share of this and those before it: a pandas ``DataFrame``, or a list of dicts where pandas is
            not installed.
        """
        together = np.cumsum(self.values)
        return table(
            {
                "direction": place,
                "value": float(value),
                "share": self._share(value),
                "together": self._share(together[place]),
            }
            for place, value in enumerate(self.values)
        )

    def directions_of_head(self) -> tuple[tuple[int, int], str, NDArray[np.float32]]:
        """Return layer and head, the stream, and the directions: what `attnwidget.remove_directions` reads."""
        return (self.layer, self.head), self.stream, self.vectors

    def removed(self) -> Edits:
        """Return the edit that takes them out: ``remove_directions(self)``.

        Example:
            >>> import attnwidget as aw
            >>> found = aw.directions(model, ["the cat sat on the mat"], tokenizer, layer=0, head=2, pattern="previous")
            >>> edit = found.removed()
            >>> changed = aw.capture(model, "the cat sat on the mat", tokenizer, interventions=edit)
        """
        return remove_directions(self)

    def check(
        self,
        model: Any,
        texts: Any,
        tokenizer: Any = None,
        *,
        random: int = 3,
        seed: int = 0,
        **options: Any,
    ) -> Any:
        """Measure what the pattern comes to without these directions, without as many dimensions, and without random ones.

        The weights are those that the head has under `attnwidget.remove_directions`; the inputs should be others than the
        directions were found on. Random directions span a plane drawn evenly from all of as many dimensions.

        Args:
            model: The model; ``None`` where all of ``texts`` are records.
            texts: As for `attnwidget.directions`.
            tokenizer: The model's tokenizer.
            random: How often as many random directions are taken out.
            seed: Of the random directions.
            **options: Passed on to `capture`.

        Returns:
            A row for each thing ``removed``: ``score``, the mean weight on the pattern over the queries that see keys on it
            and others; ``left``, the share of the score with nothing removed; and ``gap``: a pandas ``DataFrame``, or a list
            of dicts where pandas is not installed.

        Raises:
            ValueError: If no input has such pairs, or the head has another size here.

        Example:
            >>> import attnwidget as aw
            >>> texts = ["the cat sat on the mat", "the dog sat on the rug"]
            >>> found = aw.directions(model, texts, tokenizer, layer=0, head=2, progress=False)
            >>> len(found.check(model, ["mary gave the book to john"], tokenizer))
            6
        """
        without = self._variants(check_count("random", random, least=0), seed)
        asked = HeadOfInputs.of(
            model,
            texts,
            tokenizer,
            head=(self.layer, self.head),
            stream=self.stream,
            options=options,
        )
        scores, rows = dict.fromkeys(without, 0.0), 0
        contrast: ScoreContrast | None = None
        for one in asked:
            marked = marked_pairs(one.stream, *self._asked)
            found = ScoreContrast.of(one.stream, one.layer, one.head, marked)
            contrast = found if contrast is None else contrast + found
            for name, vectors in without.items():
                changed = (
                    one.layer
                    if vectors is None
                    else without_directions(one.layer, one.head, vectors)
                )
                total, count = mean_weight(one.stream, one.layer, one.head, marked, changed)
                scores[name] += total
            rows += count
        if not rows or contrast is None:
            message = (
                "no query of these inputs sees keys on the pattern and others: pass longer ones."
            )
            raise ValueError(message)
        whole = scores["nothing"]
        return table(
            {
                "removed": name,
                "score": scores[name] / rows,
                "left": scores[name] / whole if whole else float("nan"),
                "gap": _gap(contrast.mean, vectors),
            }
            for name, vectors in without.items()
        )

    def _variants(self, random: int, seed: int) -> dict[str, NDArray[np.float32] | None]:
        """Return what is taken out, by what a table calls it."""
        count, size = self.vectors.shape
        found: dict[str, NDArray[np.float32] | None] = {"nothing": None}
        if not count:
            return found
        many = f"{count} direction{'s' * (count != 1)}"
        found[many] = self.vectors
        best = np.argsort(-np.diag(self.matrix), kind="stable")[:count]
        found[f"{count} dimension{'s' * (count != 1)}"] = np.eye(size, dtype=np.float32)[best]
        for place in range(random):
            drawn = np.random.default_rng((seed, place)).standard_normal((count, size))
            found[f"{many} at random ({place})"] = orthonormal(drawn)
        return found

    def _share(self, value: float) -> float:
        return float(value) / self.gap if self.gap else float("nan")

    def __repr__(self) -> str:
        count, size = self.vectors.shape
        share = self._share(float(self.values.sum()))
        inputs = f"{self.inputs} input{'s' * (self.inputs != 1)}"
        named = self.pattern if self.pattern in {"links", "own pattern"} else repr(self.pattern)
        return well_formed(
            f"Directions({self.stream}, {self.layer}.{self.head} on {named}: {count} of {size}, {100 * share:.0f} % of a gap of "
            f"{self.gap:.2f} over {inputs})"
        )


def _gap(matrix: NDArray[np.float64], vectors: NDArray[np.float32] | None) -> float:
    """Return the gap without some directions: ``q' = (1 − VᵀV) q`` changes the rows of the matrix."""
    left = (
        0.0 if vectors is None else float(np.trace(vectors.astype(np.float64) @ matrix @ vectors.T))
    )
    return float(np.trace(matrix)) - left

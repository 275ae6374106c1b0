"""`Agreement`: how an attribution ranks heads or tokens, against what the metric loses without each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from attnwidget.analysis.tables import table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["Agreement", "AgreementRow", "rank_correlation"]


@dataclass(frozen=True, slots=True)
class AgreementRow:
    """One head, or one token.

    Attributes:
        stream: Name of the stream.
        layer: Number of the layer; of a token ``None``.
        number: Number of the head, or the position of the token.
        label: The token; of a head ``layer.head``.
        attribution: What was attributed to it.
        lost: What the metric loses without it: the metric, less the metric under the edit.
    """

    stream: str
    layer: int | None
    number: int
    label: str
    attribution: float
    lost: float


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Agreement:
    """How far an attribution and exact effects agree.

    Attributes:
        method: The method.
        metric: What was attributed, in words.
        of: ``"heads"`` or ``"tokens"``.
        rows: Those that the model was run without.
        total: How many there are.
        signed: Whether numbers were compared with their signs, or by size.

    Example:
        >>> import attnwidget as aw
        >>> found = aw.attribute(model, "the cat sat on the mat because it", tokenizer, method="gradient", metric="purred")
        >>> agreement = found.agreement()
        >>> agreement.count, round(agreement.rank_correlation, 2)
        (16, 0.86)
        >>> agreement.to_dataframe()[["layer", "head"]].values.tolist()[0]
        [3, 3]
    """

    method: str
    metric: str
    of: Literal["heads", "tokens"]
    rows: tuple[AgreementRow, ...]
    total: int
    signed: bool

    @property
    def count(self) -> int:
        """How many heads or tokens the model was run without."""
        return len(self.rows)

    @property
    def rank_correlation(self) -> float:
        """Spearman's, of those that the model was run without; NaN where all of one side are the same."""
        return rank_correlation(*self._compared())

    @property
    def matters_most(self) -> AgreementRow:
        """The one without which the metric changes most."""
        return self.rows[int(np.abs(self._compared()[1]).argmax())]

    @property
    def ranked_first(self) -> AgreementRow:
        """The one with the largest number; where several have it, the one without which the metric changes most of them."""
        given, lost = (np.abs(one) for one in self._compared())
        return self.rows[int(np.where(given == given.max(), lost, -1.0).argmax())]

    @property
    def first(self) -> bool:
        """Whether the one without which the metric changes most is the one with the largest number."""
        given, lost = (np.abs(one) for one in self._compared())
        return bool(given[lost.argmax()] == given.max())

    def to_dataframe(self) -> Any:
        """Return one row for each head or token that the model was run without, that which does most first.

        Returns:
            A pandas ``DataFrame`` with the columns ``stream``, ``layer``, ``head`` (of tokens ``position`` and ``token``),
            ``attribution`` and ``lost``, or a list of dicts where pandas is not installed.
        """
        rows = sorted(self.rows, key=lambda row: -abs(row.lost))
        return table(
            {
                "stream": row.stream,
                **(
                    {"layer": row.layer, "head": row.number}
                    if self.of == "heads"
                    else {"position": row.number, "token": row.label}
                ),
                "attribution": row.attribution,
                "lost": row.lost,
            }
            for row in rows
        )

    def _compared(self) -> tuple[Array, Array]:
        given = np.array([row.attribution for row in self.rows])
        lost = np.array([row.lost for row in self.rows])
        return (given, lost) if self.signed else (np.abs(given), np.abs(lost))

    def __repr__(self) -> str:
        """Write the rank correlation, of how many, and whether the first is right."""
        what = "with signs" if self.signed else "by size"
        first = "the first is the same" if self.first else "the first is another"
        return (
            f"Agreement({self.method} of {self.metric}, {self.count} of {self.total} {self.of} run without: rank correlation "
            f"{self.rank_correlation:.2f} {what}, {first})"
        )


def rank_correlation(first: Sequence[float] | Array, second: Sequence[float] | Array) -> float:
    """Return Spearman's rank correlation of two series; equal numbers share the mean of their ranks.

    Args:
        first: float64 ``[number]``.
        second: The same.

    Returns:
        -1 to 1; NaN where a series has fewer than two different numbers.
    """
    ranks = [_ranks(np.asarray(one, dtype=np.float64)) for one in (first, second)]
    apart = [one - one.mean() for one in ranks]
    scale = float(np.sqrt((apart[0] ** 2).sum() * (apart[1] ** 2).sum()))
    return float((apart[0] * apart[1]).sum()) / scale if scale else float("nan")


def _ranks(numbers: Array) -> Array:
    _, places, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    means: Array = last - (counts - 1) / 2
    return means[places]

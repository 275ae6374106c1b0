"""`Predictions`: next-token probabilities from the logits of each pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import PreTrainedModel

from attnwidget.capture.positions.labels import token_labels
from attnwidget.record.next_tokens import NextTokens

if TYPE_CHECKING:
    from torch import Tensor, nn

    from attnwidget.capture.generation.forward_passes import ForwardPass, ForwardPasses
    from attnwidget.capture.plan import PassPlan

__all__ = ["Predictions", "can_predict", "next_tokens"]

_TOP = 8  # tokens that are kept of each position
_TAIL = 64  # last positions of a pass whose successor may come with the next pass: as many as are drafted
_ELEMENTS = (
    1 << 20
)  # logits that are in float32 at a time; what fits a processor's cache is twice as fast


def can_predict(module: nn.Module, model: nn.Module) -> bool:
    """Tell whether what ``module``, a part of ``model`` or the whole, returns may be logits of next tokens."""
    if isinstance(module, PreTrainedModel):
        return bool(module.can_generate())
    return module is model and any(
        isinstance(part, PreTrainedModel) and part.can_generate() for part in model.modules()
    )


@dataclass(frozen=True, slots=True)
class _Predicted:
    """Next tokens that one pass predicted.

    Attributes:
        made_by: The pass.
        first: The position of its first row here.
        ids: ``[batch row, position, rank]``.
        probabilities: ``[batch row, position, rank]``.
        following: Probability of the token that follows within the pass, ``[batch row, position - 1]``.
        last: Position before the pass whose next token the pass reads.
        last_following: Its probability, ``[batch row]``, if it is known.
    """

    made_by: ForwardPass
    first: int
    ids: Tensor
    probabilities: Tensor
    following: Tensor
    last: int
    last_following: Tensor | None


class Predictions:
    """Keeps the most probable next tokens of every position, and the probability of the token that followed."""

    def __init__(self, passes: ForwardPasses) -> None:
        self._passes = passes
        self._all: list[_Predicted] = []
        self._tail: tuple[int, Tensor] | None = None

    def forget(self) -> None:
        """Drop the passes so far."""
        self._all.clear()
        self._tail = None

    def read_output(self, output: Any) -> None:
        """Read the logits of what the latest forward pass returned."""
        logits = getattr(output, "logits", None)
        made_by = self._passes.all[-1] if self._passes.all else None
        if not isinstance(logits, torch.Tensor) or logits.ndim != 3 or made_by is None:
            return
        count = logits.shape[1]
        if not 0 < count <= made_by.count or not logits.is_floating_point():
            return
        with torch.no_grad():
            rows = [min(row, len(logits) - 1) for row in made_by.rows]
            first_row = slice(
                rows[0], rows[0] + 1
            )  # a view: of a long input, logits are the largest of all
            own = logits.detach()[first_row if len(rows) == 1 else rows]
            ids, probabilities, followed = _ranked(own, self._ids_after(made_by, count))
            first = made_by.start + made_by.count - count
            last, last_came = self._last_following(made_by)
            self._all.append(
                _Predicted(made_by, first, ids, probabilities, followed, last, last_came)
            )
            kept = min(count, _TAIL)
            # A copy: a view would keep the logits of a whole prompt.
            self._tail = first + count - kept, own[:, count - kept :].clone()

    def _ids_after(self, made_by: ForwardPass, count: int) -> Tensor | None:
        return None if made_by.ids is None else made_by.ids[:, made_by.count - count + 1 :]

    def _last_following(self, made_by: ForwardPass) -> tuple[int, Tensor | None]:
        """Return the probability that the pass before gave the first token of this one."""
        before = self._all[-1].made_by if self._all else None
        if before is None or self._tail is None or made_by.ids is None:
            return -1, None
        end = before.start + before.count
        last = (made_by.start if before.start < made_by.start <= end else end) - 1
        first, logits = self._tail
        at, column = last - first, last + 1 - made_by.start
        if not (0 <= at < logits.shape[1] and 0 <= column < made_by.count):
            return -1, None
        parents = [before.rows.index(p) if p in before.rows else 0 for p in made_by.parents]
        return last, _probability(logits[parents, at], made_by.ids[:, column])

    def arrays(self, plan: PassPlan) -> tuple[int, dict[str, np.ndarray[Any, Any]]] | None:
        """Return what the positions of a record predict.

        Returns:
            The first of the positions, and the arrays of `NextTokens`; ``None`` if no logits were seen.
        """
        found: dict[int, tuple[Tensor, Tensor]] = {}
        followed: dict[int, float] = {}
        for each in self._all:
            number = each.made_by.number
            if number not in plan.history_rows:
                continue
            at = each.made_by.rows.index(plan.history_rows[number])
            for column in range(each.ids.shape[1]):
                found[each.first + column] = each.ids[at, column], each.probabilities[at, column]
            followed |= dict(enumerate(each.following[at].tolist(), start=each.first))
            if each.last_following is not None:
                followed[each.last] = float(each.last_following[at])
        end = plan.total
        first = end
        while first - 1 in found:
            first -= 1
        if first == end:
            return None
        chosen = [plan.ids[position + 1] for position in range(first, end)]
        if chosen[-1] >= 0 and self._tail is not None and end - 1 not in followed:
            followed[end - 1] = self._latest(plan, end - 1, chosen[-1])
        arrays = {
            "ids": torch.stack([found[p][0] for p in range(first, end)]).int().numpy(),
            "probabilities": torch.stack([found[p][1] for p in range(first, end)]).numpy(),
            "chosen": np.array(chosen, dtype=np.int32),
            "chosen_probabilities": np.array(
                [
                    followed.get(p, np.nan) if c >= 0 else np.nan
                    for p, c in enumerate(chosen, first)
                ],
                dtype=np.float32,
            ),
        }
        return first, arrays

    def _latest(self, plan: PassPlan, position: int, token: int) -> float:
        """Probability of the very last token, which no pass has read."""
        last = self._all[-1].made_by
        if self._tail is None or last.number not in plan.rows:
            return float("nan")
        first, logits = self._tail
        at = position - first
        if not 0 <= at < logits.shape[1]:
            return float("nan")
        row = last.rows.index(plan.rows[last.number])
        return float(_probability(logits[row, at][None], torch.tensor([token]))[0])


def _ranked(logits: Tensor, following: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Find the most probable tokens, ``[row, position, rank]``, and the probability of those that follow."""
    rows, count, size = logits.shape
    step = max(1, _ELEMENTS // (rows * size))
    ids, probabilities, followed = [], [], []
    for start in range(0, count, step):
        part = logits[:, start : start + step].float().log_softmax(dim=-1)
        top = part.topk(min(_TOP, size), dim=-1)
        ids.append(top.indices.cpu())
        probabilities.append(top.values.exp().cpu())
        if following is not None:
            next_ids = following[:, start : start + step].to(part.device)
            count_known = next_ids.shape[1]
            if count_known:
                # Places of images may have ids that are in no table; the model gives them no logit.
                known = (next_ids >= 0) & (next_ids < size)
                looked_up = next_ids.where(known, 0)[..., None]
                values = part[:, :count_known].gather(-1, looked_up).exp()[..., 0]
                followed.append(values.where(known, torch.nan).cpu())
    empty = torch.zeros(rows, 0)
    return (
        torch.cat(ids, dim=1),
        torch.cat(probabilities, dim=1),
        torch.cat(followed, dim=1) if followed else empty,
    )


def _probability(logits: Tensor, tokens: Tensor) -> Tensor:
    """Probability of one token a row, ``[row]``."""
    part = logits.float()
    chosen = part.gather(-1, tokens.to(part.device)[:, None])[:, 0]
    return (chosen - part.logsumexp(dim=-1)).exp().cpu()


def next_tokens(
    predictions: Predictions, plan: PassPlan, stream: str, kept: Tensor, tokenizer: Any
) -> NextTokens | None:
    """Make the next tokens of a record.

    Args:
        predictions: Those of all passes.
        plan: Which of them count.
        stream: The stream whose queries they are.
        kept: Indices of its queries that the record has, among all of the plan's positions that were read.
        tokenizer: Labels tokens, or ``None``.
    """
    rows = predictions.arrays(plan)
    if rows is None:
        return None
    first, arrays = rows
    start = plan.total - sum(plan.counts.values())
    positions = kept + start
    picked = positions[positions >= first] - first
    if not len(picked) or len(picked) != int(picked[-1] - picked[0]) + 1:
        return None
    arrays = {name: array[picked.numpy()] for name, array in arrays.items()}
    ids = sorted(
        {int(token) for token in arrays["ids"].ravel()} | set(arrays["chosen"].tolist()) - {-1}
    )
    return NextTokens(
        stream=stream,
        prompt=int((positions < plan.prompt).sum()),
        first=len(kept) - len(picked),
        labels=dict(zip(ids, token_labels(ids, tokenizer), strict=True)),
        **arrays,
    )

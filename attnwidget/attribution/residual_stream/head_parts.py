"""`head_parts`: what each head adds to a logit, by its slice of what the output projection of its layer was given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from attnwidget.capture.calls.output_projection import linear_maps_near
from attnwidget.metrics.outputs import mask_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from attnwidget.attribution.residual_stream.residual import Part
    from attnwidget.attribution.residual_stream.stack import Stack
    from attnwidget.capture.forward import Ran
    from attnwidget.record.layer import Layer

__all__ = ["HeadParts", "head_parts"]

# Of the length of the vector, as the recorder compares a projection's input with a layer's output.
_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-4}
_LOOSE = 2e-2


@dataclass(frozen=True, slots=True)
class HeadParts:
    """What the heads of one layer add.

    Attributes:
        stream: Name of the stream.
        layer: Number of the layer.
        part: What their output projection put out.
        row: Which of its rows, all counted through, has a gradient: that of the position whose output is attributed.
        query: This position, as the record counts it.
        contributions: float32 ``[head]``.
        gradient: float32 ``[head, value_dim]``, the gradient of the logit by what the head put out at the position.
        bias: What the bias of the projection adds.
        given: ``[1, head * value_dim]``, what the projection was given there.
    """

    stream: str
    layer: int
    part: Part
    row: int
    query: int
    contributions: NDArray[np.float32]
    gradient: NDArray[np.float32]
    bias: float
    given: Tensor

    def output_of(self, head: int) -> Tensor:
        """Return what one head adds to what the projection puts out, ``[hidden]``."""
        count = len(self.contributions)
        with torch.no_grad():
            given = self.given.reshape(count, -1)
            own = torch.zeros_like(given)
            own[head] = given[head]
            both = torch.stack([own.flatten(), torch.zeros_like(own).flatten()])
            put_out: Tensor = self.part.module(both)
        return put_out[0] - put_out[1]


def head_parts(
    ran: Ran, stack: Stack, parts: Sequence[Part], gradients: Sequence[Tensor | None]
) -> list[HeadParts]:
    """Find the output projection of each recorded layer of a stack, and say what its heads add.

    A linear map is believed to be that when what it was given at the position is, in the record, the output of the layer's
    heads side by side.

    Args:
        ran: The recorded run.
        stack: The blocks.
        parts: What was added to the stream.
        gradients: Gradient of the number that is attributed by each.

    Raises:
        ValueError: If the record has none of the stack's layers, or the projection of one of them cannot be told.
    """
    reached = [
        (part, gradient)
        for part, gradient in zip(parts, gradients, strict=True)
        if gradient is not None and part.given is not None and bool(gradient.any())
    ]
    found: list[HeadParts] = []
    taken: set[int] = set()
    for (stream, layer), place in sorted(stack.places.items()):
        recorded = _recorded(ran, stream, layer)
        if recorded is None:
            continue
        near = linear_maps_near(ran.model, [place.path])
        own = [each for each in reached if each[0].path in near and id(each[0]) not in taken]
        one = next(
            (one for each in own if (one := _as_heads(ran, stack, stream, recorded, each))), None
        )
        # What an adapter adds beside the layer that it wraps is a head's, too, and would not be seen as that.
        if one is None or one.part.path.endswith(".base_layer"):
            raise ValueError(_untold(ran, stream, layer, place.path))
        taken.add(id(one.part))
        found.append(one)
    if not found:
        msg = (
            f"no attention of {type(ran.model).__name__} that was recorded lies in {stack.path}, which its output is made of: "
            "leave out streams= and layers=."
        )
        raise ValueError(msg)
    return found


def _recorded(ran: Ran, stream: str, layer: int) -> Layer | None:
    if stream not in ran.record.streams:
        return None
    return next((each for each in ran.record.streams[stream] if each.layer == layer), None)


def _as_heads(
    ran: Ran, stack: Stack, stream: str, layer: Layer, reached: tuple[Part, Tensor]
) -> HeadParts | None:
    """Return what heads add by a linear map, or ``None`` if it was not given just their output."""
    part, gradient = reached
    assert part.given is not None  # noqa: S101  (the caller has looked)
    flat = gradient.reshape(-1, gradient.shape[-1])
    rows = flat.any(dim=-1).nonzero()[:, 0].tolist()
    given = part.given.reshape(-1, part.given.shape[-1])
    if len(rows) != 1 or len(given) != len(flat) or layer.value is None or not layer.num_heads:
        return None
    row = rows[0]
    query = _query(ran, stack, row)
    if query is None or query >= layer.n_query or given.shape[-1] % layer.num_heads:
        return None
    output = torch.from_numpy(layer.output(queries=[query]))[:, 0].flatten()
    seen = given[row].float().cpu()
    tolerance = _TOLERANCE.get(given.dtype, _LOOSE)
    if output.shape != seen.shape or float((output - seen).norm()) > tolerance * float(seen.norm()):
        return None
    with torch.inference_mode(mode=False), torch.enable_grad():
        leaf = given[row : row + 1].detach().clone().requires_grad_()
        (back,) = torch.autograd.grad(part.module(leaf), leaf, grad_outputs=flat[row : row + 1])
    with torch.no_grad():
        bias = part.module(torch.zeros_like(given[row : row + 1]))[0]
    back, wide = back[0].cpu().double(), given[row].cpu().double()
    each = (back * wide).reshape(layer.num_heads, -1).sum(dim=-1)
    return HeadParts(
        stream,
        layer.layer,
        part=part,
        row=row,
        query=query,
        contributions=each.float().numpy(),
        gradient=back.float().reshape(layer.num_heads, -1).numpy(),
        bias=float((bias.cpu().double() * flat[row].cpu().double()).sum()),
        given=given[row : row + 1].clone(),
    )


def _query(ran: Ran, stack: Stack, row: int) -> int | None:
    """Return the position of a row as the record counts it, without padding; ``None`` if it is of another text."""
    count = stack.states[0].shape[-2]
    batch, at = divmod(row, count)
    if batch != ran.row:
        return None
    mask = mask_of(ran)
    return int(mask[:at].sum()) if mask is not None and len(mask) == count else at


def _untold(ran: Ran, stream: str, layer: int, path: str) -> str:
    return (
        f"what the heads of layer {layer} of stream {stream!r} of {type(ran.model).__name__} add to a logit is not told: no plain "
        f"linear layer at {path} is given just their output at the one position that is read (an adapter must be merged first, "
        "for instance with model.merge_and_unload(); another operation, or training mode, may stand between). "
        "attnwidget.effects(model, inputs, tokenizer) runs the model without each head."
    )

"""Find and verify the output projection of an attention module; norms ‖f(x)‖ per key."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.amp import is_autocast_available
from transformers.pytorch_utils import Conv1D

from attnwidget.capture.taps.transforms import plain
from attnwidget.capture.tensor_tools import local_part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torch import Tensor

    from attnwidget.capture.arguments import AttentionArguments
    from attnwidget.capture.taps.listeners import Enter
    from attnwidget.record.layer import Layer

__all__ = ["Candidate", "OutputProjections", "linear_maps_near", "value_norms"]

# "output.dense" and "attn.c_proj" lie this deep beside or in the attention; experts of a mixture lie deeper.
_DEPTH = 3
_CANDIDATES = 4
# Of the length of the vector: float32 keeps seven digits, half precision two or three.
_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-4}
_LOOSE = 2e-2

_UNSEEN = (
    "no plain linear layer is given just its output (there is another operation between, or none), so its output "
    "projection could not be told."
)
_ADAPTER = "its output projection is wrapped by an adapter: merge it first, for instance with model.merge_and_unload()."
_HALVES = "its output projection is split within a head among the processes that share the model."
_AWAY = "its output projection is put away after each pass, as fully sharded data parallelism does."
_ELSEWHERE = (
    "none of the recorded positions is one at which its output was compared with what its projection was given: record "
    "some of the prompt too."
)
_WINDOWS = "it attends within windows, whose output projection is not told."


@dataclass(frozen=True, slots=True)
class Candidate:
    """A linear map whose input is as wide as an attention module's output.

    Attributes:
        path: Its path in the model.
        module: The map.
        weight: ``[hidden, num_heads * value_dim]``, the model's own; without numbers where they are elsewhere.
        given: Some rows of what it was given, ``[row, num_heads * value_dim]``; none for one that belongs to the
            attention by contract.
        rows: Which queries of the call they are.
        first: The first column of the map that ``weight`` has; another process may hold those before it.
    """

    path: str
    module: nn.Module
    weight: Tensor
    given: Tensor | None
    rows: tuple[int, ...]
    first: int = 0


@dataclass(slots=True)
class _LastCall:
    """The attention call that ran last, which of its queries are compared, and the candidates found for it."""

    path: str
    width: int
    queries: int
    row: int
    rows: tuple[int, ...]
    found: list[Candidate]


class OutputProjections:
    """Collects, for each attention module, the linear maps that run after it on vectors of its width."""

    def __init__(
        self,
        model: nn.Module,
        attending: Iterable[str],
        found: Callable[[], dict[str, list[Candidate]]],
    ) -> None:
        """Collect into what ``found`` returns: the maps of the pass that is running."""
        self._last_call: _LastCall | None = None
        self._found_now = found
        self._linear = linear_maps_near(model, attending)

    @property
    def _found(self) -> dict[str, list[Candidate]]:
        return self._found_now()

    def hooks(self) -> list[tuple[nn.Module, Enter, None]]:
        """Return hooks on the linear maps."""
        return [(module, self._enter(path, module), None) for path, module in self._linear.items()]

    def expect(self, path: str, arguments: AttentionArguments, row: int, kept: slice) -> None:
        """Expect the output projection of a call that is running, some of whose queries are ``kept``."""
        self._last_call = None
        if path in self._found:  # a later pass of a generation
            return
        candidates = self._found[path] = []
        if isinstance(arguments.module, nn.MultiheadAttention):
            own = arguments.module.out_proj
            found = Candidate(f"{path}.out_proj", own, plain(own.weight).detach(), None, ())
            candidates.append(found)
        elif arguments.query.ndim == arguments.value.ndim == 4 and arguments.value.shape[-1]:
            _, heads, queries, _ = arguments.query.shape
            width = heads * arguments.value.shape[-1]
            if width and queries:  # a model may attend with no query at all, to no global token say
                some = range(queries)[kept]
                rows = tuple(sorted({some[0], some[len(some) // 2], some[-1]}))
                self._last_call = _LastCall(path, width, queries, row, rows, candidates)

    def candidates(self, path: str) -> list[Candidate]:
        """Return the candidates for a module."""
        return self._found.get(path, [])

    def _enter(self, path: str, module: nn.Module) -> Enter:
        def hook(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            waiting = self._last_call
            given = next(
                (v for v in (*args, *kwargs.values()) if isinstance(v, torch.Tensor)), None
            )
            if waiting is None or given is None or given.is_nested:
                return
            found = waiting.found
            batch, rest = divmod(given.numel(), waiting.queries * waiting.width)
            if (
                given.shape[-1] == waiting.width
                and batch
                and not rest
                and _inside(path, waiting.path.rpartition(".")[0])
                and len(found) < _CANDIDATES
            ):
                # An operation may have been read for the one row alone.
                start = waiting.row * waiting.queries if waiting.row < batch else 0
                picked = [start + row for row in waiting.rows]
                vectors = given.detach().reshape(-1, waiting.width)[picked].clone()
                weight, first = _weight(module)
                found.append(Candidate(path, module, weight, vectors, waiting.rows, first))

        return hook


def linear_maps_near(model: nn.Module, attending: Iterable[str]) -> dict[str, nn.Module]:
    """Return the linear maps, by path, that lie where the output projections of some attention modules may lie."""
    around = {path.rpartition(".")[0] for path in attending}
    return {
        path: module
        for path, module in model.named_modules()
        if _is_linear(module) and any(_inside(path, parent) for parent in around)
    }


def value_norms(
    candidates: list[Candidate], layer: Layer, queries: Tensor, *, windows: bool
) -> tuple[Tensor | None, str | None]:
    """Return the length of each value after its head's part of the output projection, or why it is not known.

    A candidate is believed when what it was given is the layer's own output, computed from the record.

    Args:
        candidates: What `OutputProjections` found for the module.
        layer: The layer, without norms.
        queries: Which queries of the calls the layer kept.
        windows: Whether the module attends within windows.

    Returns:
        float32 ``[head, key]`` on the layer's device, or ``None`` and the reason.
    """
    if windows:
        return None, _WINDOWS
    if layer.value is None:
        return None, None
    kept = {query: place for place, query in enumerate(queries.tolist())}
    for candidate in candidates:
        rows = [(place, kept[row]) for place, row in enumerate(candidate.rows) if row in kept]
        if candidate.given is None or (rows and _is_output(candidate.given, layer, rows)):
            if candidate.path.endswith(".base_layer"):
                return None, _ADAPTER
            if candidate.weight.is_meta:
                candidate = replace(candidate, weight=_offloaded_weight(candidate.module))  # noqa: PLW2901
            if not candidate.weight.is_floating_point() or candidate.weight.is_meta:
                return None, _UNSEEN
            if candidate.weight.untyped_storage().nbytes() == 0:
                return None, _AWAY
            return _norms(layer, candidate)
    compared = {row for candidate in candidates for row in candidate.rows}
    return None, _ELSEWHERE if compared and not compared & kept.keys() else _UNSEEN


def _is_output(given: Tensor, layer: Layer, rows: list[tuple[int, int]]) -> bool:
    """Tell whether rows of what a linear map was given are the layer's output."""
    queries = [query for _, query in rows]
    if layer.edited_heads:
        output = torch.from_numpy(layer.output(queries=queries)).transpose(0, 1).flatten(1)
    else:
        value = torch.from_numpy(layer.value_vectors())
        weights = torch.from_numpy(layer.weights(queries=queries))
        output = torch.matmul(weights, value).transpose(0, 1).flatten(1)
    seen = given[[place for place, _ in rows]].float().cpu()
    tolerance = _TOLERANCE.get(given.dtype, _LOOSE)
    return bool((output - seen).norm() <= tolerance * seen.norm().clamp(min=1e-12))


def _norms(layer: Layer, candidate: Candidate) -> tuple[Tensor | None, str | None]:
    """Return ``‖value · W_h‖`` for each head and key, NaN where another process holds ``W_h``.

    With ``W_hᵀ = Q R`` that is ``‖R · value‖``, a quarter of the work of the products themselves.
    """
    value, weight = layer.value, candidate.weight
    assert value is not None  # noqa: S101  (the caller has looked)
    width = value.shape[-1]
    count = weight.shape[1] // width
    # What is split along with the heads has just theirs; what is given all of them, a slice of its own.
    first = 0 if count == layer.num_heads else candidate.first // width
    if weight.shape[1] % width or candidate.first % width:
        return None, _HALVES
    share = layer.num_heads // len(value)
    kind = weight.device.type
    full = torch.autocast(kind, enabled=False) if is_autocast_available(kind) else nullcontext()
    with torch.no_grad(), full:
        parts = weight.float().reshape(len(weight), count, -1).movedim(1, 0)
        small = torch.linalg.qr(parts.contiguous(), mode="r").R
        own = value.to(small).repeat_interleave(share, dim=0)[first : first + count]
        norms = torch.full(
            (layer.num_heads, value.shape[1]), torch.nan, device=small.device, dtype=small.dtype
        )
        norms[first : first + count] = torch.linalg.vector_norm(own @ small.mT, dim=-1)
    return norms.to(layer.device), None


def _is_linear(module: nn.Module) -> bool:
    """Tell whether a module multiplies by its ``weight`` and nothing else."""
    # The class of scripted modules has none.
    return getattr(type(module), "forward", None) in {nn.Linear.forward, Conv1D.forward}


def _weight(module: nn.Module) -> tuple[Tensor, int]:
    """Return the map's ``[hidden, column]`` that this process holds, and which is its first column."""
    weight: Tensor = plain(module.weight).detach()  # of a `functional_call` in a transform
    return local_part(weight.T if isinstance(module, Conv1D) else weight, 1)


def _offloaded_weight(module: nn.Module) -> Tensor:
    """Return the map whose weight is on the disk or another device until it is needed: accelerate knows where."""
    hook = getattr(module, "_hf_hook", None)
    weight: Tensor = module.weight.detach()  # type: ignore[operator]
    for each in getattr(hook, "hooks", [hook]):
        held = getattr(each, "weights_map", None)
        if held is not None:
            with suppress(KeyError):
                weight = held["weight"].detach()
    return weight.T if isinstance(module, Conv1D) else weight


def _inside(path: str, parent: str) -> bool:
    prefix = f"{parent}." if parent else ""
    return path.startswith(prefix) and path[len(prefix) :].count(".") < _DEPTH

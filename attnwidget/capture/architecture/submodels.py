"""`Submodel`: the models inside a model (text, vision, audio) and the inputs each received."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from transformers import PreTrainedModel

from attnwidget.capture.architecture.own_inputs import OwnInputs
from attnwidget.capture.architecture.packed import is_packed
from attnwidget.capture.architecture.stream_names import is_of_transformers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

    from attnwidget.capture.plan import PassPlan


__all__ = ["Submodel", "batch_size", "enclosing", "find_submodels", "named_arguments"]

_MAIN = (
    "input_ids",
    "inputs_embeds",
    "decoder_input_ids",  # before pictures, of which a row may have several
    "decoder_inputs_embeds",
    "pixel_values",
    "pixel_values_videos",
    "flattened_patches",
    "past_values",
    "input_features",
    "input_values",
    "attention_mask",
)

_KEPT = ("input_ids", "decoder_input_ids", "token_type_ids", "attention_mask", "decoder_attention_mask",
         "encoder_attention_mask")  # fmt: skip

_SHAPES = ("pixel_values", "input_features", "input_values", "inputs_embeds", "past_values")


@dataclass(slots=True)
class Submodel:
    """One model inside the model (the whole, its encoder, its vision model) and the inputs of its passes.

    Attributes:
        path: Its path in the model.
        module: The model itself.
        passes: The inputs that were kept of each of its passes.
        generated: Of the model that generates the ids of all positions, -1 where not known: not all of them are its inputs.
        own: What the whole model and its parts were given, where it is not one of transformers'.
        cached: Token ids of the positions that were in the cache before the first pass, ``-1`` where one is not known.
    """

    path: str
    module: nn.Module
    passes: list[dict[str, Any]] = field(default_factory=list)
    _rows: list[tuple[int, dict[int, dict[str, Any]]]] = field(default_factory=list)
    _names: frozenset[str] | None = None
    generated: tuple[int, ...] = ()
    own: OwnInputs | None = None
    cached: tuple[int, ...] = ()

    def input_name(self, name: str, side: str) -> str:
        """Name an input as this submodel calls it: ``decoder_input_ids`` where one forward feeds both sides."""
        both = "decoder_input_ids" in self._parameters() and _has_two_sides(self.module)
        return f"decoder_{name}" if both and side == "decoder" else name

    def segments(self, side: str) -> Tensor | None:
        """Join the token types over all passes, where this submodel reads them: others pass those of the encoder on."""
        name = self.input_name("token_type_ids", side)
        return self.joined(name) if name in self._parameters() else None

    def takes(self, name: str) -> bool:
        """Tell whether its forward has an argument of this name."""
        return name in self._parameters()

    def _parameters(self) -> frozenset[str]:
        if self._names is None:
            self._names = frozenset(inspect.signature(self.module.forward).parameters)
        return self._names

    def keep_inputs(self, inputs: dict[str, Any], rows: tuple[int, ...], number: int) -> None:
        """Keep what identifies positions of ``rows`` in forward pass ``number``."""
        shapes = {
            name: tuple(inputs[name].shape)
            for name in _SHAPES
            if isinstance(inputs.get(name), torch.Tensor)
        }
        kept: dict[int, dict[str, Any]] = {row: dict(shapes) for row in rows}
        if isinstance(inputs.get("grid_thw"), torch.Tensor):
            for each in kept.values():
                each["grid_thw"] = inputs["grid_thw"].detach().cpu()
        flat = inputs.get("flattened_patches")
        if isinstance(flat, torch.Tensor) and flat.ndim == 3:  # row and column come first
            for row, each in kept.items():
                each["flattened_patches"] = flat[min(row, len(flat) - 1), :, :2].detach().cpu()
        for name in _KEPT:
            tensor = inputs.get(name)
            if isinstance(tensor, torch.Tensor) and tensor.ndim == 2:
                for row in rows:
                    kept[row][name] = tensor[min(row, len(tensor) - 1)].detach().clone()
        self._rows.append((number, kept))
        self.passes.append(kept[rows[0]])

    def forget_passes(self) -> None:
        """Leave out all numbered passes so far."""
        self._rows = [(number, kept) for number, kept in self._rows if number == 0]
        self.passes = [next(iter(kept.values())) for _, kept in self._rows]

    def before_all(self) -> Submodel:
        """Return it with its inputs as those of what ran before all forward passes."""
        kept = [(0, rows) for _, rows in self._rows]
        return Submodel(self.path, self.module, self.passes, kept, self._names, own=self.own)

    def fresh(self) -> Submodel:
        """Return it without inputs."""
        own = None if self.own is None else OwnInputs()
        return Submodel(self.path, self.module, own=own)

    def absorb(self, later: Submodel, number: int) -> None:
        """Take the inputs of a pass that goes on from those here, as those of forward pass ``number``."""
        self._rows += [(number, kept) for _, kept in later._rows]
        self.passes += later.passes
        if self.own is not None and later.own is not None:
            self.own.absorb(later.own)

    def apply_plan(self, plan: PassPlan) -> None:
        """Keep the inputs of the passes, rows and positions that a plan selects."""
        self.passes = []
        ids, types, mask = (
            self.input_name(name, "decoder")
            for name in ("input_ids", "token_type_ids", "attention_mask")
        )
        for number, rows in self._rows:
            first = next(iter(rows.values()))
            if number not in plan.rows:
                self.passes += [first] if number == 0 else []
                continue
            kept = rows.get(plan.rows[number], first)
            if number not in plan.truncated:
                self.passes.append(kept)
                continue
            ends = {ids: plan.counts[number], types: plan.counts[number], mask: plan.total}
            self.passes.append(
                kept | {name: kept[name][:end] for name, end in ends.items() if name in kept}
            )

    def joined(self, name: str) -> Tensor | None:
        """Join a kept input over all passes, on the CPU."""
        parts = [kept[name] for kept in self.passes if name in kept]
        return torch.cat(parts).cpu() if parts else None

    def ids(self, side: str) -> Tensor | None:
        """Join the token ids over all passes; where each pass read the same again, as an encoder may, they count once."""
        name = self.input_name("input_ids", side)
        joined, last = self.joined(name), self.last(name)
        if joined is None or name not in self._parameters() or len(joined) == len(last):
            return joined
        times, rest = divmod(len(joined), max(1, len(last)))
        again = side == "encoder" and rest == 0 and torch.equal(joined, last.cpu().repeat(times))
        return last.cpu() if again else joined

    def num_channels(self) -> set[int]:
        """Return how many channels the series that it reads may have: ``[batch, time, channel]`` in transformers."""
        series = self.last("past_values")
        if series is not None and len(series) == 3:
            return {int(series[2])}
        return set() if self.own is None else self.own.num_channels()

    def input_kinds(self) -> frozenset[str]:
        """Name the kept inputs it was given: ids, pixels, audio."""
        return frozenset(name for kept in self.passes for name in kept)

    def last(self, name: str) -> Any:
        """Return a kept input of the last pass that had it."""
        return next((kept[name] for kept in reversed(self.passes) if name in kept), None)


def _has_two_sides(module: nn.Module) -> bool:
    """Tell whether a model has an encoder and a decoder of text; some take inputs for both and hold a decoder alone."""
    config: Any = getattr(module, "config", None)
    text: Any = getattr(config, "text_config", None)
    return text is None or any(
        getattr(part, "is_encoder_decoder", False) for part in (config, text)
    )


def find_submodels(model: nn.Module) -> dict[str, Submodel]:
    """Return the models inside a model, the whole included, by their path."""
    found = {
        path: Submodel(path, module)
        for path, module in model.named_modules()
        if path == "" or isinstance(module, PreTrainedModel)
    }
    if not is_of_transformers(type(model)):
        found[""].own = OwnInputs()
    return found


def named_arguments(
    module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """Give the arguments of a forward call their names."""
    if not args:
        return kwargs
    if len(args) == 1 and isinstance(args[0], Mapping):  # as sentence encoders pass them
        return {**args[0], **kwargs}
    try:
        bound = inspect.signature(module.forward).bind_partial(*args, **kwargs).arguments
    except TypeError:  # the call itself is about to complain
        return dict(kwargs)
    return {**bound, **kwargs}


def batch_size(inputs: dict[str, Any], *, guess: bool = False) -> int | None:
    """Number of rows in a forward call's inputs, or ``None`` when it cannot be told.

    Args:
        inputs: The inputs by their names.
        guess: Whether inputs of unknown names count too, by their first axis.
    """
    rows = {
        name: value
        for name, value in inputs.items()
        if isinstance(value, torch.Tensor)
        and not value.is_nested
        and not is_packed(name, value, inputs)
    }
    for name in _MAIN:
        if name in rows and rows[name].ndim > 1:
            return len(rows[name])
    # Code that is not in transformers has names of its own: token ids and images are known by their axes.
    first = next((value for value in inputs.values() if isinstance(value, torch.Tensor)), None)
    known = first is not None and any(first is value for value in rows.values())
    if first is not None and known and first.ndim == 2 + 2 * first.is_floating_point():
        return len(first)
    if first is not None and known and _is_one_row(first):
        return 1
    # Under another name: states or a spectrogram. With two axes it may be patches of several images, all in one row.
    for tensor in rows.values() if guess else ():
        if tensor.ndim > 2 and tensor.is_floating_point():
            return len(tensor)
    return None


def _is_one_row(tensor: Tensor) -> bool:
    """Tell one row of vectors or of a series, ``[1, position, dim]``: a sequence that comes first is longer than one."""
    if tensor.is_nested or tensor.ndim != 3 or not tensor.is_floating_point():
        return False
    return tensor.shape[0] == 1 < tensor.shape[1]


def enclosing(submodels: dict[str, Submodel], path: str) -> Iterator[Submodel]:
    """Yield the submodels around a module, innermost first."""
    parts = path.split(".") if path else []
    for length in range(len(parts), -1, -1):
        submodel = submodels.get(".".join(parts[:length]))
        if submodel is not None:
            yield submodel

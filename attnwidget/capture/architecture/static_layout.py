"""`StaticLayer`: stream and layer of each attention module, as far as known before the model runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from attnwidget.capture.architecture.attention_modules import (
    code_mentions,
    computes_attention,
    possible_attention_modules,
    scopes_around,
)
from attnwidget.capture.architecture.stacks import make_stacks, stack_layer_numbers
from attnwidget.capture.architecture.stream_names import attention_like, is_cross, stem, stream_name
from attnwidget.capture.architecture.submodels import enclosing, find_submodels
from attnwidget.capture.calls.chunks import may_attend_in_chunks
from attnwidget.capture.calls.module_calls import ModuleCalls
from attnwidget.capture.sparse.registry import adapter_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import nn

    from attnwidget.capture.architecture.stacks import Stack
    from attnwidget.capture.architecture.submodels import Submodel

__all__ = [
    "INTERFACE_NAMES",
    "MAY_LOOK_AHEAD",
    "StaticLayer",
    "find_attention",
    "open_questions",
    "static_layers",
    "static_stacks",
]

INTERFACE_NAMES = frozenset({"ALL_ATTENTION_FUNCTIONS", "get_interface"})
_CAUSAL = frozenset({"create_causal_mask", "create_sliding_window_causal_mask"})
_BIDIRECTIONAL = frozenset({"create_bidirectional_mask"})
_TRIANGLES = frozenset({"tril", "triu"})
MAY_LOOK_AHEAD = "whether it looks ahead, which makes it an encoder"
_OTHER = "whether it is given another sequence to look at"
_STAGES = "stages over sequences of different length become streams of their own"


@dataclass(frozen=True, slots=True)
class StaticLayer:
    """What is known of an attention module before it runs.

    Attributes:
        stream: Name of its stream, or what that begins with; ``None`` if it is known only after the run.
        number: The number of its layer, or ``None`` likewise.
        numbers: The layer numbers of the whole stream.
        windowed: Whether it may attend within windows or chunks of its input.
    """

    stream: str | None
    number: int | None
    numbers: tuple[int, ...]
    windowed: bool


def static_layers(model: nn.Module) -> dict[str, StaticLayer]:
    """Return, by the path of each module that is sure to attend, what is known of its layer before it runs."""
    submodels, sure, _ = find_attention(model)
    unsure = scopes_around(model, sure)  # what they look at shows when they run
    found: dict[str, StaticLayer] = {}
    for stack in static_stacks(model, submodels, sure):
        numbers, by_order = stack_layer_numbers(stack.members)
        doubts = set(open_questions(stack, model, submodels))
        for number, member in zip(numbers, stack.members, strict=True):
            found[member.path] = StaticLayer(
                stream=None if MAY_LOOK_AHEAD in doubts or member.path in unsure else stack.name,
                number=None if by_order or doubts - {MAY_LOOK_AHEAD, _OTHER} else number,
                numbers=tuple(numbers),
                windowed=may_attend_in_chunks(member.module) or _STAGES in doubts,
            )
    return found


def find_attention(model: nn.Module) -> tuple[dict[str, Submodel], dict[str, nn.Module], list[str]]:
    """Return the models inside a model, the modules that are sure to attend, and paths of those that may."""
    submodels = find_submodels(model)
    named = attention_like(model)
    sure = {
        path: one for path, one in named.items() if computes_attention(type(one)) or adapter_of(one)
    }
    others = [path for path in named if path not in sure]
    if not sure:
        others = [path for path in possible_attention_modules(model) if path or not others]
    return submodels, sure, others


def static_stacks(
    model: nn.Module, submodels: dict[str, Submodel], sure: Mapping[str, nn.Module]
) -> list[Stack]:
    """Sort the modules that are sure to attend into streams."""
    sides = []
    for path, module in sure.items():
        submodel = next(enclosing(submodels, path)).module
        side = stream_name(
            path,
            module,
            model,
            submodel,
            looks_causal=_probably_causal(module, submodel),
            reads=_reads(submodel),
        )
        sides.append((side, ModuleCalls(path, module, is_cross(path, module))))
    return make_stacks(sides)


def open_questions(stack: Stack, model: nn.Module, submodels: dict[str, Submodel]) -> Iterator[str]:
    """Say what cannot be known before the model runs."""
    first = stack.members[0]
    submodel = next(enclosing(submodels, first.path)).module
    config = getattr(submodel, "config", None)
    if _in_stages([member.layer_path for member in stack.members]) or hasattr(config, "depths"):
        yield _STAGES
    depth = getattr(config, "num_hidden_layers", None)
    own = any(hasattr(member.module, "layer_idx") for member in stack.members)
    stems = {stem(member.layer_path) for member in stack.members}
    if isinstance(depth, int) and len(stack.members) < depth and not own and len(stems) == 1:
        yield f"its modules may be used for several of {depth} layers"
    sided = getattr(getattr(model, "config", None), "is_encoder_decoder", False)
    if (
        not sided
        and stack.side in {"encoder", "decoder"}
        and _direction(first.module, submodel) is None
    ):
        yield MAY_LOOK_AHEAD
    if stack.side == "cross" and not sided:
        yield _OTHER


def _in_stages(paths: list[str]) -> bool:
    """Tell whether more than one number in the paths counts."""
    numbers = [[part for part in path.split(".") if part.isdigit()] for path in paths]
    most = max(map(len, numbers))
    return sum(len({row[at] for row in numbers if at < len(row)}) > 1 for at in range(most)) > 1


def _direction(module: nn.Module, submodel: nn.Module) -> bool | None:
    """Tell whether a module looks back only: it says so itself, or its submodel makes but one kind of mask."""
    causal = getattr(module, "is_causal", None)
    if isinstance(causal, bool):
        return causal
    back, both = (
        code_mentions(type(submodel), _CAUSAL),
        code_mentions(type(submodel), _BIDIRECTIONAL),
    )
    return back if back != both else None


def _probably_causal(module: nn.Module, submodel: nn.Module) -> bool:
    told = _direction(module, submodel)
    return code_mentions(type(submodel), _TRIANGLES) if told is None else told


def _reads(submodel: nn.Module) -> frozenset[str]:
    name = getattr(submodel, "main_input_name", None)
    return frozenset({name} if isinstance(name, str) else ())

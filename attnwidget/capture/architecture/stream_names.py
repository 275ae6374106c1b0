"""Module paths to stream names and layer numbers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from torch import nn

__all__ = [
    "attention_like",
    "describe_modules",
    "distinct_stream_names",
    "is_cross",
    "is_named_attention",
    "is_of_transformers",
    "layer_numbers",
    "main_input_name",
    "sees_or_hears",
    "stem",
    "stream_name",
]

_ATTENTION = re.compile(r"attention|attn", re.IGNORECASE)
_ACCESSORY = re.compile(r"(Output|Bias|Mask|Norm)$")  # modules beside an attention, named after it
_CROSS = re.compile(
    r"cross|encoder_attn|encdec|encoder_decoder|enc_attn|^multihead_attn$", re.IGNORECASE
)
# Parts of a path that name no stack.
_PLAIN = re.compile(
    r"^(\*|self|module|model|backbone|layers?|blocks?|stages?|transformer|(self_|mha_?)?(attn|attention)|mha)$"
)
_TAIL = re.compile(r"(_(module|model|layers?|blocks?|attn|attention|self_attn))+$")
_TOWER = r"^({})(_(model|tower|encoder|transformer|backbone|module))?$"
_VISION = re.compile(_TOWER.format("vision|visual|image|vit"))
_SOUND = frozenset({"audio_mel", "input_features", "input_values"})
_SEEING = re.compile(r"Vision|Visual|ViT(?![a-z])|Image")
_AUDIO = re.compile(_TOWER.format("audio|speech|sound"))


def is_named_attention(kind: type) -> bool:
    """Tell whether a class is called attention."""
    return bool(_ATTENTION.search(kind.__name__))


def is_of_transformers(kind: type) -> bool:
    """Tell whether a class is transformers' own code, whose names can be relied on."""
    return kind.__module__.startswith("transformers.models.")


def attention_like(model: nn.Module) -> dict[str, nn.Module]:
    """Find the modules whose class is called attention, innermost only.

    A wrapper such as ``BertAttention`` around ``BertSelfAttention`` is not listed: the inner one does the work.
    """
    named = {
        path: module
        for path, module in model.named_modules()
        if is_named_attention(type(module)) and not _ACCESSORY.search(type(module).__name__)
    }
    outer = {parent for path in named for parent in _ancestors(path) if parent in named}
    # The root may itself be called attention-something; its submodules are then what counts.
    return {
        path: module
        for path, module in named.items()
        if path not in outer and (path or len(named) == 1)
    }


def is_cross(path: str, module: nn.Module) -> bool:
    """Tell whether an attention module looks at another sequence than its own."""
    if getattr(module, "is_cross_attention", None) is True:
        return True
    # Only what follows the layer number names the attention; what comes before names submodels.
    _, _, within = _first_number(path)
    return bool(_CROSS.search(within) or "Cross" in type(module).__name__)


def main_input_name(model: nn.Module) -> str:
    """Name the main input of a model: the first of them where it names several (OneFormer)."""
    named = getattr(model, "main_input_name", "input_ids")
    return named if isinstance(named, str) else str(next(iter(named), "input_ids"))


def stream_name(
    path: str,
    module: nn.Module,
    model: nn.Module,
    submodel: nn.Module,
    *,
    looks_causal: bool = False,
    reads: frozenset[str] = frozenset(),
    cross: bool | None = None,
) -> str:
    """Name the stream an attention module belongs to.

    Args:
        path: Its path in ``model``.
        module: The module itself.
        model: The whole model.
        submodel: The innermost pretrained model around the module, which knows its own main input.
        looks_causal: Whether no query was seen to look at a later key; read where the module does not say.
        reads: Names of the inputs the submodel was given.
        cross: Whether it was seen to look at another sequence, or ``None`` to go by its name.

    Returns:
        ``"cross"``, ``"encoder"``, ``"decoder"``, ``"vision"``, ``"audio"`` or ``"depth"``.
    """
    if is_cross(path, module) if cross is None else cross:
        return "cross"
    if "AttentionResidual" in type(module).__name__:
        return "depth"  # each position attends to its own states in the blocks before
    segments = path.split(".")
    if getattr(getattr(model, "config", None), "is_encoder_decoder", False):
        side = _side(module, model)
        if side is not None:
            return side
    if any(_VISION.match(segment) for segment in segments) or _sees(submodel, reads):
        return "vision"
    main_input = main_input_name(submodel)
    if any(_AUDIO.match(segment) for segment in segments) or main_input in _SOUND:
        return "audio"
    causal = getattr(module, "is_causal", None)
    if isinstance(causal, bool):
        return "decoder" if causal else "encoder"
    is_decoder = getattr(getattr(submodel, "config", None), "is_decoder", False)
    told = next((s for s in segments if "decoder" in s or "encoder" in s), None)
    if told is None or (
        is_decoder and looks_causal
    ):  # Reformer's decoder is inside of an "encoder"
        return "decoder" if looks_causal or is_decoder else "encoder"
    return "decoder" if "decoder" in told else "encoder"


def _sees(submodel: nn.Module, reads: frozenset[str]) -> bool:
    """Tell whether a submodel reads images: by its main input, by what it was given, or by its name."""
    if main_input_name(submodel).startswith("pixel_values"):
        return True
    named = bool(_SEEING.search(type(submodel).__name__))
    return "input_ids" not in reads and ("pixel_values" in reads or named)


def layer_numbers(paths: Sequence[str], modules: Sequence[nn.Module]) -> tuple[list[int], bool]:
    """Number the attention modules of one stream, given in calling order.

    The model's own ``layer_idx`` counts first (hybrids skip numbers), then the number in the path. Where neither
    tells the modules apart (stages that each count from zero), they are numbered in the order of their calls.

    Returns:
        The numbers, and whether they only tell the order.
    """
    numbers = [_number(path, module) for path, module in zip(paths, modules, strict=True)]
    if None in numbers or len(set(numbers)) < len(numbers):
        return list(range(len(paths))), True
    return [number for number in numbers if number is not None], False


def stem(path: str) -> str:
    """Return the path with every number replaced by ``*``: what the layers of one stack share."""
    return ".".join("*" if part.isdigit() else part for part in path.split("."))


def distinct_stream_names(
    stream: str,
    sizes: Mapping[str, int],
    kinds: Mapping[str, str],
    taken: Collection[str] = (),
) -> dict[str, str]:
    """Name apart stacks that would share a stream although their layer numbers collide.

    The largest stack keeps the stream's name; of equals the one whose path has nothing particular, or that goes by the
    stream's name, else the first. Each other adds what is particular to its own path, in words: ``vision temporal``, ``encoder fusion``. What is called an
    encoder or a decoder, or has the stream's name in it, goes by that alone: ``final char encoder``.

    Args:
        stream: The stream's name.
        sizes: Number of layers of each stack, by the stem of its path, in calling order.
        kinds: Name of the modules' class, by the stem.
        taken: Names of other streams.

    Returns:
        A name for each stem.
    """
    most = [path for path, size in sizes.items() if size == max(sizes.values())]
    plain = [path for path in most if not _particular(path, [p for p in sizes if p != path])]
    submodels = [path for path in most if any(part.startswith(stream) for part in path.split("."))]
    main = (plain or submodels or most)[0]
    names = {main: stream}
    for other in sizes:
        if other == main:
            continue
        words = [_words(part) for part in _particular(other, [main])]
        if not words:
            known = set(_capitals(kinds[main]))
            words = [" ".join(part for part in _capitals(kinds[other]) if part not in known)]
        sided = [word for word in words if re.search(f"encoder|decoder|{stream}", word)]
        ways = [*sided, *(f"{stream} {word}" for word in reversed(words) if word), stream]
        used = {*names.values(), *taken}
        free = next((way for way in ways if way not in used), ways[-1])
        number = 2
        while free in used:
            free, number = f"{ways[0]} {number}", number + 1
        names[other] = free
    return names


def _particular(path: str, others: Iterable[str]) -> list[str]:
    """Parts of a path that say something and are in none of the others."""
    common = {part for other in others for part in other.split(".")}
    return [part for part in path.split(".") if part not in common and not _PLAIN.match(part)]


def _words(part: str) -> str:
    """``temporal_layers`` as ``temporal``; a head that attends is one that pools."""
    words = _TAIL.sub("", part)
    return "pooling" if words == "head" else words.replace("_", " ")


def _capitals(name: str) -> list[str]:
    return [word.lower() for word in re.findall(r"[A-Z][a-z0-9]*", name)]


def describe_modules(model: nn.Module, paths: Iterable[str]) -> str:
    """List modules for a message: ``BloomAttention x 2 (transformer.h.0.self_attention, ...)``."""
    kinds: dict[str, list[str]] = {}
    for path in paths:
        kinds.setdefault(type(model.get_submodule(path)).__name__, []).append(
            path or "the model itself"
        )
    shown = []
    for kind, where in kinds.items():
        more = f", and {len(where) - 2} more" if len(where) > 2 else ""
        shown.append(f"{kind} x {len(where)} ({', '.join(where[:2])}{more})")
    return "; ".join(shown)


def _ancestors(path: str) -> list[str]:
    parts = path.split(".") if path else []
    return [".".join(parts[:count]) for count in range(len(parts))]


def _first_number(path: str) -> tuple[str, int | None, str]:
    """Split a path at its first number: what comes before, the number, what comes after."""
    parts = path.split(".")
    for index, part in enumerate(parts):
        if part.isdigit():
            return ".".join(parts[:index]), int(part), ".".join(parts[index + 1 :])
    return "", None, path


def _number(path: str, module: nn.Module) -> int | None:
    number = getattr(module, "layer_idx", None)
    if isinstance(number, int) and not isinstance(number, bool):
        return number
    return _first_number(path)[1]


def _side(module: nn.Module, model: Any) -> str | None:
    """Tell encoder from decoder by the model's own accessors."""
    for side in ("encoder", "decoder"):
        getter = getattr(model, f"get_{side}", None)
        part = getter() if callable(getter) else None
        if part is None or part is model:
            continue
        if any(inner is module for inner in part.modules()):
            return side
    return None


def sees_or_hears(path: str) -> bool:
    """Tell by its path whether a module belongs to a tower for pictures or sounds, which no mask of tokens is about."""
    return any(_VISION.match(part) or _AUDIO.match(part) for part in path.split("."))

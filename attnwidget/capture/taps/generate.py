"""Follow ``generate``, and key/value caches that it reorders."""

from __future__ import annotations

import functools
import inspect
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import torch
from transformers import Cache, EncoderDecoderCache, GenerationMixin

from attnwidget.capture.taps.contexts import ContextValues
from attnwidget.capture.taps.patches import patched
from attnwidget.compute.checks import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from torch import Tensor, nn

__all__ = [
    "GenerateListener",
    "GenerateOptions",
    "is_cache",
    "listening_to_generate",
    "self_attention_cache",
]


@dataclass(frozen=True, slots=True)
class GenerateOptions:
    """Options of ``generate`` that say which rows of a batch belong to which sequence.

    Attributes:
        num_beams: Rows that are tried for each input.
        num_return_sequences: Sequences that are returned for each input.
        eos_token_ids: Tokens that end a sequence.
        prompt_length: Number of token ids that were given, or ``None`` if none were.
        inputs: The tensors that it was given, by the names that the model's forward has for them.
    """

    num_beams: int = 1
    num_return_sequences: int = 1
    eos_token_ids: frozenset[int] = frozenset()
    prompt_length: int | None = None
    inputs: Mapping[str, Tensor] = field(default_factory=dict, compare=False)

    def rows_per_input(self, count: int, *, expanded: bool) -> int:
        """Return how many of the ``count`` rows of a forward pass are of one input; encoders run before it is repeated."""
        rows = max(self.num_beams, self.num_return_sequences)
        return rows if expanded and count % rows == 0 else 1

    def input_number(self, batch: int | None) -> int:
        """Return which of the inputs the recorded sequence continues."""
        return (batch or 0) // self.num_return_sequences

    def recorded_rows(self, count: int, batch: int | None, *, expanded: bool) -> tuple[int, ...]:
        """Choose the rows to record of a batch: one, or all beams of one input.

        Args:
            count: Rows of the batch.
            batch: Which of the returned sequences to record, ``None`` for the only one.
            expanded: Whether inputs are repeated for beams and for the sequences that are returned: encoders run before.

        Raises:
            ValueError: If there are several to choose from, or not as many.
        """
        expand = self.rows_per_input(count, expanded=expanded)
        results = count // expand * self.num_return_sequences
        if batch is None and results > 1:
            given = (
                f"the model was given a batch of {count // expand}"
                if self.num_return_sequences == 1
                else f"generate returns {results} sequences"
            )
            msg = f"{given}; say which row to record with batch=0 .. batch={results - 1}."
            raise ValueError(msg)
        if batch is not None and not 0 <= batch < results:
            msg = f"batch must be in 0..{results - 1}, got {shown(batch)}."
            raise ValueError(msg)
        item, number = divmod(batch or 0, self.num_return_sequences)
        first = item * expand
        if self.num_beams > 1 and expand > 1:
            return tuple(range(first, first + expand))
        return (first + min(number, expand - 1),)


class GenerateListener(Protocol):
    """Is told which forward passes belong to a generation, and what it returned."""

    def on_generate(
        self, module: nn.Module, options: GenerateOptions, *, inner: bool
    ) -> AbstractContextManager[Callable[[Any], None]]:
        """Return a context in which a generation runs; it yields a function to call with the result.

        ``inner`` is false for a model's own ``generate``, which prepares and then calls that of all models.
        """

    def on_cache_reordered(self, cache: Any, rows: Tensor) -> None:
        """Note that each row of a cache now holds the row that ``rows`` says."""


_listeners: ContextValues[GenerateListener] = ContextValues("attnwidget_generate_listeners")


@contextmanager
def listening_to_generate(listener: GenerateListener, model: nn.Module) -> Iterator[None]:
    """Tell ``listener`` of generations by ``model`` or a part of it until the block ends."""
    owners = {
        base
        for module in model.modules()
        if isinstance(module, GenerationMixin)
        for base in type(module).__mro__
        if "generate" in vars(base)
    }
    with ExitStack() as stack:
        for owner in owners:
            wrap = _wrapped(inner=owner is GenerationMixin)
            stack.enter_context(patched(owner, "generate", wrap))
        if owners:
            stack.enter_context(patched(Cache, "reorder_cache", _reordering))
        stack.enter_context(_listeners.adding(listener))
        yield


def _wrapped(*, inner: bool) -> Callable[[Any], Any]:
    def wrap(original: Any) -> Any:
        @functools.wraps(original)
        def generate(self: Any, *args: Any, **kwargs: Any) -> Any:
            with ExitStack() as stack:
                current = _listeners()
                options = GenerateOptions()
                if current:
                    options = _read_generate_options(self, _named(self, original, args, kwargs))
                done = [
                    stack.enter_context(each.on_generate(self, options, inner=inner))
                    for each in current
                ]
                result = original(self, *args, **kwargs)
                for tell in done:
                    tell(result)
                return result

        return generate

    return wrap


def _reordering(original: Any) -> Any:
    @functools.wraps(original)
    def reorder_cache(self: Any, beam_idx: Tensor, *args: Any, **kwargs: Any) -> Any:
        for each in _listeners():
            each.on_cache_reordered(self, beam_idx)
        return original(self, beam_idx, *args, **kwargs)

    return reorder_cache


def _named(
    model: Any, generate: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """Name the arguments of ``generate``; what it calls ``inputs`` is the model's main input."""
    try:
        bound = inspect.signature(generate).bind_partial(model, *args)
    except TypeError:  # the call itself is about to complain
        return dict(kwargs)
    given = {**dict(list(bound.arguments.items())[1:]), **kwargs}
    main = given.pop("inputs", None)
    if main is not None:
        is_ids = isinstance(main, torch.Tensor) and not main.is_floating_point()
        given["input_ids" if is_ids else getattr(model, "main_input_name", "input_ids")] = main
    return given


def _read_generate_options(model: Any, given: dict[str, Any]) -> GenerateOptions:
    """Read the options off the arguments of ``generate``."""
    configs = (given.get("generation_config"), getattr(model, "generation_config", None))

    def option(name: str) -> Any:
        places = (given.get(name), *(getattr(config, name, None) for config in configs))
        return next((value for value in places if value is not None), None)

    ends = option("eos_token_id")
    ends = ends.tolist() if hasattr(ends, "tolist") else ends
    ends = [] if ends is None else ends if isinstance(ends, (list, tuple)) else [ends]
    ids: Any = given.get("input_ids")
    both = getattr(getattr(model, "config", None), "is_encoder_decoder", False)
    is_ids = isinstance(ids, torch.Tensor) and ids.ndim == 2 and not ids.is_floating_point()
    return GenerateOptions(
        num_beams=int(option("num_beams") or 1),
        num_return_sequences=int(option("num_return_sequences") or 1),
        eos_token_ids=frozenset(int(end) for end in ends),
        prompt_length=ids.shape[1] if is_ids and not both else None,
        inputs={name: value for name, value in given.items() if isinstance(value, torch.Tensor)},
    )


def is_cache(value: Any) -> bool:
    """Tell whether ``value`` is one of transformers' key/value caches."""
    return isinstance(value, Cache)


def self_attention_cache(cache: Any) -> Any:
    """Return the part of a cache that holds the keys of earlier positions, without those of another sequence."""
    return cache.self_attention_cache if isinstance(cache, EncoderDecoderCache) else cache

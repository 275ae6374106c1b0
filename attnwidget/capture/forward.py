"""Run or surround one recording: install the recorder, run, restore the model, build the record."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn
from torch.utils._pytree import tree_map_only

from attnwidget.capture.architecture.advice import check_model
from attnwidget.capture.architecture.stream_names import is_of_transformers
from attnwidget.capture.architecture.uncompiled import running_uncompiled
from attnwidget.capture.architecture.wrappers import (
    called_module,
    max_tokens,
    own_tokenizer,
    unwrapped,
)
from attnwidget.capture.distributed.tensor_parallel import shared_recording
from attnwidget.capture.finish import finish_recording
from attnwidget.capture.gradients.gradients import Gradients, without_parameter_gradients
from attnwidget.capture.inputs.chat import chat_options, is_chat
from attnwidget.capture.inputs.checks import check_batch, failure
from attnwidget.capture.inputs.length_limit import check_length
from attnwidget.capture.inputs.options import accepted_names, check_options
from attnwidget.capture.inputs.own_models import call_error, check_call
from attnwidget.capture.inputs.prepare import prepare
from attnwidget.capture.inputs.text import find_tokenizer
from attnwidget.capture.inputs.token_edits import with_tokens_edited
from attnwidget.capture.positions.given_labels import read_labels
from attnwidget.capture.recorder.limits import Limits
from attnwidget.capture.recorder.recorder import Recorder
from attnwidget.capture.store import make_store
from attnwidget.capture.taps.listeners import others_set_aside
from attnwidget.capture.taps.transforms import outside_transforms, why_without_numbers
from attnwidget.compute.checks import check_tensor, shown
from attnwidget.compute.layer_tensors import check_exact
from attnwidget.record.vocabulary import either

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from attnwidget.capture.hints import Hints
    from attnwidget.capture.inputs.prepare import PreparedInputs
    from attnwidget.capture.store import Store
    from attnwidget.compute.layer_tensors import Exact
    from attnwidget.edits.tokens import TokenEdit
    from attnwidget.record.record import Record

    GradientOf = Callable[["Ran"], tuple[torch.Tensor, str]]


__all__ = [
    "Outcome",
    "Ran",
    "check_model",
    "check_numbers",
    "check_tokenizer",
    "record_forward",
    "run_forward",
    "run_recorded",
    "template_options",
]


# A table looked up, sliced and added, an input that is missing or has too many axes.
_FAILED = (IndexError, RuntimeError, TypeError, ValueError, AttributeError)


# What is no tokenizer and no processor, whatever it can do.
_NO_TOKENIZERS = (
    int, float, complex, bytes, list, tuple, dict, set, frozenset, range, slice, type, torch.Tensor, nn.Module,
)  # fmt: skip


class Outcome:
    """What a recording came to: its record once the block has ended, or why there is none.

    Attributes:
        record: The finished record.
        state: Why there is none yet, in words that end a sentence.
        gradients: What follows the outputs of attention, where gradients are wanted.
        metric: What these gradients are of.
    """

    __slots__ = ("gradients", "metric", "record", "state")

    def __init__(self) -> None:
        """Start before the end of the block."""
        self.record: Record | None = None
        self.gradients: Gradients | None = None
        self.metric: str | None = None
        self.state = "the block has not ended yet; ask after it"


@dataclass(frozen=True, slots=True)
class Ran:
    """One forward pass that was recorded.

    Attributes:
        record: Its record.
        output: What the model returned.
        model: The model, without what wraps it.
        args: What it was given by place.
        kwargs: What it was given by name.
        tokenizer: The tokenizer that was found, or ``None``.
        row: The row of the batch that was recorded.
        again: Runs and records it once more, on the same inputs, or on these with the tokens edited.
    """

    record: Record
    output: Any
    model: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    tokenizer: Any
    row: int
    again: Callable[[bool], Ran]


@contextmanager
def record_forward(
    model: nn.Module, tokenizer: Any, hints: Hints, **options: Any
) -> Iterator[Outcome]:
    """Record what calls ``model`` inside the block, and restore the model at its end.

    Args:
        model: The model.
        tokenizer: Labels the tokens.
        hints: What is known of the tokens beyond their ids.
        **options: ``batch``, ``store``, ``limits``, ``which``, ``exact`` and ``gradients`` of `Recorder`.

    Yields:
        What comes of it; its record is there when the block has ended.
    """
    outcome = Outcome()
    with outside_transforms():
        recorder = Recorder(called_module(model), **options)
    with others_set_aside(), shared_recording(recorder.model, recorder.store) as whole:
        recorder.start()
        try:
            yield outcome
        except BaseException as error:
            outcome.state = f"the block raised {type(error).__name__}"
            raise
        finally:
            recorder.stop()
        outcome.state = "the model's attention could not be recorded"
        with outside_transforms():
            outcome.record = whole(finish_recording(recorder, unwrapped(model), tokenizer, hints))


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """What surrounds the forward passes on one input.

    Attributes:
        model: The model that the caller named.
        prepared: What it is given.
        options: Options of `record_forward`.
        edits: What is done to the tokens of an edited pass.
        new_store: Makes a store for one more pass.
        stores: Those that are made and not used yet.
        gradient_of: What makes a scalar, and its name, of a pass whose record is to have gradients.
    """

    model: nn.Module
    prepared: PreparedInputs
    options: dict[str, Any]
    edits: Sequence[TokenEdit]
    new_store: Callable[[], Store]
    stores: list[Store]
    gradient_of: GradientOf | None = None

    @contextmanager
    def recording(self, hints: Hints) -> Iterator[Outcome]:
        """Record one pass, with gradients where they are wanted."""
        store = self.stores.pop() if self.stores else self.new_store()
        inner, tokenizer = unwrapped(self.model), self.prepared.tokenizer
        gradients = None if self.gradient_of is None else Gradients()
        options = {**self.options, "store": store, "gradients": gradients}
        with record_forward(inner, tokenizer, hints, **options) as outcome:
            outcome.gradients = gradients
            if gradients is None:
                yield outcome
                return
            with torch.enable_grad(), without_parameter_gradients(inner):
                yield outcome

    def with_gradients(
        self, outcome: Outcome, output: Any, arguments: dict[str, Any], hints: Hints
    ) -> Any:
        """Compute the gradients of a pass that has run, where they are wanted; returns its output, without what they need."""
        if outcome.gradients is None or self.gradient_of is None:
            return output
        number, outcome.metric = self.gradient_of(self.ran(outcome, output, arguments, hints))
        outcome.gradients.compute(number)
        return tree_map_only(torch.Tensor, torch.Tensor.detach, output)

    def given(self, arguments: dict[str, Any], hints: Hints) -> tuple[dict[str, Any], Hints]:
        """Return what the model is given, and what is known of it, with the tokens edited."""
        return with_tokens_edited(
            unwrapped(self.model),
            arguments,
            hints,
            self.prepared.tokenizer,
            row=self.prepared.batch or 0,
            edits=self.edits,
        )

    def again(self, arguments: dict[str, Any], hints: Hints, *, edited: bool) -> Ran:
        """Run and record one more pass."""
        if edited:
            arguments, hints = self.given(arguments, hints)
        with running_uncompiled(self.model), torch.no_grad(), self.recording(hints) as outcome:
            output = unwrapped(self.model)(*self.prepared.args, **arguments)
            output = self.with_gradients(outcome, output, arguments, hints)
        return self.ran(outcome, output, arguments, hints)

    def ran(self, outcome: Outcome, output: Any, arguments: dict[str, Any], hints: Hints) -> Ran:
        """Put together what is known of a pass that has run."""
        record = cast("Record", outcome.record)
        return Ran(
            record=record if outcome.metric is None else replace(record, metric=outcome.metric),
            output=output,
            model=unwrapped(self.model),
            args=self.prepared.args,
            kwargs=arguments,
            tokenizer=self.prepared.tokenizer,
            row=self.prepared.batch or 0,
            again=lambda edited: self.again(arguments, hints, edited=edited),
        )


def run_forward(model: nn.Module, inputs: Any, tokenizer: Any = None, **options: Any) -> Record:
    """Run the model once and record its attention.

    Args:
        model: The model.
        inputs: Text, tensors, pictures …
        tokenizer: Its tokenizer or processor.
        **options: The others of `run_recorded`.
    """
    return run_recorded(model, inputs, tokenizer, **options).record


def run_recorded(
    model: nn.Module,
    inputs: Any,
    tokenizer: Any = None,
    *,
    target: Any = None,
    tokens: Any = None,
    batch: int | None = None,
    streams: str | Sequence[str] | None = None,
    layers: Any = None,
    positions: Any = None,
    store: Any = "auto",
    exact: Exact = "float32",
    device: torch.device | str | None = None,
    stream: str | None = None,
    layer: Any = None,
    around: Callable[[], AbstractContextManager[Any]] = nullcontext,
    token_edits: Sequence[TokenEdit] = (),
    edited: bool = True,
    gradient_of: GradientOf | None = None,
    check: Callable[[nn.Module, Mapping[str, Any], int | None], None] = lambda *_: None,
    **forward_kwargs: Any,
) -> Ran:
    """Run the model once and record its attention; `attnwidget.capture` describes arguments and errors.

    Returns the record, what the model was given and what it returned.

    Args:
        model: The model.
        inputs: Text, tensors, pictures …
        tokenizer: Its tokenizer or processor.
        target: Text or token ids for the decoder.
        tokens: Labels for the positions, in place of the tokenizer's.
        batch: Row to record.
        streams: Names of the streams to record.
        layers: Layers to record.
        positions: Query positions to record.
        store: Where vectors are kept.
        exact: How weights are computed.
        device: A device in place of ``store``.
        stream: Another name of ``streams``.
        layer: Another name of ``layers``.
        around: What surrounds the forward pass, and nothing that prepares it.
        token_edits: What is done to the tokens; refused before the model runs where it cannot be.
        edited: Whether it is done in this pass; else only where the pass is made `again`.
        gradient_of: What makes a scalar, and its name, of the pass, where the record is to have the gradients of one.
        check: Called before the forward pass with the model, what it is given by name, and the row that is recorded; may refuse.
        **forward_kwargs: Passed on to the model; options of the chat template to that.
    """
    check_model(model)
    check_tokenizer(tokenizer)
    check_exact(exact)
    batch = check_batch(batch)
    tokenizer = own_tokenizer(model) if tokenizer is None else tokenizer
    most = max_tokens(model)
    inner = unwrapped(model)
    template = template_options(model, inputs, tokenizer, forward_kwargs)
    check_options(inner, forward_kwargs, template)
    chosen = {name: forward_kwargs.pop(name) for name in template}
    for name, value in forward_kwargs.items():
        if isinstance(value, torch.Tensor) and value.is_nested:  # which has no sizes to read
            check_tensor(name, value)
    streams, layers = either(stream=stream, streams=streams), either(layer=layer, layers=layers)
    limits = Limits.of(streams, layers, positions, single=True)
    labels = read_labels(tokens, batch)
    prepared = prepare(
        inner,
        inputs,
        tokenizer,
        target=target,
        batch=batch,
        template=chosen,
        passed_on=forward_kwargs,
    )
    check_length(model, prepared.inputs, most)
    if not is_of_transformers(type(inner)):
        check_call(inner, prepared.args, {**prepared.inputs, **forward_kwargs})
    hints = replace(prepared.hints, labels=labels)
    surroundings = _Surroundings(
        model,
        prepared,
        {"batch": prepared.batch, "limits": limits, "exact": exact},
        token_edits,
        lambda: make_store(store, device),
        [make_store(store, device)],
        gradient_of,
    )
    attempts = [each for each in (prepared.inputs, prepared.otherwise) if each is not None]
    with running_uncompiled(model), torch.no_grad():
        for given in attempts:
            arguments, known = {**given, **forward_kwargs}, hints
            if token_edits:
                changed = surroundings.given(arguments, hints)
                arguments, known = changed if edited else (arguments, hints)
            check(inner, arguments, prepared.batch)
            ran = False
            try:
                with around(), surroundings.recording(known) as outcome:
                    output = inner(*prepared.args, **arguments)
                    ran = True
                    output = surroundings.with_gradients(outcome, output, arguments, known)
                break
            except _FAILED as error:
                if ran or isinstance(error, torch.cuda.OutOfMemoryError):
                    raise
                if given is attempts[-1]:
                    why = _why(inner, prepared, arguments, error)
                    if why is None:
                        raise
                    raise why from error
    return surroundings.ran(outcome, output, arguments, known)


def _why(
    model: nn.Module, prepared: PreparedInputs, arguments: Mapping[str, Any], error: Exception
) -> ValueError | None:
    """Return what a caller is told of a forward pass that failed, ``None`` where the error itself says it best."""
    why = failure(model, arguments, error)
    guessed = prepared.guessed and isinstance(error, (RuntimeError, TypeError))
    if why is None and (guessed or _is_of_model(model, error)):
        return call_error(model, prepared.args, arguments, error)
    return why


def check_numbers(model: nn.Module) -> None:
    """Refuse to run a model inside of what leaves it no numbers of its own."""
    reason = why_without_numbers()
    if reason is not None:
        msg = f"{type(model).__name__} {reason}."
        raise ValueError(msg)


def _is_of_model(model: nn.Module, error: Exception) -> bool:
    """Tell whether an error was raised by the code of a model, and not by a hook, a callback or the recording itself."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    name = "" if last is None else str(last.tb_frame.f_globals.get("__name__", ""))
    homes = {"torch", "transformers", "numpy"} | {
        type(module).__module__.partition(".")[0] for module in model.modules()
    }
    return name.partition(".")[0] in homes


def template_options(
    model: nn.Module, inputs: Any, tokenizer: Any, given: Iterable[str]
) -> set[str]:
    """Return which of the names that a caller gave are options of the chat template that ``inputs`` go through.

    Args:
        model: The model; the names that it takes itself are its own.
        inputs: What is to be recorded.
        tokenizer: Its tokenizer or processor, looked up for a chat where there is none.
        given: The names.
    """
    names = set(given) - accepted_names(unwrapped(model)) if is_chat(inputs) else set()
    if not names:
        return set()
    for find in (own_tokenizer, lambda whole: find_tokenizer(unwrapped(whole))):
        tokenizer = find(model) if tokenizer is None else tokenizer
    return chat_options(inputs, tokenizer, names)


def check_tokenizer(tokenizer: Any) -> None:
    """Refuse the name of a tokenizer, and what cannot be one."""
    if isinstance(tokenizer, str):
        msg = f"tokenizer must be a tokenizer, got a name; pass AutoTokenizer.from_pretrained({shown(tokenizer)})."
        raise TypeError(msg)
    # Whatever has the parts that are asked for will do, so what is refused is what never has any.
    if not isinstance(tokenizer, _NO_TOKENIZERS):
        return
    msg = (
        f"tokenizer must be a tokenizer or a processor, got {shown(tokenizer)}; pass AutoTokenizer.from_pretrained(...), or "
        "leave it out and give token ids."
    )
    raise TypeError(msg)

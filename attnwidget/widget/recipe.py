"""`Recipe`: what runs a view's model again: the model, held weakly, and how it was called."""

from __future__ import annotations

import contextlib
import copy
import threading
import weakref
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torch import nn

from attnwidget.attribution.residual_stream.logit_lens import captured_with_lens
from attnwidget.compute.checks import shown
from attnwidget.record.hidden_states import is_kept_option
from attnwidget.recordings import capture
from attnwidget.serve.python_call import call_of_model
from attnwidget.surveys.fingerprints import model_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from attnwidget.attention import Attention
    from attnwidget.edits.edits import Edits
    from attnwidget.record.layer_predictions import LayerPredictions

__all__ = ["CALL", "CANNOT_EDIT", "WITHOUT_MODEL", "Recipe", "check_inputs", "record_for_view"]

CALL = "call view(model, 'some text', tokenizer=tokenizer)"
WITHOUT_MODEL = f"This view has a record without its model, so no other text can be run: {CALL}."
CANNOT_EDIT = "This view has a record without its model, so there is nothing to run under an edit: call view(model, 'some text', tokenizer=tokenizer)."
_CHANGED = (
    "The model has changed since this was recorded, so a run under an edit would differ in more than the edit: set "
    "view.text = view.text, or make the view again."
)
_TRAINING = "The model is in training mode, in which each run differs by dropout: call model.eval(), then make the view again."
_GONE = (
    "The model that this view was made with is gone, as nothing else held it: keep it in a variable, "
    f"model = …, and {CALL}."
)


class Recipe:
    """How a view's record came about, so that another text can be recorded in the same way, and the same under an edit.

    The model is held weakly: a view that stays on a page must not keep a model in memory that its owner has let go.

    Attributes:
        inputs: The text, the pair of texts or the chat messages that were recorded last; None where it is no text.
        target: What the decoder of an encoder-decoder model read besides, as it was given.
        lock: Held while a text is recorded and shown: the page's commands may run in a thread beside that of the cells.
    """

    def __init__(
        self,
        model: Any,
        inputs: Any,
        tokenizer: Any,
        options: Mapping[str, Any],
        *,
        is_text: bool,
        lens: bool = False,
        metric: Any = None,
    ) -> None:
        """Note how `capture` was called.

        Args:
            model: The model.
            inputs: What was recorded.
            tokenizer: The tokenizer, None where `capture` found it.
            options: Its other arguments.
            is_text: Whether the inputs were read as text: a sound is named by a text as well.
            lens: Whether what each layer would predict was recorded, too.
            metric: What the record keeps the gradients of. A run under an edit keeps none: it is not among the options.
        """
        self.lock = threading.RLock()
        self._metric = {} if metric is None else {"metric": metric}
        # A row of a batch is run in its batch, whose padding may move the last bits.
        self._run = _kept(inputs), dict(options)
        options = dict(options)
        self.target = options.pop("target", None)
        if isinstance(inputs, list) and inputs and all(isinstance(one, str) for one in inputs):
            inputs = inputs[options.pop("batch", None) or 0]
        elif _is_message(inputs):
            inputs = [inputs]
        self._refusal = _why_not(inputs, options, is_text=is_text)
        self.inputs = None if self._refusal else _copied(inputs)
        self._model, self._tokenizer, self._options = weakref.ref(model), tokenizer, options
        self._state = _state_of(model)
        self._capture = captured_with_lens if lens else capture
        self._lens: dict[str, Any] = {"lens": True} if lens else {}

    @property
    def metric(self) -> Any:
        """What the record keeps the gradients of, as it was asked for; None for nothing."""
        return self._metric.get("metric")

    @property
    def reason(self) -> str | None:
        """Why no other text can be recorded, a sentence; None where one can."""
        return self._refusal or (_GONE if self._model() is None else None)

    def call(self, groups: Any = None) -> str:
        """Return how a view of this text is made, with these groups, as `attnwidget.serve.python_call` writes it."""
        beside = {"target": self.target, "groups": groups}
        given = {name: value for name, value in beside.items() if value is not None}
        given = {**self._options, **self._lens, **self._metric, **given}
        return call_of_model(self.inputs, self._tokenizer, given)

    def texts(self) -> list[dict[str, str]]:
        """Return what can be edited, in order: a name and a text each (see ``Editing`` in the schema)."""
        if self.inputs is None:
            return []
        if isinstance(self.inputs, str):
            found = [("text", self.inputs)]
        elif isinstance(self.inputs, tuple):
            found = list(zip(("first text", "second text"), self.inputs, strict=True))
        else:
            found = [(str(message["role"]), message["content"]) for message in self.inputs]
        if isinstance(self.target, str):
            found.append(("target", self.target))
        return [{"name": name, "text": text} for name, text in found]

    def with_texts(self, texts: Sequence[str]) -> tuple[Any, Any]:
        """Return inputs and target with other texts in the places of `texts`.

        Raises:
            ValueError: If there are not as many.
        """
        count = len(self.texts())
        if len(texts) != count:
            message = f"this view has {count} texts to edit, got {len(texts)}."
            raise ValueError(message)
        target = texts[-1] if isinstance(self.target, str) else self.target
        if isinstance(self.inputs, str):
            return texts[0], target
        if isinstance(self.inputs, tuple):
            return (texts[0], texts[1]), target
        messages = zip(self.inputs or (), texts, strict=False)
        return [{**message, "content": text} for message, text in messages], target

    def record(self, inputs: Any, target: Any) -> Attention:
        """Run the model on another input, and remember it once that has gone well.

        Args:
            inputs: A text, a pair of texts or chat messages.
            target: What the decoder reads; None for what `capture` makes of that.

        Raises:
            ValueError: If there is no model to run, or it cannot be recorded: as `capture`.
        """
        model = None if self._refusal else self._model()
        if model is None:
            raise ValueError(self.reason)
        options = self._options if target is None else {**self._options, "target": target}
        attention = record_for_view(
            self._capture, model, inputs, self._tokenizer, options, asked=self._metric
        )
        self.inputs, self.target = _copied(inputs), target
        self._run, self._state = (self.inputs, dict(options)), _state_of(model)
        return attention

    def predictions(self, edits: Edits) -> LayerPredictions | None:
        """Return what each layer of the recording on show would predict under an edit; None where nobody asked for that.

        Raises:
            ValueError: As `run`.
        """
        if not self._lens:
            return None
        model, inputs, tokenizer, options = self.run()
        record = captured_with_lens(model, inputs, tokenizer, interventions=edits, **options)
        return record.predictions

    @contextlib.contextmanager
    def as_before_on_error(self) -> Iterator[None]:
        """Remember what was recorded before where the block raises: a record that cannot be shown is let go."""
        kept = self.inputs, self.target, self._run, self._state
        try:
            yield
        except BaseException:
            self.inputs, self.target, self._run, self._state = kept
            raise

    @property
    def cannot_edit(self) -> str | None:
        """Why the model cannot be run under an edit, a sentence; None where it can."""
        model = self._model()
        if model is None:
            return _GONE
        if getattr(model, "training", False):
            return _TRAINING
        return _CHANGED if _state_of(model) != self._state else None

    def run(self) -> tuple[Any, Any, Any, dict[str, Any]]:
        """Return model, inputs, tokenizer and options of the recording on show.

        Raises:
            ValueError: If there is no such model any more, or it has changed since.
        """
        model, reason = self._model(), self.cannot_edit
        if model is None or reason is not None:
            raise ValueError(reason)
        inputs, options = self._run
        # What is only kept of a recording is no argument of the model.
        told = {
            name: value
            for name, value in options.items()
            if name != "hidden_states" or not is_kept_option(value)
        }
        return model, inputs, self._tokenizer, told


def record_for_view(
    record: Callable[..., Attention],
    model: Any,
    inputs: Any,
    tokenizer: Any,
    options: Mapping[str, Any],
    *,
    asked: Mapping[str, Any],
) -> Attention:
    """Record for a view: a metric that takes several passes can be measured, and has no gradients.

    Args:
        record: `capture`, or what records as it.
        model: The model.
        inputs: What is recorded.
        tokenizer: Its tokenizer, or ``None``.
        options: Other arguments.
        asked: The argument ``metric``, or nothing.

    Raises:
        ValueError: As ``record``.
    """
    if not asked:
        return record(model, inputs, tokenizer, **options)
    from attnwidget.metrics.gradients import SeveralPassesError  # noqa: PLC0415  brings transformers

    try:
        return record(model, inputs, tokenizer, **options, **asked)
    except SeveralPassesError as error:
        without = record(model, inputs, tokenizer, **options)
        return replace(without, no_gradients=str(error))


def _state_of(model: Any) -> tuple[Any, ...]:
    """Return what is another once a model's parameters were changed, without reading all of them."""
    versions = []
    if isinstance(model, nn.Module):
        for parameter in model.parameters():
            with contextlib.suppress(
                RuntimeError
            ):  # made in inference mode, where changes are not counted
                versions.append(parameter._version)  # noqa: SLF001 - what autograd itself compares
    return model_digest(model), bool(getattr(model, "training", False)), sum(versions)


def _kept(inputs: Any) -> Any:
    """Return inputs that keep what they hold when the caller puts something else into them."""
    if isinstance(inputs, list):
        return [dict(one) if _is_message(one) else one for one in inputs]
    return copy.copy(inputs) if isinstance(inputs, Mapping) else inputs


def check_inputs(inputs: Any) -> None:
    """Refuse what is no text, no pair of texts and no chat of plain messages.

    Raises:
        TypeError: If it is something else.
    """
    if _why_not(inputs, {}, is_text=True) is None:
        return
    message = (
        f"text must be a text, a pair of texts as a tuple, or chat messages with text in them, got {shown(inputs)}: set "
        f"view.text = 'some text'; for other inputs {CALL}."
    )
    raise TypeError(message)


def _why_not(inputs: Any, options: Mapping[str, Any], *, is_text: bool) -> str | None:
    """Return why no other text can be recorded in the place of these inputs; None where one can."""
    if options.get("tokens") is not None:
        return f"The positions of this view have labels of their own, tokens=…, which fit no other text: {CALL}."
    if is_text and isinstance(inputs, str):
        return None
    if is_text and isinstance(inputs, tuple) and len(inputs) == 2:
        texts: bool = all(isinstance(one, str) for one in inputs)
        if texts:
            return None
    if isinstance(inputs, (list, tuple)) and inputs and all(map(_is_message, inputs)):
        if all(isinstance(message["content"], str) for message in inputs):
            return None
        return f"A message of this view's chat holds more than text, which cannot be edited here: {CALL}."
    return f"This view was made from {_called(inputs)} and not from text: {CALL}."


def _is_message(value: Any) -> bool:
    return isinstance(value, Mapping) and value.keys() >= {"role", "content"}


def _called(inputs: Any) -> str:
    name = type(inputs).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def _copied(inputs: Any) -> Any:
    """Return inputs that no later change of the caller's list or messages reaches."""
    return (
        inputs
        if isinstance(inputs, (str, tuple)) and not _is_chat(inputs)
        else list(map(dict, inputs))
    )


def _is_chat(inputs: Any) -> bool:
    return not isinstance(inputs, str) and all(map(_is_message, inputs))

"""`Recipe`: what records another text for a view: the model, held weakly, and how it was called."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attnwidget.compute.checks import shown
from attnwidget.recordings import capture
from attnwidget.serve.python_call import call_of_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnwidget.attention import Attention

__all__ = ["CALL", "WITHOUT_MODEL", "Recipe", "check_inputs"]

CALL = "call view(model, 'some text', tokenizer=tokenizer)"
WITHOUT_MODEL = f"This view has a record without its model, so no other text can be run: {CALL}."
_GONE = (
    "The model that this view was made with is gone, as nothing else held it: keep it in a variable, "
    f"model = …, and {CALL}."
)


class Recipe:
    """How a view's record came about, so that another text can be recorded in the same way.

    The model is held weakly: a view that stays on a page must not keep a model in memory that its owner has let go.

    Attributes:
        inputs: The text, the pair of texts or the chat messages that were recorded last; None where it is no text.
        target: What the decoder of an encoder-decoder model read besides, as it was given.
        lock: Held while a text is recorded and shown: the page's commands may run in a thread beside that of the cells.
    """

    def __init__(
        self, model: Any, inputs: Any, tokenizer: Any, options: Mapping[str, Any], *, is_text: bool
    ) -> None:
        """Note how `capture` was called.

        Args:
            model: The model.
            inputs: What was recorded.
            tokenizer: The tokenizer, None where `capture` found it.
            options: Its other arguments.
            is_text: Whether the inputs were read as text: a sound is named by a text as well.
        """
        self.lock = threading.RLock()
        options = dict(options)
        self.target = options.pop("target", None)
        if isinstance(inputs, list) and inputs and all(isinstance(one, str) for one in inputs):
            inputs = inputs[options.pop("batch", None) or 0]
        elif _is_message(inputs):
            inputs = [inputs]
        self._refusal = _why_not(inputs, options, is_text=is_text)
        self.inputs = None if self._refusal else _copied(inputs)
        if self._refusal is None:
            self._model, self._tokenizer, self._options = weakref.ref(model), tokenizer, options

    @property
    def reason(self) -> str | None:
        """Why no other text can be recorded, a sentence; None where one can."""
        return self._refusal or (_GONE if self._model() is None else None)

    def call(self, groups: Any = None) -> str:
        """Return how a view of this text is made, with these groups, as `attnwidget.serve.python_call` writes it."""
        beside = {"target": self.target, "groups": groups}
        given = {name: value for name, value in beside.items() if value is not None}
        return call_of_model(self.inputs, self._tokenizer, {**self._options, **given})

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
        attention = capture(model, inputs, self._tokenizer, **options)
        self.inputs, self.target = _copied(inputs), target
        return attention


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

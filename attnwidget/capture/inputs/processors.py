"""Images and chats about them to model inputs, through the model's processor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attnwidget.capture.hints import Hints
from attnwidget.capture.inputs.chat import message_roles, without_ending
from attnwidget.capture.inputs.local_files import how_to_load, load_from_files, model_name

if TYPE_CHECKING:
    from torch import nn

__all__ = ["find_processor", "images_in", "needs_processor", "run_processor"]

_MATERIAL = {"images", "videos"}


def _is_image(value: Any) -> bool:
    """Tell whether a value is an image of Pillow's, which is no dependency."""
    return callable(getattr(value, "getbands", None)) and callable(getattr(value, "convert", None))


def images_in(value: Any) -> list[Any]:
    """Return the images in nested lists and mappings, in order."""
    if _is_image(value):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [picture for item in value for picture in images_in(item)]
    return []


def _is_chat_about(inputs: Any) -> bool:
    """Tell whether ``inputs`` is a chat some of whose messages have parts that are not text."""
    return isinstance(inputs, (list, tuple)) and any(
        isinstance(part, Mapping) and part.get("type", "text") != "text"
        for message in inputs
        if isinstance(message, Mapping) and isinstance(message.get("content"), list)
        for part in message["content"]
    )


def needs_processor(inputs: Any) -> bool:
    """Tell whether ``inputs`` is an image, several, or text and images together."""
    if _is_chat_about(inputs) or _is_image(inputs):
        return True
    if isinstance(inputs, Mapping):
        return bool(inputs.keys() & _MATERIAL)
    return (
        isinstance(inputs, (list, tuple))
        and len(inputs) > 0
        and all(_is_image(item) for item in inputs)
    )


def run_processor(
    model: nn.Module, inputs: Any, processor: Any, options: Mapping[str, Any]
) -> tuple[Mapping[str, Any], Any, Hints]:
    """Let the processor make a model's inputs.

    Args:
        model: The model.
        inputs: What `needs_processor` accepts.
        processor: The processor the caller gave, or ``None`` to find it by the name the model was loaded from.
        options: Options of the chat template.

    Returns:
        The model's inputs, the processor, and the original images with what else is known.

    Raises:
        ValueError: If there is no processor.
    """
    if processor is None or _is_tokenizer(processor):
        processor = find_processor(model)
    pictures = tuple(images_in(inputs))
    if _is_chat_about(inputs):
        encoding = _chat(processor, inputs, options)
        roles = _roles(processor, inputs, encoding, options)
        return encoding, processor, Hints(roles=roles, images=pictures)
    if isinstance(inputs, Mapping):
        encoding = processor(**inputs, return_tensors="pt")
    else:
        images = inputs if _is_image(inputs) else list(inputs)
        encoding = processor(images=images, return_tensors="pt")
    text = inputs.get("text") if isinstance(inputs, Mapping) else None
    return (
        encoding,
        processor,
        Hints(text=text if isinstance(text, str) else None, images=pictures),
    )


def _is_tokenizer(processor: Any) -> bool:
    """Tell whether what the caller gave knows words only."""
    return hasattr(processor, "convert_ids_to_tokens")


def find_processor(model: nn.Module) -> Any:
    """Load the processor that goes with ``model``, by the name the model was loaded from, from files of this machine.

    Raises:
        ValueError: If there is none.
    """
    from transformers import AutoProcessor  # noqa: PLC0415  (slow to import, seldom needed)

    if not model_name(model):
        msg = (
            "pictures and sounds need the model's processor; none was given, and "
            f"{type(model).__name__} does not know the name it was loaded from; "
            f"{how_to_load(model, 'processor', 'inputs')}."
        )
        raise ValueError(msg)
    return load_from_files(model, "processor", "inputs", AutoProcessor)


def _chat(processor: Any, messages: Any, options: Mapping[str, Any]) -> Mapping[str, Any]:
    if not hasattr(processor, "apply_chat_template"):
        msg = (
            f"a chat with pictures needs the model's processor, got {type(processor).__name__}; "
            "pass AutoProcessor.from_pretrained(...)."
        )
        raise ValueError(msg)
    encoding: Mapping[str, Any] = processor.apply_chat_template(
        list(messages), **options, tokenize=True, return_dict=True, return_tensors="pt"
    )
    return encoding


def _roles(
    processor: Any, messages: Any, encoding: Mapping[str, Any], options: Mapping[str, Any]
) -> tuple[str | None, ...]:
    """Find out which tokens each message became, by encoding the chat message by message."""
    ids = encoding["input_ids"][0].tolist()
    kept = without_ending(options)
    ends: list[int | None] = []
    for count in range(1, len(messages) + 1):
        try:
            part = _chat(processor, messages[:count], kept)["input_ids"][0].tolist()
        except Exception:  # noqa: BLE001  some templates refuse a chat that ends here
            part = [None]
        ends.append(len(part) if part == ids[: len(part)] else None)
    return message_roles(messages, ends, range(len(ids)), len(ids), options)

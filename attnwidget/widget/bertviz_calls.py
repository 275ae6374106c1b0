"""BertViz's calls: weights in place of a model become a record; what has another name here is translated or answered with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from torch import Tensor, nn

from attnwidget.compute.checks import integer
from attnwidget.recordings import from_weights

if TYPE_CHECKING:
    from attnwidget.attention import Attention

__all__ = ["no_show", "shown_weights"]

# Arguments that hold weights, and what goes with them to `from_weights`.
_WEIGHTS = ("attention", "encoder_attention", "decoder_attention", "cross_attention")
_BESIDES = (
    "tokens",
    "encoder_tokens",
    "decoder_tokens",
    "sentence_b_start",
    "include_layers",
    "batch",
)


def shown_weights(
    function: str, model: Any, inputs: Any, tokenizer: Any, options: dict[str, Any]
) -> Attention | None:
    """Return the record of the weights that a call passes in place of a model; None where it passes none.

    BertViz's ``head_view(attention, tokens, sentence_b_start, …)`` is such a call, by position or by name.

    Args:
        function: Name of the function that was called.
        model: Its first argument.
        inputs: Its second, tokens in this case.
        tokenizer: Its third, the start of the second sentence in this case.
        options: The others; those that are used are taken out.

    Raises:
        TypeError: If an option of BertViz has no equivalent, weights are given besides a model, or to `view`, which has
            no such call.
        ValueError: If there are no weights, as fused attention returns none, or they are none.
    """
    _translate(function, options)
    if hasattr(model, "attentions") and not isinstance(model, nn.Module):
        message = (
            f"{function} takes a model, a record or weights, got the {type(model).__name__} that a model returned: call"
            f" aw.{function}(model, 'some text', tokenizer), or aw.head_view(outputs.attentions, tokens)."
        )
        raise TypeError(message)
    named = [name for name in _WEIGHTS if name in options]
    if (
        not named
        and not _are_weights(model)
        and (model is not None or _says_nothing(inputs, options))
    ):
        return None
    if named and model is not None:
        message = f"{function} takes a model or weights, got {type(model).__name__} and {named[0]}=: pass one of them."
        raise TypeError(message)
    given = {name: options.pop(name) for name in (*_WEIGHTS, *_BESIDES) if name in options}
    given = {name: value for name, value in given.items() if value is not None}
    if model is not None:
        given["attention"] = model
    if inputs is not None:
        given["tokens"] = inputs
    if integer(tokenizer) is not None:
        given["sentence_b_start"] = tokenizer
    if all(_is_nothing(given.get(name)) for name in _WEIGHTS):
        message = (
            f"{function} got no weights: {', '.join(named) or 'attention'} is None, or holds None alone. The model returned"
            " none, as sdpa and flash attention do, or output_attentions=True was not passed. None are needed: call"
            f" aw.{function}(model, 'some text', tokenizer), which records them whatever the implementation."
        )
        raise ValueError(message)
    if function == "view":
        message = (
            "view takes a model or a record, got weights: call view(from_weights(outputs.attentions, tokens)), or"
            " head_view(outputs.attentions, tokens)."
        )
        raise TypeError(message)
    # As BertViz has them: None is what was left out.
    for name in [name for name in ("layer", "head", "heads") if options.get(name, ...) is None]:
        del options[name]
    return from_weights(**given)


def no_show(
    model: Any = None,
    model_type: Any = None,
    tokenizer: Any = None,
    sentence_a: Any = None,
    sentence_b: Any = None,
    *,
    layer: Any = None,
    head: Any = None,
    **options: Any,
) -> NoReturn:
    """Answer BertViz's ``neuron_view.show(model, model_type, tokenizer, sentence_a, …)`` with the call that works here.

    Raises:
        TypeError: Always.
    """
    del model, model_type, tokenizer, options
    text = "text" if sentence_a is None else repr(sentence_a)
    text = text if sentence_b is None else f"({text}, {sentence_b!r})"
    where = "".join(
        f", {name}={value!r}"
        for name, value in (("layer", layer), ("head", head))
        if value is not None
    )
    message = f"neuron_view is a function, and takes the model as it is: call aw.neuron_view(model, {text}, tokenizer{where})."
    raise TypeError(message)


def _says_nothing(inputs: Any, options: dict[str, Any]) -> bool:
    """Tell whether a call without a model names no tokens either, so that it is no call about weights."""
    return inputs is None and not any(name in options for name in _BESIDES)


def _are_weights(value: Any) -> bool:
    """Tell whether a value is an array, or one for each layer, some of them None."""
    if isinstance(value, (list, tuple)):
        return all(one is None or _are_weights(one) or _is_number(one) for one in value)
    # A nested tensor has no shape to ask for.
    if isinstance(value, Tensor):
        return True
    return not isinstance(value, nn.Module) and hasattr(value, "ndim") and hasattr(value, "shape")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float))


def _is_nothing(value: Any) -> bool:
    return value is None or (isinstance(value, (list, tuple)) and all(map(_is_nothing, value)))


def _translate(function: str, options: dict[str, Any]) -> None:
    """Take options of BertViz out, and put in what they are here.

    Raises:
        TypeError: If there is nothing like it.
    """
    usual = {"prettify_tokens": True, "html_action": "view"}
    for name in [name for name, value in usual.items() if options.get(name) == value]:
        del options[name]
    if options.get("display_mode") in {"light", "dark"}:
        options.setdefault("theme", options.pop("display_mode"))
    answers = {
        "prettify_tokens": "tokens are shown as they are read, without marks such as Ġ; pass tokens=[...] to have others",
        "html_action": f"call aw.{function}(...).save('attention.html') for a page",
        "display_mode": "pass theme='dark' or theme='light'",
        "include_heads": "the model view shows all heads; pass heads=[0, 2] to select some, show_layers=[0, 1] for layers",
    }
    for name, answer in answers.items():
        if name in options:
            message = f"{function} has no option {name!r}, got {name}={options[name]!r}: {answer}."
            raise TypeError(message)

"""`view`, `head_view`, `model_view`, `neuron_view`: a model or a result in, a widget out."""

from __future__ import annotations

from typing import Any

from attnwidget.attention import Attention
from attnwidget.capture.inputs.options import check_options
from attnwidget.capture.inspect import inspect
from attnwidget.comparison.comparison import Comparison, compare
from attnwidget.pocket import pocket
from attnwidget.recordings import capture, from_weights, load, recording
from attnwidget.serve.selection import STATE
from attnwidget.surveys.run import survey
from attnwidget.surveys.survey import Survey
from attnwidget.widget.widget import AttentionWidget

__all__ = [
    "capture",
    "compare",
    "from_weights",
    "head_view",
    "inspect",
    "load",
    "model_view",
    "neuron_view",
    "pocket",
    "recording",
    "survey",
    "view",
]


def view(
    model: Any,
    inputs: Any = None,
    tokenizer: Any = None,
    *,
    frozen: bool = False,
    still: bool = True,
    **options: Any,
) -> AttentionWidget:
    """Show a model's attention on an input: model view, head view and neuron view, linked.

    Args:
        model: A Hugging Face model, a record (what `capture`, `recording`, `load` or `from_weights` gave), a survey, or
            what `compare` gave.
        inputs: What `capture` takes: text, a pair of texts, chat messages, a ``BatchEncoding``, a dict, tensors or
            token ids. None for a record.
        tokenizer: The model's tokenizer; found through the model's name when left out.
        frozen: Show a copy that needs no kernel from the start, as `AttentionWidget.freeze` makes it: for notebooks
            that ``nbconvert --execute``, papermill or a documentation build runs.
        still: Keep a still picture of what was shown last in the notebook, 60 kB at most and twice, for readers without
            widgets: GitHub, LaTeX, a notebook that is opened again without its kernel.
        **options: The widget's traits to start with (``view``, ``stream``, ``layer``, ``heads``, ``query``, ``key``,
            ``form``, ``compare``, ``theme``, ``score``, ``arrange``, ``threshold`` …); ``query`` and ``key`` may also
            be a token's text, or several. The rest goes to `capture` (``target``, ``batch``, ``layers``, ``store`` …).
            ``positions`` is the trait if it is text (``"words"``), and what `capture` records if it is a slice, a range
            or a mapping: no value can be meant for both.

    Returns:
        The widget; as the last line of a cell it draws inline.

    Raises:
        TypeError: If ``model`` is no model, record or survey, or an option does not exist.
        ValueError: If the inputs cannot be understood, nothing could be recorded, or an option is out of range.

    Example:
        >>> model, tokenizer = pocket()
        >>> view(model, "The cat sat on the mat because it was tired", tokenizer=tokenizer)  # doctest: +SKIP
    """
    # Words or pieces are asked for by text, query positions to record never are.
    recorded = {"positions"} if not isinstance(options.get("positions"), str) else set()
    state = {name: options.pop(name) for name in STATE if name in options and name not in recorded}
    if isinstance(model, Survey):
        if inputs is not None or tokenizer is not None:
            message = "A survey is shown as it is; for opening its examples call survey.view(model, tokenizer)."
            raise TypeError(message)
        shown: AttentionWidget = model.view(frozen=frozen, still=still, **state, **options)
        return shown
    if isinstance(model, (Attention, Comparison)):
        if inputs is not None or tokenizer is not None or options:
            given = (
                "inputs"
                if inputs is not None
                else "tokenizer"
                if tokenizer is not None
                else next(iter(options))
            )
            message = f"A record is shown as it is, got {given} besides: call view(attention, layer=0, heads=[0])."
            raise TypeError(message)
        if isinstance(model, Comparison):
            compared: AttentionWidget = model.view(frozen=frozen, still=still, **state)
            return compared
        attention = model
    else:
        records = (Attention, Comparison, Survey)
        if inputs is None or isinstance(model, (tuple, list)) or isinstance(inputs, records):
            message = _no_inputs(model, inputs)
            raise TypeError(message)
        check_options(model, options, STATE)
        attention = capture(model, inputs, tokenizer, **options)
    return AttentionWidget(attention, frozen=frozen, still=still, **state)


def head_view(
    model: Any, inputs: Any = None, tokenizer: Any = None, **options: Any
) -> AttentionWidget:
    """Show who attends to whom: `view`, opened on the head view.

    Arguments, result and errors are those of `view`.

    Example:
        >>> head_view(model, "The cat sat on the mat", tokenizer).view
        'head'
    """
    return view(model, inputs, tokenizer=tokenizer, **{"view": "head", **options})


def model_view(
    model: Any, inputs: Any = None, tokenizer: Any = None, **options: Any
) -> AttentionWidget:
    """Show every layer and head at a glance: `view`, opened on the model view.

    Arguments, result and errors are those of `view`.

    Example:
        >>> model_view(model, "The cat sat on the mat", tokenizer).view
        'model'
    """
    return view(model, inputs, tokenizer=tokenizer, **{"view": "model", **options})


def neuron_view(
    model: Any, inputs: Any = None, tokenizer: Any = None, **options: Any
) -> AttentionWidget:
    """Show why a weight is what it is: `view`, opened on the neuron view.

    Arguments, result and errors are those of `view`.

    Example:
        >>> neuron_view(model, "The cat sat on the mat", tokenizer).view
        'neuron'
    """
    return view(model, inputs, tokenizer=tokenizer, **{"view": "neuron", **options})


def _no_inputs(model: object, inputs: object) -> str:
    if isinstance(model, (tuple, list)):
        return "view takes a model or a record, got a list: call view(from_weights(outputs.attentions, tokens))."
    if inputs is not None:
        return f"{type(inputs).__name__} is shown without a model: call view of it alone."
    return f"view({type(model).__name__}) needs an input: call view(model, 'some text', tokenizer=tokenizer)."

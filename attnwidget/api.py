"""`view`, `head_view`, `model_view`, `neuron_view`: a model or a result in, a widget out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnwidget.analysis.position_groups import check_by
from attnwidget.attention import Attention
from attnwidget.attribution.residual_stream.logit_lens import captured_with_lens
from attnwidget.comparison.comparison import Comparison, compare
from attnwidget.comparison.series import ComparisonSeries
from attnwidget.compute.checks import check_flag
from attnwidget.edits.edits import Edits, check_edits
from attnwidget.pocket import pocket
from attnwidget.record.options import ViewOptions, WeightOptions
from attnwidget.record.vocabulary import lists_options
from attnwidget.recordings import capture, from_weights, load, recording
from attnwidget.serve.python_call import call_of_model
from attnwidget.serve.selection import OTHER_NAMES, SHORTHANDS, usual_names
from attnwidget.serve.selection_parts import STATE, needs_the_model
from attnwidget.surveys.run import survey
from attnwidget.surveys.survey import Survey
from attnwidget.widget.bertviz_calls import no_show, shown_weights
from attnwidget.widget.recipe import Recipe, record_for_view
from attnwidget.widget.widget import AttentionWidget

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = [
    "capture",
    "compare",
    "from_weights",
    "head_view",
    "load",
    "model_view",
    "neuron_view",
    "pocket",
    "recording",
    "survey",
    "view",
]


@lists_options(ViewOptions, further="forward_kwargs")
def view(
    model: Any = None,
    inputs: Any = None,
    tokenizer: Any = None,
    *,
    frozen: bool = False,
    still: bool = True,
    choose: bool = True,
    **options: Unpack[ViewOptions],
) -> AttentionWidget:
    """Show a model's attention on an input: model view, head view and neuron view, linked.

    Args:
        model: A Hugging Face model, a record (what `capture`, `recording`, `load` or `from_weights` gave), a survey, or
            what `compare` gave.
        inputs: What `capture` takes: text, a pair of texts, chat messages, a ``BatchEncoding``, a dict, tensors or
            token ids. None for a record.
        tokenizer: The model's tokenizer; found by the model's name among the files of this machine when left out.
        frozen: Show a copy that needs no kernel from the start, as `AttentionWidget.freeze` makes it: for notebooks
            that ``nbconvert --execute``, papermill or a documentation build runs.
        still: Keep a still picture of what was shown last in the notebook, 60 kB at most and twice, for readers without
            widgets: GitHub, LaTeX, a notebook that is opened again without its kernel.
        choose: Open on the link that says most, where no ``layer``, ``heads``, ``query`` or ``key`` is given: the sharpest
            one that is not to the first token, a special token, the query itself or its neighbours; ``view.chosen``
            says which and why. False opens on the first layer and head, with nothing pinned.
        **options: What is shown first, which the traits of `AttentionWidget` describe:

            - ``view``: ``"all"``, ``"model"``, ``"head"``, ``"neuron"`` or ``"compare"``. ``stream``: its name.
            - ``layer``: as the model counts it, negative from the end. ``heads``, or ``head``: one or several.
            - ``query``, ``key``: pin them: a position or a token's text, or several of either.
            - ``form``: ``"lines"``, ``"matrix"``, ``"text"``, ``"image"``, ``"groups"``, ``"profile"``, ``"geometry"`` (``colour``:
              ``"position"``, ``"group"`` or ``"norm"``), or of a model ``"trace"``. ``measure``: ``"weights"``, ``"value"``, ``"norm"``, ``"gradient"``,
              ``"relevance"`` or ``"rollout"``. ``positions``: ``"pieces"`` or ``"words"``. ``theme``. ``step``.
            - ``compare``: ``(layer, head)`` pairs side by side. ``explain``: ``"link"`` or ``"head"``, in the neuron view.
              ``together``: ``"mean"``, ``"max"`` or ``"sum"`` of the heads as one. ``together_layers``: of several
              layers. ``panels``: ``"overlaid"`` or ``"one a head"``, for lines.
            - ``top_k``, ``mass``: how many of each query's strongest links are drawn. ``aside``: key positions set aside,
              such as ``"first and special"`` (``without_sink=True``). ``shade``: ``"own"`` or ``"fixed"``.
            - ``score``, ``other_score``, ``arrange``, ``threshold``, ``below_threshold``,
              ``show_layers``, ``ranking``: how the model view shows heads.
            - ``groups``: your own groups of positions, such as ``{"question": range(0, 5)}``, or a function of a position;
              `Attention.groups` says what is taken. Of a record, a model or what `compare` gave. ``grouping``: which groups
              are marked; ``from_group``, ``to_group``: only links from one of them to another.

            - ``interventions``: of a model, what is changed while it runs, such as ``aw.ablate(heads=[(3, 3)])``; the trait of
              this name changes it later.
            - ``lens``: of a model, whether what it would predict after each of its layers stands under the tokens, as
              `logit_lens` finds it; the model runs once more for each layer, without its layers.
            - ``metric``: of a model, what its record keeps the gradients of, such as ``"purred"``, as for `capture`, for the
              measures ``"gradient"`` and ``"relevance"``. A token or label, or two, is also what edits are measured by, ``view.metric``;
              a pair of answers of several tokens, which takes two passes, is measured so and has no gradients.

            For a model also what `capture` takes (``target``, ``tokens``, ``batch``, ``streams``, ``layers``, ``store``,
            ``exact``, ``device``, and what the model's forward takes); ``layers`` are then those that are recorded, and another
            name of ``layer`` otherwise. ``positions`` is what `capture` records if it is a slice, a range or a mapping.

    Returns:
        The widget; as the last line of a cell it draws inline.

    Raises:
        TypeError: If ``model`` is no model, record or survey, or an option does not exist.
        ValueError: If the inputs cannot be understood, nothing could be recorded, or an option is out of range.

    Example:
        >>> model, tokenizer = pocket()
        >>> view(model, "The cat sat on the mat because it was tired", tokenizer=tokenizer)  # doctest: +SKIP
    """
    return _shown("view", model, inputs, tokenizer, _display(frozen, still, choose, options))


@lists_options(WeightOptions, further="forward_kwargs")
def head_view(
    model: Any = None,
    inputs: Any = None,
    tokenizer: Any = None,
    *,
    frozen: bool = False,
    still: bool = True,
    choose: bool = True,
    **options: Unpack[WeightOptions],
) -> AttentionWidget:
    """Show who attends to whom: `view`, opened on the head view.

    Arguments, result and errors are those of `view`. BertViz's call works as well: weights that a model returned
    (``outputs.attentions``) in the place of the model and their tokens in that of the inputs, or
    ``encoder_attention``, ``decoder_attention``, ``cross_attention``, ``encoder_tokens``, ``decoder_tokens``,
    ``sentence_b_start`` and ``include_layers`` by name, as `from_weights` takes them.

    Example:
        >>> head_view(model, "The cat sat on the mat", tokenizer).view
        'head'
    """
    chosen = {"view": "head", **options}
    return _shown("head_view", model, inputs, tokenizer, _display(frozen, still, choose, chosen))


@lists_options(WeightOptions, further="forward_kwargs")
def model_view(
    model: Any = None,
    inputs: Any = None,
    tokenizer: Any = None,
    *,
    frozen: bool = False,
    still: bool = True,
    choose: bool = True,
    **options: Unpack[WeightOptions],
) -> AttentionWidget:
    """Show every layer and head at a glance: `view`, opened on the model view.

    Arguments, result and errors are those of `view`. BertViz's call works as well: weights that a model returned
    (``outputs.attentions``) in the place of the model and their tokens in that of the inputs, or
    ``encoder_attention``, ``decoder_attention``, ``cross_attention``, ``encoder_tokens``, ``decoder_tokens``,
    ``sentence_b_start`` and ``include_layers`` by name, as `from_weights` takes them.

    Example:
        >>> model_view(model, "The cat sat on the mat", tokenizer).view
        'model'
    """
    chosen = {"view": "model", **options}
    return _shown("model_view", model, inputs, tokenizer, _display(frozen, still, choose, chosen))


@lists_options(WeightOptions, further="forward_kwargs")
def neuron_view(
    model: Any = None,
    inputs: Any = None,
    tokenizer: Any = None,
    *,
    frozen: bool = False,
    still: bool = True,
    choose: bool = True,
    **options: Unpack[WeightOptions],
) -> AttentionWidget:
    """Show why a weight is what it is: `view`, opened on the neuron view.

    Arguments, result and errors are those of `view`.

    Example:
        >>> neuron_view(model, "The cat sat on the mat", tokenizer).view
        'neuron'
    """
    chosen = {"view": "neuron", **options}
    return _shown("neuron_view", model, inputs, tokenizer, _display(frozen, still, choose, chosen))


# Where BertViz's users look for it.
setattr(neuron_view, "show", no_show)  # noqa: B010  (mypy knows no attributes of functions)


# What of a call says how a view is shown, and is no part of its selection.
_DISPLAY = ("frozen", "still", "choose", "groups")


def _display(frozen: bool, still: bool, choose: bool, options: Any) -> dict[str, Any]:  # noqa: FBT001 - as they were given
    return {"frozen": frozen, "still": still, "choose": choose, **options}


def _shown(
    function: str, model: Any, inputs: Any, tokenizer: Any, options: dict[str, Any]
) -> AttentionWidget:
    """Return what a function of this module shows; `view` describes arguments and errors."""
    attention = shown_weights(function, model, inputs, tokenizer, options)
    if attention is not None:
        model, inputs, tokenizer = attention, None, None
    if isinstance(model, Survey):
        if inputs is not None or tokenizer is not None:
            message = "A survey is shown as it is; for opening its examples call survey.view(model, tokenizer)."
            raise TypeError(message)
        shown: AttentionWidget = model.view(**options)
        return shown
    if isinstance(model, (Attention, Comparison, ComparisonSeries)):
        own = {*_DISPLAY, *STATE, *OTHER_NAMES.values(), *SHORTHANDS}
        beside = sorted(set(options) - own)
        if inputs is not None or tokenizer is not None or beside:
            given = (
                "inputs"
                if inputs is not None
                else "tokenizer"
                if tokenizer is not None
                else beside[0]
            )
            message = needs_the_model(given) or (
                f"A record is shown as it is, got {given} besides: call view(attention, layer=0, heads=[0])."
            )
            raise TypeError(message)
        recorded: AttentionWidget = model.view(**options)
        return recorded
    records = (Attention, Comparison, ComparisonSeries, Survey)
    if inputs is None or isinstance(model, (tuple, list)) or isinstance(inputs, records):
        message = _no_inputs(function, model, inputs)
        raise TypeError(message)
    # Words or pieces are asked for by text, query positions to record never are; several layers are those to record.
    kept = {"positions"} if not isinstance(options.get("positions"), str) else set()
    names = {*STATE, "head", *_DISPLAY, *SHORTHANDS} - kept
    state = usual_names({name: options.pop(name) for name in list(options) if name in names})
    from attnwidget.capture.forward import template_options  # noqa: PLC0415  see recordings
    from attnwidget.capture.inputs.options import check_options  # noqa: PLC0415

    metric = options.pop("metric", None)
    asked = {} if metric is None else {"metric": metric}
    edits = options.pop("interventions", None)
    edits = Edits() if edits is None else check_edits("interventions", edits)
    lens = check_flag("lens", options.pop("lens", False))
    more: dict[str, Any] = {"lens": True} if lens else {}
    if state.get("groups") is not None:
        check_by(state["groups"], "groups")
        more["groups"] = state["groups"]
    check_options(
        model, options, (*STATE, "groups", *template_options(model, inputs, tokenizer, options))
    )
    call = call_of_model(inputs, tokenizer, {**options, **asked, **more})
    record = captured_with_lens if lens else capture
    attention = record_for_view(record, model, inputs, tokenizer, options, asked=asked)
    is_text = attention.text is not None
    recipe = Recipe(model, inputs, tokenizer, options, is_text=is_text, lens=lens, metric=metric)
    widget = AttentionWidget(attention, _call=call, made_with=recipe, **state)
    # Effects are measured by tokens and labels alone.
    measured = metric if isinstance(metric, (str, list, tuple)) else None
    return _edited(widget, edits, measured)


def _edited(widget: AttentionWidget, edits: Edits, metric: Any) -> AttentionWidget:
    """Return a view under edits that are measured by a metric, opened on what there is without them: as a view that is edited later."""
    try:
        # Together: the edits run for this metric.
        with widget.hold_trait_notifications():
            widget.metric, widget.interventions = metric, edits
    except BaseException:
        widget.close()
        raise
    return widget


def _no_inputs(function: str, model: object, inputs: object) -> str:
    such = f"{function}(model, 'some text', tokenizer=tokenizer)"
    if isinstance(model, (tuple, list)):
        held = ", ".join(type(one).__name__ for one in model[:3])
        return f"{function} takes a model, a record or weights, got a {type(model).__name__} of {held}: call {such}."
    if model is None:
        return f"{function} needs a model and an input, or a record: call {such}."
    if inputs is not None:
        return f"{type(inputs).__name__} is shown without a model: call {function} of it alone."
    found = type(model)
    if found.__module__.partition(".")[0] == __name__.partition(".")[0]:
        drawn = [name for name in ("view", "figure", "map", "to_dataframe") if hasattr(found, name)]
        own = f", or its .{drawn[0]}(…)" if drawn else ""
        return (
            f"{function} shows a model's attention, got {found.__name__}, which a cell shows by itself as its last line{own}: call "
            f"{such}."
        )
    return f"{function}({found.__name__}) needs an input: call {such}."

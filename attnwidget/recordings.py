"""The public ways to an `Attention`: `capture`, `recording`, `from_weights` and `load`.

What records is imported when something is recorded: it brings transformers, which reading a saved record has no use for.
The package `capture` itself is imported here, so that in `attnwidget` the function of that name comes after it.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from attnwidget.attention import Attention
from attnwidget.capture.hints import Hints
from attnwidget.capture.store import make_store
from attnwidget.capture.taps.listeners import others_set_aside
from attnwidget.capture.taps.transforms import outside_transforms
from attnwidget.compute.checks import check_flag
from attnwidget.compute.layer_tensors import check_exact
from attnwidget.edits.edits import check_edits
from attnwidget.record import storage, viewers
from attnwidget.record.from_weights import record_from_weights
from attnwidget.record.hidden_states import is_kept_option
from attnwidget.record.vocabulary import either

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping, Sequence

    import torch
    from torch import nn

    from attnwidget.capture.forward import Outcome, Ran
    from attnwidget.compute.layer_tensors import Exact
    from attnwidget.edits.edits import Edits
    from attnwidget.record.from_weights import Tokens
    from attnwidget.record.hidden_states import HiddenStates
    from attnwidget.record.layer_predictions import LayerPredictions
    from attnwidget.record.media import Medium
    from attnwidget.record.next_tokens import NextTokens
    from attnwidget.record.stream import Stream


__all__ = ["Recording", "capture", "from_weights", "load", "recording"]


class Recording(Attention):
    """What `recording` yields: an `Attention` that is there once its ``with`` block has ended.

    It can be used like any other record (``recording["decoder"]``, ``recording.save(...)``, ``view(recording)``).
    Before the end of the block everything but its ``repr`` raises ``RuntimeError``.

    Attributes:
        attention: The finished record as a plain `Attention`, which refers to nothing else.
    """

    __slots__ = ("_finished", "_outcome")
    _outcome: Outcome
    _finished: Attention | None

    def __init__(self, outcome: Outcome) -> None:
        # A record is frozen for its users; what is still to come arrives through these two alone.
        object.__setattr__(self, "_outcome", outcome)
        object.__setattr__(self, "_finished", None)

    @property
    def attention(self) -> Attention:
        """The finished record."""
        if self._outcome.record is None:
            msg = f"nothing to read yet: {self._outcome.state}."
            raise RuntimeError(msg)
        if self._finished is None:
            object.__setattr__(self, "_finished", Attention.of(self._outcome.record))
        return cast("Attention", self._finished)

    @property
    def model_name(self) -> str:
        """Class name of the model."""
        return self.attention.model_name

    @property
    def streams(self) -> Mapping[str, Stream]:
        """The streams by name."""
        return self.attention.streams

    @property
    def next_tokens(self) -> NextTokens | None:
        """The most probable next tokens, where the model returned logits."""
        return self.attention.next_tokens

    @property
    def text(self) -> str | None:
        """The source text, where it is known."""
        return self.attention.text

    @property
    def media(self) -> tuple[Medium, ...]:
        """The pictures and sounds that went in."""
        return self.attention.media

    @property
    def passes(self) -> int:
        """How many passes, of which none goes on from another, ran in the block."""
        return self.attention.passes

    @property
    def which(self) -> int:
        """The number of the one that was recorded, from 0."""
        return self.attention.which

    @property
    def edits(self) -> tuple[str, ...]:
        """What was done to the model while it was recorded."""
        return self.attention.edits

    @property
    def metric(self) -> str | None:
        """What the gradients in its layers are of; none are recorded here."""
        return self.attention.metric

    @property
    def predictions(self) -> LayerPredictions | None:
        """What each layer would predict; not recorded here."""
        return self.attention.predictions

    @property
    def no_gradients(self) -> str | None:
        """Why there are no gradients that were asked for; none are asked for here."""
        return self.attention.no_gradients

    @property
    def hidden_states(self) -> HiddenStates | None:
        """The residual stream after each layer; not kept here."""
        return self.attention.hidden_states

    def __repr__(self) -> str:
        """Show the record, or that there is none yet."""
        record = self._outcome.record
        return f"Recording({self._outcome.state})" if record is None else repr(record)

    def __reduce__(self) -> Any:
        """Pickle and copy as the finished record."""
        return self.attention.__reduce_ex__(2)


@contextmanager
def recording(
    model: nn.Module,
    tokenizer: Any = None,
    *,
    tokens: Any = None,
    batch: int | None = None,
    streams: str | Sequence[str] | None = None,
    layers: Any = None,
    positions: Any = None,
    which: int | None = None,
    store: Any = "auto",
    exact: Exact = "float32",
    device: torch.device | str | None = None,
    stream: str | None = None,
    layer: Any = None,
) -> Iterator[Recording]:
    """Record the attention of whatever calls ``model`` inside the block, in its thread or asyncio task.

    The model keeps its attention implementation, its configuration and its mode, and what it computes is the same to
    the last bit. The record is that of one pass: a forward pass and those that go on from its cache, or a call of
    ``generate``, whatever its way of decoding. The forward passes of a generation are put together into one record over
    prompt and output, that of the sequence which is returned (in a beam search the beam's, in assisted decoding without
    the drafts that were refused). The last token that is generated is not in it, as the model was never asked what
    follows it.

    Where several passes run in the block, none going on from another, such as the steps of a denoiser, several targets
    for one source or several calls of ``generate``, they are numbered from 0, and the last is recorded unless ``which``
    names another. What ran once for several of them, such as an encoder called by itself, belongs to each.

    Of a model that several processes share by tensor parallelism (``tp_plan``), each records its own heads. Run the same
    block on all of them: at its end they put their heads together, and each gets the record of all.

    Args:
        model: A Hugging Face model, or a module that holds one.
        tokenizer: Labels the tokens. Without one, the tokenizer saved beside a local model is used, else token ids.
        tokens: Labels for the positions, which take the place of the tokenizer's: strings as the tokenizer spells them,
            bytes, `Position` values, or ``None`` where there is none to show. One for each position, with or without
            padding; for several streams by their names, ``{"encoder": [...], "decoder": [...]}``.
        batch: Row to record when the model is given several, or ``generate`` returns several.
        streams: Names of the streams to record, as `inspect` lists them; all when left out.
        layers: Layers to record, by the model's numbers: one, several, a slice or a range, or such for each stream by its
            name, ``{"decoder": [0, 5]}``. Negative ones count from the end.
        positions: *Query* positions to record, as the record would count them: a slice or range without steps, or one; or
            such for each stream by its name. Keys and values stay whole, so that the weights of these queries are those
            of the whole record. What these three leave out is neither copied nor kept.
        which: Number of the pass to record, where several run in the block: from 0, or negative from the end. Of the
            others nothing stays in memory, but for ``-n``, which needs the last ``n``. The last when left out.
        store: Where the recorded vectors live. ``"auto"``: in memory, or on disk from where they would take more than half
            of what is free; a warning says so. ``"cpu"``: in memory. ``"disk"``: in safetensors files that are written
            layer by layer and mapped into memory; they are gone when the record is. A folder (a ``Path``, or text with a
            separator): there. A device, such as ``"cuda"``: in its memory, or as for ``"auto"`` where that is short.
        exact: How the weights of a record are computed, in all views, figures and scores. ``"float32"``: in float32, from
            the very vectors that the model used; of a model in bfloat16 or float16 its own weights, each step of which is
            rounded, differ from these by some hundredths. ``"model"``: in the model's dtype and order of operations. Where
            the model has its weights in hand, as in eager attention, those recorded are compared with them, and the
            model's own are kept where they differ in any bit; that takes memory for ``n × n`` weights of each head
            while the model runs. Fused attention has none: its weights are those of the model's eager function, as far
            as its code tells.
        device: A device in place of ``store``.
        stream: Another name of ``streams``.
        layer: Another name of ``layers``.

    Yields:
        A `Recording`, to be used as the record once the block has ended.

    Raises:
        ValueError: At the end of the block if nothing could be recorded: no forward pass ran, the model has no
            attention, its attention was not recognised, there is no pass ``which``, it cannot be told which forward
            passes led to what ``generate`` returned, or ``tokens`` has not one label for each position. Inside the block
            if there are several rows and ``batch`` does not say which, if ``tokens`` are no labels, or ``exact`` is neither.
        TypeError: If ``which`` is not the number of one pass.
        RuntimeError: At the end of the block if another process that shares the model has no record of its heads.

    Warns:
        UserWarning: If some of the model's attention could not be recorded; it names the modules. If passes are left out, as
            a later one went on from a copy of an older cache, or if several passes ran and ``which`` was left out.

    Example:
        >>> model, tokenizer = pocket()
        >>> inputs = tokenizer("The cat sat on the mat", return_tensors="pt")
        >>> with recording(model, tokenizer) as attention:
        ...     output = model.generate(**inputs, max_new_tokens=5)
        >>> attention["decoder"][0].weights(head=3).shape
        (11, 11)
        >>> [token.label for position in attention.next_tokens.values() for token in position if token.chosen]
        ['because', 'it', 'was', 'sleepy', '.']
    """
    from attnwidget.capture.architecture.advice import check_model  # noqa: PLC0415
    from attnwidget.capture.architecture.uncompiled import running_uncompiled  # noqa: PLC0415
    from attnwidget.capture.architecture.wrappers import own_tokenizer  # noqa: PLC0415
    from attnwidget.capture.forward import (  # noqa: PLC0415
        check_tokenizer,
        record_forward,
    )
    from attnwidget.capture.generation.numbered_passes import check_which  # noqa: PLC0415
    from attnwidget.capture.inputs.checks import check_batch  # noqa: PLC0415
    from attnwidget.capture.positions.given_labels import read_labels  # noqa: PLC0415
    from attnwidget.capture.recorder.limits import Limits  # noqa: PLC0415

    check_model(model)
    check_tokenizer(tokenizer)
    batch = check_batch(batch)
    tokenizer = own_tokenizer(model) if tokenizer is None else tokenizer
    streams, layers = either(stream=stream, streams=streams), either(layer=layer, layers=layers)
    limits = Limits.of(streams, layers, positions)
    number = check_which(which)
    check_exact(exact)
    labels = read_labels(tokens, batch)
    place = make_store(store, device)
    with (
        running_uncompiled(model),
        record_forward(
            model,
            tokenizer,
            Hints(labels=labels),
            batch=batch,
            store=place,
            limits=limits,
            which=number,
            exact=exact,
        ) as outcome,
    ):
        yield Recording(outcome)


def capture(
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
    interventions: Edits | None = None,
    metric: Any = None,
    metric_position: int = -1,
    hidden_states: Any = False,
    **forward_kwargs: Any,
) -> Attention:
    """Run the model once and record its attention.

    Runs without gradients, but for those of a ``metric``, in the mode (training or evaluation) the model is in.

    Args:
        model: A Hugging Face model.
        inputs: Text, a pair of texts, a list of chat messages, a ``BatchEncoding``, a mapping of tensors, arrays or
            lists (with or without a batch axis; lists stay lists where the model's forward has them), token ids, or an
            image or audio tensor. With a processor also a picture (or a list of them), chat messages with pictures in
            them, or what the processor takes by name, such as ``{"text": ..., "images": ...}``; with a processor or a
            feature extractor a sound: its samples ``[sample]``, ``{"array": ..., "sampling_rate": ...}``, or
            ``{"audio": ...}`` with either of them.
        tokenizer: The model's tokenizer (or processor, which also knows a picture's true colours). Found by the
            model's name among the files of this machine when left out.
        target: For models whose forward takes ``decoder_input_ids``: text or token ids for the decoder. When left out and
            ``inputs`` has none, models that generate and are given text or a sound write up to 32 tokens of their own
            (greedily); others are given their start token where they need one. Encoder-decoders of another kind
            (detectors, time series) run on ``inputs`` alone.
        tokens: Labels for the positions, which take the place of the tokenizer's: strings as the tokenizer spells them,
            bytes, `Position` values, or ``None`` where there is none to show. One for each position, with or without
            padding; for several streams by their names, ``{"encoder": [...], "decoder": [...]}``.
        batch: Row to record when the inputs have several.
        streams: Names of the streams to record, as `inspect` lists them; all when left out.
        layers: Layers to record, by the model's numbers: one, several, a slice or a range, or such for each stream by its
            name, ``{"decoder": [0, 5]}``. Negative ones count from the end.
        positions: *Query* positions to record, as the record would count them: a slice or range without steps, or one; or
            such for each stream by its name. Keys and values stay whole, so that the weights of these queries are those
            of the whole record. What these three leave out is neither copied nor kept.
        store: Where the recorded vectors live. ``"auto"``: in memory, or on disk from where they would take more than half
            of what is free; a warning says so. ``"cpu"``: in memory. ``"disk"``: in safetensors files that are written
            layer by layer and mapped into memory; they are gone when the record is. A folder (a ``Path``, or text with a
            separator): there. A device, such as ``"cuda"``: in its memory, or as for ``"auto"`` where that is short.
        exact: How the weights of a record are computed, in all views, figures and scores. ``"float32"``: in float32, from
            the very vectors that the model used; of a model in bfloat16 or float16 its own weights, each step of which is
            rounded, differ from these by some hundredths. ``"model"``: in the model's dtype and order of operations. Where
            the model has its weights in hand, as in eager attention, those recorded are compared with them, and the
            model's own are kept where they differ in any bit; that takes memory for ``n × n`` weights of each head
            while the model runs. Fused attention has none: its weights are those of the model's eager function, as far
            as its code tells.
        device: A device in place of ``store``.
        stream: Another name of ``streams``.
        layer: Another name of ``layers``.
        interventions: What is changed while the model runs, such as ``attnwidget.ablate(heads=[(3, 3)])``, or
            of the tokens before, such as ``attnwidget.replace("cat", "dog")``. The record is
            that of the changed run, and says so (``edits``); the weights of a head that is knocked out are those that it
            computed, its output what was put in its place. Where the model was not recorded before, it runs once
            unchanged first, to tell which module is which layer.
        metric: What the record is to have gradients of: a token or label, a pair of such, an answer, or a function of the
            model's output that returns one number, as for `what_if`. Each layer then has ``output_gradient``, ``∂m/∂o`` of
            what its heads put out, from which ``layer.measure("gradient")`` makes ``w · ∂m/∂w`` of any link: as large as
            the queries, and no ``n × n`` matrix. Costs about one pass more. No parameter gets a gradient. An answer of
            several tokens is read after the input, and is part of the record.
        metric_position: The position whose output the metric reads, negative from the end.
        hidden_states: Whether the record keeps what the residual stream was after each layer, and the model, so that
            ``attention.logit_lens()`` says what each layer would predict; the model runs once more for it. Anything but True
            and False is passed on to the model.
        **forward_kwargs: Passed on to the model. With chat messages also what the chat template takes, such as
            ``add_generation_prompt``, ``continue_final_message``, ``tools``, ``chat_template`` or ``enable_thinking``.

    Returns:
        The record.

    Raises:
        ValueError: If the inputs are empty, ambiguous or do not fit together, if ``tokens`` has not one label for each
            position, if ``exact`` is neither, if nothing could be recorded, or if ``interventions`` name heads or
            tokens that are not there or cannot be edited.
        RuntimeError: If a head was not edited, or another process that shares the model (see `recording`) has no record of its heads.
        TypeError: If ``model`` is no module or ``inputs`` is nothing that can be understood.

    Example:
        >>> model, tokenizer = pocket()
        >>> attention = capture(model, "The cat sat on the mat", tokenizer)
        >>> attention["decoder"][3].weights(head=1).shape
        (7, 7)
    """
    from attnwidget.capture.forward import check_numbers, run_recorded  # noqa: PLC0415

    check_numbers(model)
    if is_kept_option(hidden_states):
        hidden_states = check_flag("hidden_states", hidden_states)
    else:
        forward_kwargs["hidden_states"] = hidden_states
    given = inputs, target, forward_kwargs
    with (
        others_set_aside(),  # some models are asked for a target before they are recorded
        outside_transforms(given) as (plain_inputs, plain_target, plain_kwargs),
    ):
        given_options = {
            "target": plain_target,
            "tokens": tokens,
            "batch": batch,
            "streams": streams,
            "layers": layers,
            "positions": positions,
            "store": store,
            "exact": exact,
            "device": device,
            "stream": stream,
            "layer": layer,
            **plain_kwargs,
        }
        edits = None if interventions is None else check_edits("interventions", interventions)

        def run(inputs: Any, **more: Any) -> Ran:
            if edits is None:
                return run_recorded(model, inputs, tokenizer, **given_options, **more)
            from attnwidget.capture.edited_runs import run_edited  # noqa: PLC0415

            return run_edited(model, edits, tokenizer, inputs, {**given_options, **more})

        if metric is None:
            ran = run(plain_inputs)
        else:
            from attnwidget.metrics.gradients import run_with_gradients  # noqa: PLC0415

            ran = run_with_gradients(run, plain_inputs, metric, metric_position)
        if hidden_states is not True:
            return Attention.of(ran.record)
        from attnwidget.capture.edited_runs import editing_again  # noqa: PLC0415

        with editing_again(model, edits, ran):
            return Attention.of(viewers.make(ran.record, "hidden states", ran))


def from_weights(
    attention: Any = None,
    tokens: Tokens | None = None,
    *,
    encoder_attention: Any = None,
    decoder_attention: Any = None,
    cross_attention: Any = None,
    encoder_tokens: Tokens | None = None,
    decoder_tokens: Tokens | None = None,
    batch: int | None = None,
    sentence_b_start: int | None = None,
    include_layers: Sequence[int] | None = None,
    model_name: str = "weights",
) -> Attention:
    """Make a record of weights that were computed elsewhere.

    Each attention is a sequence with one entry per layer, ``[batch, head, query, key]`` or ``[head, query, key]``, or
    one array of them all, ``[layer, batch, head, query, key]`` or ``[layer, head, query, key]``: torch of any device
    and dtype, numpy, or nested lists. ``None`` in place of a layer leaves it out and the others keep their numbers.
    Floating-point CPU arrays are not copied.

    Args:
        attention: Self-attention; the stream is called ``"self"``.
        tokens: Its tokens, as the tokenizer spells them (strings or bytes), or `Position` values; numbered when left out.
        encoder_attention: Encoder self-attention, stream ``"encoder"``.
        decoder_attention: Decoder self-attention, stream ``"decoder"``.
        cross_attention: Attention of decoder queries to encoder keys, stream ``"cross"``.
        encoder_tokens: Tokens of the encoder.
        decoder_tokens: Tokens of the decoder.
        batch: Which item of a batch; needed when there is more than one.
        sentence_b_start: Index of the first token of the second text of a pair.
        include_layers: Numbers of the layers to keep, negative from the end.
        model_name: What to call the model.

    Returns:
        A record whose layers have weights but no vectors.

    Raises:
        ValueError: If there is no attention, a shape or token count does not fit, the batch is ambiguous, or a weight
            is not a number in 0..1.

    Example:
        >>> import torch
        >>> from_weights(torch.full((2, 3, 5, 5), 0.2), ["[CLS]", "the", "cat", "##s", "[SEP]"])
        Attention(weights, self: 2 layers × 3 heads, 5 tokens)
    """
    record = record_from_weights(
        attention,
        tokens,
        encoder_attention=encoder_attention,
        decoder_attention=decoder_attention,
        cross_attention=cross_attention,
        encoder_tokens=encoder_tokens,
        decoder_tokens=decoder_tokens,
        batch=batch,
        sentence_b_start=sentence_b_start,
        include_layers=include_layers,
        model_name=model_name,
    )
    return Attention.of(record)


def load(path: str | os.PathLike[str], *, copy: bool = False, verify: bool = False) -> Attention:
    """Read a record that `Attention.save` wrote; its tensors are mapped from the file where the system can.

    The file's header is compared with its digest at once, each layer's tensors when they are first read. A file that is
    replaced, as `Attention.save` does it, leaves a loaded record as it is; one that is shortened or overwritten in place,
    such as by ``cp`` or ``git checkout``, takes the mapped tensors with it, and the system ends the process at the next
    look. ``copy=True`` reads such files safely.

    Args:
        path: File to read.
        copy: Whether all of it is read into memory now, and checked.
        verify: Whether all tensors are compared with their digests now.

    Returns:
        The record, on the CPU, equal to what was saved.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is no record, is damaged, or comes from a newer version. A damaged tensor is noticed when
            its layer is first read.

    Example:
        >>> path = capture(model, "the cat sat", tokenizer).save("run.safetensors")
        >>> load(path)
        Attention(GPT2LMHeadModel, decoder: 4 layers × 4 heads, 4 tokens)
    """
    return Attention.of(storage.load(path, copy=copy, verify=verify))

"""`recording` and `capture`: the two ways to a record."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from attnwidget.attention import Attention
from attnwidget.capture.finish import finished
from attnwidget.capture.inputs import prepare
from attnwidget.capture.lengths import check_length, too_long
from attnwidget.capture.limits import Limits
from attnwidget.capture.options import check_options
from attnwidget.capture.ranks import sharing
from attnwidget.capture.recorder import Recorder
from attnwidget.capture.stores import store_of
from attnwidget.capture.towers import Hints
from attnwidget.capture.wrappers import entrance, most_tokens, own_tokenizer, plainly, unwrapped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from attnwidget.attention import Stream
    from attnwidget.media import Medium
    from attnwidget.next_tokens import NextTokens

__all__ = ["Recording", "capture", "recording"]


class Recording(Attention):
    """What `recording` yields: an `Attention` that is there once its ``with`` block has ended.

    It can be used like any other record (``recording["decoder"]``, ``recording.save(...)``, ``view(recording)``).
    Before the end of the block everything but its ``repr`` raises ``RuntimeError``.

    Attributes:
        attention: The finished record as a plain `Attention`, which refers to nothing else.
    """

    __slots__ = ("_finished", "_state")
    _finished: Attention | None
    _state: str

    def __init__(self) -> None:
        # A record is frozen for its users; what is still to come arrives through these two alone.
        object.__setattr__(self, "_finished", None)
        object.__setattr__(self, "_state", "the block has not ended yet; ask after it")

    @property
    def attention(self) -> Attention:
        """The finished record."""
        if self._finished is None:
            msg = f"nothing to read yet: {self._state}."
            raise RuntimeError(msg)
        return self._finished

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

    def __repr__(self) -> str:
        """Show the record, or that there is none yet."""
        return repr(self._finished) if self._finished is not None else f"Recording({self._state})"

    def __reduce__(self) -> Any:
        """Pickle and copy as the finished record."""
        return self.attention.__reduce_ex__(2)


@contextmanager
def recording(
    model: nn.Module,
    tokenizer: Any = None,
    *,
    batch: int | None = None,
    streams: str | Sequence[str] | None = None,
    layers: Any = None,
    positions: Any = None,
    store: Any = "auto",
    device: torch.device | str | None = None,
) -> Iterator[Recording]:
    """Record the attention of whatever calls ``model`` inside the block.

    The model keeps its attention implementation, its configuration and its mode, and what it computes is the same to
    the last bit. One forward pass may run in the block, or one call of ``generate``, whatever its way of decoding: its
    passes are put together into one record over prompt and output, that of the sequence which is returned (in a beam
    search the beam's, in assisted decoding without the drafts that were refused). The last token that is generated is
    not in it, as the model was never asked what follows it.

    Of a model that several processes share by tensor parallelism (``tp_plan``), each records its own heads. Run the same
    block on all of them: at its end they put their heads together, and each gets the record of all.

    Args:
        model: A Hugging Face model, or a module that holds one.
        tokenizer: Labels the tokens. Without one, the tokenizer saved beside a local model is used, else token ids.
        batch: Row to record when the model is given several, or ``generate`` returns several.
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
        device: A device in place of ``store``.

    Yields:
        A `Recording`, to be used as the record once the block has ended.

    Raises:
        ValueError: At the end of the block if nothing could be recorded: no forward pass ran, the model has no
            attention, its attention was not recognised, it ran several times, or it cannot be told which passes led to
            what ``generate`` returned. Inside the block if there are several rows and ``batch`` does not say which.
        RuntimeError: At the end of the block if another process that shares the model has no record of its heads.

    Warns:
        UserWarning: If some of the model's attention could not be recorded; it names the modules.

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
    _check_model(model)
    _check_tokenizer(tokenizer)
    tokenizer = tokenizer or own_tokenizer(model)
    limits = Limits.of(streams, layers, positions)
    place = store_of(store, device)
    with (
        plainly(model),
        _recorded(model, tokenizer, Hints(), batch=batch, store=place, limits=limits) as handle,
    ):
        yield handle


def capture(
    model: nn.Module,
    inputs: Any,
    tokenizer: Any = None,
    *,
    target: Any = None,
    batch: int | None = None,
    streams: str | Sequence[str] | None = None,
    layers: Any = None,
    positions: Any = None,
    store: Any = "auto",
    device: torch.device | str | None = None,
    **forward_kwargs: Any,
) -> Attention:
    """Run the model once and record its attention.

    Runs without gradients, in the mode (training or evaluation) the model is in.

    Args:
        model: A Hugging Face model.
        inputs: Text, a pair of texts, a list of chat messages, a ``BatchEncoding``, a mapping of tensors, arrays or
            lists (with or without a batch axis), token ids, or an image or audio tensor. With a processor also a
            picture (or a list of them), a sound as ``{"array": ..., "sampling_rate": ...}``, chat messages with
            pictures in them, or what the processor takes by name, such as ``{"text": ..., "images": ...}``.
        tokenizer: The model's tokenizer (or processor, which also knows a picture's true colours). Found through the
            model's name when left out.
        target: For encoder-decoder models: text or token ids for the decoder. When left out and ``inputs`` has no
            ``decoder_input_ids``, text models write up to 32 tokens of their own (greedily); others, and models that
            cannot generate, are given their start token.
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
        device: A device in place of ``store``.
        **forward_kwargs: Passed on to the model.

    Returns:
        The record.

    Raises:
        ValueError: If the inputs are empty, ambiguous or do not fit together, or if nothing could be recorded.
        RuntimeError: If another process that shares the model (see `recording`) has no record of its heads.
        TypeError: If ``model`` is no module or ``inputs`` is nothing that can be understood.

    Example:
        >>> model, tokenizer = pocket()
        >>> attention = capture(model, "The cat sat on the mat", tokenizer)
        >>> attention["decoder"][3].weights(head=1).shape
        (7, 7)
    """
    _check_model(model)
    _check_tokenizer(tokenizer)
    tokenizer, most = tokenizer or own_tokenizer(model), most_tokens(model)
    inner = unwrapped(model)
    check_options(inner, forward_kwargs)
    limits = Limits.of(streams, layers, positions, single=True)
    place = store_of(store, device)
    prepared = prepare(inner, inputs, tokenizer, target=target, batch=batch)
    check_length(model, prepared.inputs, most)
    with (
        plainly(model),
        _recorded(
            inner,
            prepared.tokenizer,
            prepared.hints,
            batch=prepared.batch,
            store=place,
            limits=limits,
        ) as handle,
        torch.no_grad(),
    ):
        try:
            inner(**{**prepared.inputs, **forward_kwargs})
        except torch.cuda.OutOfMemoryError:
            raise
        except (IndexError, RuntimeError) as error:  # a table looked up, or sliced and added
            over = too_long(inner, prepared.inputs)
            if over is None:
                raise
            raise over from error
    return handle.attention


@contextmanager
def _recorded(
    model: nn.Module, tokenizer: Any, hints: Hints, **options: Any
) -> Iterator[Recording]:
    handle = Recording()
    recorder = Recorder(entrance(model), **options)
    with sharing(recorder.model, recorder.store) as whole:
        recorder.start()
        try:
            yield handle
        except BaseException as error:
            object.__setattr__(handle, "_state", f"the block raised {type(error).__name__}")
            raise
        finally:
            recorder.stop()
        object.__setattr__(handle, "_state", "the model's attention could not be recorded")
        record = finished(recorder, unwrapped(model), tokenizer, hints)
        object.__setattr__(handle, "_finished", whole(record))


def _check_model(model: Any) -> None:
    """Refuse what is no torch module, a pipeline for example."""
    if isinstance(model, nn.Module):
        return
    inner = getattr(model, "model", None)
    fix = (
        "pass its .model"
        if isinstance(inner, nn.Module)
        else "pass a torch.nn.Module, such as AutoModel's result"
    )
    msg = f"model must be a torch module, got {type(model).__name__}; {fix}."
    raise TypeError(msg)


def _check_tokenizer(tokenizer: Any) -> None:
    """Refuse the name of a tokenizer."""
    if isinstance(tokenizer, str):
        msg = f"tokenizer must be a tokenizer, got a name; pass AutoTokenizer.from_pretrained({tokenizer!r})."
        raise TypeError(msg)

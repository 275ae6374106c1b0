"""`recording` and `capture`: the two ways to a record."""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from attnwidget.attention import Attention
from attnwidget.capture.assemble import assemble
from attnwidget.capture.inputs import prepare
from attnwidget.capture.lengths import check_length, too_long
from attnwidget.capture.naming import module_kinds
from attnwidget.capture.options import check_options
from attnwidget.capture.placing import with_media
from attnwidget.capture.predictions import next_tokens
from attnwidget.capture.recorder import Recorder
from attnwidget.capture.texts import local_tokenizer
from attnwidget.capture.towers import Hints
from attnwidget.capture.unlike import why_not
from attnwidget.capture.wrappers import entrance, most_tokens, own_tokenizer, plainly, unwrapped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

    from attnwidget.attention import Stream
    from attnwidget.capture.passes import Plan
    from attnwidget.media import Medium
    from attnwidget.next_tokens import NextTokens

__all__ = ["Recording", "capture", "recording"]

_ONCE = (
    " Record one forward pass, or one generation with its key/value cache, at a time; attnwidget.capture(model, ids) "
    "takes any sequence of token ids, such as the output of generate."
)
_log = logging.getLogger(__name__)
_log.addHandler(logging.NullHandler())


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
    device: torch.device | str = "cpu",
) -> Iterator[Recording]:
    """Record the attention of whatever calls ``model`` inside the block.

    The model keeps its attention implementation, its configuration and its mode, and what it computes is the same to
    the last bit. One forward pass may run in the block, or one call of ``generate``, whatever its way of decoding: its
    passes are put together into one record over prompt and output, that of the sequence which is returned (in a beam
    search the beam's, in assisted decoding without the drafts that were refused). The last token that is generated is
    not in it, as the model was never asked what follows it.

    Args:
        model: A Hugging Face model, or a module that holds one.
        tokenizer: Labels the tokens. Without one, the tokenizer saved beside a local model is used, else token ids.
        batch: Row to record when the model is given several, or ``generate`` returns several.
        device: Where the recorded vectors are kept.

    Yields:
        A `Recording`, to be used as the record once the block has ended.

    Raises:
        ValueError: At the end of the block if nothing could be recorded: no forward pass ran, the model has no
            attention, its attention was not recognised, it ran several times, or it cannot be told which passes led to
            what ``generate`` returned. Inside the block if there are several rows and ``batch`` does not say which.

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
    with (
        plainly(model),
        _recorded(model, tokenizer, batch, device, Hints()) as handle,
    ):
        yield handle


def capture(
    model: nn.Module,
    inputs: Any,
    tokenizer: Any = None,
    *,
    target: Any = None,
    batch: int | None = None,
    device: torch.device | str = "cpu",
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
        device: Where the recorded vectors are kept.
        **forward_kwargs: Passed on to the model.

    Returns:
        The record.

    Raises:
        ValueError: If the inputs are empty, ambiguous or do not fit together, or if nothing could be recorded.
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
    prepared = prepare(inner, inputs, tokenizer, target=target, batch=batch)
    check_length(model, prepared.inputs, most)
    with (
        plainly(model),
        _recorded(inner, prepared.tokenizer, prepared.batch, device, prepared.hints) as handle,
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
    model: nn.Module, tokenizer: Any, batch: int | None, device: torch.device | str, hints: Hints
) -> Iterator[Recording]:
    handle = Recording()
    recorder = Recorder(entrance(model), batch=batch, device=device)
    recorder.start()
    try:
        yield handle
    except BaseException as error:
        object.__setattr__(handle, "_state", f"the block raised {type(error).__name__}")
        raise
    finally:
        recorder.stop()
    object.__setattr__(handle, "_state", "the model's attention could not be recorded")
    object.__setattr__(handle, "_finished", _finish(recorder, unwrapped(model), tokenizer, hints))


def _finish(recorder: Recorder, model: nn.Module, tokenizer: Any, hints: Hints) -> Attention:
    if tokenizer is None:
        tokenizer = local_tokenizer(model)
    words = getattr(tokenizer, "tokenizer", tokenizer)
    if not hasattr(words, "convert_ids_to_tokens"):  # an image processor has no words
        words = None
    plan = recorder.settle()
    streams, failed, kept = assemble(recorder, words, hints)
    streams, media = with_media(recorder, streams, tokenizer, hints.pictures)
    missed = recorder.missed()
    known = {path: why_not(recorder.candidates[path]) for path in missed}
    failed |= {path: reason for path, reason in known.items() if reason is not None}
    failed |= {path: recorder.broken[path] for path in missed if path in recorder.broken}
    missed = [path for path in missed if path not in failed]
    if not streams:
        raise ValueError(_nothing(recorder, missed, failed))
    if missed:
        warnings.warn(
            f"not recorded, because their attention was not recognised: "
            f"{module_kinds(recorder.model, missed)}.",
            stacklevel=5,
        )
    for reason in dict.fromkeys(failed.values()):
        paths = [path for path, other in failed.items() if other == reason]
        warnings.warn(
            f"not recorded: {module_kinds(recorder.model, paths)} {reason}.", stacklevel=5
        )
    if recorder.undropped:
        warnings.warn(
            f"shown before dropout, which was drawn inside of a fused kernel: "
            f"{module_kinds(recorder.model, recorder.undropped)}. attn_implementation='eager' shows the weights that "
            "were used, model.eval() has no dropout.",
            stacklevel=5,
        )
    attention = Attention(
        model_name=type(model).__name__,
        streams=streams,
        text=hints.text,
        next_tokens=_expected(recorder, plan, streams, kept, words),
        media=media,
    )
    _log.debug("recorded %s", attention)
    return attention


def _expected(
    recorder: Recorder,
    plan: Plan | None,
    streams: Mapping[str, Stream],
    kept: Mapping[str, Tensor],
    tokenizer: Any,
) -> NextTokens | None:
    """Make what is known of next tokens; only a decoder reads up to a token and says what follows it."""
    if not recorder.passes.all or "decoder" not in streams:
        return None
    plan = plan or recorder.passes.whole()
    return next_tokens(recorder.predictions, plan, "decoder", kept["decoder"], tokenizer)


def _nothing(recorder: Recorder, missed: list[str], failed: dict[str, str]) -> str:
    """Say why there is nothing in the record and what to do about it."""
    name = type(recorder.model).__name__
    if failed:
        path, reason = next(iter(failed.items()))
        again = any("forward pass" in why for why in failed.values())
        return f"the attention of {name} could not be recorded: {path} {reason}." + (
            _ONCE if again else ""
        )
    if missed:
        return (
            f"{name} computes attention in a way that was not recognised, so it cannot be recorded: "
            f"{module_kinds(recorder.model, missed)}. Its weights can be shown: load it with "
            "attn_implementation='eager' and call "
            "attnwidget.from_weights(model(**inputs, output_attentions=True).attentions, tokens)."
        )
    if not recorder.towers[""].passes and not recorder.ran:
        return f"no forward pass of {name} ran inside the recording; call the model in the block and in its thread."
    if recorder.candidates:
        return f"no attention of {name} ran, although it has {module_kinds(recorder.model, recorder.candidates)}."
    return f"{name} has no attention layers: none of its modules is an attention module."


def _check_model(model: Any) -> None:
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
    if isinstance(tokenizer, str):
        msg = f"tokenizer must be a tokenizer, got a name; pass AutoTokenizer.from_pretrained({tokenizer!r})."
        raise TypeError(msg)

"""The end of a recording: what was heard becomes a record, what is missing from it is said."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any

from attnwidget.capture.architecture.attention_modules import why_not
from attnwidget.capture.architecture.stream_names import module_kinds
from attnwidget.capture.assemble.streams import assemble
from attnwidget.capture.generation.next_tokens import next_tokens
from attnwidget.capture.inputs.text import local_tokenizer
from attnwidget.capture.media.placement import with_media
from attnwidget.record.record import Record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from attnwidget.capture.hints import Hints
    from attnwidget.capture.plan import Plan
    from attnwidget.capture.recorder.recorder import Recorder
    from attnwidget.record.next_tokens import NextTokens
    from attnwidget.record.stream import Stream

__all__ = ["finished"]

_ONCE = (
    " Record one forward pass, or one generation with its key/value cache, at a time; attnwidget.capture(model, ids) "
    "takes any sequence of token ids, such as the output of generate."
)
_log = logging.getLogger(__name__)
_log.addHandler(logging.NullHandler())


def finished(recorder: Recorder, model: nn.Module, tokenizer: Any, hints: Hints) -> Record:
    """Make the record of what a recorder heard, and say what is not in it.

    Raises:
        ValueError: If nothing could be recorded.
    """
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
    failed = {path: reason for path, reason in failed.items() if recorder.ahead.wants(path)}
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
    attention = Record(
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

"""From a finished recording to a `Record`, with warnings about what is missing."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any

from attnwidget.capture.architecture.advice import can_be_eager, how_to_hand_weights_over
from attnwidget.capture.architecture.attention_modules import why_without_weights
from attnwidget.capture.architecture.stream_names import describe_modules
from attnwidget.capture.assemble.streams import assemble
from attnwidget.capture.edits.places import remember_places
from attnwidget.capture.generation.next_tokens import next_tokens
from attnwidget.capture.inputs.text import local_tokenizer
from attnwidget.capture.media.placement import with_media
from attnwidget.capture.positions.vocabulary import is_tokenizer
from attnwidget.record.record import Record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from attnwidget.capture.generation.tracker import Tracker
    from attnwidget.capture.hints import Hints
    from attnwidget.capture.plan import PassPlan
    from attnwidget.capture.recorder.recorder import Recorder
    from attnwidget.record.next_tokens import NextTokens
    from attnwidget.record.stream import Stream

__all__ = ["finish_recording"]

_ONCE = (
    " Record one forward pass, or one generation with its key/value cache, at a time: put `with "
    "attnwidget.recording(model):` around that pass alone. attnwidget.capture(model, ids) takes any sequence of token ids, "
    "such as the output of generate."
)
_log = logging.getLogger(__name__)
_log.addHandler(logging.NullHandler())


def finish_recording(recorder: Recorder, model: nn.Module, tokenizer: Any, hints: Hints) -> Record:
    """Make a record of a recorder's calls, and warn about what is not in it.

    Args:
        recorder: The recorder, after its end.
        model: The model that the caller named.
        tokenizer: Labels tokens; or a processor, or ``None``.
        hints: What is known of the tokens beyond their ids.

    Raises:
        ValueError: If nothing could be recorded.
    """
    if tokenizer is None:
        tokenizer = local_tokenizer(model)
    words = getattr(tokenizer, "tokenizer", tokenizer)
    if not is_tokenizer(words):  # an image processor has no words
        words = None
    number, total = recorder.tracker.select_pass()
    plan = recorder.tracker.select_returned()
    learned = recorder.collector.learned_queries()
    streams, failures, kept = assemble(recorder, words, hints)
    remember_places(recorder.model, recorder.places)
    own = recorder.tracker.submodels[""].own
    if own is not None and own.picture is not None:
        recorder.media_inputs.setdefault("pixel_values", own.picture)
    streams, media, unplaced = with_media(
        streams,
        recorder.media_inputs,
        recorder.model,
        row=recorder.tracker.current.input_row,
        num_rows=recorder.tracker.current.num_inputs,
        processor=tokenizer,
        originals=hints.images,
        generated=0
        if plan is None or recorder.tracker.passes.options is None
        else plan.total - plan.prompt,
        learned=learned,
    )
    missing, failures = _not_recorded(recorder, failures)
    if not streams:
        raise ValueError(_why_empty(recorder, model, missing, failures))
    _warn(recorder, model, missing, failures)
    if total > 1 and recorder.tracker.numbered.which is None:
        warnings.warn(_last_of(total, recorder.tracker), stacklevel=6)
    for said in unplaced:
        warnings.warn(said, stacklevel=6)
    record = Record(
        model_name=type(model).__name__,
        streams=streams,
        text=hints.text,
        next_tokens=_next_tokens(recorder, plan, streams, kept, words),
        media=media,
        passes=total,
        which=number,
        edits=(
            *hints.edits,
            *(repr(part) for editor in recorder.editors for part in editor.edits.parts),
        ),
    )
    _log.debug("recorded %s", record)
    return record


def _not_recorded(
    recorder: Recorder, failures: Mapping[str, str]
) -> tuple[list[str], dict[str, str]]:
    """Return the modules that ran and are not in the record: paths without, and paths with a known reason."""
    collector = recorder.collector
    missing = collector.unrecognised()
    reasons = {path: why_without_weights(collector.candidates[path]) for path in missing}
    found = dict(failures)
    found |= {path: reason for path, reason in reasons.items() if reason is not None}
    found = {path: why for path, why in found.items() if collector.running_limits.wants(path)}
    unreadable = collector.unreadable
    found |= {path: unreadable[path] for path in missing if path in unreadable}
    return [path for path in missing if path not in found], found


def _warn(
    recorder: Recorder, model: nn.Module, missing: Sequence[str], failures: Mapping[str, str]
) -> None:
    """Warn, where the recording was asked for, about what is not in the record."""
    for reason in recorder.passed_by:
        warnings.warn(f"not recorded: a call of {type(model).__name__} {reason}.", stacklevel=7)
    if missing:
        warnings.warn(
            f"not recorded, because their attention was not recognised: "
            f"{describe_modules(recorder.model, missing)}. "
            f"{how_to_hand_weights_over(model, recorder.model, missing)}",
            stacklevel=7,
        )
    for reason in dict.fromkeys(failures.values()):
        paths = [path for path, other in failures.items() if other == reason]
        warnings.warn(
            f"not recorded: {describe_modules(recorder.model, paths)} {reason}.", stacklevel=7
        )
    left_out = recorder.tracker.num_left_out
    if left_out:
        warnings.warn(
            f"not recorded: {left_out} of {len(recorder.tracker.passes.all)} forward passes, as a later one went on from a "
            "cache without their positions (a copy from before them, or one that was cropped). The record is that of the "
            "last; for one of each, put `with attnwidget.recording(model):` around each pass.",
            stacklevel=6,
        )
    if recorder.tracker.current.broken:
        warnings.warn(
            "the forward pass that is recorded raised before its end: what had not run by then is not in the record.",
            stacklevel=6,
        )
    undropped = recorder.collector.before_dropout
    if undropped:
        eager = "attn_implementation='eager' shows the weights that were used, "
        warnings.warn(
            f"shown before dropout, which was drawn inside of a fused kernel: "
            f"{describe_modules(recorder.model, undropped)}. {eager if can_be_eager(model) else ''}model.eval() has no "
            "dropout.",
            stacklevel=7,
        )


def _last_of(total: int, tracker: Tracker) -> str:
    """Say which of several passes the record is."""
    kind = "forward passes, none of which goes on from another"
    if tracker.passes.options is not None:
        kind = "passes, the last a generation"
    if tracker.num_windows == total:
        kind = "generations within one call of generate, for the windows of a long input (or one again, when it was refused)"
    return (
        f"the block ran {total} {kind}: the record is that of the last, number {total - 1} counted from 0. For another, "
        "record again and say which: attnwidget.recording(model, which=0) records the first, which=-2 the one before "
        "the last."
    )


def _next_tokens(
    recorder: Recorder,
    plan: PassPlan | None,
    streams: Mapping[str, Stream],
    kept: Mapping[str, Tensor],
    tokenizer: Any,
) -> NextTokens | None:
    """Make what is known of next tokens; only a decoder reads up to a token and says what follows it."""
    if not recorder.tracker.passes.all or "decoder" not in streams:
        return None
    plan = plan or recorder.tracker.passes.full_plan()
    return next_tokens(recorder.tracker.predictions, plan, "decoder", kept["decoder"], tokenizer)


def _why_empty(
    recorder: Recorder, model: nn.Module, missing: Sequence[str], failures: Mapping[str, str]
) -> str:
    """Say why there is nothing in the record and what to do about it."""
    name = type(recorder.model).__name__
    if recorder.passed_by and not recorder.tracker.current.ran:
        return f"nothing was recorded: {name} {next(iter(recorder.passed_by))}."
    candidates = recorder.collector.candidates
    if failures:
        path, reason = next(iter(failures.items()))
        again = any("forward pass" in why for why in failures.values())
        return f"the attention of {name} could not be recorded: {path} {reason}." + (
            _ONCE if again else ""
        )
    if missing:
        return (
            f"{name} computes attention in a way that was not recognised, so it cannot be recorded: "
            f"{describe_modules(recorder.model, missing)}. "
            f"{how_to_hand_weights_over(model, recorder.model, missing)}"
        )
    if not recorder.tracker.submodels[""].passes and not recorder.tracker.current.ran:
        return (
            f"no forward pass of {name} ran inside the recording; call the model in the block and in its thread, and itself: "
            "what torch.compile makes of a function that calls it has no layers left to listen to."
        )
    if candidates:
        return f"no attention of {name} ran, although it has {describe_modules(recorder.model, candidates)}."
    return (
        f"{name} has no attention layers: none of its modules is an attention module. If one does attend, "
        f"{_lower(how_to_hand_weights_over(model, recorder.model, ()))}"
    )


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]

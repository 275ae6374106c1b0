"""Writes the support table."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import torch
import transformers
from capture.coverage.exceptions import NO_GRADIENTS, NOT_EDITED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from capture.coverage.measure import Result

_HEAD = """\
# What is recorded of every architecture

Written by `make coverage` with {versions}: every model type, built tiny with random
weights, run on a batch of two (one row padded where the model takes a mask) and recorded, by `recording(model)` around
`model(**inputs)` and by `capture(model, inputs)`. Each attention call is compared with the weights that the model itself
multiplied its values with, and counts in the column of the way when the largest difference is at most 1e-5; in that of
`capture` only if its record is that of `recording`: streams, layers, positions, and weights to the last bit. *Vectors*
counts the calls whose query and key are in the record. *Edited* counts the heads, the first and the last of every layer,
that `ablate` knocks out as a reference has it that knows none of the taps, to the last bit of all that the model returns:
the numbers of the head zeroed in what the output projection is given, or in weights, found by search. The run under an
edit of no head has to be the unedited one to the last bit, and nothing may be left behind. *Links* counts the links, one
in the last head of every layer, that `cut` takes away as −∞ among the scores of an eager copy does: the output to 1e-5
beyond what eager and the model's own implementation differ by, and what the link changes of it to a tenth. *Gradients*
counts the layers whose record, made by `capture` with a number that all of the output has a part in, has the gradients of
their output that autograd gives a tensor of the model with the same numbers: to 3e-5 of the largest. Exceptions are listed
by name below.

| | types |
|---|---|
"""


def versions() -> str:
    """Return what the types are those of, and what they are run with."""
    said = f"transformers {transformers.__version__} and torch {torch.__version__}"
    try:
        timm = version("timm")
    except PackageNotFoundError:
        return said
    return f"transformers {transformers.__version__}, torch {torch.__version__} and timm {timm}"


def write(results: Sequence[Result], path: Path, unsaid: tuple[int, int] = (0, 0)) -> None:
    """Write the table to ``path``.

    Args:
        results: What came out for each type.
        path: The file.
        unsaid: Heads and links without effect beside those of the results: of lines that were read back and do not say.
    """
    attending = [result for result in results if result.outcome == "measured" and result.calls]
    whole = [result for result in attending if result.exact == result.calls]
    vectors = [result for result in whole if result.vectors == result.calls]
    counts = {
        "asked for": len(results),
        "built and run": sum(r.outcome in {"measured", "no attention"} for r in results),
        "with attention": len(attending),
        "every call exact": len(whole),
        "every call exact by capture": sum(r.captured == r.calls for r in whole),
        "every call with vectors": len(vectors),
        "output bit-identical, nothing left behind": sum(r.same and r.clean for r in attending),
        "every head knocked out as the reference": sum(r.edited == r.heads > 0 for r in attending),
        "an edit of no head bit-identical, nothing left behind": sum(r.tidy for r in attending),
        "with a link to be cut": sum(bool(r.links) for r in attending),
        "every link cut as the reference": sum(r.cut == r.links for r in attending if r.links),
        "every layer with the gradients of autograd": sum(
            r.sloped == r.layers for r in attending if r.layers
        ),
    }
    lines = [_HEAD.format(versions=versions())]
    lines += [f"| {name} | {count} |\n" for name, count in counts.items()]
    lines.append(
        f"\nAttention calls: {sum(r.calls for r in attending)}, exact: {sum(r.exact for r in attending)}, "
        f"by capture: {sum(r.captured for r in attending)}, "
        f"with vectors: {sum(r.vectors for r in attending)}; "
        f"largest error {max((r.error for r in attending), default=0):.0e}.\n"
        f"\nHeads knocked out: {sum(r.heads for r in attending)}, as the reference: {sum(r.edited for r in attending)}, "
        f"of these without effect in both: {unsaid[0] + sum(r.idle for r in attending)}.\n"
        f"\nLinks cut: {sum(r.links or 0 for r in attending)}, as the reference: {sum(r.cut for r in attending)}, "
        f"of these without effect in both: {unsaid[1] + sum(r.still for r in attending)}.\n"
        f"\nLayers with gradients: {sum(r.layers or 0 for r in attending)}, as autograd: {sum(r.sloped for r in attending)}.\n"
    )
    lines.append(
        "\n| type | streams | calls | `recording` | `capture` | max error | vectors | edited | links | gradients | remarks |\n"
        "|---|---|---|---|---|---|---|---|---|---|---|\n"
    )
    for result in sorted(attending, key=lambda r: r.model_type):
        streams = ", ".join(f"{name} {count}" for name, count in result.streams.items())
        remarks = [result.reason] if result.reason else []
        remarks += [] if result.same else ["output differs"]
        remarks += [] if result.clean else ["hooks left behind"]
        remarks += (
            []
            if result.tidy
            else ["an edit of no head changes the output, or leaves something behind"]
        )
        said = "; ".join(remarks).replace("|", "/")
        error = f"{result.error:.0e}" if result.exact else "–"
        edited = _of(result.edited, result.heads, result.idle)
        links = _of(result.cut, result.links, result.still) if result.links else "–"
        slopes = f"{result.sloped} of {result.layers}" if result.layers else "–"
        lines.append(
            f"| {result.model_type} | {streams} | {result.calls} | {result.exact} | {result.captured} | {error} | "
            f"{result.vectors} | {edited} | {links} | {slopes} | {said} |\n"
        )
    exceptions = [r for r in attending if r.edited < r.heads or not r.heads]
    if exceptions:
        lines.append(f"\n## Not every head edited: {len(exceptions)}\n\n")
        lines += [
            f"- {r.model_type}, {r.edited} of {r.heads}: {NOT_EDITED.get(r.model_type, 'not known why')}\n"
            for r in sorted(exceptions, key=lambda r: r.model_type)
        ]
    lines += _not_cut(attending)
    sloped = [r for r in attending if r.layers and r.sloped < r.layers]
    if sloped:
        lines.append(f"\n## Not every layer with gradients: {len(sloped)}\n\n")
        lines += [
            f"- {r.model_type}, {r.sloped} of {r.layers}: {NO_GRADIENTS.get(r.model_type, 'not known why')}\n"
            for r in sorted(sloped, key=lambda r: r.model_type)
        ]
    for outcome in ("no attention", "part of another", "not built", "not run", "too slow"):
        others = [result for result in results if result.outcome == outcome]
        if others:
            lines.append(f"\n## {outcome.capitalize()}: {len(others)}\n\n")
            lines += [
                f"- {r.model_type}{f': {r.reason}' if outcome != 'no attention' and r.reason else ''}\n"
                for r in others
            ]
    path.write_text("".join(lines))


def _of(part: int, whole: int, idle: int) -> str:
    """Return how many of how many, and how many of them are without effect."""
    return f"{part} of {whole}" + (f" ({idle} idle)" if idle else "")


def _not_cut(attending: Sequence[Result]) -> list[str]:
    """List the types of which some link is not cut as the reference has it, reason by reason."""
    by_reason: dict[str, list[str]] = {}
    for result in sorted(attending, key=lambda r: r.model_type):
        for reason in result.not_cut:
            by_reason.setdefault(reason, []).append(result.model_type)
    types = {name for several in by_reason.values() for name in several}
    if not types:
        return []
    return [
        f"\n## Not every link cut: {len(types)}\n\n",
        *(f"- {reason}: {', '.join(names)}\n" for reason, names in sorted(by_reason.items())),
    ]

"""Measures every model type of the installed transformers, each in its own process, and writes the table.

python -m capture.coverage [--out coverage.md] [--limit SECONDS] [--again] [type ...]
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import os
import queue
import re
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
import transformers
from capture.coverage.torchvision_operations import declare_operations

# Before anything of transformers is imported that imports torchvision.
declare_operations()

from capture.coverage import factory  # noqa: E402
from capture.coverage.again import merged, unsaid, versions_of  # noqa: E402
from capture.coverage.measure import Result, measure  # noqa: E402
from capture.coverage.table import versions, write  # noqa: E402


def _work(model_type: str, answers: Any) -> None:
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    answers.put(measure(model_type).as_dict())


def measured(model_type: str, limit: float) -> Result:
    """Measure one type in a process of its own."""
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    process = context.Process(target=_work, args=(model_type, answers))
    process.start()
    try:
        while True:
            try:
                return Result(**answers.get(timeout=min(limit, 1.0)))
            except queue.Empty:
                limit -= 1.0
                if limit <= 0:
                    return Result(model_type, outcome="too slow")
                if not process.is_alive() and answers.empty():
                    return Result(
                        model_type, outcome="not run", reason=f"exit code {process.exitcode}"
                    )
    finally:
        process.kill()
        process.join()


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(prog="capture.coverage", description=__doc__.splitlines()[0])
    parser.add_argument("types", nargs="*", help="model types; all of them when left out")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "coverage.md")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for each type")
    parser.add_argument("--lines", type=Path, help="also append each result to this file, as JSON")
    parser.add_argument(
        "--again",
        action="store_true",
        help="put the types that are named into the table, and leave its other lines as they are",
    )
    parser.add_argument(
        "--measured", type=Path, help="what --lines has written: these types are not measured anew"
    )
    options = parser.parse_args()
    if options.again:
        _check_versions(options.out)
    os.environ["HF_HUB_OFFLINE"] = "1"
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    results = _written(options.measured)
    known = {result.model_type for result in results}
    asked = options.types or ([] if options.again else factory.model_types())
    for model_type in asked:
        if model_type in known:
            continue
        result = measured(model_type, options.limit)
        results.append(result)
        line = f"{result.model_type}: {result.outcome}, {result.exact} of {result.calls} calls, {result.captured} by capture, {result.vectors} with vectors, {result.edited} of {result.heads} heads edited, {result.cut} of {result.links} links cut"
        sys.stdout.write(f"{line} {result.reason}\n")
        sys.stdout.flush()
        if options.lines is not None:
            with options.lines.open("a") as lines:
                lines.write(json.dumps(result.as_dict()) + "\n")
    if options.again:
        rest = unsaid(options.out)
        write(merged(options.out, results), options.out, rest)
    elif not options.types:
        write(sorted(results, key=lambda result: result.model_type), options.out)


def _written(lines: Path | None) -> list[Result]:
    """Return the results of an earlier run, the last of each type."""
    if lines is None:
        return []
    found = [Result(**json.loads(line)) for line in lines.read_text("utf-8").splitlines()]
    return list({result.model_type: result for result in found}.values())


def _check_versions(table: Path) -> None:
    """End unless a table was written with the releases that are installed; timm may have come since."""
    before, now = versions_of(table), versions()
    same = re.findall(r"(?:transformers|torch) [^\s,]+", before)
    if same != re.findall(r"(?:transformers|torch) [^\s,]+", now):
        message = (
            f"{table} was written with {before}, and here are {now}: measure all types, name none."
        )
        raise SystemExit(message)


if __name__ == "__main__":
    main()

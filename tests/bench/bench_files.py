"""What is handed on: files of attnwidget beside the page that BertViz returns, of the same attention.

Run by ``make bench``. BertViz's `head_view` and `model_view` with ``html_action="return"`` give a page that loads its
libraries from the network; attnwidget's page and figures load nothing. Each is made in this process, the median of
three; sizes are those of the files. Figures of all links are of 12 causal heads, PNG at 300 dpi. The processor's seconds
are of all threads.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

import attnwidget as aw

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

log = logging.getLogger("bench")
LAYERS, HEADS, TIMES = 12, 12, 3


def attention_of(tokens: int) -> list[torch.Tensor]:
    """Make random attention of a BERT's size."""
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(LAYERS, 1, HEADS, tokens, tokens, generator=generator)
    return list((2 * scores).softmax(-1))


def causal_record(heads: int = 12, tokens: int = 48) -> Any:
    """Make a record of one layer of random causal attention."""
    scores = torch.randn(1, heads, tokens, tokens, generator=torch.Generator().manual_seed(0))
    hidden = torch.ones(tokens, tokens).triu(1).bool()
    weights = (2 * scores).masked_fill(hidden, float("-inf")).softmax(-1)
    return aw.from_weights([weights], [f"word{number}" for number in range(tokens)])


def bertviz_page(name: str, weights: list[torch.Tensor], tokens: list[str], path: Path) -> None:
    """Write the page that one of BertViz's views returns."""
    import bertviz

    page = getattr(bertviz, name)(weights, tokens, html_action="return")
    path.write_text(page.data, encoding="utf-8")


def subjects(
    weights: list[torch.Tensor], tokens: list[str], folder: Path
) -> dict[str, Callable[[], Any]]:
    """Return what makes each file, by the file's description."""
    record = aw.from_weights(weights, tokens)
    head = {"layer": 3, "heads": list(range(HEADS))}
    view = aw.view(record, frozen=True, **head)
    short, few = causal_record(), causal_record(tokens=16)
    heads = {"heads": list(range(HEADS))}
    return {
        "BertViz head_view, page": lambda: bertviz_page("head_view", weights, tokens, folder / "h.html"),
        "BertViz model_view, page": lambda: bertviz_page("model_view", weights, tokens, folder / "m.html"),
        "attnwidget, page (all views)": lambda: view.save(folder / "a.html"),
        "head lines, 12 heads, .svg": lambda: record.figure("lines", **head, top_k=3).save(folder / "l.svg"),
        "head lines, 12 heads, .pdf": lambda: record.figure("lines", **head, top_k=3).save(folder / "l.pdf"),
        "head lines, 12 heads, .png": lambda: record.figure("lines", **head, top_k=3).save(folder / "l.png"),
        "all links, 12 x 16 tokens, .png": lambda: few.figure("lines", **heads).save(folder / "s.png", dpi=300),
        "all links, 12 x 16 tokens, .pdf": lambda: few.figure("lines", **heads).save(folder / "s.pdf"),
        "all links, 12 x 48 tokens, .png": lambda: short.figure("lines", **heads).save(folder / "s.png", dpi=300),
        "all links, 12 x 48 tokens, .pdf": lambda: short.figure("lines", **heads).save(folder / "s.pdf"),
        "model view, .svg": lambda: record.figure("model").save(folder / "m.svg"),
        "model view, .pdf": lambda: record.figure("model").save(folder / "m.pdf"),
    }  # fmt: skip


def measure(make: Callable[[], Any], folder: Path) -> tuple[int, float, float]:
    """Return the size of what is made, and the medians of the seconds and of the processor's seconds it took."""
    seconds, processor = [], []
    for _ in range(TIMES):
        for old in folder.iterdir():
            old.unlink()
        start, begun = time.perf_counter(), time.process_time()
        make()
        seconds.append(time.perf_counter() - start)
        processor.append(time.process_time() - begun)
    size = sum(path.stat().st_size for path in folder.iterdir())
    return size, statistics.median(seconds), statistics.median(processor)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--ours", action="store_true", help="leave BertViz out")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    # A page of five megabytes may hold fewer than all heads in full, and says so.
    warnings.simplefilter("ignore")
    weights = attention_of(options.tokens)
    tokens = [f"word{number}" for number in range(options.tokens)]
    log.info("\nFiles, %d x %d heads x %d tokens", LAYERS, HEADS, options.tokens)
    log.info("%-32s%14s%10s%12s", "", "bytes", "seconds", "processor")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for what, make in subjects(weights, tokens, folder).items():
            if options.ours and what.startswith("BertViz"):
                continue
            size, seconds, processor = measure(make, folder)
            log.info("%-32s%14s%10.2f%12.2f", what, f"{size:,}", seconds, processor)


if __name__ == "__main__":
    main()

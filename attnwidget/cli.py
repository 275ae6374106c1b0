"""The command line: a model and a text in, a page or a figure out."""

from __future__ import annotations

import argparse
import re
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnwidget.record.byte_sizes import parse_bytes, shown_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from attnwidget.widget.widget import AttentionWidget

__all__ = ["main"]

ENDINGS = (".html", ".svg", ".pdf", ".png")
# Options that take numbers, negative ones too.
_NUMBERS = ("--layer", "--layers", "--heads", "--head", "--query", "--key")
EXAMPLES = """examples:
  attnwidget pocket "The cat sat on the mat because it was tired" -o cat.html
  attnwidget bert-base-uncased "Is it raining?" --pair "It is." -o rain.svg --view head --layer 3 --heads 0,5
  attnwidget ./my-model "some text" -o text.pdf -o text.html --query it
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status: 0, 1 when something failed, 2 when the call is wrong.

    Args:
        arguments: The words after the command's name; those the program was started with when left out.
    """
    parser = _parser()
    options = parser.parse_args(_joined(sys.argv[1:] if arguments is None else arguments))
    for name, other in (("layer", "layers"), ("heads", "head")):
        if getattr(options, other) is not None:
            if getattr(options, name) is not None:
                parser.error(f"--{name} and --{other} are one option: pass one of them")
            setattr(options, name, getattr(options, other))
    for path in options.output:
        if path.suffix.lower() not in ENDINGS:
            parser.error(f"{path} must end in {', '.join(ENDINGS)}")
        if not path.parent.is_dir():
            parser.error(f"there is no folder {path.parent} to write {path.name} into")
    try:
        _run(options)
    except KeyboardInterrupt:
        _say("attnwidget: interrupted")
        return 130
    except Exception as error:  # noqa: BLE001 - every failure is told in one line, or whole when asked for
        if options.traceback:
            traceback.print_exc()
        _say(f"attnwidget: {_words(error)}")
        return 1
    return 0


def _run(options: argparse.Namespace) -> None:
    say: Callable[[str], None] = (lambda _: None) if options.quiet else _say
    say(f"Loading {options.model} …")
    model, tokenizer = _load(options)
    say("Running it once …")
    view = _view(options, model, tokenizer)
    say(f"{view!r}")
    for path in options.output:
        extra = (
            {"budget": options.budget}
            if path.suffix.lower() == ".html"
            else {
                "width": options.width,
                "scale": options.scale,
                "dpi": options.dpi,
                "transparent": options.transparent,
                "theme": "print" if options.theme == "print" else None,
            }
        )
        view.save(path, **extra)
        say(f"Wrote {path}, {shown_bytes(path.stat().st_size)}.")


def _load(options: argparse.Namespace) -> tuple[Any, Any]:
    # `--help` and a wrong call are answered without loading anything.
    from attnwidget.pocket import NAME, pocket  # noqa: PLC0415

    if options.model == NAME:
        return pocket()
    from transformers import AutoModel, AutoTokenizer, logging  # noqa: PLC0415

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    if options.quiet:
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    accepted = {
        "revision": options.revision,
        "trust_remote_code": options.trust_remote_code,
    }
    try:
        tokenizer = AutoTokenizer.from_pretrained(options.model, **accepted)
        model = AutoModel.from_pretrained(options.model, **accepted)
    except OSError as error:
        folder = Path(options.model)
        reason = (
            f"the folder {folder} holds no model with a tokenizer"
            if folder.is_dir()
            else f"{options.model!r} is no folder here, and no model that could be had from the Hugging Face hub"
        )
        message = f"{reason}: {_first_line(error)}"
        raise OSError(message) from error
    return model.eval().to(options.device), tokenizer


def _view(options: argparse.Namespace, model: Any, tokenizer: Any) -> AttentionWidget:
    from attnwidget.api import view  # noqa: PLC0415
    from attnwidget.recordings import capture  # noqa: PLC0415

    inputs = options.text if options.pair is None else (options.text, options.pair)
    asked = {} if options.target is None else {"target": options.target}
    attention = capture(model, inputs, tokenizer, **asked)
    names = ("view", "form", "stream", "layer", "theme", "query", "key")
    state = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    if state.get("theme") == "print":
        del state["theme"]
    for name in ("query", "key"):
        # A number is a position; a token that is a number is given by its position.
        if name in state and state[name].lstrip("-").isdigit():
            state[name] = int(state[name])
    found = attention[state.get("stream", next(iter(attention)))]
    layer = found[state["layer"]] if "layer" in state else next(iter(found))
    if options.heads == "all":
        state["heads"] = list(range(layer.num_heads))
    elif options.heads is not None:
        state["heads"] = options.heads
    return view(attention, **state)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="attnwidget",
        description="Show what every attention head of a Hugging Face model does on a text, as a page or a figure.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "model",
        metavar="MODEL",
        help="a folder, a hub id, or pocket for the model that comes along",
    )
    add("text", metavar="TEXT", help="what the model reads")
    add("-o", "--output", metavar="FILE", type=Path, action="append", required=True,
        help="where to: .html, .svg, .pdf or .png; may be given several times")  # fmt: skip
    add("--pair", metavar="TEXT", help="a second text, for models that read pairs")
    add("--target", metavar="TEXT", help="what an encoder-decoder's decoder reads")
    add("--view", choices=["all", "model", "head", "neuron", "compare"])
    add("--form", metavar="FORM", help="how heads are drawn: lines, matrix or text")
    add("--stream", help="which attention: encoder, decoder, cross …")
    add("--layer", type=int, metavar="N", help="counted from 0, as the model does; -1 is the last")
    add("--layers", type=int, help=argparse.SUPPRESS)
    add("--heads", type=_heads, metavar="N,N", help="counted from 0, -1 is the last; or all")
    add("--head", type=_heads, help=argparse.SUPPRESS)
    add("--query", metavar="TOKEN", help="pin a query: its text or its position")
    add("--key", metavar="TOKEN", help="pin a key: its text or its position")
    add("--theme", choices=["auto", "light", "dark", "print"], help="print: figures for paper")
    add("--width", type=_width, metavar="W", help="width of a figure: 85mm, 3.3in, or CSS pixels")
    add("--scale", type=float, metavar="X", help="pixels of a .png per CSS pixel (2)")
    add("--dpi", type=float, metavar="N", help="pixels of a .png per printed inch")
    add("--transparent", action="store_true", help="figures without a background")
    add("--budget", type=_budget, metavar="SIZE", help="what an .html may weigh, such as '5 MB'")
    add("--device", default="cpu", help="where the model runs (cpu)")
    add("--revision", help="of a model on the hub")
    add("--trust-remote-code", action="store_true", help="let a model bring its own code")
    add("-q", "--quiet", action="store_true", help="say nothing but what failed")
    add("--traceback", action="store_true", help="when something fails, say where")
    return parser


def _joined(words: Sequence[str]) -> list[str]:
    """Return the words with negative numbers joined to their option: argparse takes ``-2,-1`` for an option."""
    joined: list[str] = []
    for word in words:
        if joined and joined[-1] in _NUMBERS and re.fullmatch(r"-\d[\d,-]*", word):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def _heads(text: str) -> list[int] | str:
    if text == "all":
        return text
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        message = f"heads are numbers with commas between them, such as 0,5, or all; got {text!r}"
        raise argparse.ArgumentTypeError(message) from None


def _width(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _budget(text: str) -> int:
    try:
        return parse_bytes(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _words(error: BaseException) -> str:
    """Return what an error says (a KeyError's own text is quoted), with its type where it says little."""
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    ours = isinstance(error, (ValueError, TypeError, LookupError, OSError, ImportError))
    return text if ours and text else f"{type(error).__name__}: {text} (--traceback says where)"


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()

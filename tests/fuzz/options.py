"""Options of every public call, each with values that somebody may pass by mistake."""

from __future__ import annotations

import contextlib
import random
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import matplotlib.pyplot as plt
from fuzz.explained import Tally
from fuzz.odd_values import odd_value

import attnwidget as aw
from attnwidget.record.options import DrawnSelection, FileOptions, SelectionOptions

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["options"]

# What is right of each, where it is known: two options are right and the third is odd.
_RIGHT: dict[str, tuple[Any, ...]] = {
    "stream": ("decoder", None), "streams": ("decoder", ["decoder"], None), "layer": (0, 3, -1, None),
    "layers": (0, [0, 1], None), "head": (0, 1, None), "heads": (0, [1, 2], None), "query": (1, "cat", [1, 2]),
    "key": (1, "cat", [0, 1]), "queries": (1, [0, 1], slice(0, 2)), "keys": (0, [0, 1], slice(1, 3)),
    "measure": ("weights", "value", "norm"), "view": ("all", "head", "model"), "form": ("lines", "matrix"),
    "theme": ("light", "dark"), "compare": ([(0, 1)], [(0, 1), (1, 2)]), "threshold": (0, 0.5), "top": (1, 5, None),
    "positions": ("pieces", "words"), "kind": ("head", "matrix", "model"), "limit": ("1 MB", 10**6, "1 GB"),
    "score": ("previous", None), "other_score": ("induction", None), "scores": ("previous", ["previous", "self"]),
    "what": ("weights", "scores"), "batch": (0, None), "store": ("cpu", "auto"), "size": (3, 16), "pool": ("max", "mean"),
    "width": (300, "85mm"), "grid": (True, 2), "names": (("a", "b"), None), "replaced": (True, False),
    "between": ((0, 1), (-1, 0)),
    "texts": (["the cat sat"],), "examples": (1, 0), "progress": (False,), "arrange": ("layers", "rank"),
}  # fmt: skip
_HEADS = ("layer", "head", "layers", "heads")
_RECORDED = (
    "tokens",
    "batch",
    "streams",
    "layers",
    "positions",
    "store",
    "device",
    "stream",
    "layer",
)
# Options whose message says another word.
_OTHER_WORDS = {
    "inputs": ("input", "text", "token"), "store": ("device",), "attention": ("weights",), "texts": ("input", "text"),
    "layers": ("layer", "show_layers"), "heads": ("head", "layer"), "streams": ("stream",), "queries": ("query",),
    "keys": ("key",), "query": ("queries",), "key": ("keys", "links"), "head": ("heads", "pairs", "layer"), "layer": ("layers",),
    "kind": ("plot draws", "view", "form", "arrange"), "form": ("view", "survey keeps"), "view": ("survey keeps",),
    "compare": ("layer",), "selection": ("option", "query", "key", "heads", "layer"), "position_ids": ("batch",), "attention_mask": ("batch",), "inputs_embeds": ("batch",), "pattern": ("links", "find"), "a": ("compare takes",), "b": ("compare takes",),
    "scores": ("score",), "name": ("measure",), "input_ids": ("inputs", "token", "batch"), "path": ("attention.",),
}  # fmt: skip


@dataclass(frozen=True)
class Call:
    """A public call.

    Attributes:
        name: As it is written.
        make: Takes options by name and makes it.
        options: Their names.
    """

    name: str
    make: Callable[..., Any]
    options: tuple[str, ...]


def _named(*kinds: type) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for kind in kinds for name in kind.__annotations__))


def calls(folder: Path) -> list[Call]:
    """Return every public call over one small model and its record."""
    model, tokenizer = aw.pocket()
    attention = aw.capture(model, "the cat sat", tokenizer)
    other = aw.capture(model, "the dog sat", tokenizer)
    compared = aw.compare(attention, other)
    series = aw.compare(attention, other, attention)
    surveyed = aw.survey(
        model, ["the cat sat", "the dog sat"], tokenizer, progress=False, contexts=2
    )
    layer = attention["decoder"][1]
    views: list[Any] = []

    def view(what: Callable[..., Any]) -> Callable[..., Any]:
        def shown(**given: Any) -> Any:
            while views:
                views.pop().close()
            views.append(what(**{"still": False, **given}))
            return views[-1]

        return shown

    def record(**given: Any) -> Any:
        with aw.recording(model, **{"tokenizer": tokenizer, **given}) as found:
            model(**tokenizer("the cat", return_tensors="pt"))
        return found.attention

    def rank(**given: Any) -> None:
        with contextlib.closing(attention.view(still=False)) as shown:
            shown.rank(**given)

    def plot(**given: Any) -> Any:
        plt.close("all")
        return attention.plot(**given)

    def draw(what: Any) -> Callable[..., Any]:
        return lambda **given: what.figure(**given).data

    def save(what: Any, ending: str) -> Callable[..., Any]:
        return lambda **given: what.save(**{"path": folder / f"a{ending}", **given})

    def inputs(**given: Any) -> Any:
        return aw.capture(model, **{"inputs": "the cat", "tokenizer": tokenizer, **given})

    shown, drawn = _named(SelectionOptions), _named(DrawnSelection)
    return [
        Call("view(model)", view(lambda **given: aw.view(model, "the cat", tokenizer, **given)), (*shown, *_RECORDED)),
        Call("view", view(attention.view), ("frozen", *shown)),
        Call("view(x)", view(aw.view), ("model", "inputs", "tokenizer")),
        Call("head_view", view(aw.head_view), ("attention", "encoder_attention")),
        Call("comparison.view", view(compared.view), shown),
        Call("survey.view", view(surveyed.view), shown),
        Call("figure", draw(attention), ("kind", *drawn)),
        Call("comparison.figure", draw(compared), ("kind", *drawn)),
        Call("survey.figure", draw(surveyed), ("kind", *drawn)),
        Call("save(svg)", save(attention, ".svg"), ("path", *_named(FileOptions))),
        Call("save", save(attention, ".safetensors"), ("path", "kind", "layer")),
        Call("save(html)", save(attention, ".html"), ("budget", *shown)),
        Call("capture", inputs, ("inputs", "tokenizer", "target", *_RECORDED)),
        Call("capture(inputs)", inputs, ("input_ids", "inputs_embeds", "attention_mask", "position_ids")),
        Call("recording", record, ("tokenizer", "which", *_RECORDED)),
        Call("compare", lambda **given: aw.compare(**{"a": attention, "b": other, **given}), ("a", "b", "names", "replaced")),
        Call("difference", lambda **given: compared.difference(**{"layer": 0, **given}), ("stream", *_HEADS)),
        Call("changed", compared.changed, ("top", "stream", *_HEADS)),
        Call("series.view", view(series.view), shown),
        Call("series.figure", draw(series), ("kind", *drawn)),
        Call("series.difference", lambda **given: series.difference(**{"layer": 0, **given}), ("between", "stream", *_HEADS)),
        Call("series.changed", series.changed, ("top", "stream", *_HEADS)),
        Call("survey", lambda **given: aw.survey(model, **{"texts": ["the cat"], "tokenizer": tokenizer, "progress": False, **given}), ("texts", "examples", "contexts", "measure", "layers", "batch", "links", "links_as", "links_stream", "column", "batch_size")),
        Call("survey.head_scores", surveyed.head_scores, ("scores", "stream", *_HEADS)),
        Call("survey.examples", lambda **given: surveyed.examples(**{"layer": 0, "head": 0, "score": "previous", **given}), ("stream", "score", *_HEADS)),
        Call("survey.contexts", lambda **given: surveyed.contexts(**{"layer": 0, "head": 0, **given}), ("stream", "score", "containing", *_HEADS)),
        Call("survey.deciles", lambda **given: surveyed.deciles(**{"layer": 0, "head": 0, "score": "previous", **given}), ("stream", "score", "examples", *_HEADS)),
        Call("survey.token_counts", lambda **given: surveyed.token_counts(**{"layer": 0, "head": 0, **given}), ("stream", "of", *_HEADS)),
        Call("find", attention.find, ("query", "key", "pattern", "from_group", "by")),
        Call("find(groups)", lambda **given: attention.find(**{"from_group": "content", "by": "special", **given}), ("from_group", "to_group", "by")),
        Call("find(key)", lambda **given: attention.find(**{"key": 0, **given}), ("query", "key", "top", "stream", "measure", *_HEADS)),
        Call("rank", lambda **given: rank(**{"key": 0, **given}), ("query", "key", "name")),
        Call("rollout", attention.rollout, ("stream", "layer", "layers")),
        Call("head_scores", attention.head_scores, ("scores", "stream", "sink", "measure", *_HEADS)),
        Call("head_labels", attention.head_labels, ("stream", "sink", "measure", *_HEADS)),
        Call("groups", lambda **given: attention.groups(**{"by": "special", **given}), ("by", "stream")),
        Call("group_shares", lambda **given: attention.group_shares(**{"by": "special", **given}), ("by", "stream", "measure", *_HEADS)),
        Call("group_profile", lambda **given: attention.group_profile(**{"by": "special", **given}), ("by", "stream", "measure", *_HEADS)),
        Call("view(groups)", view(attention.view), ("groups",)),
        Call("numpy", attention.numpy, ("stream", "what", "limit", *_HEADS)),
        Call("to_xarray", attention.to_xarray, ("stream", "what", "limit", *_HEADS)),
        Call("to_dataframe", attention.to_dataframe, ("stream", "top", "limit", *_HEADS)),
        Call("plot", plot, ("kind", "stream", "query", "threshold", "layout", "theme", "ax", *_HEADS)),
        Call("weights", layer.weights, ("head", "queries", "keys", "query", "key", "heads")),
        Call("scores", layer.scores, ("head", "queries", "keys", "query", "key", "heads")),
        Call("measure", lambda **given: layer.measure(**{"name": "value", **given}), ("name", "head", "queries", "keys", "query", "heads")),
        Call("query_vectors", layer.query_vectors, ("head", "heads")),
        Call("overview", lambda **given: layer.overview(**{"size": 4, **given}), ("size", "pool")),
        Call("attention[]", lambda stream: attention[stream], ("stream",)),
        Call("stream[]", lambda layer: attention["decoder"][layer], ("layer",)),
    ]  # fmt: skip


def options(seed: int, cases: int) -> Tally:
    """Make ``cases`` public calls with one odd option, now and then beside right ones."""
    chance, tally = random.Random(seed), Tally()
    mpl.use("agg")
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder) if hasattr(contextlib, "chdir") else contextlib.nullcontext(),
    ):
        every = calls(Path(folder))
        for _ in range(cases):
            call = chance.choice(every)
            name = chance.choice(call.options)
            value = odd_value(chance, _RIGHT.get(name, ()))
            given = {name: value}
            for beside in chance.sample(call.options, min(len(call.options), 2)):
                if beside in _RIGHT and chance.random() < 0.3:
                    given.setdefault(beside, chance.choice(_RIGHT[beside]))
            shown = f"{call.name}({name}={_text(value)}) with {sorted(set(given) - {name})}"
            names = [each for one in given for each in (one, *_OTHER_WORDS.get(one, ()))]
            tally.run(lambda call=call, given=given: call.make(**given), shown, names)
    return tally


def _text(value: object) -> str:
    return f"{type(value).__name__} {value!r}"[:90].encode("unicode_escape").decode()

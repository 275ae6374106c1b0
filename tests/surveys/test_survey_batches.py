"""Padded batches: the same survey as one by one, in the same order; one by one where a model or an input needs it."""

from __future__ import annotations

import functools
import pickle
import random
import sys
import threading
import warnings
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from support.workers import TEXTS, TOO_LONG
from transformers import BertConfig, BertModel, LlamaConfig, LlamaForCausalLM

import attnwidget as aw
from attnwidget.capture import padded_batch
from attnwidget.pocket import pocket_tokenizer
from attnwidget.surveys import workers
from attnwidget.surveys.gold_links.given import Linked, asked_links
from attnwidget.surveys.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from attnwidget.surveys.survey import Survey

_draw = random.Random(3)
_WORDS = " ".join(TEXTS).split()
MANY = [*TEXTS, *(" ".join(_draw.choices(_WORDS, k=_draw.randint(3, 20))) for _ in range(22))]
LINKS = [[(2, 1, "previous")] for _ in MANY]


@pytest.fixture(scope="module")
def pocket() -> Any:
    return aw.pocket()


def bert() -> Any:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=442, hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=16
    )  # fmt: skip
    return BertModel(config).eval()


def llama(**options: Any) -> Any:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=442, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=16, **options,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def same(first: Survey, second: Survey) -> None:
    assert (first.count, first.skipped, dict(first.texts)) == (second.count, second.skipped, dict(second.texts))  # fmt: skip
    assert list(first.streams) == list(second.streams)
    for name, found in first.streams.items():
        other = second.streams[name]
        for field in ("count", "mean", "squares", "rows"):
            one, two = (getattr(each.moments, field) for each in (found, other))
            np.testing.assert_allclose(one, two, atol=1e-5)
        np.testing.assert_array_equal(found.typical.index, other.typical.index)
        if found.groups is not None and other.groups is not None:
            np.testing.assert_allclose(found.groups.mean, other.groups.mean, atol=1e-5)
        if found.outputs is not None and other.outputs is not None:
            for one, two in zip(found.outputs.over_all, other.outputs.over_all, strict=True):
                np.testing.assert_allclose(one, two, atol=1e-3)  # a sum over some 300 tokens
        for part in ("groups", "outputs", "links"):
            assert (getattr(found, part) is None) == (getattr(other, part) is None)
        if found.links is not None and other.links is not None:
            np.testing.assert_array_equal(found.links.counts, other.links.counts)


@pytest.mark.parametrize("kind", ["pocket", "bert", "llama"])
def test_batches_find_what_one_by_one_finds(pocket: Any, kind: str) -> None:
    model = {"pocket": lambda: pocket[0], "bert": bert, "llama": llama}[kind]()
    rows: list[int] = []
    options: dict[str, Any] = {"links": LINKS, "groups": "special", "outputs": True, "progress": False}  # fmt: skip
    alone = aw.survey(model, MANY, pocket[1], **options)
    handle = model.register_forward_pre_hook(
        lambda _module, _args, kwargs: rows.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        together = aw.survey(model, MANY, pocket[1], batch_size=4, **options)
    handle.remove()
    same(together, alone)
    assert rows.count(4) == 7  # 28 of 30
    assert rows.count(2) == 1
    # Alone: the one that the others are read like, all of the first batch, and the longest of some.
    assert 5 <= rows.count(1) <= 12


def test_results_stand_in_the_order_of_the_inputs(pocket: Any) -> None:
    texts = [*MANY[:5], TOO_LONG, "", *MANY[5:], 3]
    with pytest.warns(UserWarning, match="3 of 33 inputs could not be recorded"):
        alone = aw.survey(pocket[0], texts, pocket[1], progress=False)
    with pytest.warns(UserWarning, match="3 of 33 inputs could not be recorded"):
        together = aw.survey(pocket[0], texts, pocket[1], batch_size=4, progress=False)
    assert [index for index, _ in together.skipped] == [5, 6, 32]
    same(together, alone)


def test_what_ends_the_inputs_keeps_those_before(pocket: Any, tmp_path: Path) -> None:
    def texts() -> Iterator[str]:
        yield from MANY[:11]
        raise OSError(28, "gone")

    path = tmp_path / "s.safetensors"
    options: dict[str, Any] = {"batch_size": 4, "save": path, "progress": False}
    with pytest.raises(OSError, match="gone") as caught:
        aw.survey(pocket[0], texts(), pocket[1], **options)
    assert caught.value.survey.count == 11  # type: ignore[attr-defined]
    whole = aw.survey(pocket[0], MANY, pocket[1], **options)
    same(whole, aw.survey(pocket[0], MANY, pocket[1], progress=False))


class Crowded(LlamaForCausalLM):
    """A model in which the texts of a batch push each other aside, as experts of a small capacity do."""

    def forward(self, input_ids: Any = None, **kwargs: Any) -> Any:
        embedded = self.model.embed_tokens(input_ids)
        return super().forward(inputs_embeds=embedded / len(input_ids), **kwargs)


def test_a_model_whose_texts_depend_on_each_other_is_read_one_by_one(pocket: Any) -> None:
    torch.manual_seed(0)
    model = Crowded(llama().config).eval()
    model.model.layers[0].input_layernorm = torch.nn.Identity()  # which would undo it
    with pytest.warns(UserWarning, match=r"batch_size=4: the inputs are read one by one \(a score of decoder differs by more than 1e-05\)"):  # fmt: skip
        together = aw.survey(model, MANY[:10], pocket[1], batch_size=4, progress=False)
    same(together, aw.survey(model, MANY[:10], pocket[1], progress=False))


def test_longer_texts_are_compared_again(pocket: Any) -> None:
    from transformers import MistralConfig, MistralForCausalLM

    torch.manual_seed(0)
    config = MistralConfig(
        vocab_size=442, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=16, sliding_window=12,
    )  # fmt: skip
    model = MistralForCausalLM(config).eval()
    # The first batches are within the window, the last are longer.
    texts = sorted(MANY, key=len)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        together = aw.survey(model, texts, pocket[1], batch_size=2, progress=False)
    same(together, aw.survey(model, texts, pocket[1], progress=False))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"measure": "norm"}, r"measure='norm' looks at the output projection"),
        ({"positions": slice(0, 2)}, r"positions= is given"),
    ],
)
def test_settings_for_one_by_one_are_told(pocket: Any, options: Any, why: str) -> None:
    with pytest.warns(UserWarning, match=why):
        together = aw.survey(
            pocket[0], MANY[:3], pocket[1], batch_size=2, progress=False, **options
        )
    same(together, aw.survey(pocket[0], MANY[:3], pocket[1], progress=False, **options))
    with pytest.raises(
        ValueError, match="batch_size must be a positive integer, 1 to read one by one, got 0"
    ):
        aw.survey(pocket[0], MANY[:3], pocket[1], batch_size=0)


def test_inputs_that_cannot_be_padded_are_told_once(pocket: Any) -> None:
    ids = [{"input_ids": torch.tensor([[1, 5 + at, 9]])} for at in range(40)]
    with pytest.warns(UserWarning, match="batch_size=2") as told:
        found = aw.survey(pocket[0], ids, pocket[1], batch_size=2, progress=False)
    (one,) = (str(each.message) for each in told)
    assert one == (
        "batch_size=2: the first 16 inputs are read one by one, as none can be padded: dict is no text: pass texts, or leave "
        "batch_size= out."
    )
    same(found, aw.survey(pocket[0], ids, pocket[1], progress=False))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        aw.survey(pocket[0], [*ids[:3], *MANY[:8]], pocket[1], batch_size=2, progress=False)


def test_texts_that_are_too_long_to_be_padded_are_told(
    pocket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(padded_batch, "max_tokens", lambda _: 2)
    why = r"it has \d+ tokens, and the model reads 2 at once: pass shorter texts, or leave batch_size= out"
    with pytest.warns(UserWarning, match=why):
        found = aw.survey(pocket[0], MANY[:3], pocket[1], batch_size=2, progress=False)
    same(found, aw.survey(pocket[0], MANY[:3], pocket[1], progress=False))


def test_a_model_of_several_streams_is_read_one_by_one() -> None:
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    config = T5Config(
        vocab_size=442, d_model=16, d_kv=4, d_ff=16, num_layers=1, num_heads=2, decoder_start_token_id=0
    )  # fmt: skip
    model = T5ForConditionalGeneration(config).eval()
    with pytest.warns(UserWarning, match="one by one"):
        found = aw.survey(model, TEXTS[:3], pocket_tokenizer(), batch_size=2, progress=False)
    assert found.count == 3


class Part:
    """A part of the inputs, as Ray hands it to a worker."""

    def __init__(self, *inputs: Any) -> None:
        self.rows = [{"part": workers._pickled(one)} for one in inputs]

    def to_pylist(self) -> list[dict[str, bytes]]:
        return self.rows


def test_a_worker_reads_its_parts_in_batches(pocket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = SimpleNamespace(get=lambda held: held, get_gpu_ids=list)
    monkeypatch.setitem(sys.modules, "ray", ray)
    linked = asked_links(LINKS, "tokens", None)
    reader = Reader(*pocket, 5, "weights", {}, links=linked, batch_size=4)
    one = workers._Worker([workers.pack(reader, pickle.Pickler)], named=False)
    assert one._together is not None
    inputs = list(map(Linked, MANY, LINKS))
    # What cannot be sent stands for itself among them.
    odd = [*inputs[:5], threading.Lock(), *inputs[5:]]
    parts = [one._parts(Part(*odd[start : start + 12])) for start in range(0, len(odd), 12)]
    found = functools.reduce(lambda a, b: a.then(b), [each for part in parts for each in part])
    assert [index for index, _ in found.survey.skipped] == [5]
    assert one._together.proved > 0
    alone = aw.survey(pocket[0], MANY, pocket[1], links=LINKS, progress=False)
    for field in ("mean", "rows"):
        both = (getattr(each.streams["decoder"].moments, field) for each in (found.survey, alone))
        np.testing.assert_allclose(*both, atol=1e-5)
    counts = [each.streams["decoder"].links.counts for each in (found.survey, alone)]
    np.testing.assert_array_equal(*counts)

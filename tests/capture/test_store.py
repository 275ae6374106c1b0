"""Where a record lives: in memory, or in files that are mapped into memory and gone when the record is."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from support import zoo

import attnwidget as aw
from attnwidget.capture import store
from attnwidget.recordings import capture, recording

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attnwidget import Attention


@pytest.fixture
def spilled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Write everything to disk, however small, and look whether anything stays."""
    zoo.build(
        "llama"
    )  # PyTorch's compiler, which its modules import, makes a temporary folder of its own
    monkeypatch.setattr(store, "_SMALL", 1)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(store, "in_memory", lambda _: False)
    yield tmp_path
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def assert_same(one: Attention, other: Attention) -> None:
    assert repr(one) == repr(other)
    for name in one:
        for layer, expected in zip(one[name], other[name], strict=True):
            for field in ("query", "key", "value", "bias", "sinks", "recorded", "value_norms"):
                held, wanted = getattr(layer, field), getattr(expected, field)
                assert (held is None) == (wanted is None)
                if held is not None and field != "value_norms":
                    assert held.dtype == wanted.dtype
                    assert torch.equal(held, wanted)
            np.testing.assert_allclose(layer.weights(), expected.weights(), rtol=0, atol=1e-6)


def mapped_files() -> set[str]:
    """Files of records that this process has mapped into memory."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return {line.split(maxsplit=5)[5] for line in lines if "attnwidget-" in line}


@pytest.mark.parametrize("name", [*zoo.KINDS])
def test_a_record_on_disk_is_that_in_memory(name: str, spilled: Path) -> None:
    inputs = zoo.inputs_of(name)
    with torch.no_grad():
        own = zoo.build(name)(**inputs, output_attentions=True)
    model = zoo.build(name)
    attention = capture(model, inputs, store="disk")
    assert_same(attention, capture(model, inputs, store="cpu"))
    for stream, (field, _) in zoo.KINDS[name].streams.items():
        for layer in attention[stream]:
            expected = own[field][layer.layer][0].numpy()
            np.testing.assert_allclose(layer.weights(), expected, rtol=0, atol=1e-5)
    del spilled


@pytest.mark.skipif(
    not Path("/proc/self/maps").exists(), reason="needs Linux's list of mapped files"
)
@pytest.mark.parametrize("padded", [False, True])
def test_files_are_mapped_while_the_record_lives_and_gone_with_it(
    spilled: Path, *, padded: bool
) -> None:
    model, inputs = zoo.build("llama", "sdpa"), zoo.tokens(12)
    if padded:
        inputs["attention_mask"][:, :3] = 0
    gc.collect()
    before = mapped_files()
    attention = capture(model, inputs, store="disk")
    gc.collect()
    # One for each layer: what padding was cut out of is let go of.
    found = mapped_files() - before
    assert len({path.split(" (deleted)")[0] for path in found}) == (6 if padded else 2)
    assert all(str(spilled) in path for path in found)
    layer = attention["decoder"][1]
    del attention
    assert layer.weights().shape[-1] == (9 if padded else 12)
    del layer
    gc.collect()
    assert mapped_files() - before == set()


def test_a_folder_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_SMALL", 1)
    model, inputs = zoo.build("llama"), zoo.tokens()
    for place in (tmp_path / "new", f"{tmp_path}{os.sep}text"):
        with recording(model, store=place) as attention:
            model(**inputs)
        assert Path(place).is_dir()
        assert_same(attention.attention, capture(model, inputs))
        del attention
        gc.collect()
        assert list(Path(place).iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"store must name a folder, .*file is a file"):
        capture(model, inputs, store=tmp_path / "file")


def test_a_generation_on_disk(spilled: Path) -> None:
    model, inputs = zoo.build("gemma3", "sdpa"), zoo.tokens(5)
    found = []
    for kind in ("disk", "cpu"):
        with recording(model, store=kind) as attention:
            model.generate(**inputs, do_sample=False, max_new_tokens=6, min_new_tokens=6)
        found.append(attention.attention)
    assert_same(*found)
    del spilled


def test_copies_pickles_and_files_of_a_record_on_disk(spilled: Path, tmp_path_factory: Any) -> None:
    model, inputs = zoo.build("t5-2-4"), zoo.source_and_target()
    attention = capture(model, inputs, store="disk")
    whole = capture(model, inputs)
    path = tmp_path_factory.mktemp("saved") / "run.safetensors"
    attention.save(path)
    copies = [copy.copy(attention), copy.deepcopy(attention), pickle.loads(pickle.dumps(attention))]  # noqa: S301
    del attention
    gc.collect()
    for found in (*copies, aw.load(path)):
        assert_same(found, whole)
    del spilled


def test_a_pass_that_raises_leaves_nothing_behind(spilled: Path) -> None:
    model, inputs = zoo.build("llama", "sdpa"), zoo.tokens()
    hooks = len(model._forward_hooks)

    def stop(*_: Any) -> None:
        message = "enough"
        raise RuntimeError(message)

    handle = model.model.layers[1].mlp.register_forward_hook(stop)
    with pytest.raises(RuntimeError, match="enough"):
        capture(model, inputs, store="disk")
    handle.remove()
    assert len(model._forward_hooks) == hooks
    assert_same(capture(model, inputs, store="disk"), capture(model, inputs))
    del spilled


def test_a_record_that_does_not_fit_goes_to_disk_and_says_so(
    spilled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, inputs = zoo.build("llama", "sdpa"), zoo.tokens()
    whole = capture(model, inputs, store="cpu")
    size = sum(
        t.nbytes for layer in whole["decoder"] for t in (layer.query, layer.key, layer.value)
    )
    monkeypatch.setattr(store, "free_memory", lambda: 2 * size)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        capture(model, inputs)  # half of it fits
    monkeypatch.setattr(store, "free_memory", lambda: 2 * size - 2)
    with pytest.warns(
        UserWarning,
        match=r"will take about .*\(2 layers of .*\) and .* are free.* on disk in .*layers=",
    ):
        found = capture(model, inputs)
    assert_same(found, whole)
    free = iter([10 * size, size])
    monkeypatch.setattr(store, "free_memory", lambda: next(free))
    with pytest.warns(UserWarning, match="another layer of the record takes .* on disk"):
        found = capture(model, inputs)
    assert_same(found, whole)
    monkeypatch.setattr(store, "free_memory", lambda: 0)
    capture(model, inputs, store="cpu")  # as it was asked for
    del found, spilled


def test_a_disk_that_is_full_is_said(spilled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        free = 10

    monkeypatch.setattr(store.shutil, "disk_usage", lambda _: Full)
    with pytest.raises(OSError, match=r"do not fit in .*, where 1 kB are free: name a folder"):
        capture(zoo.build("llama"), zoo.tokens(), store="disk")
    del spilled


@pytest.mark.parametrize("given", ["dsik", 3, True])
def test_what_is_no_store_is_refused(given: Any) -> None:
    with pytest.raises(ValueError, match=r"store must be 'auto', 'cpu', 'disk', a torch device"):
        capture(zoo.build("llama"), zoo.tokens(), store=given)


@pytest.mark.parametrize("given", [{"store": "cuda:99"}, {"device": "cuda:99"}])
def test_a_device_that_is_not_there_is_said(given: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"no device 'cuda:99' here \(.+\): pass store='cpu' or"):
        capture(zoo.build("llama"), zoo.tokens(), **given)


@pytest.mark.parametrize("given", [{"store": torch.device("meta")}, {"device": "meta"}])
def test_a_device_without_numbers_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(
        ValueError, match=r"a device that holds numbers, got 'meta': pass store='cpu'"
    ):
        capture(zoo.build("llama"), zoo.tokens(), **given)


def test_nested_tensors_for_the_model_are_refused_by_name() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a prototype, says PyTorch
        nested = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])
    with pytest.raises(ValueError, match="inputs_embeds must hold plain numbers, got a nested"):
        capture(zoo.build("llama"), zoo.tokens(), inputs_embeds=nested)
    with pytest.raises(ValueError, match="texts must hold plain numbers, got a nested"):
        aw.survey(zoo.build("llama"), nested, progress=False)


def test_device_is_another_word_for_a_store() -> None:
    model, inputs = zoo.build("llama"), zoo.tokens()
    for options in ({"device": "cpu"}, {"store": "cpu"}, {"store": torch.device("cpu")}):
        assert capture(model, inputs, **options)["decoder"].layers[0].device == torch.device("cpu")
    with pytest.raises(ValueError, match="device= and store= both say where"):
        capture(model, inputs, device="cpu", store="disk")
    assert len(aw.view(model, inputs["input_ids"], store="disk").attention["decoder"]) == 2

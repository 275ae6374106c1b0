"""What is saved comes back exactly, shared tensors are written once, and other files are refused."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import random
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from support.records import HEADS, KEYS, QUERIES, random_layer

import attnwidget as aw
from attnwidget.attention import Attention
from attnwidget.compute.masks import Band
from attnwidget.files.tensor_file import TensorFile
from attnwidget.record import storage
from attnwidget.record.positions import Position
from attnwidget.record.stream import Stream
from attnwidget.recordings import from_weights

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from attnwidget.record.record import Record

TENSORS = ("query", "key", "value", "bias", "sinks", "recorded")
POSITIONS = (
    Position(label="the", text=" the", segment=1, role="user", continues=True),
    Position(label="[SEP]", kind="special"),
    Position(label="r2 c1", kind="patch", row=2, column=1),
    Position(label="0.24 s", kind="frame", time=0.24),
    Position(label="⟨U+D83D⟩", text="\ud83d"),
    Position(label="</script>", text='"\\\n\u2028'),
    Position(label="∅", text=""),
)


def record(dtype: torch.dtype = torch.float32) -> Attention:
    shared = torch.randn(HEADS, QUERIES, KEYS).to(dtype)
    layers = (
        random_layer(stream="cross", layer=1, bias=shared, softcap=30.0, dtype=dtype),
        random_layer(stream="cross", layer=4, bias=shared, sinks=torch.randn(HEADS), seed=1),
        random_layer(
            stream="cross",
            layer=5,
            key_value_heads=2,
            scaling=1 / 3,
            band=Band(causal=True, offset=2, window=3),
            reason="a reason",
        ),
    )
    cross = Stream("cross", layers, POSITIONS[:QUERIES], POSITIONS)
    weights = torch.softmax(torch.randn(2, 3, KEYS, KEYS), -1).to(dtype)
    alone = from_weights(encoder_attention=weights, encoder_tokens=POSITIONS)["encoder"]
    return Attention("TinyModel", {"encoder": alone, "cross": cross}, text='a "text" \ud83d')


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_a_round_trip_is_exact(tmp_path: Path, dtype: torch.dtype) -> None:
    attention = record(dtype)
    attention.save(tmp_path / "run.safetensors")
    loaded = storage.load(str(tmp_path / "run.safetensors"))
    assert repr(loaded) == repr(attention)
    assert list(loaded) == list(attention)
    assert loaded.text == attention.text
    for name in attention:
        assert loaded[name].query_positions == attention[name].query_positions
        assert loaded[name].key_positions == attention[name].key_positions
        for layer, before in zip(loaded[name], attention[name], strict=True):
            for field in dataclasses.fields(layer):
                if field.name in TENSORS:
                    held, expected = getattr(layer, field.name), getattr(before, field.name)
                    assert (held is None) == (expected is None)
                    if expected is not None:
                        assert held.dtype == expected.dtype
                        assert torch.equal(held, expected)
                elif field.init:
                    assert getattr(layer, field.name) == getattr(before, field.name)
            # A product's last bit depends on where in memory its operands stand.
            np.testing.assert_allclose(layer.weights(), before.weights(), rtol=1e-6, atol=1e-7)


def test_a_shared_tensor_is_written_once_and_read_once(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    record().save(path)
    with safe_open(path, framework="pt") as file:
        assert [name for name in file.keys() if name.endswith("bias")] == ["cross.1.bias"]  # noqa: SIM118  (not a dict)
    stream = storage.load(path)["cross"]
    assert stream[1].bias is stream[4].bias


def test_views_of_one_tensor_are_kept_apart(tmp_path: Path) -> None:
    fused = torch.randn(QUERIES, 3, HEADS, 4)
    query, key, value = fused.permute(1, 2, 0, 3)
    layer = dataclasses.replace(random_layer(queries=QUERIES, keys=QUERIES), query=query, key=key)
    layer = dataclasses.replace(layer, value=value)
    positions = POSITIONS[:QUERIES]
    Attention("TinyModel", {"self": Stream("self", (layer,), positions, positions)}).save(
        tmp_path / "run.safetensors"
    )
    loaded = storage.load(tmp_path / "run.safetensors")["self"][0]
    for name, tensor in (("query", query), ("key", key), ("value", value)):
        assert torch.equal(getattr(loaded, name), tensor)
    assert (tmp_path / "run.safetensors").stat().st_size < fused.nbytes + 4000


def test_a_loaded_record_may_be_saved_over_its_own_file(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    attention = record()
    attention.save(path)
    loaded = aw.load(path)
    loaded.save(path)
    for name in attention:
        for layer, before in zip(storage.load(path)[name], attention[name], strict=True):
            np.testing.assert_allclose(layer.weights(), before.weights(), rtol=1e-6, atol=1e-7)
    for layer, before in zip(loaded["cross"], attention["cross"], strict=True):
        np.testing.assert_array_equal(layer.query_vectors(), before.query_vectors())
    assert [file.name for file in tmp_path.iterdir()] == ["run.safetensors"]


def write(path: Path, header: Any, tensors: dict[str, torch.Tensor] | None = None) -> Path:
    text = header if isinstance(header, str) else json.dumps(header)
    save_file(tensors or {"x": torch.zeros(2, 3)}, path, metadata={"attnwidget": text})
    return path


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    with pytest.raises(FileNotFoundError, match=r"there is no file .*run\.safetensors"):
        storage.load(path)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        record().save(tmp_path / "missing" / "run.safetensors")
    path.write_bytes(b"not safetensors at all")
    with pytest.raises(ValueError, match="is no safetensors file"):
        storage.load(path)
    save_file({"weight": torch.zeros(2, 3)}, path)
    with pytest.raises(ValueError, match=r"no attention record: write one with attention\.save"):
        storage.load(path)
    with pytest.raises(ValueError, match=r"has format 4, this attnwidget reads up to 3.*upgrade"):
        storage.load(write(path, {"version": 4}))
    with pytest.raises(ValueError, match="is damaged: its header is no JSON"):
        storage.load(write(path, "{"))
    for header in ({"version": 1}, [], {"version": 1, "streams": [{}], "model_name": ""}):
        with pytest.raises(ValueError, match="is damaged"):
            storage.load(write(path, header))


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    record().save(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="or only part of one"):
        storage.load(path)


def test_a_tensor_that_is_missing_is_told(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    record().save(path)
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["attnwidget"]) | {"version": 2}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
    del tensors["cross.4.key"]
    with pytest.raises(ValueError, match=r"is damaged: KeyError: 'cross\.4\.key'"):
        storage.load(write(path, header, {name: held.clone() for name, held in tensors.items()}))


def test_a_file_from_before_there_were_norms_is_read(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    record().save(path)
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["attnwidget"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
    header["version"] = 1
    for stream in header["streams"]:
        for layer in stream["layers"]:
            del layer["norm_reason"]
            layer["tensors"].pop("value_norms", None)
    save_file(tensors, path, metadata={"attnwidget": json.dumps(header)})
    for stream in storage.load(path).streams.values():
        for layer in stream:
            assert layer.value_norms is None
            assert layer.norm_reason is None


def test_every_changed_bit_of_a_file_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    record().save(path)
    good = path.read_bytes()
    for bit in random.Random(1).sample(range(8 * len(good)), 300):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bad)
        with pytest.raises(ValueError, match=re.escape(str(path))):
            read_all(storage.load(path))
        for asked in ({"verify": True}, {"copy": True}):
            with pytest.raises(ValueError, match=re.escape(str(path))):
                storage.load(path, **asked)


def read_all(loaded: Record) -> None:
    for stream in loaded.streams.values():
        for layer in stream:
            layer.weights()
            if layer.value is not None:
                layer.measure("value")


def test_damage_is_said_wherever_the_layer_is_read_and_no_copy_hides_it(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    record().save(path)
    file = bytearray(path.read_bytes())
    held = storage.load(path)["cross"][4].query
    assert held is not None
    place = bytes(file).index(held.numpy().tobytes())
    file[place] ^= 1
    path.write_bytes(file)
    loaded = aw.load(path)
    layer = loaded["cross"][4]
    uses: list[Callable[[], object]] = [
        layer.weights,
        layer.scores,
        layer.query_vectors,
        lambda: layer.overview(2),
        lambda: layer.summary(2),
        lambda: loaded.save(tmp_path / "other.safetensors"),
        lambda: pickle.dumps(loaded),
        lambda: copy.deepcopy(layer),
        lambda: loaded.figure("model", stream="cross").svg,
        loaded.head_scores,
    ]
    for use in uses:
        with pytest.raises(ValueError, match="is damaged: the tensor"):
            use()
    loaded["cross"][5].weights()  # another layer is what it was


def test_what_is_read_is_of_one_file(tmp_path: Path) -> None:
    """A file that is replaced, or written over, while it is read is never half one and half the other."""
    path = tmp_path / "run.safetensors"
    first, second = (
        from_weights([torch.full((1, 1, 4, 4), share)], model_name=name)
        for share, name in ((0.25, "first"), (0.5, "second"))
    )
    first.save(path)
    loaded = storage.load(path)
    second.save(path)
    assert loaded.model_name == "first"
    assert float(loaded["self"][0].weights().max()) == 0.25
    opened = TensorFile.open

    def replaced_meanwhile(where: Path, **options: bool) -> TensorFile:
        found = opened(where, **options)
        first.save(where)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TensorFile, "open", replaced_meanwhile)
        loaded = storage.load(path)
    assert loaded.model_name == "second"
    assert float(loaded["self"][0].weights().max()) == 0.5


def test_a_copy_outlives_what_is_done_to_the_file(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    before = record()
    before.save(path)
    loaded = aw.load(path, copy=True)
    path.write_bytes(b"another file")
    for name in before:
        for layer, old in zip(loaded[name], before[name], strict=True):
            np.testing.assert_allclose(layer.weights(), old.weights(), rtol=1e-6, atol=1e-7)


def changed(value: Any, chosen: random.Random) -> Any:
    """Return a JSON value with one part of it replaced by another kind of thing."""
    odd = [None, True, -1, 3.5, 10**30, "x", [], {}, [1], {"x": 1}, float("nan")]
    if isinstance(value, dict) and value and chosen.random() < 0.85:
        key = chosen.choice(sorted(value))
        return {**value, key: changed(value[key], chosen)}
    if isinstance(value, list) and value and chosen.random() < 0.85:
        place = chosen.randrange(len(value))
        return [*value[:place], changed(value[place], chosen), *value[place + 1 :]]
    return chosen.choice(odd)


def test_headers_of_files_without_digests_follow_the_schema(tmp_path: Path) -> None:
    """A changed field of an old file is refused with the file's name, or it is one that has no part in the numbers."""
    path = tmp_path / "run.safetensors"
    before = record()
    before.save(path)
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["attnwidget"]) | {"version": 2}
        # Copies: the file is written over.
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118  (not a dict)
    chosen = random.Random(2)
    refused = 0
    for _ in range(300):
        other = changed(header, chosen)
        if other == header:
            continue
        said = None
        try:
            read_all(storage.load(write(path, other, tensors)))
        except ValueError as error:
            said = str(error)
        assert said is None or str(path) in said
        refused += said is not None
    assert refused > 200


def test_a_whole_number_with_a_point_is_no_integer_of_a_file_without_digests(
    tmp_path: Path,
) -> None:
    path = tmp_path / "run.safetensors"
    positions = [
        Position(label=str(column), row=1, column=column, grid=(2, 4), time=1.0)
        for column in range(4)
    ]
    from_weights(np.full((1, 2, 4, 4), 0.25, np.float32), positions).save(path)
    with safe_open(path, framework="pt") as file:
        good = json.loads(file.metadata()["attnwidget"]) | {"version": 2}
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118  (not a dict)
    places: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
        "version": lambda header: header,
        "num_heads": lambda header: header["streams"][0]["layers"][0],
        "layer": lambda header: header["streams"][0]["layers"][0],
    }
    for name, place in places.items():
        header = copy.deepcopy(good)
        place(header)[name] = float(place(header)[name])
        with pytest.raises(ValueError, match=rf"{path}.* must be integer"):
            storage.load(write(path, header, tensors))
    # Of positions that a caller made, files have them: they are read as what they are.
    header = copy.deepcopy(good)
    for position in header["streams"][0]["query_positions"]:
        position.update(row=1.0, column=float(position["column"]), grid=[2.0, 4])
    read = storage.load(write(path, header, tensors)).streams["self"].query_positions
    assert repr(read) == repr(tuple(positions))
    for wrong in (1.5, 1e300, -1.0):
        header["streams"][0]["query_positions"][0]["row"] = wrong
        with pytest.raises(ValueError, match=rf"{path} is damaged: in its header, "):
            storage.load(write(path, header, tensors))

"""Files written piece by piece are safetensors files like any other."""

from __future__ import annotations

import io
import json
import random
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from attnwidget.files import tensor_files
from attnwidget.files.tensor_file import TensorFile, TensorFileError

if TYPE_CHECKING:
    from pathlib import Path

DTYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
    torch.uint8, torch.bool,
]  # fmt: skip


@pytest.mark.parametrize("digests", [False, True])
@pytest.mark.parametrize("piece", [8, 64, 1 << 24])
def test_what_is_written_is_read(
    tmp_path: Path, piece: int, digests: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensor_files, "_PIECE", piece)
    given = {str(dtype): torch.randn(3, 5, 7).mul(9).to(dtype) for dtype in DTYPES}
    given |= {
        "turned": torch.randn(5, 3, 7).permute(1, 2, 0),
        "expanded": torch.randn(1, 5, 1).expand(3, 5, 7),
        "part": torch.randn(6, 8)[1::2, 2:5],
        "number": torch.tensor(3.5),
        "none": torch.zeros(0, 4),
        "long": torch.arange(100, dtype=torch.uint8),
    }
    path = tmp_path / "some.safetensors"
    with path.open("wb") as file:
        tensor_files.write(file, given, {"words": json.dumps("⟨\ud83d⟩")}, digests=bool(digests))
    read = TensorFile.open(path, copy=bool(digests))
    read.verify()
    assert bool(read.digests) is digests
    for found in (load_file(path), read.tensors):
        assert found.keys() == given.keys()
        for name, tensor in given.items():
            assert found[name].dtype == tensor.dtype
            assert torch.equal(found[name], tensor)
    with safe_open(path, framework="pt") as file:
        assert json.loads(file.metadata()["words"]) == "⟨\ud83d⟩"


def test_a_mapped_tensor_outlives_its_file_and_keeps_what_is_written_to_itself(
    tmp_path: Path,
) -> None:
    path = tmp_path / "some.safetensors"
    with path.open("wb") as file:
        tensor_files.write(file, {"x": torch.arange(6.0)})
    one, other = (TensorFile.open(path).tensors["x"] for _ in range(2))
    one[0] = 5
    path.unlink()
    assert one.tolist() == [5, 1, 2, 3, 4, 5]
    assert other.tolist() == [0, 1, 2, 3, 4, 5]


def test_what_the_format_does_not_know_is_refused() -> None:
    with pytest.raises(TypeError, match=r"holds no torch.complex64; convert it"):
        tensor_files.write(io.BytesIO(), {"x": torch.zeros(2, dtype=torch.complex64)})


def test_pages_of_ones_own() -> None:
    found = tensor_files.pages((2, 3), torch.bfloat16)
    assert (found.shape, found.dtype) == ((2, 3), torch.bfloat16)
    found.fill_(2)
    assert float(found.sum()) == 12
    assert tensor_files.pages((0, 3), torch.float32).shape == (0, 3)


def test_every_changed_bit_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "some.safetensors"
    given = {"a": torch.randn(3, 5), "b": torch.arange(7), "c": torch.ones(4, dtype=torch.bool)}
    with path.open("wb") as file:
        tensor_files.write(file, given, {"words": "more"}, digests=True)
    good = path.read_bytes()
    chosen = random.Random(0)
    for place in chosen.sample(range(8 * len(good)), 400):
        bad = bytearray(good)
        bad[place // 8] ^= 1 << place % 8
        path.write_bytes(bad)
        assert not loads_with_digests(path), place


def loads_with_digests(path: Path) -> bool:
    """Tell whether a file seems whole. Without digests it is as one of before: its format says that it must have them."""
    try:
        read = TensorFile.open(path)
        read.verify()
    except TensorFileError:
        return False
    return bool(read.digests)


@pytest.mark.parametrize(
    "header",
    [
        {"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}},
        {"x": {"dtype": "F32", "shape": [2.0], "data_offsets": [0, 8]}},
        {"x": {"dtype": "F32", "shape": [True, 2], "data_offsets": [0, 8]}},
        {"x": {"dtype": "F33", "shape": [2], "data_offsets": [0, 8]}},
        {"x": {"dtype": ["F32"], "shape": [2], "data_offsets": [0, 8]}},
        {"x": {"dtype": "F32", "shape": [2], "data_offsets": [-8, 0]}},
        {"x": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}},
        {"x": [], "__metadata__": {}},
        {"__metadata__": {"a": 1}},
        [],
        3,
    ],
)
def test_a_header_that_is_none_is_refused(tmp_path: Path, header: object) -> None:
    text = json.dumps(header).encode()
    path = tmp_path / "x"
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(8))
    with pytest.raises(TensorFileError):
        TensorFile.open(path)

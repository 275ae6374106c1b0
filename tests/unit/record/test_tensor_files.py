"""Files written piece by piece are safetensors files like any other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from attnwidget.record import tensor_files

if TYPE_CHECKING:
    from pathlib import Path

DTYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
    torch.uint8, torch.bool,
]  # fmt: skip


@pytest.mark.parametrize("piece", [8, 64, 1 << 24])
def test_what_is_written_is_read(
    tmp_path: Path, piece: int, monkeypatch: pytest.MonkeyPatch
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
    tensor_files.write(path, given, {"words": json.dumps("⟨\ud83d⟩")})
    for found in (load_file(path), tensor_files.mapped(path)):
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
    tensor_files.write(path, {"x": torch.arange(6.0)})
    one, other = (tensor_files.mapped(path)["x"] for _ in range(2))
    one[0] = 5
    path.unlink()
    assert one.tolist() == [5, 1, 2, 3, 4, 5]
    assert other.tolist() == [0, 1, 2, 3, 4, 5]


def test_what_the_format_does_not_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"holds no torch.complex64; convert it"):
        tensor_files.write(tmp_path / "x", {"x": torch.zeros(2, dtype=torch.complex64)})
    assert list(tmp_path.iterdir()) == []


def test_pages_of_ones_own() -> None:
    found = tensor_files.pages((2, 3), torch.bfloat16)
    assert (found.shape, found.dtype) == ((2, 3), torch.bfloat16)
    found.fill_(2)
    assert float(found.sum()) == 12
    assert tensor_files.pages((0, 3), torch.float32).shape == (0, 3)

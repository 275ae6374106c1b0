"""A model packed so that several processes of one machine can unpack it around the same weights in shared memory."""

from __future__ import annotations

import io
import pickle
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from attnwidget.tally import Reader

__all__ = ["Parcel", "pack", "unpack"]


@dataclass(frozen=True, slots=True)
class Parcel:
    """A model packed.

    Attributes:
        code: Everything but the numbers of its parameters, pickled.
        numbers: Those, byte by byte.
    """

    code: bytes
    numbers: Sequence[NDArray[np.uint8]]


def pack(reader: Reader, pickler: type[pickle.Pickler]) -> Parcel:
    """Pack a model and how its inputs are read.

    Args:
        reader: It all.
        pickler: Class that pickles the rest; one that knows classes and functions of a notebook is of more use.

    Raises:
        TypeError: If a part of it cannot be pickled, or has no numbers.
    """
    model = reader.model
    reason = "some of its weights are elsewhere until they are needed"
    if not isinstance(model, nn.Module) or not any(p.is_meta for p in model.parameters()):
        try:
            return _packed(reader, pickler)
        except Exception as error:  # noqa: BLE001  picklers raise what they like
            reason = f"{type(error).__name__}: {error}"
    message = (
        f"a {type(model).__name__} cannot be sent to workers ({reason}): pass a function that loads it, such as "
        "survey(lambda: AutoModel.from_pretrained(folder), ...)."
    )
    raise TypeError(message)


def unpack(parcel: Parcel) -> Reader:
    """Unpack what `pack` packed; parameters lie in the parcel's memory, and may be read only."""
    with warnings.catch_warnings():
        # Nobody writes: a survey reads.
        warnings.filterwarnings("ignore", message=".*buffer is not writable")
        reader: Reader = pickle.loads(parcel.code, buffers=parcel.numbers)  # noqa: S301  (its own)
        return reader


def _parameter(
    numbers: Any,
    dtype: torch.dtype,
    shape: tuple[int, ...],
    requires_grad: bool,  # noqa: FBT001
) -> nn.Parameter:
    tensor = torch.frombuffer(numbers, dtype=dtype).reshape(shape)
    return nn.Parameter(tensor, requires_grad=requires_grad)


def _packed(reader: Reader, pickler: type[pickle.Pickler]) -> Parcel:
    numbers: list[NDArray[np.uint8]] = []

    def take(buffer: pickle.PickleBuffer) -> None:
        numbers.append(np.frombuffer(buffer.raw(), dtype=np.uint8))

    class _Pickler(pickler):  # type: ignore[valid-type,misc]  # known at run time
        def reducer_override(self, thing: Any) -> Any:
            if type(thing) is nn.Parameter and type(thing.data) is torch.Tensor and thing.numel():
                raw: Any = thing.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
                form = thing.dtype, tuple(thing.shape), thing.requires_grad
                return _parameter, (pickle.PickleBuffer(raw), *form)
            own = getattr(super(), "reducer_override", None)
            return NotImplemented if own is None else own(thing)

    code = io.BytesIO()
    _Pickler(code, protocol=5, buffer_callback=take).dump(reader)
    return Parcel(code.getvalue(), numbers)

"""Survey workers on Ray, and the model packed around shared memory for them.

Ray Data gives each process the model once, and texts part by part. Every part's sums come back in the order of the
inputs, so that nothing depends on which process read what, nor on whether it was read again because a process died.
"""

from __future__ import annotations

import importlib
import io
import os
import pickle
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from attnwidget.compute.checks import integer

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from attnwidget.surveys.reader import PartialSurvey, Reader


__all__ = ["PackedModel", "pack", "refuse", "spread", "unpack"]


@dataclass(frozen=True, slots=True)
class PackedModel:
    """A model packed.

    Attributes:
        code: Everything but the numbers of its parameters, pickled.
        buffers: Those, byte by byte.
    """

    code: bytes
    buffers: Sequence[NDArray[np.uint8]]


def pack(reader: Reader, pickler: type[pickle.Pickler]) -> PackedModel:
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


def unpack(packed: PackedModel) -> Reader:
    """Unpack what `pack` packed; parameters lie in its memory, and may be read only."""
    with warnings.catch_warnings():
        # A survey only reads the parameters.
        warnings.filterwarnings("ignore", message=".*buffer is not writable")
        reader: Reader = pickle.loads(packed.code, buffers=packed.buffers)  # noqa: S301  (its own)
        return reader


def _parameter(
    numbers: Any,
    dtype: torch.dtype,
    shape: tuple[int, ...],
    requires_grad: bool,  # noqa: FBT001
) -> nn.Parameter:
    tensor = torch.frombuffer(numbers, dtype=dtype).reshape(shape)
    return nn.Parameter(tensor, requires_grad=requires_grad)


def _packed(reader: Reader, pickler: type[pickle.Pickler]) -> PackedModel:
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
    return PackedModel(code.getvalue(), numbers)


_PART = "part"

_MISSING = (
    'surveys by several workers run on Ray, which is not installed: pip install "attnwidget[ray]".'
)

# A part's result has the same size for one input as for many; a process that dies loses one part at most.
_MOST = 32

_PARTS_EACH = 8

# A row with one of these columns holds a model's inputs by name.
_INPUTS = {"input_ids", "inputs_embeds", "pixel_values", "input_values", "input_features"}


def refuse(texts: Any, worker_options: Any) -> None:
    """Refuse what needs workers, where there are none.

    Raises:
        TypeError: If it does.
    """
    if _is_dataset(texts) or worker_options is not None:
        what = "texts that are a Ray Dataset need" if _is_dataset(texts) else "worker_options are for"  # fmt: skip
        message = f"{what} workers: say how many, such as survey(model, texts, workers=4)."
        raise TypeError(message)


def spread(
    reader: Reader, texts: Iterable[Any], workers: int, worker_options: Mapping[str, Any] | None
) -> Generator[PartialSurvey, None, None]:
    """Read inputs in several processes.

    Args:
        reader: How to read them.
        texts: The inputs.
        workers: Number of processes.
        worker_options: What Ray is to give each of them.

    Yields:
        What each part of the inputs has, in their order.

    Raises:
        ImportError: If Ray is not installed.
        TypeError: If the model cannot be sent.
        ValueError: If ``workers`` is no positive number, or rows of a dataset have columns that nobody can choose from.
    """
    count = integer(workers)
    if count is None or count < 1:
        message = f"workers must be an integer, 1 or more, got {workers!r}."
        raise ValueError(message)
    try:
        ray, data = importlib.import_module("ray"), importlib.import_module("ray.data")
    except ImportError as error:
        raise ImportError(_MISSING) from error
    packed = pack(reader, importlib.import_module("ray.cloudpickle").CloudPickler)
    with _running(ray, count):
        # Held until the end: the worker that replaces one that died unpacks it again.
        held = ray.put(packed)
        rows = _rows(data, texts, count)
        if rows is None:
            return
        found = rows.map_batches(
            _Worker,
            fn_constructor_args=([held],),
            batch_size=None,
            batch_format="pyarrow",
            compute=data.ActorPoolStrategy(size=count),
            **(_default_options(reader.model) if worker_options is None else worker_options),
        )
        found.context.execution_options.preserve_order = True
        found.context.enable_progress_bars = False  # there is one, of inputs
        for batch in found.iter_batches(batch_size=None, batch_format="pyarrow"):
            for one in batch.column(_PART).to_pylist():
                part = pickle.loads(one)  # noqa: S301  (its own)
                if isinstance(part, Exception):
                    raise part
                yield part


class _Worker:
    """One of the processes: has a model, reads parts.

    Args:
        held: Where the model is.
    """

    def __init__(self, held: list[Any]) -> None:
        ray = importlib.import_module("ray")
        reader = unpack(ray.get(held[0])).with_model()
        if ray.get_gpu_ids() and torch.cuda.is_available() and isinstance(reader.model, nn.Module):
            reader.model.to("cuda")
        self._reader = reader

    def __call__(self, batch: Any) -> Any:
        """Read one part."""
        pyarrow = importlib.import_module("pyarrow")
        made = pickle.dumps(self._part(batch))
        return pyarrow.table({_PART: pyarrow.array([made], pyarrow.binary())})

    def _part(self, batch: Any) -> PartialSurvey | Exception:
        so_far = self._reader.nothing()
        try:
            for row in batch.to_pylist():
                so_far = so_far.then(self._reader.read(_input(row)))
        except Exception as error:  # noqa: BLE001  it is raised where the survey was asked for
            return _sendable(error)
        return so_far if so_far.error is None else replace(so_far, error=_sendable(so_far.error))


def _sendable(error: Exception) -> Exception:
    """Return an error, or one that says the same and can be pickled."""
    try:
        found: Exception = pickle.loads(pickle.dumps(error))  # noqa: S301  (its own)
    except Exception:  # noqa: BLE001  whatever it holds
        return RuntimeError(f"{type(error).__name__}: {error}")
    return found


def _rows(data: Any, texts: Any, workers: int) -> Any:
    """Make a dataset whose blocks are parts, if there is any input."""
    if _is_dataset(texts):
        _check_columns(texts)
        return texts.repartition(target_num_rows_per_block=_MOST)
    # Pickled: a table would return arrays and pairs as other types.
    every = [{_PART: pickle.dumps(one)} for one in texts]
    size = min(_MOST, max(1, -(-len(every) // (workers * _PARTS_EACH))))
    return data.from_items(every, override_num_blocks=-(-len(every) // size)) if every else None


def _input(row: dict[str, Any]) -> Any:
    if row.keys() == {_PART}:
        return pickle.loads(row[_PART])  # noqa: S301  (its own)
    return next(iter(row.values())) if len(row) == 1 else row


def _check_columns(texts: Any) -> None:
    names = texts.columns() or []
    if len(names) > 1 and not _INPUTS & set(names):
        message = (
            f"the rows of texts have the columns {names}: say which of them is the input, such as "
            f"texts.select_columns([{names[0]!r}])."
        )
        raise ValueError(message)


def _is_dataset(texts: Any) -> bool:
    return type(texts).__module__.startswith("ray.data") and hasattr(texts, "map_batches")


def _default_options(model: Any) -> dict[str, Any]:
    on_gpu = isinstance(model, nn.Module) and any(p.is_cuda for p in model.parameters())
    return {"num_gpus": 1} if on_gpu else {"num_cpus": 1}


@contextmanager
def _running(ray: Any, workers: int) -> Iterator[None]:
    """Have Ray run inside of the block."""
    if ray.is_initialized():
        yield
        return
    if "RAY_ADDRESS" in os.environ:
        ray.init()
    else:
        # As many at once as were asked for, also where there are fewer processors.
        ray.init("local", num_cpus=max(workers, os.cpu_count() or 1), include_dashboard=False)
    try:
        yield
    finally:
        ray.shutdown()

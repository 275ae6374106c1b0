"""Workers on Ray that read inputs, for `survey` and `effects`, and the model packed around shared memory for them.

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
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import torch
from torch import nn

from attnwidget.compute.checks import integer
from attnwidget.surveys.batches import batches_of
from attnwidget.surveys.inputs import inputs_after

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from typing_extensions import Self

    from attnwidget.surveys.checkpoint import Checkpoint
    from attnwidget.surveys.reader import PartialSurvey


__all__ = [
    "DatasetRows",
    "PackedModel",
    "PartOfInputs",
    "ReadsInputs",
    "is_dataset",
    "pack",
    "refuse",
    "spread",
    "unpack",
]


class PartOfInputs(Protocol):
    """What was found in some inputs, such as a `PartialSurvey`; its fields of a file are there where one is written."""

    @property
    def read(self) -> int:
        """How many inputs it is of."""

    @property
    def error(self) -> Exception | None:
        """An error that is raised where the call was made, if there is one."""

    def fits(self, other: Self) -> bool:
        """Whether the inputs after it have the same heads."""

    def then(self, other: Self) -> Self:
        """Return this and the inputs after it."""


Part = TypeVar("Part", bound=PartOfInputs)
Found_co = TypeVar("Found_co", bound=PartOfInputs, covariant=True)


class ReadsInputs(Protocol[Found_co]):
    """How each input is read, such as a `Reader`; it can be pickled, but for its model."""

    @property
    def model(self) -> Any:
        """The model, or a function that makes it."""

    @property
    def makes_model(self) -> bool:
        """Whether it is a function."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it reads of rows; none where rows of one column are that, others the model's inputs."""

    def with_model(self) -> Self:
        """Return this with the model there."""

    def nothing(self) -> Found_co:
        """Return what was found in no input."""

    def read(self, one: Any, /) -> Found_co:
        """Read one input; whatever error this meets, it is a part of what is returned."""

    def skip(self, error: Exception, /) -> Found_co:
        """Return what was found in an input that cannot be read."""


@dataclass(frozen=True, slots=True)
class PackedModel:
    """A model packed.

    Attributes:
        code: Everything but the numbers of its parameters, pickled.
        buffers: Those, byte by byte.
    """

    code: bytes
    buffers: Sequence[NDArray[np.uint8]]


def pack(reader: ReadsInputs[Any], pickler: type[pickle.Pickler]) -> PackedModel:
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
        f"a {type(model).__name__} cannot be sent to workers ({reason}): pass a function that loads it in its place, such as "
        "lambda: AutoModel.from_pretrained(folder)."
    )
    raise TypeError(message)


def unpack(packed: PackedModel) -> Any:
    """Unpack what `pack` packed; parameters lie in its memory, and may be read only."""
    with warnings.catch_warnings():
        # A survey only reads the parameters.
        warnings.filterwarnings("ignore", message=".*buffer is not writable")
        return pickle.loads(packed.code, buffers=packed.buffers)  # noqa: S301  (its own)


def _parameter(
    numbers: Any,
    dtype: torch.dtype,
    shape: tuple[int, ...],
    requires_grad: bool,  # noqa: FBT001
) -> nn.Parameter:
    tensor = torch.frombuffer(numbers, dtype=dtype).reshape(shape)
    return nn.Parameter(tensor, requires_grad=requires_grad)


def _packed(reader: ReadsInputs[Any], pickler: type[pickle.Pickler]) -> PackedModel:
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

_MISSING = 'several workers run on Ray, which is not installed: pip install "attnwidget[ray]".'

# A part's result has the same size for one input as for many; a process that dies loses one part at most.
_MOST = 32

_PARTS_EACH = 8

# A row with one of these columns holds a model's inputs by name.
_INPUTS = {"input_ids", "inputs_embeds", "pixel_values", "input_values", "input_features"}


def refuse(texts: Any, worker_options: Any, call: str) -> None:
    """Refuse what needs workers, where there are none.

    Args:
        texts: The inputs.
        worker_options: What each worker would be given.
        call: The call that was made, but for its end.

    Raises:
        TypeError: If it does.
    """
    if is_dataset(texts) or worker_options is not None:
        what = "texts that are a Ray Dataset need" if is_dataset(texts) else "worker_options are for"  # fmt: skip
        message = f"{what} workers: say how many, such as {call}, workers=4)."
        raise TypeError(message)


def spread(
    reader: ReadsInputs[Part],
    texts: Iterable[Any],
    workers: int,
    worker_options: Mapping[str, Any] | None,
    *,
    begun: PartialSurvey | None = None,
    file: Checkpoint | None = None,
) -> Generator[Part, None, None]:
    """Read inputs in several processes.

    Args:
        reader: How to read them.
        texts: The inputs.
        workers: Number of processes.
        worker_options: What Ray is to give each of them.
        begun: What the file has.
        file: The file of a survey, if there is one.

    Yields:
        What each part of the inputs has, in their order.

    Raises:
        ImportError: If Ray is not installed.
        TypeError: If the model cannot be sent.
        Exception: What iterating ``texts`` raises, once the inputs before are read.
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
    most = _MOST if file is None else min(_MOST, file.every)
    given = None if is_dataset(texts) else _Inputs.of(inputs_after(begun, texts, file))
    if given is None or given.pickled:
        with _running(ray, count):
            # Held until the end: the worker that replaces one that died unpacks it again.
            held = ray.put(packed)
            rows = _rest(texts, begun, file, most, reader.columns) if given is None else given.rows(data, count, most)  # fmt: skip
            if rows is not None:
                found = rows.map_batches(
                    _Worker,
                    fn_constructor_args=([held], file is not None and reader.makes_model),
                    batch_size=None,
                    batch_format="pyarrow",
                    compute=data.ActorPoolStrategy(size=count),
                    **(
                        _default_options(reader.model) if worker_options is None else worker_options
                    ),
                )
                found.context.execution_options.preserve_order = True
                found.context.enable_progress_bars = False  # there is one, of inputs
                yield from _received(
                    found, None if given is None or file is None else given.digests
                )
    if given is not None and given.error is not None:
        raise given.error


def _received(found: Any, digests: Sequence[str] | None) -> Generator[Any, None, None]:
    """Yield the parts that workers send."""
    read = 0
    for batch in found.iter_batches(batch_size=None, batch_format="pyarrow"):
        for one in batch.column(_PART).to_pylist():
            parts = pickle.loads(one)  # noqa: S301  (its own)
            if isinstance(parts, Exception):
                raise parts
            for part in parts:
                read += part.read
                yield part if digests is None else replace(part, inputs=digests[read - 1])


@dataclass(frozen=True, slots=True)
class _Inputs:
    """Inputs that are sent to the workers.

    Attributes:
        pickled: Each of them, pickled: a table would return arrays and pairs as other types.
        digests: The digest of all up to each of them.
        error: What ended them, if that was an error.
    """

    pickled: list[bytes]
    digests: list[str]
    error: Exception | None

    @classmethod
    def of(cls, inputs: Iterator[tuple[Any, str]]) -> _Inputs:
        """Read all inputs."""
        pickled, digests = [], []
        try:
            for one, read in inputs:
                pickled.append(_pickled(one))
                digests.append(read)
        except Exception as error:  # noqa: BLE001  raised once those before it are read
            return cls(pickled, digests, error)
        return cls(pickled, digests, None)

    def rows(self, data: Any, workers: int, most: int) -> Any:
        """Return a dataset whose blocks are parts."""
        count = len(self.pickled)
        size = min(most, max(1, -(-count // (workers * _PARTS_EACH))))
        every = [{_PART: one} for one in self.pickled]
        return data.from_items(every, override_num_blocks=-(-count // size))


@dataclass(frozen=True, slots=True)
class _Unsent:
    """Stands for an input that cannot be pickled.

    Attributes:
        reason: Why.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class _Unread:
    """Stands for an input that cannot be read here.

    Attributes:
        error: Why.
    """

    error: Exception


def _pickled(one: Any) -> bytes:
    try:
        return pickle.dumps(one)
    except Exception as error:  # noqa: BLE001  picklers raise what they like
        return pickle.dumps(
            _Unsent(f"it cannot be sent to workers ({type(error).__name__}: {error})")
        )


class _Worker:
    """One of the processes: has a model, reads parts.

    Args:
        held: Where the model is.
        named: Whether parts say of which model they are.
    """

    def __init__(self, held: list[Any], named: bool) -> None:  # noqa: FBT001  Ray passes it by place
        ray = importlib.import_module("ray")
        reader = unpack(ray.get(held[0])).with_model()
        self._made_by = reader.made_by() if named else None
        if ray.get_gpu_ids() and torch.cuda.is_available() and isinstance(reader.model, nn.Module):
            reader.model.to("cuda")
        self._reader = reader
        self._together = batches_of(reader)

    def __call__(self, batch: Any) -> Any:
        """Read one part."""
        pyarrow = importlib.import_module("pyarrow")
        made = pickle.dumps(self._parts(batch))
        return pyarrow.table({_PART: pyarrow.array([made], pyarrow.binary())})

    def _parts(self, batch: Any) -> list[Any] | Exception:
        """Read a part; where the heads change within it, another begins, so that the survey can leave it out."""
        found = [self._reader.nothing()]
        if self._made_by is not None:
            found = [replace(found[0], made_by=self._made_by)]
        try:
            for one in self._each(batch.to_pylist()):
                if found[-1].fits(one):
                    found[-1] = found[-1].then(one)
                else:
                    found.append(one)
        except Exception as error:  # noqa: BLE001  it is raised where the survey was asked for
            return _sendable(error)
        return [
            one if one.error is None else replace(one, error=_sendable(one.error)) for one in found
        ]

    def _each(self, rows: Sequence[dict[str, Any]]) -> Iterator[Any]:
        """Yield what each row has; those that can be read are read together where the reader does that."""
        if self._together is None:
            yield from map(self._read, rows)
            return
        found = [self._row(row) for row in rows]
        read = self._together.read((one, "") for one in found if not isinstance(one, _Unread))
        for one in found:
            yield self._reader.skip(one.error) if isinstance(one, _Unread) else next(read)

    def _row(self, row: dict[str, Any]) -> Any:
        """Return the input of a row, or why there is none."""
        try:
            named = self._reader.columns and row.keys() != {_PART}
            one = row if named else _input(row)
        except Exception as error:  # noqa: BLE001  what a pickled input does here is its own affair
            return _Unread(error)
        return _Unread(TypeError(one.reason)) if isinstance(one, _Unsent) else one

    def _read(self, row: dict[str, Any]) -> Any:
        one = self._row(row)
        return self._reader.skip(one.error) if isinstance(one, _Unread) else self._reader.read(one)


def _sendable(error: Exception) -> Exception:
    """Return an error, or one that says the same and can be pickled."""
    try:
        found: Exception = pickle.loads(pickle.dumps(error))  # noqa: S301  (its own)
    except Exception:  # noqa: BLE001  whatever it holds
        return RuntimeError(f"{type(error).__name__}: {error}")
    return found


class DatasetRows:
    """The rows of a Ray Dataset as inputs of this process, streamed in their order, a batch of them at a time.

    Args:
        texts: The dataset.
        columns: The columns that are read; none where rows of one column are the input.

    Raises:
        ValueError: If its rows have columns that nobody can choose from.
    """

    def __init__(self, texts: Any, columns: tuple[str, ...]) -> None:
        _check_columns(texts, columns)
        self._texts, self._whole = texts, bool(columns)

    def __iter__(self) -> Iterator[Any]:
        context = self._texts.context
        options, bars = context.execution_options, context.enable_progress_bars
        before, options.preserve_order = options.preserve_order, True
        context.enable_progress_bars = False
        try:
            for row in self._texts.iter_rows():
                yield row if self._whole else _input(row)
        finally:
            options.preserve_order, context.enable_progress_bars = before, bars


def _rest(
    texts: Any, begun: PartialSurvey | None, file: Checkpoint | None, most: int, columns: tuple[str, ...]
) -> Any:  # fmt: skip
    """Return a dataset whose blocks are parts of the rows that were not read, if there are any."""
    _check_columns(texts, columns)
    read = 0 if begun is None else begun.survey.read
    if file is not None and read:
        options = texts.context.execution_options
        before, options.preserve_order = options.preserve_order, True
        try:
            done, texts = texts.split_at_indices([read])
        finally:
            options.preserve_order = before
        if done.count() < read:
            file.refuse_fewer(read, done.count())
        if not texts.count():
            return None
    return texts.repartition(target_num_rows_per_block=most)


def _input(row: dict[str, Any]) -> Any:
    if row.keys() == {_PART}:
        return pickle.loads(row[_PART])  # noqa: S301  (its own)
    return next(iter(row.values())) if len(row) == 1 else row


def _check_columns(texts: Any, wanted: tuple[str, ...]) -> None:
    names = texts.columns() or []
    missing = [name for name in wanted if names and name not in names]
    if missing:
        message = f"the rows of texts have the columns {names}, and no {missing[0]!r}."
        raise ValueError(message)
    if not wanted and len(names) > 1 and not _INPUTS & set(names):
        message = (
            f"the rows of texts have the columns {names}: say which of them is the input, such as "
            f"texts.select_columns([{names[0]!r}])."
        )
        raise ValueError(message)


def is_dataset(texts: Any) -> bool:
    """Tell whether inputs are a Ray Dataset."""
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

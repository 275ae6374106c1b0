"""Write and read one object as a safetensors file: tensors as they are, the rest as JSON in its header, no pickle."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from decimal import Decimal, DecimalException
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fastjsonschema

from attnwidget.files import tensor_files
from attnwidget.files.replacing import replacing
from attnwidget.files.tensor_file import TensorFile, TensorFileError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping

    from torch import Tensor

__all__ = ["SavedKind"]

# What a constructor raises when it is given parts that do not fit together.
_MISFITS = (
    ArithmeticError, AttributeError, LookupError, RecursionError, RuntimeError, TypeError, ValueError,
)  # fmt: skip


@dataclass(frozen=True)
class SavedKind:
    """One kind of object that is kept in a file of its own.

    Attributes:
        name: The text of the file's header that describes such an object.
        version: Format that is written; it and older ones are read.
        digests_since: The first format whose files must have digests.
        schema: JSON Schema of that description.
        otherwise: What to say of a file that holds no such object.
    """

    name: str
    version: int
    digests_since: int
    schema: Mapping[str, Any]
    otherwise: str

    def write(
        self, path: str | os.PathLike[str], header: Mapping[str, Any], tensors: Mapping[str, Tensor]
    ) -> None:
        """Write an object in one step; see `replacing` for the errors."""
        # Twice JSON: a lone surrogate from a tokenizer is no UTF-8, which the file's header must be.
        text = json.dumps({"version": self.version, **header}, allow_nan=False)
        with replacing(path) as file:
            tensor_files.write(file, tensors, {self.name: text}, digests=True)

    @contextlib.contextmanager
    def reading(
        self, path: str | os.PathLike[str], *, copy: bool = False, verify: bool = False
    ) -> Iterator[tuple[dict[str, Any], TensorFile]]:
        """Open a file; what the block finds wrong with its contents is said of the file.

        Args:
            path: File to read.
            copy: Whether its bytes are read into memory.
            verify: Whether all tensors are compared with their digests at once.

        Yields:
            The description, which follows the schema, and the tensors.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is another file, a damaged one, or of a newer version.
        """
        try:
            file = TensorFile.open(path, copy=copy)
            header = self._header(path, file)
            if verify:
                file.verify()
        except TensorFileError as error:
            message = f"{path} cannot be read: {error}."
            raise ValueError(message) from None
        try:
            yield header, file
        except _MISFITS as error:
            message = f"{path} is damaged: {type(error).__name__}: {error}."
            raise ValueError(message) from error

    def _header(self, path: str | os.PathLike[str], file: TensorFile) -> dict[str, Any]:
        text = file.texts.get(self.name)
        if text is None:
            message = f"{Path(path)} {self.otherwise}"
            raise ValueError(message)
        try:
            header: Any = json.loads(text, parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            message = f"{path} is damaged: its header is no JSON ({error})."
            raise ValueError(message) from error
        version = header.get("version") if isinstance(header, dict) else None
        if type(version) is int and version > self.version:
            message = f"{path} has format {version}, this attnwidget reads up to {self.version}: pip install --upgrade attnwidget."
            raise ValueError(message)
        try:
            # To JSON Schema 4.0 is an integer, to Python it is no index; a Decimal is a number to both, and no integer.
            self._check(json.loads(text, parse_float=Decimal))
        except DecimalException:
            message = f"{path} is damaged: in its header, a number is out of every range."
            raise ValueError(message) from None
        except (fastjsonschema.JsonSchemaException, RecursionError) as error:
            reason = str(error).removeprefix("data").removeprefix(".").strip()
            message = f"{path} is damaged: in its header, {reason}."
            raise ValueError(message) from None
        if header["version"] >= self.digests_since and not file.digests:
            message = f"{path} is damaged: its header has lost the digests that format {header['version']} has."
            raise ValueError(message)
        checked: dict[str, Any] = header
        return checked

    @cached_property
    def _check(self) -> Callable[[object], object]:
        check: Callable[[object], object] = fastjsonschema.compile(
            dict(self.schema), use_default=False
        )
        return check


def _refuse(constant: str) -> float:
    message = f"{constant} is no number"
    raise ValueError(message)

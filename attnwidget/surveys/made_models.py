"""`HasModel`: a model that is there, or a function that makes one, for each process that reads inputs."""

from __future__ import annotations

import functools
from dataclasses import replace
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["HasModel"]


class HasModel:
    """What reads inputs: a dataclass with a model.

    Attributes:
        model: The model, or a function that makes it, or it and its tokenizer.
        tokenizer: Its tokenizer, or ``None``.
    """

    __slots__ = ()

    model: Any
    tokenizer: Any

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read of inputs that are rows; none are."""
        return ()

    @property
    def makes_model(self) -> bool:
        """Whether the model is a function that makes it."""
        return isinstance(self.model, (FunctionType, MethodType, functools.partial))

    def with_model(self) -> Self:
        """Return this with the model there, by calling the function that makes it if it is one."""
        if not self.makes_model:
            return self
        model, tokenizer = self.model(), self.tokenizer
        if isinstance(model, tuple) and len(model) == 2:
            model, own = model
            tokenizer = tokenizer or own
        dataclass: Any = self
        made: Self = replace(dataclass, model=model, tokenizer=tokenizer)
        return made

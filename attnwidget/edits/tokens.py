"""`TokenEdit`: a token of the input in whose place another stands, or the mask token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attnwidget.compute.checks import integer, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["TokenEdit"]


@dataclass(frozen=True, slots=True)
class TokenEdit:
    """A token of the input that is another one before the model runs.

    Attributes:
        position: Its number among the input's tokens, padding left out, negative from the end; or its text.
        token: The text of the token that takes its place; ``None`` for the mask token.
    """

    position: int | str
    token: str | None = None

    @classmethod
    def of(cls, position: Any, token: Any = None, *, masked: bool = False) -> TokenEdit:
        """Check what a caller gave, and make a value of it; `replace` and `mask` describe the arguments.

        Raises:
            ValueError: If one of them is not what it must be.
        """
        number = integer(position)
        at = position if isinstance(position, str) and position else number
        if at is None:
            calls = (
                ("mask(3)", "mask('cat')")
                if masked
                else ("replace(3, 'dog')", "replace('cat', 'dog')")
            )
            message = (
                f"position must be the number of a token, such as {calls[0]}, or its text, such as {calls[1]}, got "
                f"{shown(position)}."
            )
            raise ValueError(message)
        if masked:
            return cls(at)
        if not isinstance(token, str) or not token:
            message = f"token must be the text of one token, such as replace({at!r}, 'dog'), got {shown(token)}."
            raise ValueError(message)
        return cls(at, token)

    def __repr__(self) -> str:
        """Write the call that makes it."""
        if self.token is None:
            return f"mask({self.position!r})"
        return f"replace({self.position!r}, {self.token!r})"

    def to_data(self) -> dict[str, Any]:
        """Return it as what JSON can hold."""
        if self.token is None:
            return {"mask": self.position}
        return {"replace": self.position, "with": self.token}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> TokenEdit:
        """Return what `to_data` made of one.

        Raises:
            ValueError: If it is not such.
        """
        if set(data) == {"mask"}:
            return cls.of(data["mask"], masked=True)
        if set(data) != {"replace", "with"}:
            message = f"an edit has the entries ['replace', 'with'] or ['mask'], got {sorted(map(str, data))}."
            raise ValueError(message)
        return cls.of(data["replace"], data["with"])

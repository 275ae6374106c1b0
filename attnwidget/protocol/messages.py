"""What the page sends, compared with the schema before anything looks at it."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any, Literal, cast

import fastjsonschema

from attnwidget.protocol.constants import schema
from attnwidget.protocol.text import in_one_line

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "MessageError", "check_command", "check_message", "check_part", "check_request", "check_screen", "check_state", "check_update",
]  # fmt: skip


# Parts of the selection that are numbers with a point.
_SHARES = ("threshold", "mass")


class MessageError(ValueError):
    """A message that does not follow the schema; its text says where and why."""


def check_command(content: object) -> dict[str, Any]:
    """Return a command (see ``Command`` in the schema), else raise `MessageError`."""
    return _checked("a command", _check_of("Command"), content)


def check_message(name: str, message: object) -> dict[str, Any]:
    """Return what a command of this name brings (see ``Messages`` in the schema), else raise `MessageError`."""
    check = _check_of(f"Messages/properties/{name}")
    if name == "still_drawn":
        # Whose sizes are any: one that cannot be is not taken.
        return _checked(name, check, message, numbers=None)
    return _checked(
        name, check, message, numbers="integers" if name == "open_example" else "finite numbers"
    )


def check_request(request: object) -> dict[str, Any]:
    """Return a request (see ``Request`` in the schema), else raise `MessageError`."""
    what = request.get("what") if isinstance(request, dict) else None
    check = _check_of_request(what if isinstance(what, str) and what in _kinds() else "")
    return _checked("a request", check, request, numbers="integers")


def check_screen(screen: object) -> dict[str, Any]:
    """Return what the reader's window is like (see ``Screen`` in the schema), else raise `MessageError`."""
    return _checked("the screen", _check_of("Screen"), screen)


def check_update(data: object) -> dict[str, Any]:
    """Return what a message to the widget holds (see ``Update`` in the schema), else raise `MessageError`."""
    if isinstance(data, dict) and data.get("method") == "custom":
        # What it brings, the commands check.
        return data
    return _checked("a message", _check_of("Update"), data)


def check_state(name: str, value: object) -> None:
    """Raise `MessageError` unless the page may set this part of the selection to a value (see ``State``)."""
    check = _check_of(f"State/properties/{name}")
    numbers: Literal["integers", "finite numbers"] = (
        "finite numbers" if name in _SHARES else "integers"
    )
    _checked(name, check, value, numbers=numbers)


def check_part(kind: str, name: str, value: object) -> None:
    """Raise `MessageError` unless a value is of a kind that the schema describes.

    Args:
        kind: Name of the description in the schema.
        name: What it is, for the error.
        value: What came.
    """
    _checked(name, _check_of(kind), value)


def _compiled(described: dict[str, Any]) -> Callable[[object], object]:
    """Return what raises fastjsonschema's error for a value that is not as described.

    With errors that say what was expected, a check takes twenty times as long to compile, as each repeats its part of the
    schema; the first picture waits for two of them. So one without them looks first.
    """
    whole = {**described, "$defs": schema()["$defs"]}
    plain = {**_listed(described), "$defs": _listed_definitions()}
    fast = fastjsonschema.compile(plain, use_default=False, detailed_exceptions=False)
    compiled = functools.partial(fastjsonschema.compile, whole, use_default=False)
    detailed = functools.lru_cache(maxsize=1)(compiled)

    def check(value: object) -> object:
        try:
            return fast(value)
        except fastjsonschema.JsonSchemaValueException:
            return detailed()(value)

    return check


def _listed(described: Any) -> Any:
    """Return a description with each constant as a list of one: fastjsonschema 2.22 compiles no others without details."""
    if isinstance(described, dict):
        return {
            "enum" if key == "const" else key: [part] if key == "const" else _listed(part)
            for key, part in described.items()
        }
    return [_listed(part) for part in described] if isinstance(described, list) else described


@functools.lru_cache(maxsize=1)
def _listed_definitions() -> dict[str, Any]:
    definitions: dict[str, Any] = _listed(schema()["$defs"])
    return definitions


@functools.lru_cache(maxsize=64)
def _check_of(place: str) -> Callable[[object], object]:
    return _compiled({"$ref": f"#/$defs/{place}"})


@functools.lru_cache(maxsize=1)
def _kinds() -> frozenset[str]:
    kinds = ("BlockRequest", "HeadsRequest")
    whats = [schema()["$defs"][name]["properties"]["what"]["enum"] for name in kinds]
    return frozenset(what for each in whats for what in each)


@functools.lru_cache(maxsize=64)
def _check_of_request(what: str) -> Callable[[object], object]:
    """Return the check of a kind of request, or of a block of any kind where there is none of this name.

    The schema's conditions are resolved here: to try each of them takes ten times as long.
    """
    kinds = {name: schema()["$defs"][name] for name in ("BlockRequest", "HeadsRequest")}
    known = [each for each in kinds.values() if what in each["properties"]["what"]["enum"]]
    chosen = dict(known[0] if known else kinds["BlockRequest"])
    required = list(chosen["required"])
    for condition in chosen.pop("allOf"):
        if what in condition["if"]["properties"]["what"]["enum"]:
            required += condition["then"]["required"]
    return _compiled({**chosen, "required": required})


def _checked(
    name: str,
    check: Callable[[object], object],
    value: object,
    *,
    numbers: Literal["integers", "finite numbers"] | None = "finite numbers",
) -> dict[str, Any]:
    """Return a value that passes a check.

    Args:
        name: What it is, for the error.
        check: Raises fastjsonschema's error for any other.
        value: What came.
        numbers: What all its numbers are, None for any. To JSON Schema 1.0 is an integer, to Python it is no index; and
            what is no number at all passes every limit.
    """
    try:
        check(value)
    except fastjsonschema.JsonSchemaValueException as error:
        raise MessageError(_reason(name, error)) from None
    except Exception:  # noqa: BLE001 - a value that is no JSON, of which a check may ask what it cannot answer
        message = f"{name} must be JSON, got {in_one_line(value)}."
        raise MessageError(message) from None
    wrong = None if numbers is None else _inexact(value, whole=numbers == "integers")
    if wrong is not None:
        message = f"{name} must have {numbers} where it has numbers, got {in_one_line(wrong)}."
        raise MessageError(message)
    # A value of the state may be anything else, which nobody reads here.
    checked: Any = value
    return cast("dict[str, Any]", checked)


def _inexact(value: object, *, whole: bool) -> float | None:
    """Return a float that is no number, or any where all numbers are integers; None where there is none."""
    if isinstance(value, float):
        return value if whole or not math.isfinite(value) else None
    if not isinstance(value, (dict, list)):
        return None
    for one in value.values() if isinstance(value, dict) else value:
        if isinstance(one, (float, dict, list)):
            found = _inexact(one, whole=whole)
            if found is not None:
                return found
    return None


def _reason(name: str, error: fastjsonschema.JsonSchemaValueException) -> str:
    """Return a sentence of what is wrong: where, what is accepted, and what was given."""
    where = ".".join(map(str, error.path[1:])) or name
    if where[0].isdigit():
        where = f"{name}.{where}"
    got = f"got {in_one_line(error.value)}."
    if error.rule == "enum":
        return f"{where} must be one of {', '.join(map(str, error.rule_definition))}, {got}"
    if error.rule == "required":
        given = error.value if isinstance(error.value, dict) else {}
        lacking = [each for each in error.rule_definition if each not in given]
        return f"{where} must have {', '.join(lacking)}, {got}"
    if error.rule in {"anyOf", "oneOf"}:
        return f"{where} has none of the forms that the schema lists, {got}"
    # The rest begins with the name of what was checked.
    return f"{where} {error.message.partition(' ')[2]}, {got}"

"""`save_by_ending`: a result in the file that the path's ending names: its own kind of file, a figure or a page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnwidget.compute.checks import check_path, shown
from attnwidget.record import viewers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["FIGURES", "OWN", "PAGE", "ending", "save_by_ending"]

OWN = ".safetensors"
FIGURES = (".svg", ".pdf", ".png")
PAGE = ".html"
# What pandas calls writing a table into a file of this ending.
_TABLES = {
    ".csv": "to_csv",
    ".feather": "to_feather",
    ".json": "to_json",
    ".md": "to_markdown",
    ".parquet": "to_parquet",
    ".tsv": "to_csv",
    ".xlsx": "to_excel",
}


def ending(path: str | os.PathLike[str]) -> str:
    """Return what a path ends in, in lower case; of a name that is an ending alone, such as ``.svg``, all of it."""
    target = Path(path)
    return (target.suffix or (target.name if target.name.startswith(".") else "")).lower()


def save_by_ending(
    result: object,
    path: str | os.PathLike[str],
    options: Mapping[str, Any],
    *,
    name: str,
    table: str,
    write: Callable[[], None] | None,
    records: str | None = None,
) -> Path:
    """Write a result as the ending of the path says.

    Args:
        result: A record, a comparison or a survey.
        path: Where to.
        options: What of it is drawn and how, for figures and pages.
        name: What the result is called in messages.
        table: The call that makes a table of it, in messages.
        write: Writes its own kind of file; None where there is none.
        records: The call that saves its records instead, in messages; of two if left out.

    Returns:
        The path.

    Raises:
        TypeError: If options are given for its own kind of file, or an option does not exist.
        ValueError: If the ending is none of those accepted.
    """
    target = Path(check_path(path, f"{name}.svg"))
    suffix = ending(target)
    if suffix in FIGURES:
        chosen = dict(options)
        resolution = {one: chosen.pop(one) for one in ("scale", "dpi") if one in chosen}
        kind = chosen.pop("kind", None)
        _refuse("budget", chosen, suffix)
        return Path(viewers.make(result, "figure", kind, **chosen).save(target, **resolution))
    if suffix == PAGE:
        chosen = dict(options)
        size = {one: chosen.pop(one) for one in ("budget",) if one in chosen}
        for one in ("scale", "dpi", "kind"):
            _refuse(one, chosen, suffix)
        # Frozen, so that it never connects to a browser: it is there for its page alone.
        return Path(viewers.make(result, "widget", frozen=True, **chosen).save(target, **size))
    if suffix not in {OWN, ""} or write is None:
        raise ValueError(
            _accepted(path, suffix, name, table, own=write is not None, records=records)
        )
    if options:
        given = next(iter(options))
        message = (
            f"{given} is for figures and pages, got it for {os.fspath(path)!r}, which holds all of the"
            f" {name}: call {name}.save({os.fspath(path)!r}), or {name}.save({target.stem + '.svg'!r}, {given}=…)."
        )
        raise TypeError(message)
    write()
    return target


def _refuse(option: str, options: Mapping[str, Any], suffix: str) -> None:
    if option in options:
        message = f"{option} means nothing for a {suffix} file, got {option}={shown(options[option])}: leave it out."
        raise TypeError(message)


def _accepted(
    path: str | os.PathLike[str],
    suffix: str,
    name: str,
    table: str,
    *,
    own: bool,
    records: str | None,
) -> str:
    """Return what a path may end in, and what writes a file of another ending."""
    given = os.fspath(path)
    kinds = [f"{', '.join(FIGURES)} (a figure)", f"{PAGE} (a page)"]
    if own:
        kinds.insert(0, f"{OWN} (the {name} itself)")
    message = f"path must end in {', '.join(kinds[:-1])} or {kinds[-1]}, got {given!r}"
    if suffix in _TABLES:
        return f"{message}; a table: {table}.{_TABLES[suffix]}({given!r})."
    if suffix in {".npy", ".npz"} and name == "attention":
        return f"{message}; an array: numpy.save({given!r}, attention.numpy())."
    if suffix == ".nc" and name == "attention":
        return f"{message}; an array: attention.to_xarray().to_netcdf({given!r})."
    if not own and suffix in {OWN, ""}:
        both = f"{name}.a.save('a{OWN}') and {name}.b.save('b{OWN}')"
        return f"{message}; its records: {records or both}."
    return f"{message}."

"""A survey's file while it runs: written every so often, and where the same call goes on."""

from __future__ import annotations

import os
import time
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnwidget.compute.checks import integer
from attnwidget.surveys import storage
from attnwidget.surveys.reader import PartialSurvey
from attnwidget.surveys.survey import Survey

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["EVERY", "Checkpoint"]

# Inputs after which a survey is written when nothing else is asked for.
EVERY = 100
# Seconds after which it is written in any case: some models take a minute for an input.
_SECONDS = 60.0


@dataclass(slots=True)
class Checkpoint:
    """The file of a survey that runs.

    Attributes:
        path: Where it is.
        every: After how many inputs it is written.
        settings: What the survey was asked for, in words by name.
    """

    path: Path
    every: int
    settings: Mapping[str, str]
    # Inputs that were read, and the time, when it was last written, or that was tried.
    _tried: int = field(default=0, init=False)
    _at: float = field(default_factory=time.monotonic, init=False)
    _failed: bool = field(default=False, init=False)

    @classmethod
    def of(cls, save: Any, every: Any, settings: Mapping[str, str]) -> Checkpoint | None:
        """Return the file that a caller asked for, if one did.

        Raises:
            TypeError: If ``save`` is no path, or ``every`` is given without it.
            ValueError: If ``every`` is no positive integer.
            FileNotFoundError: If the folder does not exist.
            OSError: If the folder cannot be written to.
        """
        count = EVERY if every is None else integer(every)
        if count is None or count < 1:
            message = f"every must be an integer, 1 or more: the inputs after which the file is written, got {every!r}."
            raise ValueError(message)
        if save is None:
            if every is not None:
                message = f"every={every!r} says how often a file is written: pass save='survey.safetensors' besides."
                raise TypeError(message)
            return None
        if not isinstance(save, (str, os.PathLike)):
            message = f"save must be a path, such as 'survey.safetensors', got {save!r}."
            raise TypeError(message)
        path = Path(save)
        if path.is_dir():
            raise IsADirectoryError(21, "save must be a file, and this is a folder", str(path))
        if not path.parent.is_dir():
            message = f"cannot write {path}: there is no folder {path.parent}."
            raise FileNotFoundError(message)
        if not os.access(path.parent, os.W_OK):
            raise PermissionError(13, "no file can be written into this folder", str(path.parent))
        return cls(path, count, settings)

    def resumed(self) -> PartialSurvey | None:
        """Return what the file has, if there is one.

        Raises:
            ValueError: If it is no survey, one that was not written while it ran, or one that was asked for otherwise.
        """
        if not self.path.exists():
            return None
        fields, progress = storage.read_progress(self.path)
        if progress is None:
            message = (
                f"{self.path} holds a survey that Survey.save wrote, which cannot be resumed: choose another file for "
                "save=, and add the two up with Survey.load(path) + survey."
            )
            raise ValueError(message)
        self._refuse_other("settings", progress["settings"], self.settings)
        survey = replace(Survey(**fields), interrupted=False)
        self._tried = survey.read
        wrong = frozenset((name, layer, head) for name, layer, head in progress["not_numbers"])
        return PartialSurvey(survey, None, progress["inputs"], progress["made_by"], wrong)

    def check_made_by(self, found: Mapping[str, str], now: Mapping[str, str]) -> None:
        """Refuse to go on with another model or tokenizer.

        Raises:
            ValueError: If they are others.
        """
        self._refuse_other("model", found, now)

    def check_inputs(self, found: str, now: str, read: int) -> None:
        """Refuse to go on with other inputs.

        Raises:
            ValueError: If the first ``read`` inputs are others.
        """
        # "" where the inputs are read elsewhere, in the order of a Ray Dataset.
        if found and now and found != now:
            message = (
                f"{self.path} holds a survey of other inputs: the first {read} of texts are not those that it has "
                "read. Pass the same texts in the same order, or another file."
            )
            raise ValueError(message)

    def refuse_fewer(self, read: int, there: int) -> None:
        """Refuse to go on with fewer inputs than were read.

        Raises:
            ValueError: Always.
        """
        message = (
            f"{self.path} holds a survey of other inputs: it has read {read}, and texts holds {there}. Pass the same "
            "texts, or another file."
        )
        raise ValueError(message)

    def note(self, so_far: PartialSurvey) -> None:
        """Write what was found if it is time for it.

        Warns:
            UserWarning: If the system refuses, the first time; the survey goes on.
        """
        due = so_far.survey.read - self._tried >= self.every
        if not due and time.monotonic() - self._at < _SECONDS:
            return
        self._tried, self._at = so_far.survey.read, time.monotonic()
        try:
            self.write(replace(so_far, survey=replace(so_far.survey, interrupted=True)))
        except OSError as error:
            if not self._failed:
                warnings.warn(f"the survey goes on unsaved: {error}.", stacklevel=4)
            self._failed = True

    def write(self, so_far: PartialSurvey) -> None:
        """Write what was found.

        As long as no input could be scored there is nothing to write: the call may be wrong, and what replaces it starts anew.

        Raises:
            OSError: If the system refuses, such as for a full disk; the old file is left as it was.
        """
        survey = so_far.survey
        if not survey.count:
            return
        progress = {
            "read": survey.read,
            "inputs": so_far.inputs,
            "made_by": dict(so_far.made_by),
            "settings": dict(self.settings),
            "not_numbers": sorted(so_far.not_numbers),
        }
        fields = {name: getattr(survey, name) for name in storage.FIELDS}
        storage.write(self.path, fields, progress)

    def _refuse_other(self, what: str, found: Mapping[str, str], now: Mapping[str, str]) -> None:
        for name in [*found, *(name for name in now if name not in found)]:
            if found.get(name) != now.get(name):
                message = (
                    f"{self.path} holds a survey with other {what}: {name} was {found.get(name, 'not given')}, now it is "
                    f"{now.get(name, 'not given')}. Pass the same, or another file."
                )
                raise ValueError(message)

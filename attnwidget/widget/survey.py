"""A survey in the widget: heads by their mean scores, their most typical examples, and one of these at a time in full."""

from __future__ import annotations

import itertools
import logging
from typing import TYPE_CHECKING, Any

from anywidget.experimental import command

from attnwidget.recordings import capture
from attnwidget.serve.jobs import Jobs
from attnwidget.serve.meta import media_bytes
from attnwidget.serve.survey import (
    SurveyNumbers,
    _bare,
    _is_defined,
    example_texts,
    without_a_record,
)
from attnwidget.widget.widget import AttentionWidget

if TYPE_CHECKING:
    from attnwidget.record.record import Record
    from attnwidget.serve.head_numbers import HeadNumbers
    from attnwidget.surveys.survey import Survey


__all__ = ["SurveyWidget"]

logger = logging.getLogger(__name__)

_STARTS_WITH = ("induction", "previous", "broad")


class SurveyWidget(AttentionWidget):
    """The widget over a survey.

    The model view shows mean scores over the inputs; beside it stand the inputs that are most typical of the selected
    head. Opening one of them records it and shows its attention in the head view and the neuron view.

    Example:
        >>> survey.view(model, tokenizer)  # doctest: +SKIP
    """

    def __init__(
        self,
        survey: Survey,
        model: Any = None,
        tokenizer: Any = None,
        *,
        frozen: bool = False,
        **state: Any,
    ) -> None:
        """Make a widget over a survey.

        Args:
            survey: The survey.
            model: The model, so that examples can be opened; None for a survey alone.
            tokenizer: Its tokenizer; found through the model's name when left out.
            frozen: As for `AttentionWidget`.
            **state: Traits to start with.
        """
        self._survey = survey
        self._model, self._tokenizer = model, tokenizer
        self._example: int | None = None
        first = next(iter(survey.streams.values())).moments.scores()
        defined = [name for name in _STARTS_WITH if _is_defined(first, name)]
        start = {"score": defined[0] if defined else None}
        super().__init__(without_a_record(survey), frozen=frozen, **{**start, **state})

    @property
    def survey(self) -> Survey:
        """The survey on show."""
        return self._survey

    @property
    def example(self) -> int | None:
        """Index of the input that is open; None for none."""
        return self._example

    def show_example(self, index: int) -> None:
        """Record one of the survey's inputs and show its attention.

        Args:
            index: Its index, as `Survey.examples` has it.

        Raises:
            ValueError: If the survey does not keep this text whole, the view has no model, or the text cannot be
                recorded.
        """
        text = self._survey.texts.get(index)
        if text is None:
            kept = ", ".join(map(str, itertools.islice(self._survey.texts, 8)))
            message = f"the survey keeps no text of input {index!r}; it keeps those of {kept} …"
            raise ValueError(message)
        if self._model is None:
            message = f"there is no model to record input {index} with: call survey.view(model, tokenizer)."
            raise ValueError(message)
        attention = capture(self._model, text, self._tokenizer)
        self._example = index
        self._attention = attention
        self._heads, self._jobs = SurveyNumbers(self._survey, attention), Jobs()
        meta, overview = self._described(attention)
        with self.hold_trait_notifications(), self.hold_sync():
            self.query = self.key = self.step = self.ranking = None
            self.media = media_bytes(attention)
            self.overview, self.meta = overview, meta

    @command
    def open_example(
        self, message: dict[str, Any], _buffers: list[bytes]
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Open an example for the reader who clicked it, or say why not."""
        try:
            self.show_example(message["example"])
        except Exception as error:
            logger.debug("The example was not opened.", exc_info=True)
            return {"error": str(error)}, []
        return {}, []

    def _numbers(self, attention: Record) -> HeadNumbers:
        return SurveyNumbers(self._survey, attention)

    def _described(self, attention: Record) -> tuple[dict[str, Any], bytes]:
        described, overview = (
            _bare(self._survey) if self._example is None else super()._described(attention)
        )
        about: dict[str, Any] = {
            "inputs": self._survey.count,
            "can_open": self._model is not None,
            "texts": example_texts(self._survey),
        }
        if self._example is not None:
            about["example"] = self._example
        return {**described, "survey": about}, overview

    def __repr__(self) -> str:
        return repr(self._survey).replace("Survey(", "SurveyWidget(", 1)

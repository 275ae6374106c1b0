"""`SurveyWidget`: heads by their mean scores, their most typical examples, and one of these at a time in full."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, cast

from anywidget.experimental import command

from attnwidget.attention import Attention
from attnwidget.recordings import capture
from attnwidget.serve.survey import SurveySource
from attnwidget.serve.survey_contexts import why_closed
from attnwidget.widget.carried_selection import fitting
from attnwidget.widget.commands import answered
from attnwidget.widget.widget import AttentionWidget

if TYPE_CHECKING:
    from attnwidget.surveys.survey import Survey

__all__ = ["SurveyWidget"]


class SurveyWidget(AttentionWidget):
    """The widget over a survey.

    The model view shows mean scores over the inputs; beside it stand the contexts in which the selected head does most,
    where the survey keeps them, and the inputs that are most typical of it. Opening one of them records it and shows its attention in the head view and the neuron view.

    Example:
        >>> survey.view(model, tokenizer)  # doctest: +SKIP
    """

    made_again_by = "view.survey.view(model, tokenizer)"

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
            tokenizer: Its tokenizer; found by the model's name among the files of this machine when left out.
            frozen: As for `AttentionWidget`.
            **state: Traits to start with.
        """
        self._survey = survey
        self._model, self._tokenizer = model, tokenizer
        source = SurveySource(survey, can_open=model is not None)
        super().__init__(source, frozen=frozen, **state)

    @property
    def survey(self) -> Survey:
        """The survey on show."""
        return self._survey

    @property
    def example(self) -> int | None:
        """Index of the input that is open; None for none."""
        return self._shown.example

    @property
    def attention(self) -> Attention:
        """The record of the example that is open.

        Raises:
            AttributeError: If none is.
        """
        if self.example is None:
            message = (
                "a survey keeps no record: open one of its examples, view.show_example(index)."
            )
            raise AttributeError(message)
        return Attention.of(self._shown.record)

    @property
    def _shown(self) -> SurveySource:
        return cast("SurveySource", self.source)

    def show_example(self, index: int, *, query: int | None = None, key: int | None = None) -> None:
        """Record one of the survey's inputs and show its attention.

        Args:
            index: Its index, as `Survey.examples` and `Survey.contexts` have it.
            query: The query position to select, as `Survey.contexts` has it; None for none.
            key: The key position.

        Raises:
            ValueError: If the survey does not keep this text whole, the view has no model, or the text cannot be
                recorded.
        """
        text = self._survey.texts.get(index)
        if text is None:
            kept = ", ".join(map(str, itertools.islice(self._survey.texts, 8)))
            message = f"the survey keeps no text of input {index!r}; it keeps those of {kept} …"
            raise ValueError(message)
        if (closed := why_closed(text)) is not None:
            message = f"input {index} cannot be opened: {closed}."
            raise ValueError(message)
        if self._model is None:
            message = f"there is no model to record input {index} with: call survey.view(model, tokenizer)."
            raise ValueError(message)
        attention = capture(self._model, text, self._tokenizer)
        # What is of the positions of one example is of no other's.
        state = {**self._state(), "query": query, "key": key, "step": None, "ranking": None}
        if isinstance(self.aside, list):
            state["aside"] = None
        source = SurveySource(self._survey, (index, attention), can_open=True)
        selection = fitting(source, state)
        self._put(source, selection, call=self._call, chooses=self._chooses, chosen=self.chosen)

    @command
    @answered
    def open_example(
        self, message: dict[str, Any], _buffers: list[bytes]
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Open an example for the reader who clicked it, or say why not."""
        self.show_example(message["example"], query=message.get("query"), key=message.get("key"))
        return {}, []

    def __repr__(self) -> str:
        return repr(self._survey).replace("Survey(", "SurveyWidget(", 1)

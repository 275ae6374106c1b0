"""`Survey`: head scores over many inputs; tables, examples, save and load."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from attnwidget.analysis.score_definitions import chosen
from attnwidget.analysis.score_tables import label_rows
from attnwidget.analysis.tables import table
from attnwidget.protocol.text import well_formed
from attnwidget.record import viewers
from attnwidget.record.options import DrawnSelection, FileOptions, SelectionOptions
from attnwidget.record.pages import Pages
from attnwidget.record.saving import save_by_ending
from attnwidget.record.vocabulary import (
    either,
    lists_options,
    one_head,
    one_layer,
)
from attnwidget.surveys import storage
from attnwidget.surveys.comparing import SurveyComparison, compare_surveys
from attnwidget.surveys.contexts.queries import ReadsContexts, let_go, used_inputs
from attnwidget.surveys.gold_links.of_survey import HasLinks
from attnwidget.surveys.group_shares import HasGroupShares
from attnwidget.surveys.merged_streams import merged_streams
from attnwidget.surveys.statistics import Moments, Surveyed, Typical
from attnwidget.surveys.tables import example_rows, score_rows

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from typing_extensions import Unpack

    from attnwidget.analysis.head_scores import StreamScores
    from attnwidget.compute.indexing import Heads
    from attnwidget.edits.head_outputs import HeadOutputs
    from attnwidget.record.vocabulary import Layers
    from attnwidget.surveys.contexts.gathered import StreamContexts
    from attnwidget.surveys.gold_links.counts import LinkCounts
    from attnwidget.surveys.group_means import GroupMeans
    from attnwidget.surveys.head_means import HeadMeans

__all__ = ["Survey"]

# Characters that are kept of a text; its index identifies it.
TEXT_LENGTH = 2000


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Survey(ReadsContexts, HasLinks, HasGroupShares, Pages):
    """Head scores over many inputs: mean and spread, and each head's most typical inputs.

    Where they were asked for, `contexts`, `deciles` and `token_counts` say where each head does something.

    Surveys of parts add up: ``first + second`` is the survey of both one after the other, equal to a survey of all but
    for rounding. Every input counts the same, however long.

    Attributes:
        model_name: Class of the model.
        streams: What was found, by the stream's name; read-only.
        count: Number of inputs that were scored.
        skipped: The inputs that could not be, ``(index, reason)``, an error's type and message; they have an index, but
            no scores.
        examples_kept: How many typical inputs are kept for each head and score.
        texts: The texts of these, by index, at most 2,000 characters of each.
        interrupted: Whether it ended before the last input, or was written while it ran.

    Example:
        >>> import attnwidget as aw
        >>> survey = aw.survey(model, ["the cat sat .", "the dog sat ."], tokenizer, progress=False)
        >>> survey
        Survey(GPT2LMHeadModel, decoder: 16 heads, 2 inputs)
        >>> survey.head_labels(layer=0, head=2)["label"].tolist()
        ['previous']
        >>> survey.view(score="previous").score
        'previous'
        >>> path = survey.save("survey.safetensors")
        >>> survey.merge(aw.Survey.load(path)).count
        4
    """

    model_name: str
    streams: Mapping[str, Surveyed]
    count: int
    skipped: tuple[tuple[int, str], ...] = ()
    examples_kept: int = 5
    texts: Mapping[int, str] = field(default_factory=dict)
    interrupted: bool = False

    @classmethod
    def of(
        cls,
        model_name: str,
        scores: Sequence[StreamScores],
        text: str | None,
        *,
        keep: int = 5,
        groups: Mapping[str, GroupMeans] | None = None,
        outputs: Mapping[str, HeadMeans] | None = None,
        links: Mapping[str, LinkCounts] | None = None,
        contexts: Mapping[str, StreamContexts] | None = None,
    ) -> Survey:
        """Return the survey of one input; what else is kept of its streams by their names."""
        shares, put_out, gold, places = groups or {}, outputs or {}, links or {}, contexts or {}
        streams = {
            one.stream: Surveyed(
                Moments.of(one),
                Typical.of(one, 0),
                shares.get(one.stream),
                put_out.get(one.stream),
                links=gold.get(one.stream),
                contexts=places.get(one.stream),
            )
            for one in scores
        }
        texts = {} if text is None else {0: text[:TEXT_LENGTH]}
        return cls(model_name, streams, 1, (), keep, texts)

    @property
    def read(self) -> int:
        """Number of inputs that were read, scored or skipped."""
        return self.count + len(self.skipped)

    def merge(self, *others: Survey) -> Survey:
        """Return the survey of these inputs and those of the others, one after the other.

        Indices of the others move up by the number of inputs before them.

        Raises:
            ValueError: If they are of different models, or keep different numbers of examples.
        """
        return functools.reduce(_merged, others, self)

    def __add__(self, other: object) -> Survey:
        return self.merge(other) if isinstance(other, Survey) else NotImplemented

    def compare(self, other: Survey, names: Sequence[str] | None = None) -> SurveyComparison:
        """Return how the head scores of another survey differ from those of this one: ``attnwidget.compare(survey, other)``.

        Args:
            other: The other: of a fine-tuned model, or of another corpus.
            names: What to call them, such as ``("base", "fine-tuned")``.

        Returns:
            The comparison: `SurveyComparison.changed` ranks heads and scores, `SurveyComparison.differences` has all of them with
            their standard errors, `SurveyComparison.map` draws one score.

        Raises:
            TypeError: If the other is no survey.
            ValueError: If they have no layer of as many heads in common.

        Example:
            >>> import attnwidget as aw
            >>> first = aw.survey(model, ["the cat sat .", "the dog ran ."], tokenizer, progress=False)
            >>> first.compare(first).counts
            (2, 2)
        """
        given: object = other
        if not isinstance(given, Survey):
            message = f"a survey is compared with another survey, got {type(given).__name__}: call compare(survey(model, texts), survey(other_model, texts))."
            raise TypeError(message)
        both = tuple((each.model_name, each.count, each.streams) for each in (self, other))
        return compare_surveys((both[0], both[1]), names)

    def head_scores(
        self,
        scores: str | Sequence[str] | None = None,
        *,
        stream: str | None = None,
        layer: Layers = None,
        head: Heads = None,
        layers: Layers = None,
        heads: Heads = None,
    ) -> Any:
        """Return mean and spread of every score of every head.

        Args:
            scores: Names of `attnwidget.SCORES`; ``None`` for all.
            stream: Name of a stream; ``None`` for all.
            layer: Only this layer, or several, as the model counts them, negative from the end; ``None`` for all.
            head: Only this head of each layer, or several; ``None`` for all.
            layers: Another name of ``layer``.
            heads: Another name of ``head``.

        Returns:
            ``stream``, ``layer``, ``head``, ``score``, ``mean``, ``spread`` (standard deviation over the inputs),
            ``without_sink``, ``without_sink_spread`` and ``inputs`` (in how many it was defined): a pandas
            ``DataFrame``, or a list of dicts where pandas is not installed. Inputs in which a head's weights are NaN
            count for no mean; a head of which none is left has NaN.

        Raises:
            KeyError: If there is no such stream.
            ValueError: If there is no such score, layer or head.

        Example:
            >>> import attnwidget as aw
            >>> found = aw.survey(model, ["the cat sat", "the dog sat ."], tokenizer, progress=False)
            >>> len(found.head_scores("previous"))  # of 4 × 4 heads
            16
        """
        names = chosen(scores)
        asked = self._asked(stream, layer, layers, head, heads)
        return self._table(asked, lambda one, found: score_rows(one, found.moments, names))

    def head_labels(
        self,
        *,
        stream: str | None = None,
        layer: Layers = None,
        head: Heads = None,
        layers: Layers = None,
        heads: Heads = None,
    ) -> Any:
        """Return the labels that the means give, as `Attention.head_labels`.

        Args:
            stream: Name of a stream; ``None`` for all.
            layer: As for `head_scores`.
            head: As for `head_scores`.
            layers: Another name of ``layer``.
            heads: Another name of ``head``.

        Raises:
            KeyError: If there is no such stream.
            ValueError: If there is no such layer or head.
        """
        asked = self._asked(stream, layer, layers, head, heads)
        return self._table(asked, lambda one, found: label_rows(one, found.moments.scores()))

    def outputs_of(
        self, pairs: Iterable[tuple[int, int]], stream: str | None = None
    ) -> HeadOutputs:
        """Return the mean outputs of some heads: what ``ablate(heads=…, how="mean", source=survey)`` puts in their place.

        Args:
            pairs: Layers and heads.
            stream: Name of the stream; needed when there are several.

        Raises:
            ValueError: If outputs were not asked for, or there is no such stream, layer or head.
        """
        try:
            name = self._one(stream)
        except KeyError as error:
            raise ValueError(str(error.args[0])) from None
        found = self.streams[name].outputs
        if found is None:
            message = (
                f"this survey has no outputs of the heads of {name!r}: they were not asked for; call survey(model, texts, "
                "tokenizer, outputs=True)."
            )
            raise ValueError(message)
        return found.outputs(pairs)

    def examples(
        self,
        layer: int | None = None,
        head: int | None = None,
        score: str | None = None,
        *,
        stream: str | None = None,
        layers: Layers = None,
        heads: Heads = None,
    ) -> Any:
        """Return the inputs that are most typical of a head; `Typical` says how they are ranked.

        Args:
            layer: The model's number of the layer, negative from the end.
            head: The head, negative from the end.
            score: What it is typical of; ``None`` for the head's label.
            stream: Name of the stream; needed when there are several.
            layers: Another name of ``layer``.
            heads: Another name of ``head``.

        Returns:
            ``rank``, ``index`` of the input, ``value`` of the score there and ``text``: a pandas ``DataFrame``, or a list
            of dicts where pandas is not installed.

        Raises:
            ValueError: If there is no such head or score, or the head has no label.

        Example:
            >>> import attnwidget as aw
            >>> found = aw.survey(model, ["the cat sat", "the dog sat ."], tokenizer, progress=False)
            >>> len(found.examples(layer=0, head=2, score="previous"))
            2
        """
        found = self.streams[self._one(stream)]
        number = one_layer(either(layer=layer, layers=layers), "examples are of")
        place = one_head(either(head=head, heads=heads), "examples are of")
        return table(example_rows(found, self.texts, number, place, score))

    @lists_options(SelectionOptions)
    def view(
        self,
        model: Any = None,
        tokenizer: Any = None,
        *,
        frozen: bool = False,
        still: bool = True,
        choose: bool = True,
        **options: Unpack[SelectionOptions],
    ) -> Any:
        """Show the survey in the widget: heads by their mean scores, and the inputs that are most typical of each.

        Where contexts were asked for, the places in which the selected head does most stand above these; a click on one
        opens its input at the link.

        Of a survey with gold links, these are scores as well: ``score="precision of pronoun (forward)"``, ``"recall of …"`` and
        ``"mean weight of …"``, for the 50 labels of most links. Above the heads stand the best of them, and the best fixed
        offset. `figure` has the same.

        Args:
            model: The model, so that a click on an example records it and shows its attention; None for the survey
                alone.
            tokenizer: The model's tokenizer; found by the model's name among the files of this machine when left out.
            frozen: As for `attnwidget.view`.
            still: As for `attnwidget.view`.
            choose: Open on the head with the highest mean score where none is given.
            **options: The widget's traits to start with (``score``, ``aside``, ``arrange``, ``threshold`` …).

        Returns:
            The widget; as the last line of a cell it draws inline.

        Raises:
            TypeError: If an option does not exist.
            ValueError: If an option is out of range.
        """
        return viewers.make(
            self, "widget", model, tokenizer, frozen=frozen, still=still, choose=choose, **options
        )

    @lists_options(DrawnSelection)
    def figure(self, kind: str | None = None, **options: Unpack[DrawnSelection]) -> Any:
        """Return a figure of the mean scores: ``"model"``, the kind when left out, or ``"scatter"``.

        Args:
            kind: As for `Attention.figure`.
            **options: As for `Attention.figure`.

        Returns:
            A `Figure`.

        Raises:
            TypeError, KeyError, ValueError: As `Attention.figure`.

        Example:
            >>> import attnwidget as aw
            >>> survey = aw.survey(model, ["the cat sat .", "the dog sat ."], tokenizer, progress=False)
            >>> survey.figure("scatter", score="previous", other_score="induction").svg[:4]
            '<svg'
        """
        return viewers.make(self, "figure", kind, **options)

    @lists_options(FileOptions)
    def save(self, path: str | os.PathLike[str], **options: Unpack[FileOptions]) -> Path:
        """Write the survey, a figure or a page of it: the ending of the path says which.

        ``.safetensors`` (or no ending) is the survey itself, which `Survey.load` reads back exactly. ``.svg``, ``.pdf`` and
        ``.png`` are what `figure` draws, ``.html`` is the widget over a snapshot, as `view` shows it.

        Args:
            path: File to write; an existing one is replaced.
            **options: As for `Attention.save`.

        Returns:
            The path.

        An existing file is replaced in one step.

        Raises:
            FileNotFoundError: If the folder does not exist.
            OSError: If the system refuses, such as for a full disk; the old file is left as it was.
            TypeError, ValueError: As `Attention.save`.
        """
        fields = {name: getattr(self, name) for name in storage.FIELDS}
        return save_by_ending(
            self,
            path,
            options,
            name="survey",
            table="survey.head_scores()",
            write=lambda: storage.write(path, fields),
        )

    @staticmethod
    def load(path: str | os.PathLike[str]) -> Survey:
        """Read a survey that `Survey.save` wrote.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If the file is no survey, is damaged, or comes from a newer version.
        """
        return Survey(**storage.read(path))

    def __repr__(self) -> str:
        parts = "; ".join(
            f"{name}: {sum(heads for _, heads in found.moments.layers)} heads"
            for name, found in self.streams.items()
        )
        more = f", {len(self.skipped)} skipped" if self.skipped else ""
        ended = ", interrupted" if self.interrupted else ""
        return well_formed(f"Survey({self.model_name}, {parts}, {self.count} inputs{more}{ended})")


def _merged(first: Survey, second: Survey) -> Survey:
    for name, what in (
        ("model_name", "of different models"),
        ("examples_kept", "of different size"),
    ):
        if getattr(first, name) != getattr(second, name):
            message = f"surveys {what} do not add up: {name} is {getattr(first, name)!r} and {getattr(second, name)!r}."
            raise ValueError(message)
    keep, shift = first.examples_kept, first.read
    streams = merged_streams(first.streams, second.streams, keep=keep, shift=shift)
    texts = {**first.texts, **{index + shift: text for index, text in second.texts.items()}}
    if let_go(first.count, second.count, streams):
        used = used_inputs(streams)
        texts = {index: text for index, text in texts.items() if index in used}
    return Survey(
        first.model_name,
        streams,
        first.count + second.count,
        first.skipped + tuple((index + shift, reason) for index, reason in second.skipped),
        keep,
        texts,
        first.interrupted or second.interrupted,
    )

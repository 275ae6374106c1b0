"""Where heads do something: contexts, deciles and token counts against brute force, in parts, files and resumed surveys."""

from __future__ import annotations

import functools
import itertools
import pickle
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.workers import MANY, TEXTS

import attnwidget as aw
from attnwidget.analysis.head_scores import LayerScores, StreamScores
from attnwidget.analysis.score_definitions import SCORES
from attnwidget.compute.block_sizes import block_sizes
from attnwidget.files.tensor_file import TensorFile
from attnwidget.pocket import grammar
from attnwidget.surveys import workers
from attnwidget.surveys.contexts.score_values import EXACT, SAMPLE, ScoreValues
from attnwidget.surveys.contexts.tables import Context, Contexts, ContextToken
from attnwidget.surveys.contexts.token_counts import BLOCK, COUNTERS, InputLinks, TokenCounts
from attnwidget.surveys.reader import Reader
from attnwidget.surveys.survey import Survey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NAMES = list(SCORES)
SOME = [text for text in MANY if len(text) < 1000][:24]


@pytest.fixture(autouse=True)
def without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnwidget.analysis.tables.has_pandas", lambda: False)


@pytest.fixture(scope="module")
def pocket() -> Any:
    return aw.pocket()


@pytest.fixture(scope="module")
def survey(pocket: Any) -> Callable[..., Survey]:
    def surveyed(texts: Any, contexts: Any = 7, **options: Any) -> Survey:
        return aw.survey(pocket[0], texts, pocket[1], progress=False, contexts=contexts, **options)

    return surveyed


@pytest.fixture(scope="module")
def whole(survey: Callable[..., Survey]) -> Survey:
    return survey(SOME)


def contexts_only(found: Survey, folder: Path) -> list[tuple[str, bytes]]:
    """Return all that a file keeps of contexts, byte by byte."""
    path = folder / "contexts.safetensors"
    found.save(path)
    file = TensorFile.open(path, copy=True)
    return [
        (name, tensor.numpy().tobytes())
        for name, tensor in sorted(file.tensors.items())
        if ".contexts." in name
    ]


def dense(pocket: Any, texts: list[str], layer: int, head: int, rule: str) -> list[tuple[Any, ...]]:
    """Return value, input, query and key of every query that a rule is about, best first, from whole weight matrices."""
    rows = []
    for number, text in enumerate(texts):
        record = aw.capture(pocket[0], text, pocket[1])
        positions = record["decoder"].key_positions
        tokens = [one.label for one in positions]
        weights = np.asarray(record["decoder"][layer].weights(head=head))
        for query in range(1, len(tokens)):
            about = {
                "link": list(range(1, query)),
                "previous": [query - 1],
                "induction": [
                    key
                    for key in range(1, query)
                    if key - 1 != query
                    and tokens[key - 1] == tokens[query]
                    and positions[key - 1].kind != "special"
                    and positions[query].kind != "special"
                ],
            }[rule]
            if not about:
                continue
            at = max(about, key=lambda key: (weights[query, key], -key))
            value = weights[query, at] if rule == "link" else weights[query, about].sum()
            rows.append((round(float(value), 5), number, query, at))
    return sorted(rows, key=lambda row: (-row[0], *row[1:]))


@pytest.fixture(scope="module")
def in_small_blocks(survey: Callable[..., Survey]) -> Survey:
    """The same survey, a few rows of weights at a time."""
    with block_sizes(row_bytes=600, least_rows=2):
        return survey(SOME)


@pytest.mark.parametrize(
    "asked", [(3, 3, "link"), (0, 2, "previous"), (2, 1, "induction"), (1, 0, "link")]
)
def test_contexts_are_the_highest_of_all_queries(
    pocket: Any, whole: Survey, in_small_blocks: Survey, asked: tuple[int, int, str]
) -> None:
    layer, head, rule = asked
    expected = dense(pocket, SOME, layer, head, rule)[:7]
    found = whole.contexts(layer, head, None if rule == "link" else rule)
    assert len(found) == 7
    for row, (value, number, query, key) in zip(found, expected, strict=True):
        assert (row.input, row.query, row.key) == (number, query, key)
        assert row.value == pytest.approx(value, abs=2e-5)
    assert [row.rank for row in found] == list(range(1, 8))
    same = in_small_blocks.contexts(layer, head, None if rule == "link" else rule)
    places = [(row.input, row.query, row.key) for row in found]
    assert [(row.input, row.query, row.key) for row in same] == places


def passages(kind: Callable[[random.Random], Any], count: int) -> list[Any]:
    draw = random.Random(3)
    return [kind(draw) for _ in range(count)]


def test_the_pronoun_head_looks_from_pronouns_to_what_they_stand_for(
    survey: Callable[..., Survey],
) -> None:
    found = passages(grammar.coreference, 24)
    texts = [" ".join(one.words) for one in found]
    rows = survey(texts, contexts=200).contexts(3, 3)
    # One token a word, after <bos>.
    pronouns = [row for row in rows if row.query_token in {"it", "he", "she"}]
    linked = [
        (row.query - 1, row.key - 1) in found[row.input].links
        for row in pronouns
        if row.value > 0.5
    ]
    assert len(linked) >= 15
    assert sum(linked) >= 0.9 * len(linked)
    best = next(row for row in pronouns if row.query_token[:2] == "it")
    assert (best.query - 1, best.key - 1) in found[best.input].links
    assert f"[{best.key_token}]" in best.text
    assert "«it»" in best.text


def test_the_induction_head_looks_at_what_followed_the_same_token(
    survey: Callable[..., Survey],
) -> None:
    texts = [" ".join(one.words) for one in passages(grammar.repetition, 6)]
    rows = survey(texts, contexts=20).contexts(2, 1, "induction")
    assert len(rows) == 20
    for row in rows:
        words = ["<bos>", *texts[row.input].split()]
        assert words[row.key - 1] == words[row.query] == row.query_token
        assert words[row.key] == row.key_token
        assert row.value > 0.9
        # The query, ten tokens on each side where there are so many, and the key with two.
        near = {*range(row.query - 10, row.query + 11), *range(row.key - 2, row.key + 3)}
        shown = [token.position for token in row.tokens]
        assert shown == sorted(near & set(range(len(words))))
        assert [words[place] for place in shown] == [token.label for token in row.tokens]


@pytest.mark.parametrize("cut", [1, 5, 17, 23])
def test_parts_add_up_to_the_whole(
    survey: Callable[..., Survey], whole: Survey, tmp_path: Path, cut: int
) -> None:
    both = survey(SOME[:cut]) + survey(SOME[cut:])
    assert contexts_only(both.settled(), tmp_path) == contexts_only(whole, tmp_path)
    assert set(both.texts) == set(whole.texts)


def test_workers_that_read_parts_change_nothing(pocket: Any, whole: Survey, tmp_path: Path) -> None:
    reader = Reader(pocket[0], pocket[1], 5, "weights", {}, contexts=7)
    found = reader.nothing()
    for start, stop in ((0, 3), (3, 20), (20, 24)):
        part = reader.nothing()
        for text in SOME[start:stop]:
            part = part.then(reader.read(text))
        found = found.then(pickle.loads(pickle.dumps(part)))  # noqa: S301  (its own)
    assert contexts_only(found.survey.settled(), tmp_path) == contexts_only(whole, tmp_path)
    # Inputs of a part are counted together with those of others, so they must wait for these.
    assert workers._MOST < BLOCK


def test_a_file_has_all_of_it(whole: Survey, tmp_path: Path) -> None:
    whole.save(tmp_path / "s.safetensors")
    loaded = Survey.load(tmp_path / "s.safetensors")
    assert contexts_only(loaded, tmp_path) == contexts_only(whole, tmp_path)
    assert loaded.contexts(3, 3) == whole.contexts(3, 3)
    assert loaded.deciles(0, 2) == whole.deciles(0, 2)
    assert loaded.token_counts(3, 3) == whole.token_counts(3, 3)
    assert (loaded + whole).contexts(3, 3).rows == (whole + loaded).contexts(3, 3).rows


def test_a_survey_that_is_resumed_ends_the_same(
    survey: Callable[..., Survey], whole: Survey, tmp_path: Path
) -> None:
    path = tmp_path / "s.safetensors"

    def stopped() -> Iterator[str]:
        yield from SOME[:11]
        raise KeyboardInterrupt

    assert survey(stopped(), save=path, every=4).interrupted
    resumed = survey(SOME, save=path, every=4)
    assert contexts_only(resumed, tmp_path) == contexts_only(whole, tmp_path)
    assert dict(resumed.texts) == dict(whole.texts)
    with pytest.raises(ValueError, match="other settings: contexts was 7, now it is 3"):
        survey(SOME, contexts=3, save=path)


def test_deciles_and_their_examples_are_those_of_a_sort(whole: Survey) -> None:
    found = whole.deciles(0, 2, "previous", examples=24)
    rows = [(value, index, text) for one in found for index, value, text in one.examples]
    assert rows == sorted(rows, key=lambda row: row[:2])
    assert {index: text for _, index, text in rows} == dict(enumerate(SOME))
    ends = [one.up_to for one in found]
    values = sorted(value for value, *_ in rows)
    assert ends == [values[-(-24 * tenth // 10) - 1] for tenth in range(1, 11)]
    assert np.mean(values) == pytest.approx(
        whole.head_scores("previous", layer=0, head=2)[0]["mean"], abs=1e-6
    )
    assert (found.inputs, found.error, found.sampled) == (24, 0.0, False)
    assert whole.deciles(0, 2) == whole.deciles(0, 2, "previous")  # the label of the head


def scored(values: np.ndarray) -> StreamScores:
    """Return scores of one layer, ``[head, score]``."""
    layer = LayerScores(0, values, values, values, values, values, values)
    return StreamScores("decoder", (layer,), (0,), "weights", {})


def made_scores(count: int) -> np.ndarray:
    draw = np.random.default_rng(5)
    values = draw.beta(0.5, 2, (count, 2, len(NAMES)))
    values[draw.random(values.shape) < 0.1] = np.nan
    return values


def values_of(scores: np.ndarray, start: int = 0) -> ScoreValues:
    found = None
    for number, values in enumerate(scores):
        one = ScoreValues.of(scored(values), f"text {start + number}")
        found = one if found is None else found.merge(one.shifted(number))
    assert found is not None
    return found


def test_deciles_of_2000_inputs_are_those_of_a_full_sort() -> None:
    scores = made_scores(2000)
    found = values_of(scores)
    assert found.exact
    for head, place in ((0, 0), (1, 7)):
        values = scores[:, head, place].astype(np.float32).astype(float)
        order = np.argsort(np.where(np.isnan(values), 9, values), kind="stable")
        order = order[: int((~np.isnan(values)).sum())]
        ends, count = found.deciles(head, place)
        cuts = [-(-len(order) * tenth // 10) for tenth in range(11)]
        assert count == len(order)
        assert ends.tolist() == [values[order[cut - 1]] for cut in cuts[1:]]
        members = found.members(head, place, 10_000)
        for tenth, some in enumerate(members):
            mine = order[cuts[tenth] : cuts[tenth + 1]]
            assert some == [(int(one), values[one]) for one in mine]
        # Fewer are those in the middle.
        (middle,) = found.members(head, place, 1)[4]
        assert middle in members[4][len(members[4]) // 2 - 1 :][:2]


def test_deciles_of_more_inputs_have_the_stated_error_whatever_the_parts() -> None:
    count = EXACT + 700
    scores = made_scores(count)
    one_by_one = values_of(scores).settled()
    assert not one_by_one.exact
    cuts = [0, 10, 3000, EXACT - 5, count]
    parts = [values_of(scores[a:b], a).shifted(a) for a, b in itertools.pairwise(cuts)]
    in_parts = parts[0].merge(parts[1]).merge(parts[2].merge(parts[3])).settled()
    np.testing.assert_array_equal(one_by_one.bins, in_parts.bins)
    np.testing.assert_array_equal(one_by_one.held.input, in_parts.held.input)
    np.testing.assert_array_equal(one_by_one.held.values, in_parts.held.values)
    assert len(one_by_one.held) == SAMPLE
    values = np.sort(scores[:, 1, 3])[: int((~np.isnan(scores[:, 1, 3])).sum())]
    ends, number = one_by_one.deciles(1, 3)
    assert number == len(values)
    exact = [values[-(-number * tenth // 10) - 1] for tenth in range(1, 11)]
    assert np.abs(ends - exact).max() <= 0.5 / 1024 + 1e-7
    assert len({int(one) for one in one_by_one.held.input} & set(range(count // 2))) > SAMPLE // 4


def test_counts_are_those_of_the_strongest_links(pocket: Any, whole: Survey) -> None:
    expected: Counter[tuple[str, str]] = Counter()
    for text in SOME:
        stream = aw.capture(pocket[0], text, pocket[1])["decoder"]
        tokens = [one.label for one in stream.key_positions]
        weights = np.asarray(stream[2].weights(head=1))
        for query in range(2, len(tokens)):
            key = 1 + int(weights[query, 1:query].argmax())
            if weights[query, key] >= 0.3:
                expected[tokens[query], tokens[key]] += 1
    found = whole.token_counts(2, 1)
    assert found.error == 0
    assert found.links == sum(expected.values())
    assert {(row.query_token, row.key_token): row.count for row in found} == expected
    counts = [row.count for row in found]
    assert counts == sorted(counts, reverse=True)
    keys = whole.token_counts(2, 1, of="key")
    by_key: Counter[str] = Counter()
    for (_, key_token), count in expected.items():
        by_key[key_token] += count
    assert {row.key_token: row.at_most for row in keys} == by_key
    assert {row.query_token for row in keys} == {None}


def links_of(draw: np.random.Generator, count: int) -> InputLinks:
    """Return links of one input: common pairs, and many that occur once or twice."""
    ranks = np.minimum(draw.zipf(1.3, (2, count)), 4000)
    tokens = [f"t{rank}" for rank in ranks.reshape(-1).tolist()]
    known: dict[str, int] = {}
    numbers = np.array([known.setdefault(one, len(known)) for one in tokens], np.int32)
    head = np.sort(draw.integers(0, 2, count)).astype(np.int32)
    return InputLinks(tuple(known), head, numbers[:count], numbers[count:])


def counted(inputs: list[InputLinks], sizes: list[int]) -> TokenCounts:
    """Return the counts of inputs that were counted in parts of these sizes, one part after the other."""
    each = iter(TokenCounts.of(one, 2) for one in inputs)
    parts = [functools.reduce(TokenCounts.merge, itertools.islice(each, size)) for size in sizes]
    assert next(each, None) is None
    return functools.reduce(TokenCounts.merge, parts)


@pytest.fixture(scope="module")
def many_links() -> list[InputLinks]:
    draw = np.random.default_rng(1)
    return [links_of(draw, 60) for _ in range(3 * BLOCK + 9)]


def test_counts_beyond_the_counters_do_not_depend_on_the_parts(
    many_links: list[InputLinks],
) -> None:
    found = counted(many_links, [1] * len(many_links)).settled()
    assert found.counters[2].error.min() > 0
    for sizes in ([32] * 6 + [9], [5, 50, 1] * 3 + [33]):
        other = counted(many_links, sizes).settled()
        assert other.tokens == found.tokens
        for mine, theirs in zip(found.counters, other.counters, strict=True):
            for name in ("head", "query", "key", "count", "error"):
                np.testing.assert_array_equal(getattr(mine, name), getattr(theirs, name))


@pytest.mark.parametrize("twice", [False, True])
def test_counts_beyond_the_counters_have_the_stated_error(
    many_links: list[InputLinks],
    twice: bool,  # noqa: FBT001
) -> None:
    found, times = counted(many_links, [1] * len(many_links)).settled(), 1
    if twice:  # sums of surveys: the errors add up, and stay within the bound of all links
        found, times = found.merge(found), 2
    exact: list[Counter[tuple[str, str]]] = [Counter(), Counter()]
    for one in many_links:
        for head, query, key in zip(one.head, one.query, one.key, strict=True):
            exact[head][one.tokens[query], one.tokens[key]] += times
    pairs = found.counters[2]
    for head in (0, 1):
        error, some = int(pairs.error[head]), pairs.head == head
        assert int(found.links[head]) == sum(exact[head].values())
        assert 0 < error <= int(found.links[head]) / (COUNTERS + 1)
        assert some.sum() <= COUNTERS
        places = zip(pairs.query[some], pairs.key[some], pairs.count[some], strict=True)
        counts = {(found.tokens[q], found.tokens[k]): count for q, k, count in places}
        for pair, count in exact[head].items():
            assert count - error <= counts.get(pair, 0) <= count


def test_what_nobody_needs_is_let_go(
    survey: Callable[..., Survey], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attnwidget.surveys.contexts.gathered.LET_GO_EVERY", 4)
    texts = ["rice deep he two rice deep he two", *["the dog ran"] * 11]
    stopped = itertools.chain(texts, [KeyboardInterrupt()])

    def inputs() -> Iterator[str]:
        for one in stopped:
            if isinstance(one, KeyboardInterrupt):
                raise one
            yield one

    found = survey(inputs(), contexts=1, examples=0)
    kept = found.streams["decoder"].contexts
    assert kept is not None
    assert set(kept.windows) == set(np.unique(kept.places.input).tolist()) - {-1}
    assert len(kept.windows) <= 2
    assert (kept.inputs, found.contexts(2, 1, "induction")[0].input) == (len(texts), 0)


def test_text_can_be_searched(whole: Survey) -> None:
    every = whole.contexts(2, 1, "induction")
    some = whole.contexts(2, 1, "induction", containing="RICE deep")
    assert 0 < len(some) < len(every)
    assert list(some) == [row for row in every if "rice deep" in row.plain_text]
    nothing = whole.contexts(2, 1, containing="zebra")
    assert not nothing
    assert "none of the 7 contexts that are kept has 'zebra'" in repr(nothing)
    assert "none of the 7" in nothing._repr_html_()
    assert whole.contexts(2, 1)[0].tokens[0].after_gap == (
        whole.contexts(2, 1)[0].tokens[0].position > 0
    )


def test_tables_read_well_and_escape_tokens(whole: Survey) -> None:
    found = whole.contexts(layer=-2, head=1, score="induction")
    lines = repr(found).splitlines()
    assert lines[0].startswith("decoder layer 2 head 1, induction: queries by their own value")
    assert len(lines) == 1 + len(found)
    assert f"«{found[0].query_token}»" in lines[1]
    (first, *_) = found.to_dataframe()
    assert list(first) == [
        "rank", "input", "query", "key", "query_token", "key_token", "value", "weight", "text"
    ]  # fmt: skip
    assert found[:2] == found.rows[:2]
    tokens = (
        ContextToken(4, "<b>", is_query=True, after_gap=True),
        ContextToken(5, "&x", joined=True, is_key=True),
    )
    odd = Context(1, 0, 4, 5, "<b>", "&x", 1.0, 1.0, tokens)
    assert odd.text == "… «<b>»[&x]"
    page = Contexts((odd,), "a < b", "rule")._repr_html_()
    assert "<b>" not in page
    assert "<u>&lt;b&gt;</u><span" in page
    assert "&amp;x</span>" in page
    assert "a &lt; b" in page
    assert "up to" in whole.deciles(0, 2)._repr_html_()
    assert " → " in repr(whole.token_counts(0, 2))
    assert len(whole.deciles(0, 2).to_dataframe()) >= 10


def test_what_cannot_be_answered_is_said(
    survey: Callable[..., Survey], whole: Survey, pocket: Any
) -> None:
    plain = survey(TEXTS[:2], contexts=False)
    assert plain.streams["decoder"].contexts is None
    for ask in (plain.contexts, plain.deciles, plain.token_counts):
        with pytest.raises(
            ValueError, match=r"they were not asked for; call survey\(.*contexts=True\)"
        ):
            ask(0, 2)
    with pytest.raises(ValueError, match="only one has contexts"):
        plain + whole
    with pytest.raises(ValueError, match="contexts is 7 and 2"):
        whole + survey(TEXTS[:2], contexts=2)
    for wrong in (-1, "yes", 1.5):
        with pytest.raises(ValueError, match="contexts must be an integer, 0 or more, such as 20"):
            survey(TEXTS[:2], contexts=wrong)
    with pytest.raises(ValueError, match="at most 1,000"):
        survey(TEXTS[:2], contexts=1001)
    with pytest.raises(ValueError, match="there is no head 4 in layer 0"):
        whole.contexts(0, 4)
    with pytest.raises(ValueError, match="containing must be a text, such as 'because', got 3"):
        whole.contexts(0, 2, containing=3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="scores must be among"):
        whole.contexts(0, 2, "nope")
    with pytest.raises(ValueError, match="of must be one of query, key, pair"):
        whole.token_counts(0, 2, of="both")
    assert not whole.contexts(0, 2, "special")[20:]
    del pocket


def test_queries_are_positions_where_some_are_recorded(survey: Callable[..., Survey]) -> None:
    found = survey(["the cat sat on the mat because it was tired"], positions=slice(4, 8))
    some = found.contexts(layer=3, head=3)
    assert len(some)
    for context in some:
        (asked,) = (token for token in context.tokens if token.is_query)
        assert context.query == asked.position
        assert 4 <= context.query < 8

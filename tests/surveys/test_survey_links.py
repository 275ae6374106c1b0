"""Gold links: counts against a dense loop over eager weights, the pocket model's pronoun head, parts, files, words, refusals."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import islice
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import attnwidget as aw
from attnwidget.pocket import grammar
from attnwidget.surveys.gold_links.counts import COUNTS
from attnwidget.surveys.survey import Survey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from attnwidget.surveys.gold_links.counts import LinkCounts

    Given = tuple[list[str], list[list[tuple[int, int, str]]]]


@pytest.fixture(autouse=True)
def without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnwidget.analysis.tables.has_pandas", lambda: False)


@pytest.fixture(scope="module")
def pocket() -> Any:
    return aw.pocket()


def corpus() -> Given:
    """Return passages with their pronouns' antecedents, and the word before each word that follows an article."""
    draw = Random(1_000_003)
    texts, links = [], []
    for passage in islice((grammar.coreference(draw) for _ in range(60)), 60):
        texts.append(" ".join(passage.words))
        # One more on either side, for the <bos> in front.
        found = [(query + 1, key + 1, "pronoun") for query, key in passage.links]
        found += [
            (at + 2, at + 1, "article") for at, word in enumerate(passage.words[:-1]) if word == "the"
        ]
        links.append(found)
    return texts, links


@pytest.fixture(scope="module")
def given() -> Given:
    return corpus()


@pytest.fixture(scope="module")
def whole(pocket: Any, given: Given) -> Survey:
    return aw.survey(pocket[0], given[0], pocket[1], links=given[1], progress=False)


def dense(pocket: Any, given: Given) -> dict[tuple[str, str], tuple[Any, Any, Any]]:
    """Count by a loop over every head, link and key of the weights that the model itself returns."""
    model, tokenizer = pocket
    before = model.config._attn_implementation
    model.set_attn_implementation("eager")
    hits: dict[tuple[str, str], Any] = defaultdict(lambda: np.zeros((2, 16), dtype=int))
    totals: dict[tuple[str, str], Counter[int]] = defaultdict(Counter)
    weights: dict[tuple[str, str], Any] = defaultdict(lambda: np.zeros(16))
    for text, links in zip(*given, strict=True):
        ids = tokenizer(text, return_tensors="pt")
        with torch.no_grad():
            maps = np.concatenate(
                [each[0].numpy() for each in model(**ids, output_attentions=True).attentions]
            )
        special = [int(one) in tokenizer.all_special_ids for one in ids["input_ids"][0]]
        for query, key, label in links:
            for direction, (row, gold) in {"forward": (query, key), "backward": (key, query)}.items():
                if gold > row:  # which a causal model does not see
                    continue
                place = label, direction
                totals[place][gold - row] += 1
                for head in range(16):
                    own = maps[head, row]
                    kept = [at for at in range(row) if not special[at]]
                    hits[place][0, head] += max(kept, key=lambda at, own=own: own[at]) == gold
                    hits[place][1, head] += int(own.argmax()) == gold
                    weights[place][head] += own[gold]
    model.set_attn_implementation(before)
    return {place: (hits[place], totals[place], weights[place]) for place in totals}


def counts_of(found: Survey) -> LinkCounts:
    links = found.streams["decoder"].links
    assert links is not None
    return links


def test_counts_are_those_of_a_loop_over_the_models_own_weights(
    pocket: Any, given: Given, whole: Survey
) -> None:
    expected = dense(pocket, given)
    assert set(expected) == {("pronoun", "forward"), ("article", "forward")}
    for (label, direction), (hits, offsets, weights) in expected.items():
        rows = whole.link_scores(label, direction)
        assert len(rows) == 16
        total = sum(offsets.values())
        offset, most = max(offsets.items(), key=lambda item: (item[1], -abs(item[0])))
        for head, row in enumerate(rows):
            assert (row["layer"], row["head"]) == divmod(head, 4)
            assert row["links"] == row["queries"] == total
            assert round(row["recall"] * total) == round(row["precision"] * total) == hits[0, head]
            assert round(row["recall_of_all"] * total) == hits[1, head]
            assert row["weight"] == pytest.approx(weights[head] / total, abs=1e-6)
            assert (row["offset"], row["unseen"]) == (offset, 0)
            assert row["baseline"] == row["baseline_recall"] == most / total


def test_the_pronoun_head_finds_pronouns_antecedents(whole: Survey) -> None:
    best = whole.links.best("pronoun")
    assert (best["layer"], best["head"], best["direction"]) == (3, 3, "forward")
    assert best["precision"] > 0.9
    assert best["weight"] == pytest.approx(0.91, abs=0.04)  # attnwidget/pocket/README.md
    assert best["baseline"] < 0.5
    named = repr(whole.links)
    assert "gold links between tokens (pronoun: " in named
    assert "3.3" in named
    (line,) = (line for line in named.splitlines() if line.startswith("pronoun"))
    assert line.split()[3] == "3.3"
    page = whole.links._repr_html_()
    assert "<td>pronoun</td><td>forward</td>" in page
    assert whole.links.to_dataframe() == list(whole.links)
    # The article before its noun is at a fixed offset: no head is better than that.
    article = whole.links.best("article")
    assert (article["offset"], article["baseline"]) == (-1, 1.0)
    assert (article["layer"], article["head"]) == (0, 2)


def same_links(first: Survey, second: Survey) -> None:
    one, other = counts_of(first), counts_of(second)
    assert (one.labels, one.layers, one.unit) == (other.labels, other.layers, other.unit)
    for name in ("counts", "seen", "offsets"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    np.testing.assert_allclose(one.weight, other.weight, rtol=1e-12)


def test_parts_add_up_and_come_back_from_a_file(
    pocket: Any, given: Given, whole: Survey, tmp_path: Path
) -> None:
    texts, links = given
    parts = [
        aw.survey(pocket[0], texts[part], pocket[1], links=links[part], progress=False)
        for part in (slice(25), slice(25, None))
    ]
    same_links(parts[0] + parts[1], whole)
    path = whole.save(tmp_path / "s.safetensors")
    same_links(Survey.load(path), whole)
    # A survey without links adds none.
    plain = aw.survey(pocket[0], texts[:2], pocket[1], progress=False)
    same_links(plain + whole, whole)
    with pytest.raises(ValueError, match=r"no gold links in decoder: call survey\(model, texts"):
        plain.links  # noqa: B018
    words = aw.survey(pocket[0], ["the cat sat"], pocket[1], links=[[(1, 0)]], links_as="words", progress=False)  # fmt: skip
    with pytest.raises(ValueError, match="links between words and between tokens"):
        words + whole


def test_an_interrupted_survey_goes_on_and_other_links_are_refused(
    pocket: Any, given: Given, whole: Survey, tmp_path: Path
) -> None:
    texts, links = given
    path = tmp_path / "s.safetensors"

    def stopped() -> Iterator[str]:
        yield from texts[:30]
        raise KeyboardInterrupt

    def again(links: Any) -> Survey:
        return aw.survey(pocket[0], texts, pocket[1], links=links, save=path, progress=False)

    begun = aw.survey(pocket[0], stopped(), pocket[1], links=links, save=path, progress=False)
    assert begun.interrupted
    changed = [[(1, 0)], *links[1:]]
    with pytest.raises(ValueError, match="the first 30 of texts are not those that it has"):
        again(changed)
    same_links(again(links), whole)


def test_links_come_beside_with_or_of_the_inputs(
    pocket: Any, given: Given, whole: Survey
) -> None:
    texts, links = given
    by_text = dict(zip(texts, links, strict=True))
    rows = [{"text": text, "label": 1, "gold": by_text[text]} for text in texts]
    for inputs, options in (
        ((one for one in zip(texts, links, strict=True)), {"links": True}),
        (texts, {"links": by_text.__getitem__}),
        (iter(texts), {"links": iter(links)}),
        (rows, {"links": "gold", "column": "text"}),
    ):
        same_links(aw.survey(pocket[0], inputs, pocket[1], progress=False, **options), whole)
    with pytest.raises(ValueError, match=r"got links of 1 inputs for 60"):
        aw.survey(pocket[0], texts, pocket[1], links=links[:1], progress=False)
    with pytest.raises(ValueError, match=r"got links of 1 inputs for more"):
        aw.survey(pocket[0], iter(texts), pocket[1], links=iter(links[:1]), progress=False)
    with pytest.raises(ValueError, match=r"columns 'text', 'label', 'gold': say which is the input"):
        aw.survey(pocket[0], rows, pocket[1], links="gold", progress=False)
    with pytest.raises(TypeError, match=r"column='text' names a column of rows"):
        aw.survey(pocket[0], texts, pocket[1], column="text", progress=False)


@pytest.mark.parametrize(
    ("links", "options", "message"),
    [
        ([(1,)], {}, r"link 0 must be \(query, key\) or \(query, key, 'label'\)"),
        ([(1, 0), (1, 2.5)], {}, r"link 1 must be .* got \(1, 2\.5\)"),
        ([(9, 0)], {}, r"a link names token 9; this input has tokens 0 \.\. 3"),
        ([(3, 0)], {"links_as": "words"}, r"a link names word 3; this input has words 0 \.\. 2"),
        ([((9, 11), (0, 3))], {"links_as": "characters"}, r"in which no token lies"),
        ([((2, 1), (0, 3))], {"links_as": "characters"}, r"link 0 must be"),
        ([(1, 0)], {"links_stream": "cross"}, r"'cross'"),
    ],
)
def test_what_is_no_link_is_told(pocket: Any, links: Any, options: Any, message: str) -> None:
    with pytest.raises((ValueError, KeyError), match=message):
        aw.survey(pocket[0], ["the cat sat "], pocket[1], links=[links], progress=False, **options)


def test_units_and_labels_are_checked(pocket: Any, whole: Survey) -> None:
    with pytest.raises(ValueError, match="links_as must be one of 'tokens', 'characters', 'words'"):
        aw.survey(pocket[0], ["the cat"], pocket[1], links=[[(1, 0)]], links_as="pieces")
    with pytest.raises(TypeError, match="links must be a sequence with one entry for each input"):
        aw.survey(pocket[0], ["the cat"], pocket[1], links=3)
    with pytest.raises(KeyError, match="article"):
        whole.link_scores("nsubj")
    with pytest.raises(ValueError, match="direction must be one of 'forward', 'backward'"):
        whole.link_scores(direction="up")
    with pytest.raises(ValueError, match="a causal model sees no later key"):
        whole.links.best("pronoun", "backward")
    assert whole.link_scores(direction="backward") == []
    counts = dict(zip(COUNTS, counts_of(whole).counts, strict=True))
    np.testing.assert_array_equal(counts["unseen"][1], counts["links"][0])

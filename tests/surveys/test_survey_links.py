"""Gold links: counts against a dense loop over eager weights, the pocket model's pronoun head, parts, files, words, refusals."""

from __future__ import annotations

from collections import Counter, defaultdict
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import attnwidget as aw
from attnwidget.compute.indexing import Axis
from attnwidget.compute.visible_keys import VisibleKeys
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
    for passage in (grammar.coreference(draw) for _ in range(40)):
        texts.append(" ".join(passage.words))
        # One more on either side, for the <bos> in front.
        found = [(query + 1, key + 1, "pronoun") for query, key in passage.links]
        found += [
            (at + 2, at + 1, "article")
            for at, word in enumerate(passage.words[:-1])
            if word == "the"
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
            for direction, (row, gold) in {
                "forward": (query, key),
                "backward": (key, query),
            }.items():
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
    (stream,) = found.streams.values()
    links = stream.links
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
    assert best["precision"] > 0.85
    assert best["weight"] == pytest.approx(0.91, abs=0.04)  # attnwidget/pocket/README.md
    assert best["baseline"] < 0.5
    named = repr(whole.links)
    assert "gold links between tokens (pronoun: " in named
    assert "3.3" in named
    (line,) = (line for line in named.splitlines() if line.startswith("pronoun"))
    assert line.split()[3] == "3.3"
    page = whole.links._repr_html_()
    assert "<td>pronoun</td><td>forward</td>" in page
    # What the last column is, an offset with the sign of numbers, and a table that a narrow page can scroll.
    assert "<th>next heads, precision</th>" in page
    assert "<td>−1</td>" in page
    assert '<div style="overflow-x:auto"><table>' in page
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
        for part in (slice(15), slice(15, None))
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
        yield from texts[:25]
        raise KeyboardInterrupt

    def again(links: Any) -> Survey:
        return aw.survey(pocket[0], texts, pocket[1], links=links, save=path, progress=False)

    begun = aw.survey(pocket[0], stopped(), pocket[1], links=links, save=path, progress=False)
    assert begun.interrupted
    changed = [[(1, 0)], *links[1:]]
    with pytest.raises(ValueError, match="the first 25 of texts are not those that it has"):
        again(changed)
    same_links(again(links), whole)


def test_links_come_beside_with_or_of_the_inputs(pocket: Any, given: Given) -> None:
    texts, links = (each[:6] for each in given)
    whole = aw.survey(pocket[0], texts, pocket[1], links=links, progress=False)
    by_text = dict(zip(texts, links, strict=True))
    rows = [{"text": text, "label": 1, "gold": by_text[text]} for text in texts]
    for inputs, options in (
        ((one for one in zip(texts, links, strict=True)), {"links": True}),
        (texts, {"links": by_text.__getitem__}),
        (iter(texts), {"links": iter(links)}),
        (rows, {"links": "gold", "column": "text"}),
    ):
        same_links(aw.survey(pocket[0], inputs, pocket[1], progress=False, **options), whole)
    with pytest.raises(ValueError, match=r"got links of 1 inputs for 6"):
        aw.survey(pocket[0], texts, pocket[1], links=links[:1], progress=False)
    with pytest.raises(ValueError, match=r"got links of 1 inputs for more"):
        aw.survey(pocket[0], iter(texts), pocket[1], links=iter(links[:1]), progress=False)
    with pytest.raises(
        ValueError, match=r"columns 'text', 'label', 'gold': say which is the input"
    ):
        aw.survey(pocket[0], rows, pocket[1], links="gold", progress=False)
    named = [{"sentence": text} for text in texts]
    with pytest.raises(ValueError, match=r"'sentence', not 'text': .*column='sentence'\."):
        aw.survey(pocket[0], named, pocket[1], column="text", progress=False)
    with pytest.raises(ValueError, match=r"given by itself, .*rows, tokenizer, column='sentence'"):
        aw.survey(pocket[0], named, pocket[1], progress=False)
    with pytest.raises(
        TypeError, match=r"column must be the name of a column, such as 'text', got 3"
    ):
        aw.survey(pocket[0], texts, pocket[1], column=3, progress=False)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"column='text' names a column of rows"):
        aw.survey(pocket[0], texts, pocket[1], column="text", progress=False)


@pytest.mark.parametrize(
    ("links", "options", "message"),
    [
        ([(1,)], {}, r"link 0 must be \(query, key\) or \(query, key, 'label'\)"),
        ([(1, 0), (1, 2.5)], {}, r"link 1 must be .* got \(1, 2\.5\)"),
        ([(9, 0)], {}, r"a link names token 9; this input has tokens 0 \.\. 3"),
        ([(3, 0)], {"links_as": "words"}, r"a link names word 3; this input has words 0 \.\. 2"),
        ([((11, 12), (0, 3))], {"links_as": "characters"}, r"in which no token lies"),
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
    for wrong in (3, torch.tensor(0), {(1, 0)}, {"the cat": [(1, 0)]}):
        with pytest.raises(
            TypeError, match="links must be a sequence with one entry for each input"
        ):
            aw.survey(pocket[0], ["the cat"], pocket[1], links=wrong)
    with pytest.raises(KeyError, match="article"):
        whole.link_scores("nsubj")
    with pytest.raises(ValueError, match="direction must be one of 'forward', 'backward'"):
        whole.link_scores(direction="up")
    with pytest.raises(ValueError, match="a causal model sees no later key"):
        whole.links.best("pronoun", "backward")
    assert whole.link_scores(direction="backward") == []
    counts = dict(zip(COUNTS, counts_of(whole).counts, strict=True))
    np.testing.assert_array_equal(counts["unseen"][1], counts["links"][0])


def merged_by_hand(record: Any, words: list[list[int]]) -> Any:
    """Return the weights between words: sum over a key's pieces, mean over a query's, ``[head, word, word]``."""
    maps = np.concatenate([layer.weights() for layer in record["encoder"]]).astype(float)
    summed = np.stack([maps[:, :, one].sum(-1) for one in words], -1)
    return np.stack([summed[:, one].mean(1) for one in words], 1)


@pytest.fixture(scope="module")
def bert() -> Any:
    """Return a small model that sees both ways, and a tokenizer that cuts words into pieces."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    pieces = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "the",
        "un",
        "##belie",
        "##vable",
        "cat",
        "##s",
        "nap",
        ".",
        "##ping",
        "they",
        "do",
        "n",
        "'",
        "t",
    ]
    inner = Tokenizer(
        models.WordPiece({one: at for at, one in enumerate(pieces)}, unk_token=pieces[1])
    )
    inner.normalizer = normalizers.BertNormalizer()
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, cls_token=pieces[2], sep_token=pieces[3], pad_token=pieces[0], unk_token=pieces[1]
    )  # fmt: skip
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(pieces), hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=16
    )  # fmt: skip
    model = BertModel(config).eval()
    for layer in model.encoder.layer:  # or all rows are even
        layer.attention.self.query.weight.data.mul_(40)
    return model, tokenizer


def test_words_are_the_sum_and_the_mean_of_their_pieces(bert: Any) -> None:
    model, tokenizer = bert
    text = "unbelievable cats do n't nap ."
    record = aw.capture(model, text, tokenizer)
    # [CLS] un ##belie ##vable cat ##s do n ' t nap . [SEP]
    words = [[0], [1, 2, 3], [4, 5], [6], [7, 8, 9], [10], [11], [12]]
    maps = merged_by_hand(record, words)
    # The word numbers of links, one less than those with [CLS].
    links = [(1, 0, "amod"), (4, 1, "nsubj"), (4, 3, "neg"), (4, (0, 2), "phrase"), (1, 4, "amod")]
    found = aw.survey(
        model, [text.split(), ["cats", "nap"]], tokenizer, links=[links, []], links_as="words", progress=False
    )  # fmt: skip
    assert found.links.unit == "words"
    assert found.texts[0] == text
    keys = {"amod": {1: [0, 4]}, "nsubj": {4: [1]}, "neg": {4: [3]}, "phrase": {4: [0, 1]}}
    every = {gold for label in keys.values() for golds in label.values() for gold in golds}
    assert every == {0, 1, 3, 4}
    for label, golds in keys.items():
        for row in found.link_scores(label, "forward"):
            own = maps[row["layer"] * 3 + row["head"]]
            ((query, gold),) = golds.items()
            kept = own[query + 1].copy()
            assert row["precision_of_all"] == float(int(kept.argmax()) - 1 in gold)
            kept[[0, 7, query + 1]] = -1
            assert row["precision"] == float(int(kept.argmax()) - 1 in gold)
            wanted = own[query + 1][[one + 1 for one in gold]]
            share = wanted.mean() if label == "amod" else wanted.sum()
            assert row["weight"] == pytest.approx(share, abs=1e-6)
            assert row["links"] == (2 if label == "amod" else 1)
            assert row["queries"] == 1
    # A head is right at most once where one word has two keys.
    assert all(
        row["recall"] == row["precision"] / 2 for row in found.link_scores("amod", "forward")
    )
    backward = found.link_scores("nsubj", "backward")
    assert [row["weight"] for row in backward] == pytest.approx(maps[:, 2, 5].tolist(), abs=1e-6)
    assert {row["offset"] for row in backward} == {3}


def test_characters_name_the_words_that_they_touch(bert: Any) -> None:
    model, tokenizer = bert
    text = "Unbelievable cats nap . They do nap ."
    spans = [[((24, 28), (0, 17), "coref"), ((18, 21), (13, 17), "nsubj")]]
    by_words = [[(4, (0, 2), "coref"), (2, 1, "nsubj")]]
    first, second = (
        aw.survey(model, [text], tokenizer, links=links, links_as=unit, progress=False)
        for links, unit in ((spans, "characters"), (by_words, "words"))
    )
    same_links(first, second)
    assert first.link_scores("coref") == second.link_scores("coref")


def test_alignments_go_from_the_target_to_the_source() -> None:
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    config = T5Config(
        vocab_size=20, d_model=16, d_kv=4, d_ff=16, num_layers=1, num_decoder_layers=2, num_heads=2, decoder_start_token_id=0
    )  # fmt: skip
    config._attn_implementation = "eager"  # which returns its weights
    model = T5ForConditionalGeneration(config).eval()
    inputs = {"input_ids": torch.tensor([[5, 6, 7, 8]]), "decoder_input_ids": torch.tensor([[0, 9, 10]])}  # fmt: skip
    links = [(1, 3, "sure"), (2, 0, "sure"), (2, 1, "possible")]
    found = aw.survey(model, [inputs], links=[links], links_stream="cross", progress=False)
    with torch.no_grad():
        maps = model(**inputs, output_attentions=True).cross_attentions
    rows = found.link_scores("sure")
    assert {(row["stream"], row["direction"]) for row in rows} == {("cross", "forward")}
    for row in rows:
        own = maps[row["layer"]][0, row["head"]]
        hits = int(own[1].argmax() == 3) + int(own[2].argmax() == 0)
        assert (row["recall_of_all"] * 2, row["links"]) == (hits, 2)
        assert row["weight"] == pytest.approx(float(own[1, 3] + own[2, 0]) / 2, abs=1e-6)
    with pytest.raises(ValueError, match="one text within one sequence"):
        aw.survey(model, [inputs], links=[links], links_as="words", links_stream="cross", progress=False)  # fmt: skip


@pytest.mark.parametrize("rows", [(1, 4, 6), (2, 3, 4), (7,), ()])
def test_recorded_weights_show_what_each_of_scattered_queries_sees(rows: tuple[int, ...]) -> None:
    weights = np.tril(np.full((1, 2, 8, 8), 0.125, dtype=np.float32))
    record = aw.from_weights([weights], [f"t{number}" for number in range(8)])
    (stream,) = record.streams.values()
    seen = VisibleKeys(stream.layers[0], offset=0).of(Axis(rows), range(2, 8)).numpy()
    expected = np.arange(2, 8) <= np.array(rows, dtype=int)[:, None]
    np.testing.assert_array_equal(seen[0], expected)


def test_links_that_can_be_read_once_are_kept(pocket: Any, given: Given) -> None:
    texts, links = given[0][:8], given[1][:8]
    found = aw.survey(
        pocket[0],
        texts,
        pocket[1],
        links=[iter(own) for own in links],
        batch_size=4,
        progress=False,
    )
    expected = aw.survey(pocket[0], texts, pocket[1], links=links, progress=False)
    np.testing.assert_array_equal(counts_of(found).counts, counts_of(expected).counts)


def test_words_of_a_text_with_its_special_tokens_by_a_tokenizer_that_is_found(pocket: Any) -> None:
    model, _ = pocket
    text, links = "the cat sat because it was tired", [(4, 1, "pronoun")]
    options = {"links_as": "words", "progress": False}
    expected = aw.survey(model, [text], links=[links], **options)
    wrapped = aw.survey(torch.nn.DataParallel(model), [text], links=[links], **options)
    written = aw.survey(model, [f"<bos> {text}"], links=[[(5, 2, "pronoun")]], **options)
    for found in (wrapped, written):
        np.testing.assert_array_equal(counts_of(found).counts, counts_of(expected).counts)


def test_the_column_is_a_setting_of_a_survey_that_goes_on(pocket: Any, tmp_path: Path) -> None:
    rows = [{"a": "the cat sat", "b": "the dog ran"}, {"a": "the cow sat", "b": "the fox ran"}]
    path = tmp_path / "survey.safetensors"
    aw.survey(pocket[0], rows[:1], pocket[1], column="a", save=path, progress=False)
    with pytest.raises(ValueError, match="column"):
        aw.survey(pocket[0], rows, pocket[1], column="b", save=path, progress=False)

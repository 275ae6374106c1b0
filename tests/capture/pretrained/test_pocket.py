"""The pocket model: what ships, what its heads do, and how it was trained."""

from __future__ import annotations

import dataclasses
import re
import socket
from itertools import islice
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from attnwidget.pocket import grammar, pocket, words
from attnwidget.pocket import train as training
from attnwidget.pocket.head_report import head_scores, report
from attnwidget.pocket.tokens import build_tokenizer
from attnwidget.recordings import capture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast

FOLDER = Path(grammar.__file__).parent
SENTENCES = (
    "The cat sat on the mat because it was tired",
    "The cat sat on the mat because it was tired.",
    "The dog chased the cat because it was hungry.",
    "Anna gave the book to Tom because she was kind.",
    "When Mary and John went to the store, John gave a drink to Mary.",
    "The animal didn't cross the street because it was too tired.",
    "The trophy did not fit in the suitcase because it was too big.",
    "The keys to the cabinet are on the table.",
    "The quick brown fox jumps over the lazy dog.",
    "Tom bought apples, pears, bread and milk.",
    '"I am tired," said Anna.',
    "Hello world!",
)
TINY = training.Recipe(
    steps=40, seed=3, tokens=512, length=64, learning_rate=0.03, num_layers=2, num_heads=3, width=48
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Keep torch on one core: the models are too small to gain from more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def loaded() -> tuple[GPT2LMHeadModel, PreTrainedTokenizerFast]:
    """One copy for the tests that only read it."""
    return pocket()


@pytest.fixture(scope="module")
def scores(loaded: tuple[GPT2LMHeadModel, PreTrainedTokenizerFast]) -> dict[str, np.ndarray]:
    """Head scores of the shipped file."""
    return head_scores(loaded[0], samples=60)


def test_loads_quietly_without_network(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    recwarn: pytest.WarningsRecorder,
) -> None:
    def refuse(*_: object) -> None:
        pytest.fail("pocket() tried to open a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    state = torch.random.get_rng_state()
    model, tokenizer = pocket()
    out, err = capfd.readouterr()
    assert (out, err, list(recwarn)) == ("", "", [])
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not model.training
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    for shown in (repr(model.config), model.name_or_path, repr(tokenizer), tokenizer.name_or_path):
        assert str(FOLDER) not in shown


def test_every_call_returns_fresh_objects() -> None:
    first, first_tokenizer = pocket()
    second, second_tokenizer = pocket()
    with torch.no_grad():
        first.transformer.wte.weight.zero_()
    assert second.transformer.wte.weight.abs().sum() > 0
    assert first_tokenizer is not second_tokenizer
    assert second.lm_head.weight is second.transformer.wte.weight


def test_what_ships_is_small_and_what_the_code_describes() -> None:
    files = [path for path in FOLDER.iterdir() if path.is_file()]
    assert {"model.safetensors", "config.json", "tokenizer.json", "README.md"} <= {
        f.name for f in files
    }
    assert sum(path.stat().st_size for path in files) < 3_000_000
    stored = (FOLDER / "tokenizer.json").read_text(encoding="utf-8")
    assert stored == build_tokenizer().to_str(pretty=True)
    shapes = {k: v.shape for k, v in load_file(FOLDER / "model.safetensors").items()}
    built = training.new_model(training.Recipe()).state_dict()
    assert shapes == {k: v.shape for k, v in built.items() if k != "lm_head.weight"}


@pytest.mark.parametrize("sentence", SENTENCES)
def test_vocabulary_covers(
    sentence: str, loaded: tuple[GPT2LMHeadModel, PreTrainedTokenizerFast]
) -> None:
    tokenizer = loaded[1]
    tokens = tokenizer.convert_ids_to_tokens(tokenizer(sentence)["input_ids"])
    assert tokens == ["<bos>", *re.findall(r"\w+|[^\w\s]", sentence.lower())]


def test_tokenizer_reads_what_people_type(
    loaded: tuple[GPT2LMHeadModel, PreTrainedTokenizerFast],
) -> None:
    tokenizer = loaded[1]
    ids = tokenizer("He said: \u201cI don\u2019t know\u201d (xylophone, L\u00dbCY\u2026)")[
        "input_ids"
    ]
    assert tokenizer.convert_ids_to_tokens(ids) == [
        *("<bos>", "he", "said", ":", '"', "i", "don", "'", "t", "know", '"'),
        *("(", "<unk>", ",", "lucy", "<unk>", ")"),
    ]
    assert tokenizer("")["input_ids"] == [tokenizer.bos_token_id]
    text = "anna's cat (it was tired), and the dog didn't see: a bird."
    assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text


@pytest.mark.parametrize(
    ("kind", "count", "least"),
    [("previous", 1, 0.8), ("duplicate", 1, 0.5), ("induction", 2, 0.6), ("pronoun", 1, 0.6)],
)
def test_known_heads_are_there(
    kind: str, count: int, least: float, scores: dict[str, np.ndarray]
) -> None:
    assert scores[kind].shape == (4, 4)
    best = np.sort(scores[kind], axis=None)[::-1]
    assert best[count - 1] >= least, report(scores)


def test_the_readme_tells_the_scores_of_the_file_beside_it(
    loaded: tuple[GPT2LMHeadModel, PreTrainedTokenizerFast],
) -> None:
    measured = head_scores(loaded[0])
    for kind, table in measured.items():
        row = re.search(rf"^\| {kind} \|.*$", (FOLDER / "README.md").read_text(), re.MULTILINE)
        assert row is not None, kind
        told = re.findall(r"layer (\d) head (\d): ([\d.]+)", row[0])
        assert told, kind
        for layer, head, score in told:
            assert table[int(layer), int(head)] == pytest.approx(float(score), abs=0.02)


def test_an_untrained_model_has_none_of_these_heads() -> None:
    untrained = head_scores(training.new_model(training.Recipe()), samples=20)
    assert max(table.max() for table in untrained.values()) < 0.2, report(untrained)


def test_it_looks_at_the_cat(loaded: tuple[GPT2LMHeadModel, PreTrainedTokenizerFast]) -> None:
    model, tokenizer = loaded
    model.set_attn_implementation("eager")
    inputs = tokenizer(SENTENCES[0], return_tensors="pt")
    with torch.no_grad():
        layers = model(**inputs, output_attentions=True).attentions
    tokens = tokenizer.convert_ids_to_tokens(inputs["input_ids"][0])
    weights = torch.stack(layers)[:, 0, :, tokens.index("it"), tokens.index("cat")]
    assert weights.max() > 0.4, weights


def test_a_repeated_span_is_foretold_over_the_whole_length(
    loaded: tuple[GPT2LMHeadModel, PreTrainedTokenizerFast],
) -> None:
    model, tokenizer = loaded
    rng = Random(11)
    span = rng.choices(grammar.RANDOM_WORDS, k=31)
    ids = tokenizer(" ".join(span * 17), return_tensors="pt", truncation=True)["input_ids"]
    assert ids.shape == (1, 512)
    with torch.no_grad():
        foretold = model(ids).logits[0, :-1].argmax(dim=-1) == ids[0, 1:]
    assert foretold[:30].float().mean() < 0.3
    for start in range(64, 512, 64):
        assert foretold[start : start + 64].float().mean() > 0.9, start


def test_grammar_is_the_same_for_the_same_seed() -> None:
    first, second, other = (list(islice(grammar.passages(Random(s)), 50)) for s in (5, 5, 6))
    assert first == second
    assert first != other


def test_grammar_keeps_to_its_vocabulary_and_its_word() -> None:
    known = set(words.VOCABULARY)
    assert len(known) == len(words.VOCABULARY)
    referents = {noun.word for noun in (*words.ANIMALS, *words.THINGS, *words.FEMALE, *words.MALE)}
    said: set[str] = set()
    links = 0
    for passage in islice(grammar.passages(Random(7)), 4_000):
        said.update(passage.words)
        for pronoun, antecedent in passage.links:
            assert antecedent < pronoun
            assert passage.words[pronoun] in {"it", "he", "she"}
            assert passage.words[antecedent] in referents
            links += 1
    assert said == known - set(words.SPECIAL)
    assert links > 1_000


def test_grammar_repeats_spans_forwards_and_backwards() -> None:
    for seed in range(20):
        passage = grammar.repetition(Random(seed))
        span = passage.words[: passage.unpredictable]
        assert passage.words in {span * 2, span * 3}
        passage = grammar.there_and_back(Random(seed))
        there = passage.words[2 : passage.unpredictable]
        assert passage.words == ("go", ":", *there, ".", "come", ":", *reversed(there), ".")


def test_training_lowers_the_loss_and_repeats_itself(tmp_path: Path) -> None:
    model, losses = training.train(TINY, out=tmp_path / "a", every=20)
    _, again = training.train(TINY, out=tmp_path / "b", every=TINY.steps)
    assert losses == again
    assert len(losses) == TINY.steps
    assert np.mean(losses[-4:]) < np.mean(losses[:4]) - 0.5
    stored = [(tmp_path / run / "model.safetensors").read_bytes() for run in "ab"]
    assert stored[0] == stored[1]
    tensors = load_file(tmp_path / "a" / "model.safetensors")
    weight = model.transformer.wte.weight.detach()
    assert torch.allclose(tensors["transformer.wte.weight"].float(), weight, atol=1e-3)
    _, other = training.train(dataclasses.replace(TINY, seed=4, steps=2))
    assert other != losses[:2]


def test_batches_reach_every_position_and_weigh_down_the_unforeseeable() -> None:
    reached: set[int] = set()
    weights: set[float] = set()
    for batch in islice(training.batches(training.Recipe()), 16):
        assert batch.ids.shape == batch.positions.shape == batch.weights.shape
        assert batch.ids[:, 0].unique().tolist() == [words.VOCABULARY.index("<bos>")]
        reached.update(batch.positions.flatten().tolist())
        weights.update(round(float(w), 3) for w in batch.weights.unique())
    assert reached == set(range(training.POSITIONS))
    assert weights == {0.0, training.UNPREDICTABLE_WEIGHT, 1.0}


def test_command_line_writes_a_model_and_says_what_it_does(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger=training.__name__):
        training.main(["--out", str(tmp_path), "--steps", "2"])
    assert {path.name for path in tmp_path.iterdir()} == {
        *("config.json", "model.safetensors", "tokenizer.json"),
    }
    assert (tmp_path / "config.json").read_text() == (FOLDER / "config.json").read_text()
    assert "final loss" in caplog.text
    assert re.search(r"previous +0\.\d\d \(layer \d, head \d\)", caplog.text)


def test_its_tokenizer_is_found_without_being_given() -> None:
    model, tokenizer = pocket()
    text = "The cat sat on the mat"
    labels = [position.label for position in capture(model, text)["decoder"].query_positions]
    given = capture(model, text, tokenizer)["decoder"].query_positions
    assert labels == [position.label for position in given] == ["<bos>", *text.lower().split()]

"""What people give: every form of input, and a clear word where it cannot be understood."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from support import builders, words, zoo
from support.words import IDS, TEXT, WORDS

from attnwidget.pocket import pocket
from attnwidget.recordings import capture, recording

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def bert() -> Any:
    return zoo.build("bert")


@pytest.fixture(scope="module")
def gpt2() -> Any:
    return zoo.build("gpt2")


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return words.word_piece(WORDS)


def labels(attention: Any, stream: str = "encoder") -> list[str]:
    return [position.label for position in attention[stream].key_positions]


@pytest.mark.parametrize(
    "inputs",
    [
        TEXT,
        [TEXT],
        IDS,
        [IDS],
        np.array(IDS),
        np.array([IDS], dtype=np.int32),
        np.array(IDS, dtype=np.uint16),
        torch.tensor(IDS),
        torch.tensor([IDS]),
        {"input_ids": IDS},
        {"input_ids": np.array(IDS), "attention_mask": np.ones(7)},
        {"input_ids": torch.tensor(IDS), "attention_mask": [1] * 7, "token_type_ids": [0] * 7},
        {"input_ids": [torch.tensor(IDS)]},
        {"sequences": torch.tensor([IDS])},
    ],
    ids=lambda given: type(given).__name__,
)
def test_one_sequence_in_every_form(bert: Any, tokenizer: Any, inputs: Any) -> None:
    attention = capture(bert, inputs, tokenizer)
    assert labels(attention) == ["[CLS]", "the", "cat", "sat", "un", "able", "[SEP]"]
    expected = capture(bert, torch.tensor([IDS]))["encoder"][1].weights()
    assert np.array_equal(attention["encoder"][1].weights(), expected)
    assert attention.model_name == "BertModel"


@pytest.mark.parametrize("kind", [None, "pt", "np"])
def test_batch_encodings(bert: Any, tokenizer: Any, kind: str | None) -> None:
    assert labels(capture(bert, tokenizer(TEXT, return_tensors=kind), tokenizer))[1:3] == [
        "the",
        "cat",
    ]
    both = tokenizer([TEXT, "the mat"], padding=True, return_tensors=kind)
    assert labels(capture(bert, both, tokenizer, batch=1)) == ["[CLS]", "the", "mat", "[SEP]"]


def test_a_pair_of_texts(bert: Any, tokenizer: Any) -> None:
    attention = capture(bert, ("the cat", "the mat"), tokenizer)
    assert attention.text == "the cat\nthe mat"
    segments = [position.segment for position in attention["encoder"].key_positions]
    assert segments == [0, 0, 0, 0, 1, 1, 1]


def test_a_pair_without_token_types(tokenizer: Any) -> None:
    """RoBERTa is told nothing about segments; the reader still is."""
    tokenizer = words.word_piece(WORDS)
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    for inputs in (("the cat", "the mat"), tokenizer("the cat", "the mat")):
        stream = capture(zoo.build("roberta"), inputs, tokenizer)["encoder"]
        assert [p.segment for p in stream.key_positions] == [None, 0, 0, None, 1, 1, None]


def test_the_segments_of_a_pair_stay_with_the_encoder(tokenizer: Any) -> None:
    """Also where what is decoded happens to be as long."""
    ids = [7, 8, 9, 10, 11, 12]
    attention = capture(zoo.build("bart-2-4"), ("the cat", "the mat"), tokenizer, target=ids)
    encoder, decoder = attention["encoder"].key_positions, attention["decoder"].key_positions
    assert len(encoder) == len(decoder) == 7
    assert {p.segment for p in encoder} == {None, 0, 1}
    assert {p.segment for p in decoder} == {None}


def test_several_texts(bert: Any, tokenizer: Any) -> None:
    with pytest.raises(ValueError, match=r"2 texts; say which with batch=0 \.\. batch=1"):
        capture(bert, ["the cat", "the mat"], tokenizer)
    attention = capture(bert, ["the cat", "the mat"], tokenizer, batch=1)
    assert labels(attention) == ["[CLS]", "the", "mat", "[SEP]"]


def test_chat_messages(gpt2: Any) -> None:
    # GPT-2's vocabulary in the zoo is smaller than the bytes'.
    gpt2 = zoo.wake(builders.with_vocabulary(260))
    chat = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}]
    tokenizer = words.byte_level(chat=True)
    attention = capture(gpt2, chat, tokenizer)
    positions = attention["decoder"].key_positions
    assert (
        "".join(p.label for p in positions)
        == "<|start|>user↵hi<|end|>↵<|start|>assistant↵yo<|end|>↵"
    )
    assert [p.role for p in positions if p.label in {"h", "y"}] == ["user", "assistant"]
    assert positions[0].kind == "special"
    alone = capture(gpt2, chat[0], tokenizer)["decoder"].key_positions
    assert alone == positions[: len(alone)]
    with pytest.raises(ValueError, match="no chat template"):
        capture(gpt2, chat, words.byte_level())


def test_a_chat_template_says_which_special_tokens_there_are() -> None:
    """Tokenizers put theirs in front of plain text; the template has its own already."""
    model, tokenizer = pocket()
    tokenizer.chat_template = "<bos>{% for m in messages %}{{ m.content }} .{% endfor %}"
    chat = [{"role": "user", "content": "the cat sat"}]
    assert labels(capture(model, chat, tokenizer), "decoder") == ["<bos>", "the", "cat", "sat", "."]


def test_keys_of_an_encoder_that_did_not_run_are_not_named_after_the_decoder() -> None:
    model = zoo.build("bart-2-4")
    read = model.get_encoder()(zoo.ids(7))
    with recording(model) as attention:
        model(encoder_outputs=read, decoder_input_ids=zoo.ids(7, seed=1))
    assert labels(attention, "cross") == [f"#{index}" for index in range(7)]
    assert attention["cross"].query_positions == attention["decoder"].query_positions


def test_pictures_and_sound_without_a_batch_axis() -> None:
    pixels = zoo.pixels()["pixel_values"]
    model = zoo.build("vit", dtype=torch.bfloat16)
    for inputs in (pixels, pixels[0], pixels[0].numpy(), {"pixel_values": pixels[0].double()}):
        assert len(capture(model, inputs)["vision"].key_positions) == 17
    sound = zoo.sound()["input_features"]
    for inputs in (sound, sound[0], {"input_features": sound[0].numpy()}):
        attention = capture(zoo.build("whisper"), inputs)
        assert labels(attention, "decoder") == ["3"]  # the start token
        assert len(attention["encoder"].key_positions) == 11


@pytest.mark.parametrize("name", ["t5-4-2", "t5-2-4", "bart-2-4"])
def test_encoder_decoders_are_given_something_to_decode(name: str) -> None:
    model = zoo.build(name)
    attention = capture(model, zoo.ids(7))
    with torch.no_grad():
        written = model.generate(zoo.ids(7), max_new_tokens=32, do_sample=False, use_cache=False)
    assert labels(attention, "decoder") == [str(token) for token in written[0].tolist()]
    start = str(model.config.decoder_start_token_id)
    for target in ([7, 8], torch.tensor([[7, 8]])):
        attention = capture(model, zoo.ids(7), target=target)
        assert labels(attention, "decoder") == [start, "7", "8"]
    spelled = words.sentence_piece(["▁the", "▁cat"])
    attention = capture(model, "the cat the", spelled, target="the cat")
    assert labels(attention) == ["the", "cat", "the", "</s>"]
    assert labels(attention, "decoder")[1:] == ["the", "cat", "</s>"]
    assert attention["cross"].key_positions == attention["encoder"].key_positions


def test_a_base_model_that_cannot_generate_gets_its_start_token() -> None:
    model = zoo.build("t5-4-2")
    from transformers import T5Model

    base = T5Model(model.config).eval()
    assert labels(capture(base, zoo.ids(7)), "decoder") == ["0"]


def test_target_only_where_there_is_a_decoder(bert: Any) -> None:
    with pytest.raises(ValueError, match="target is for encoder-decoder models; BertModel"):
        capture(bert, IDS, target=[1])
    with pytest.raises(ValueError, match="both target and decoder inputs"):
        capture(zoo.build("t5-4-2"), zoo.source_and_target(), target=[1])
    mute = zoo.build("bart-2-4")
    # What begins an answer is said nowhere.
    for settings in (mute.config, mute.generation_config):
        settings.decoder_start_token_id = settings.bos_token_id = None
    with pytest.raises(ValueError, match=r"cannot write the answer.*target='some text'"):
        capture(mute, zoo.tokens())
    with pytest.raises(ValueError, match=r"\[batch, position\], such as .* of shape \[\]"):
        capture(bert, 3)


def test_a_target_for_each_row_of_a_batch() -> None:
    both = capture(zoo.build("bart-2-4"), zoo.ids(7, rows=2), target=[[5, 6], [7, 8]], batch=1)
    assert labels(both, "decoder")[1:] == ["7", "8"]


def test_a_tokenizer_is_found_beside_the_model(tmp_path: Path, bert: Any, tokenizer: Any) -> None:
    with pytest.raises(
        ValueError, match=r"no tokenizer given.*AutoTokenizer\.from_pretrained\('\.\.\.'\)"
    ):
        capture(bert, TEXT)
    bert.save_pretrained(tmp_path)
    loaded = type(bert).from_pretrained(tmp_path)
    with pytest.raises(ValueError, match=f"none found for '{tmp_path}'"):
        capture(loaded, TEXT)
    assert labels(capture(loaded, IDS))[0] == "1"
    tokenizer.save_pretrained(tmp_path)
    assert labels(capture(loaded, TEXT)) == ["[CLS]", "the", "cat", "sat", "un", "able", "[SEP]"]
    # For ids nothing is downloaded, yet what is there is used.
    assert labels(capture(loaded, IDS))[0] == "[CLS]"
    with recording(loaded) as attention:
        loaded(torch.tensor([IDS]))
    assert labels(attention)[0] == "[CLS]"


def test_what_is_missed_is_named(gpt2: Any) -> None:
    """One layer goes its own way: the rest is recorded, and that one is said to be missing."""
    gpt2 = zoo.build("gpt2")
    attend = gpt2.transformer.h[1].attn
    attend.forward = lambda hidden, **_: (hidden, None)
    with pytest.warns(
        UserWarning, match=r"not recorded.*GPT2Attention x 1 \(transformer\.h\.1\.attn\)"
    ):
        attention = capture(gpt2, zoo.ids(7))
    assert [layer.layer for layer in attention["decoder"]] == [0]


def test_forward_arguments_are_passed_on(bert: Any) -> None:
    positions = torch.arange(7)[None] + 9
    moved = capture(bert, IDS, position_ids=positions)["encoder"][0].query
    assert not torch.equal(moved, capture(bert, IDS)["encoder"][0].query)


def test_a_recording_is_a_record(bert: Any, tmp_path: Path) -> None:
    from attnwidget import Attention, load

    with recording(bert) as attention:
        with pytest.raises(RuntimeError, match="nothing to read yet: the block has not ended"):
            attention["encoder"]
        assert repr(attention).startswith("Recording(the block has not ended")
        bert(torch.tensor([IDS]))
    assert isinstance(attention, Attention)
    assert type(attention.attention) is Attention
    assert repr(attention) == repr(attention.attention)
    assert np.array_equal(
        attention["encoder"][1].weights(), attention.attention["encoder"][1].weights()
    )
    attention.save(tmp_path / "run.safetensors")
    again = load(tmp_path / "run.safetensors")
    assert np.array_equal(again["encoder"][1].weights(), attention["encoder"][1].weights())
    assert labels(again) == labels(attention)

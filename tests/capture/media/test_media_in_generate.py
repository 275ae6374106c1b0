"""Pictures, films and sounds given to ``generate``: the record of a plain forward pass, longer by the new tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from support import seeing, tiles
from support.seeing import IMAGE_TOKEN, VIDEO_TOKEN, Processor, picture, pixel_values

from attnwidget.recordings import capture, recording

if TYPE_CHECKING:
    from attnwidget.attention import Attention
    from attnwidget.record.positions import Positions


def generated(
    model: Any, inputs: dict[str, Any], batch: int | None = None, **options: Any
) -> Attention:
    settings = {"max_new_tokens": 3, "min_new_tokens": 3, "do_sample": False, **options}
    with recording(model, batch=batch) as attention:
        model.generate(**inputs, **settings)
    return attention.attention


def check_longer(longer: Attention, short: Attention) -> None:
    """Check that a record is another one, with more tokens behind it."""
    assert longer.media == short.media
    assert list(longer.streams) == list(short.streams)
    for name, stream in short.streams.items():
        other = longer[name]
        for axis in ("query_positions", "key_positions"):
            own, more = getattr(stream, axis), getattr(other, axis)
            assert more[: len(own)] == own
            assert not any(position.medium is not None for position in more[len(own) :])
        assert len(other) == len(stream)
        for layer, again in zip(stream, other, strict=True):
            weights = layer.weights()
            _, queries, keys = weights.shape
            np.testing.assert_allclose(again.weights()[:, :queries, :keys], weights, atol=1e-6)


def places(positions: Positions) -> list[tuple[int, int, int] | None]:
    """Medium, row and column of each patch, ``None`` for an image token without a place."""
    return [
        None if p.row is None else (p.medium or 0, p.row, p.column or 0)
        for p in positions
        if p.row is not None or p.label in {str(IMAGE_TOKEN), str(VIDEO_TOKEN)}
    ]


def grid(rows: int, columns: int, medium: int = 0) -> list[tuple[int, int, int] | None]:
    return [(medium, row, column) for row in range(rows) for column in range(columns)]


def llava_inputs() -> dict[str, Any]:
    places = [IMAGE_TOKEN] * 16
    pixels = torch.cat([pixel_values(picture(32, 32)), pixel_values(picture(32, 32).rotate(90))])
    return {**tiles.prompt(1, places, 5, places, 6), "pixel_values": pixels}


CASES: dict[str, Any] = {
    "llava": lambda: (seeing.llava(), llava_inputs()),
    "qwen2-vl": lambda: tiles.two_packed("Qwen2VL"),
    "qwen2.5-vl": lambda: tiles.two_packed("Qwen2_5_VL"),
    "llava-next": lambda: (tiles.llava_next(), tiles.two_sizes()),
    "llava-onevision": lambda: (tiles.llava_onevision(), tiles.picture_and_film()),
    "idefics3": lambda: (
        tiles.idefics3(),
        {
            **tiles.prompt(1, [IMAGE_TOKEN] * 4, 5, [IMAGE_TOKEN] * 4, 6),
            "pixel_values": tiles.drawn(1, 2, 3, 16, 16),
        },
    ),
    "mllama": lambda: (tiles.mllama(), tiles.two_tiled_pictures()),
    "qwen2-audio": lambda: (tiles.qwen2_audio(), tiles.two_sounds()),
}


@pytest.mark.parametrize("case", CASES)
def test_generate_records_what_a_forward_pass_records(case: str) -> None:
    model, inputs = CASES[case]()
    short = capture(model, inputs)
    assert len(short.media) > 1
    check_longer(generated(model, inputs), short)
    check_longer(generated(model, inputs, batch=0), short)


@pytest.mark.parametrize(
    "options",
    [
        {"num_beams": 2},
        {"use_cache": False},
        {"cache_implementation": "static"},
        {"prompt_lookup_num_tokens": 2},
        {"num_beams": 2, "num_return_sequences": 2, "batch": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("case", ["llava", "qwen2-vl", "mllama"])
def test_however_tokens_are_generated(case: str, options: dict[str, Any]) -> None:
    model, inputs = CASES[case]()
    check_longer(generated(model, inputs, **options), capture(model, inputs))


def test_ids_may_be_generates_first_argument() -> None:
    model, inputs = CASES["qwen2-vl"]()
    short = capture(model, inputs)
    ids = inputs.pop("input_ids")
    with recording(model) as attention:
        model.generate(ids, **inputs, max_new_tokens=3, do_sample=False)
    check_longer(attention.attention, short)


def test_tiles_of_pictures_of_two_sizes_lie_in_their_true_size() -> None:
    inputs = tiles.two_sizes()
    attention = capture(tiles.llava_next(), inputs)
    assert len(attention.media) == 3 + 5  # what only makes the batch even is no picture
    found = places(attention["decoder"].key_positions)
    wide = [
        place
        for row in (1, 2)  # of four; the others are padding
        for place in ([(1, row, c) for c in range(4)] + [(2, row, c) for c in range(4)] + [None])
    ]
    square = [
        place
        for row in range(8)
        for place in ([(4 + row // 4 * 2 + c // 4, row % 4, c % 4) for c in range(8)] + [None])
    ]
    assert found == grid(4, 4) + wide + grid(4, 4, 3) + square
    assert {p.grid for p in attention["decoder"].key_positions if p.row is not None} == {(4, 4)}
    vision = [
        (p.medium, p.row, p.column) for p in attention["vision"].key_positions if p.row is not None
    ]
    assert vision == [cell for tile in range(8) for cell in grid(4, 4, tile)]


def test_the_frames_of_a_film_follow_the_tiles_of_a_picture() -> None:
    attention = capture(tiles.llava_onevision(), tiles.picture_and_film())
    assert len(attention.media) == 5 + 3
    film = places(attention["decoder"].key_positions)[-13:]
    assert film == grid(2, 2, 5) + grid(2, 2, 6) + grid(2, 2, 7) + [None]
    seen = {p.medium for p in attention["vision part 2"].key_positions}
    assert seen == {5, 6, 7}


def test_what_mllama_looks_at_lies_in_its_tiles() -> None:
    attention = capture(tiles.mllama(), tiles.two_tiled_pictures())
    expected = [cell for tile in range(4) for cell in grid(4, 4, tile)]
    for name in ("vision", "cross"):
        assert places(attention[name].key_positions) == expected
    assert len(attention["vision"].key_positions) == 4 * 24
    assert len(attention["cross"].key_positions) == 4 * 17
    assert [p.label for p in attention["cross"].key_positions[:2]] == ["[CLS]", "image 0 r0 c0"]


def test_each_sound_of_a_prompt_has_its_own_time() -> None:
    inputs = tiles.two_sounds()
    inputs["feature_attention_mask"][:, 20:] = 0  # padding has no tokens
    inputs |= tiles.prompt(1, [tiles.AUDIO_TOKEN] * 5, 5, [tiles.AUDIO_TOKEN] * 5, 6)
    attention = capture(tiles.qwen2_audio(), inputs)
    assert [medium.seconds for medium in attention.media] == [0.4, 0.4]
    found = [(p.medium, p.time) for p in attention["decoder"].key_positions if p.kind == "frame"]
    assert found == [(sound, pytest.approx(0.04 * n)) for sound in range(2) for n in range(5)]
    check_longer(generated(tiles.qwen2_audio(), inputs), attention)


def rows(*texts: list[int]) -> dict[str, torch.Tensor]:
    """Texts of a batch, padded on the left."""
    longest = max(map(len, texts))
    pads = [longest - len(text) for text in texts]
    return {
        "input_ids": torch.tensor(
            [[0] * pad + text for pad, text in zip(pads, texts, strict=True)]
        ),
        "attention_mask": torch.tensor(
            [[0] * pad + [1] * len(text) for pad, text in zip(pads, texts, strict=True)]
        ),
    }


def turned(*quarters: int) -> torch.Tensor:
    return torch.cat([pixel_values(picture(32, 32).rotate(90 * turn)) for turn in quarters])


@pytest.mark.parametrize("batch", [0, 1])
def test_prompts_of_a_batch_keep_their_own_pictures(batch: int) -> None:
    """Three pictures and one: a quarter turn tells which is which."""
    model, place = seeing.llava(), [IMAGE_TOKEN] * 16
    inputs = rows([1, *place, 5, *place, *place, 6], [1, *place, 5, 6, 7])
    inputs["pixel_values"] = turned(0, 1, 2, 3)
    short = capture(model, inputs, batch=batch)
    expected = ([0, 1, 2], [3])[batch]
    alone = capture(
        model,
        {
            "pixel_values": turned(*expected),
            **rows(*([[1, *place, 5, *place, *place, 6]], [[1, *place, 5, 6, 7]])[batch]),
        },
    )
    for name, stream in alone.streams.items():
        assert short[name].key_positions == stream.key_positions
        np.testing.assert_allclose(short[name][0].weights(), stream[0].weights(), atol=1e-6)
    check_longer(generated(model, inputs, batch), short)


def test_a_prompt_without_a_picture_says_so_and_takes_no_other() -> None:
    model, place = seeing.llava(), [IMAGE_TOKEN] * 16
    inputs = rows([1, *place, 5, *place, 6], [1, 5, 6, 7])
    inputs["pixel_values"] = turned(0, 1)
    with pytest.warns(UserWarning, match="pictures of several inputs"):
        attention = generated(model, inputs, 1)
    assert list(attention.streams) == ["decoder"]
    assert not attention.media


def test_beams_share_the_pictures_of_their_prompt() -> None:
    model, place = seeing.llava(), [IMAGE_TOKEN] * 16
    inputs = rows([1, *place, 5, 7], [1, *place, *place, 8])
    inputs["pixel_values"] = turned(0, 1, 2)
    check_longer(generated(model, inputs, 1, num_beams=3), capture(model, inputs, batch=1))


def test_a_batch_of_prompts_is_refused_by_its_prompts_not_by_its_pictures() -> None:
    model, place = seeing.llava(), [IMAGE_TOKEN] * 16
    inputs = rows([1, *place, *place, 5], [1, *place, *place, 6])
    inputs["pixel_values"] = turned(0, 1, 2, 3)
    with pytest.raises(
        ValueError, match=r"batch of 2; say which row to record with batch=0 \.\. batch=1"
    ):
        generated(model, inputs)


def test_the_token_of_an_image_that_a_model_writes_is_text() -> None:
    model, inputs = tiles.two_packed("Qwen2VL")
    short = capture(model, inputs)

    def write_it(_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        return torch.full_like(scores, -1e9).index_fill(1, torch.tensor([IMAGE_TOKEN]), 0.0)

    longer = generated(model, inputs, logits_processor=[write_it])
    check_longer(longer, short)
    assert longer["decoder"].key_positions[-1].label == str(IMAGE_TOKEN)


def test_some_positions_of_a_prompt_lie_where_all_of_them_do() -> None:
    inputs = llava_inputs()
    whole = capture(seeing.llava(), inputs)["decoder"]
    part = capture(seeing.llava(), inputs, positions={"decoder": slice(3, 7)})["decoder"]
    assert part.query_positions == whole.query_positions[3:7]


@pytest.mark.parametrize("way", ["forward", "generate"])
def test_tokens_without_a_place_are_said(way: str) -> None:
    model, inputs = tiles.idefics2(), tiles.prompt(1, [IMAGE_TOKEN] * 4, 5)
    inputs["pixel_values"] = tiles.drawn(1, 1, 3, 16, 16)
    with pytest.warns(
        UserWarning, match="4 image tokens have no place in a picture.*learned queries"
    ):
        attention = capture(model, inputs) if way == "forward" else generated(model, inputs)
    assert not any(p.row is not None for p in attention["decoder"].key_positions)
    assert attention["decoder"].key_positions[1].kind == "special"


def test_vectors_in_place_of_pictures_are_said() -> None:
    model, inputs = seeing.llava(), tiles.prompt(1, [IMAGE_TOKEN] * 16, 5)
    vectors = model.get_input_embeddings()(inputs["input_ids"])
    with pytest.warns(UserWarning, match="16 image tokens have no place.*not given pixel_values"):
        generated(model, {**inputs, "inputs_embeds": vectors})


def test_processor_colours_in_generate() -> None:
    model, inputs = seeing.llava(), llava_inputs()
    with recording(model, Processor()) as attention:
        model.generate(**inputs, max_new_tokens=2, do_sample=False)
    assert attention.media == capture(model, inputs, Processor()).media

"""Pictures and sounds in the record, and the positions that lie in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import transformers as hf
from PIL import Image
from support import seeing, words, zoo
from support.seeing import IMAGE_TOKEN, Processor, picture, pixel_values

from attnwidget.record import storage
from attnwidget.recordings import capture, recording

if TYPE_CHECKING:
    from pathlib import Path

    from attnwidget.record.positions import Positions


def cells(positions: Positions) -> list[tuple[int | None, int | None, int | None]]:
    return [(p.medium, p.row, p.column) for p in positions if p.medium is not None]


def grid(rows: int, columns: int, medium: int = 0) -> list[tuple[int, int, int]]:
    return [(medium, row, column) for row in range(rows) for column in range(columns)]


def differ(medium: Any, image: Any) -> float:
    return float(np.abs(medium.pixels.astype(float) - np.array(image)).mean())


def test_a_vision_transformer_sees_the_picture_in_its_true_colours() -> None:
    image = picture()
    attention = capture(seeing.vit(), {"pixel_values": pixel_values(image)}, Processor())
    (medium,) = attention.media
    assert medium.kind == "image"
    assert medium.note is None
    assert differ(medium, image) < 0.6
    positions = attention["vision"].key_positions
    assert positions[0].kind == "special"
    assert positions[0].medium is None
    assert cells(positions) == grid(4, 6)
    assert {p.grid for p in positions[1:]} == {(4, 6)}


def test_without_a_processor_colours_are_rescaled_and_that_is_said(tmp_path: Path) -> None:
    image = picture()
    model = seeing.vit()
    (medium,) = capture(model, pixel_values(image)).media
    assert "pass the image processor" in str(medium.note)
    assert medium.pixels.min() == 0
    assert medium.pixels.max() == 255
    # Beside a model that was loaded from a folder stand its processor's settings.
    model.save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(
        '{"image_mean": [0.5, 0.4, 0.3], "image_std": [0.5, 0.25, 0.2]}', encoding="utf-8"
    )
    (medium,) = capture(type(model).from_pretrained(tmp_path), pixel_values(image)).media
    assert medium.note is None
    assert differ(medium, image) < 0.6


def test_a_processor_that_did_not_make_the_pixels_is_not_believed() -> None:
    (medium,) = capture(seeing.vit(), 40 * pixel_values(picture()), Processor()).media
    assert medium.note is not None


def test_pixels_that_are_colours_already_stay_as_they_are() -> None:
    values = torch.from_numpy(np.array(picture())).permute(2, 0, 1)[None] / 255
    (medium,) = capture(seeing.vit(), values).media
    assert medium.note is None
    assert differ(medium, picture()) == 0


def test_large_pictures_are_kept_small_and_what_no_patch_covers_is_cut_off() -> None:
    model = seeing.vit(image_size=32)
    values = pixel_values(picture(48 * 15 + 5, 32 * 15 + 3))
    attention = capture(model, {"pixel_values": values, "interpolate_pos_encoding": True})
    (medium,) = attention.media
    assert cells(attention["vision"].key_positions) == grid(60, 90)
    assert (medium.height, medium.width) == (341, 512)


def test_windows_and_stages_stand_on_grids_of_their_own() -> None:
    attention = capture(seeing.swin(), {"pixel_values": pixel_values(picture(32, 32))})
    sides = [(8, 8), (4, 4)]
    assert len(attention.streams) == len(sides)
    for stream, side in zip(attention.streams.values(), sides, strict=True):
        assert cells(stream.query_positions) == grid(*side)
        assert {p.grid for p in stream.key_positions} == {side}


def test_merged_keys_lie_on_a_coarser_grid_than_their_queries() -> None:
    attention = capture(seeing.segformer(), {"pixel_values": pixel_values(picture(48, 32))})
    first, second = attention.streams.values()
    assert cells(first.query_positions) == grid(8, 12)
    assert cells(second.query_positions) == grid(4, 6)
    for stream in (first, second):
        assert cells(stream.key_positions) == grid(2, 3)
        assert {position.grid for position in stream.key_positions} == {(2, 3)}


def test_windows_of_one_colour_are_told_apart() -> None:
    """On a white page most patches are alike until the first windows have mixed them."""
    image = Image.new("RGB", (32, 32), "white")
    image.paste((200, 30, 30), (5, 9, 19, 26))
    model = seeing.swin()
    model.set_attn_implementation("eager")
    inputs = {"pixel_values": pixel_values(image)}
    first = next(iter(capture(model, inputs).streams.values()))
    assert [layer.layer for layer in first] == [0, 1]
    assert cells(first.key_positions) == grid(8, 8)
    found: list[torch.Tensor] = []
    attend = model.get_submodule(first[0].module_path)
    hook = attend.register_forward_hook(lambda _module, _given, output: found.append(output[1]))
    with torch.no_grad():
        model(**inputs)
    hook.remove()
    own = found[0].numpy()
    mine = first[0].weights().reshape(2, 2, 4, 2, 4, 2, 4, 2, 4)
    for row, column in np.ndindex(2, 2):  # windows of 4 x 4 patches, line by line
        block = mine[:, row, :, column, :, row, :, column, :].reshape(2, 16, 16)
        np.testing.assert_allclose(block, own[2 * row + column], atol=1e-6)


def test_of_two_towers_only_the_one_that_sees_lies_in_the_picture() -> None:
    inputs = {"pixel_values": pixel_values(picture(32, 32)), "input_ids": zoo.ids(5)}
    attention = capture(seeing.clip(), inputs, Processor())
    assert len(attention.media) == 1
    assert cells(attention["vision"].key_positions) == grid(4, 4)
    others = [stream for name, stream in attention.streams.items() if name != "vision"]
    assert others
    assert not any(stream.lies_in_media for stream in others)


def test_image_tokens_in_a_prompt_point_at_their_patch() -> None:
    ids = [1, *[IMAGE_TOKEN] * 16, 5, 6, 7]
    inputs = {"input_ids": [ids], "pixel_values": pixel_values(picture(32, 32))}
    attention = capture(seeing.llava(), inputs, Processor())
    positions = attention["decoder"].key_positions
    assert cells(positions) == grid(4, 4)
    assert [p.label for p in positions[:3]] == ["1", "r0 c0", "r0 c1"]
    assert [p.kind for p in positions[-2:]] == ["token", "token"]
    assert cells(attention["vision"].key_positions) == grid(4, 4)


def test_two_pictures_in_one_prompt() -> None:
    ids = [1, *[IMAGE_TOKEN] * 16, 5, *[IMAGE_TOKEN] * 16, 7]
    both = [picture(32, 32), picture(32, 32).rotate(180)]
    pixels = torch.cat([pixel_values(image) for image in both])
    attention = capture(seeing.llava(), {"input_ids": [ids], "pixel_values": pixels}, Processor())
    for stream in ("vision", "decoder"):
        positions = attention[stream].key_positions
        assert cells(positions) == grid(4, 4) + grid(4, 4, 1)
        assert next(p.label for p in positions if p.medium == 1) == "image 1 r0 c0"
    for medium, image in zip(attention.media, both, strict=True):
        assert differ(medium, image) < 0.6


def test_image_tokens_that_do_not_add_up_point_nowhere() -> None:
    model = seeing.llava()
    ids = [1, *[IMAGE_TOKEN] * 16, 5]
    with recording(model.model.language_model) as attention:
        model.model.language_model(input_ids=torch.tensor([ids]))
    assert not attention.attention.media
    assert not attention["decoder"].lies_in_media


@pytest.mark.parametrize("family", ["Qwen2VL", "Qwen2_5_VL"])
def test_packed_patches_are_put_together_again(family: str) -> None:
    image = picture(24, 16)
    pixels, sizes = seeing.packed(image, patch=4, merge=2, depth=2)
    ids = torch.tensor([[1, 96, *[IMAGE_TOKEN] * 6, 95, 5, 6]])
    inputs = {"input_ids": ids, "pixel_values": pixels, "image_grid_thw": sizes}
    inputs["mm_token_type_ids"] = (ids == IMAGE_TOKEN).int()
    attention = capture(seeing.qwen(family), inputs, Processor())
    (medium,) = attention.media
    assert differ(medium, image) < 0.6
    assert cells(attention["decoder"].key_positions) == grid(2, 3)
    whole = attention["vision"]
    assert sorted(cells(whole.key_positions)) == grid(4, 6)
    # Patches that merge stand together: two, then the two below them.
    assert cells(whole.key_positions)[:4] == [(0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1)]
    assert [layer.layer for layer in whole] == [0, 1]
    attended = whole[0].weights().sum(0) > 0
    if family == "Qwen2VL":
        assert attended.all()
    else:  # windows of 4 x 4 patches in the first layer
        columns = np.array([position.column for position in whole.key_positions]) // 4
        np.testing.assert_array_equal(attended, columns[:, None] == columns)
    np.testing.assert_allclose(whole[0].weights().sum(-1), 1, atol=1e-6)


def test_several_packed_pictures_attend_to_themselves_only() -> None:
    first, sizes = seeing.packed(picture(24, 16), patch=4, merge=2, depth=2)
    second, more = seeing.packed(picture(16, 16), patch=4, merge=2, depth=2)
    ids = [[1, *[IMAGE_TOKEN] * 6, 5, *[IMAGE_TOKEN] * 4, 6]]
    inputs = {"input_ids": torch.tensor(ids), "pixel_values": torch.cat([first, second])}
    inputs["image_grid_thw"] = torch.cat([sizes, more])
    inputs["mm_token_type_ids"] = (inputs["input_ids"] == IMAGE_TOKEN).int()
    attention = capture(seeing.qwen("Qwen2VL"), inputs, Processor())
    assert [(medium.width, medium.height) for medium in attention.media] == [(24, 16), (16, 16)]
    assert cells(attention["decoder"].key_positions) == grid(2, 3) + grid(2, 2, 1)
    whole = attention["vision"]
    assert sorted(cells(whole.key_positions)) == grid(4, 6) + grid(4, 4, 1)
    own = np.array([position.medium for position in whole.key_positions])
    np.testing.assert_array_equal(whole[1].weights().sum(0) > 0, own[:, None] == own)


def test_packed_pictures_of_a_batch_are_told_apart_by_its_rows() -> None:
    both = [picture(24, 16), picture(16, 16).rotate(90)]
    made = [seeing.packed(image, patch=4, merge=2, depth=2) for image in both]
    first = [1, *[IMAGE_TOKEN] * 6, 5, 6, 7]
    second = [1, *[IMAGE_TOKEN] * 4, 5, 6, 7, 8, 9]
    inputs = {"input_ids": torch.tensor([first, second])}
    inputs["pixel_values"] = torch.cat([pixels for pixels, _ in made])
    inputs["image_grid_thw"] = torch.cat([sizes for _, sizes in made])
    inputs["mm_token_type_ids"] = (inputs["input_ids"] == IMAGE_TOKEN).int()
    model = seeing.qwen("Qwen2VL")
    for row, expected in enumerate((grid(2, 3), grid(2, 2, 1))):
        attention = capture(model, inputs, Processor(), batch=row)
        assert cells(attention["decoder"].key_positions) == expected
        assert differ(attention.media[row], both[row]) < 0.6


def test_pictures_and_a_film_in_one_prompt() -> None:
    still, sizes = seeing.packed(picture(24, 16), patch=4, merge=2, depth=2)
    film, length = seeing.packed(picture(16, 16), patch=4, merge=2, depth=2)
    ids = [[1, *[seeing.VIDEO_TOKEN] * 4, 5, *[IMAGE_TOKEN] * 6, 6]]
    inputs = {"input_ids": torch.tensor(ids), "pixel_values": still, "image_grid_thw": sizes}
    inputs |= {"pixel_values_videos": film, "video_grid_thw": length}
    kinds = (inputs["input_ids"] == IMAGE_TOKEN).int()
    inputs["mm_token_type_ids"] = kinds + 2 * (inputs["input_ids"] == seeing.VIDEO_TOKEN).int()
    attention = capture(seeing.qwen("Qwen2VL"), inputs, Processor())
    assert [(medium.width, medium.height) for medium in attention.media] == [(24, 16), (16, 16)]
    assert cells(attention["decoder"].key_positions) == grid(2, 2, 1) + grid(2, 3)


def test_patches_that_carry_their_place() -> None:
    image = picture(24, 16)
    values = pixel_values(image)[0]
    flat = torch.zeros(1, 30, 2 + 48)
    for index, (_, row, column) in enumerate(grid(4, 6)):
        cut = values[:, row * 4 : row * 4 + 4, column * 4 : column * 4 + 4]
        flat[0, index, :2] = torch.tensor([row + 1, column + 1])
        flat[0, index, 2:] = cut.permute(1, 2, 0).flatten()
    mask = (flat[..., 0] > 0).float()
    attention = capture(
        seeing.pix2struct(), {"flattened_patches": flat, "attention_mask": mask}, Processor()
    )
    (medium,) = attention.media
    assert differ(medium, image) < 0.6
    (stream,) = attention.streams.values()
    assert cells(stream.key_positions) == grid(4, 6)


def test_the_frames_of_a_video() -> None:
    frames = [picture(16, 16).rotate(angle) for angle in (0, 10, 90, 100)]
    pixels = torch.cat([pixel_values(frame) for frame in frames])[None]
    attention = capture(seeing.videomae(), {"pixel_values": pixels}, Processor())
    (stream,) = attention.streams.values()
    assert cells(stream.key_positions) == grid(2, 2) + grid(2, 2, 1)
    # Two frames make a patch; the first of them is shown.
    assert [
        differ(medium, frames[n]) < 0.6 for medium, n in zip(attention.media, (0, 2), strict=True)
    ]


def test_a_row_of_a_batch_shows_its_own_picture() -> None:
    both = [picture(), picture().rotate(180)]
    pixels = torch.cat([pixel_values(image) for image in both])
    (medium,) = capture(seeing.vit(), pixels, Processor(), batch=1).media
    assert differ(medium, both[1]) < 0.6


def test_whispers_spectrogram_is_the_one_it_was_given() -> None:
    inputs = zoo.sound()
    attention = capture(zoo.build("whisper"), inputs)
    (medium,) = attention.media
    assert medium.kind == "spectrogram"
    assert medium.pixels.shape == (8, 22)
    assert medium.seconds == pytest.approx(0.22)
    features = inputs["input_features"][0].numpy()
    scaled = (features - features.min()) / np.ptp(features) * 255
    np.testing.assert_allclose(medium.pixels, scaled, atol=0.51)
    for name, axis in (("encoder", "query_positions"), ("cross", "key_positions")):
        positions = getattr(attention[name], axis)
        assert [p.time for p in positions] == pytest.approx([0.02 * i for i in range(11)])
        assert {p.medium for p in positions} == {0}
    assert not attention["decoder"].lies_in_media


def test_a_spectrogram_is_made_of_raw_samples() -> None:
    attention = capture(seeing.wav2vec2(), {"input_values": seeing.chirp()[None]})
    (medium,) = attention.media
    assert medium.seconds == pytest.approx(1.0)
    assert medium.pixels.shape[0] == 64
    # The tone rises: the loudest band goes up, evenly, from 0.3 to 4.3 of 8 kilohertz.
    loudest = medium.pixels.argmax(axis=0)
    assert np.corrcoef(np.arange(len(loudest)), loudest)[0, 1] > 0.98
    assert loudest[5] < 8
    assert 28 < loudest[-5] < 38
    frequencies = medium.frequencies
    assert frequencies is not None
    assert frequencies[0] < 150
    assert frequencies[-1] > 7850
    assert np.ptp(np.diff(frequencies)) < 150  # as even as pooled frequencies are
    # What the tone is at the middle of the sound, within two bands.
    assert frequencies[loudest[len(loudest) // 2]] == pytest.approx(2300, abs=250)
    (stream,) = attention.streams.values()
    assert len(stream.key_positions) == 49
    assert stream.key_positions[10].time == pytest.approx(0.2)
    assert {p.medium for p in stream.key_positions} == {0}


def test_the_bands_of_a_log_mel_spectrogram_are_where_the_extractors_filters_are(
    tmp_path: Path,
) -> None:
    extractor = hf.WhisperFeatureExtractor(feature_size=20, chunk_length=2)
    sound = extractor(seeing.chirp(1.6), sampling_rate=16_000, return_tensors="pt")
    config = hf.WhisperConfig(
        vocab_size=61, d_model=24, encoder_layers=1, decoder_layers=1, encoder_attention_heads=3,
        decoder_attention_heads=3, encoder_ffn_dim=32, decoder_ffn_dim=32, num_mel_bins=20, max_source_positions=100,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=3,
    )  # fmt: skip
    model = zoo.wake(hf.WhisperForConditionalGeneration(config))
    inputs = {**sound, "decoder_input_ids": zoo.ids(4)}
    attention = capture(model, inputs, extractor)
    (medium,) = attention.media
    assert medium.frequencies is not None
    peaks = np.linspace(0, 8000, len(extractor.mel_filters))[extractor.mel_filters.argmax(axis=0)]
    np.testing.assert_allclose(medium.frequencies, peaks, atol=250)
    # Bands of a mel scale get wider.
    widths = np.diff(medium.frequencies)
    assert widths[-1] > 3 * widths[0]
    attention.save(tmp_path / "heard.safetensors")
    assert storage.load(tmp_path / "heard.safetensors").media == attention.media
    # Without the extractor nobody knows.
    assert capture(model, inputs).media[0].frequencies is None


def test_media_are_saved_with_the_record(tmp_path: Path) -> None:
    inputs = {"pixel_values": pixel_values(picture())}
    attention = capture(seeing.vit(), inputs)
    attention.save(tmp_path / "seen.safetensors")
    again = storage.load(tmp_path / "seen.safetensors")
    assert again.media == attention.media
    assert again["vision"].key_positions == attention["vision"].key_positions
    sound = capture(zoo.build("whisper"), zoo.sound())
    sound.save(tmp_path / "heard.safetensors")
    assert storage.load(tmp_path / "heard.safetensors").media == sound.media


def test_generation_keeps_the_picture_of_its_first_pass() -> None:
    model = seeing.llava()
    inputs = {
        "input_ids": torch.tensor([[1, *[IMAGE_TOKEN] * 16, 5, 6]]),
        "pixel_values": pixel_values(picture(32, 32)),
    }
    with recording(model, Processor()) as attention:
        model.generate(**inputs, max_new_tokens=3, min_new_tokens=3, do_sample=False)
    assert len(attention.media) == 1
    assert cells(attention["decoder"].key_positions) == grid(4, 4)


class ViTProcessor(Processor):
    """As much of an image processor as `capture` asks for."""

    def __call__(self, images: Any, return_tensors: str) -> dict[str, torch.Tensor]:
        assert return_tensors == "pt"
        resized = [
            image.resize((48, 32)) for image in (images if isinstance(images, list) else [images])
        ]
        return {"pixel_values": torch.cat([pixel_values(image) for image in resized])}


def test_a_picture_itself_is_an_input_and_is_shown_sharper_than_the_model_saw_it() -> None:
    large = picture(240, 160)
    attention = capture(seeing.vit(), large, ViTProcessor())
    (medium,) = attention.media
    assert (medium.width, medium.height) == (240, 160)
    assert differ(medium, large) == 0
    assert cells(attention["vision"].key_positions) == grid(4, 6)
    with pytest.raises(ValueError, match=r"need the model's processor.*AutoProcessor"):
        capture(seeing.vit(), large)


def test_a_cropped_picture_is_shown_as_the_model_saw_it() -> None:
    class Cropping(ViTProcessor):
        def __call__(self, images: Any, return_tensors: str) -> dict[str, torch.Tensor]:
            return super().__call__(images.crop((0, 0, 120, 80)), return_tensors)

    (medium,) = capture(seeing.vit(), picture(240, 160), Cropping()).media
    assert (medium.width, medium.height) == (48, 32)


def test_a_sound_itself_is_an_input() -> None:
    class Extractor:
        sampling_rate, hop_length = 16_000, 160

        def __call__(self, samples: Any, sampling_rate: int, return_tensors: str) -> Any:
            assert (sampling_rate, return_tensors) == (16_000, "pt")
            return {"input_values": torch.from_numpy(samples)[None]}

    sound = {"array": seeing.chirp(), "sampling_rate": 16_000, "path": None}
    (medium,) = capture(seeing.wav2vec2(), sound, Extractor()).media
    assert medium.seconds == pytest.approx(1.0)


class ChatProcessor(ViTProcessor):
    """A template of two tokens a message around its words and pictures."""

    def __init__(self) -> None:
        self.tokenizer = words.word_piece(["what", "is", "this", "cat", "[IMG]"])

    def apply_chat_template(self, messages: Any, **options: Any) -> dict[str, torch.Tensor]:
        assert options == {"tokenize": True, "return_dict": True, "return_tensors": "pt"}
        ids: list[int] = []
        pixels: list[torch.Tensor] = []
        for message in messages:
            ids.append(3)
            for part in message["content"]:
                if part["type"] == "image":
                    ids += [IMAGE_TOKEN] * 16
                    pixels.append(pixel_values(part["image"].resize((32, 32))))
                else:
                    ids += self.tokenizer(part["text"], add_special_tokens=False)["input_ids"]
        made = {"input_ids": torch.tensor([ids])}
        return made | ({"pixel_values": torch.cat(pixels)} if pixels else {})


def test_a_chat_about_a_picture() -> None:
    chat = [
        {
            "role": "user",
            "content": [
                {"type": "image", "image": picture(64, 64)},
                {"type": "text", "text": "what is this"},
            ],
        },
        {"role": "assistant", "content": [{"type": "text", "text": "cat"}]},
    ]
    attention = capture(seeing.llava(), chat, ChatProcessor())
    positions = attention["decoder"].key_positions
    assert [p.role for p in positions] == ["user"] * 20 + ["assistant"] * 2
    assert cells(positions) == grid(4, 4)
    assert attention.media[0].width == 64

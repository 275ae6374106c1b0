"""`capture` gives a model what its forward takes, as it takes it: the record is that of ``model(**inputs)``."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import peft
import pytest
import torch
import transformers as hf
from capture.coverage.inputs import ready
from capture.coverage.ways import difference
from support import zoo
from torch import nn

from attnwidget.recordings import capture, recording

if TYPE_CHECKING:
    from attnwidget import Attention

SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}  # fmt: skip
SIDES = {"d_model": 16, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
         "encoder_ffn_dim": 16, "decoder_ffn_dim": 16}  # fmt: skip


def recorded(model: Any, inputs: dict[str, Any], batch: int | None = None) -> Attention:
    with torch.no_grad(), recording(model, batch=batch) as attention:
        model(**copy.deepcopy(inputs))
    return attention.attention


def same(model: Any, inputs: dict[str, Any], batch: int | None = None) -> Attention:
    """Capture the inputs, and hold the record against that of the model's own call."""
    given = copy.deepcopy(inputs)
    attention = capture(model, given, batch=batch)
    assert difference(recorded(model, inputs, batch), attention) == ""
    return attention


def detr() -> Any:
    backbone = hf.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], out_features=["stage2"]
    )
    config = hf.DetrConfig(
        use_timm_backbone=False, backbone=None, backbone_config=backbone, num_queries=5, **SIDES
    )
    return zoo.wake(hf.DetrForObjectDetection(config)).eval()


@pytest.mark.parametrize(
    "model_type",
    ["time_series_transformer", "dia", "siglip2", "gemma4_vision", "video_llama_3_vision", "swin2sr", "lfm2_vl",
     "dots3_note_audio_encoder"],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore")  # of the models themselves
def test_one_row_needs_no_choice(model_type: str) -> None:
    """The first half of each input of the coverage table: one text, one image, one sound."""
    model, inputs, _ = ready(model_type)
    half = {name: value[: len(value) // 2] for name, value in inputs.items()}
    torch.manual_seed(7)
    attention = recorded(model, half)
    torch.manual_seed(7)
    assert difference(attention, capture(model, half)) == ""


def test_a_detector_has_no_text_to_decode() -> None:
    model, pixels = detr(), torch.rand(1, 3, 64, 96)
    attention = same(model, {"pixel_values": pixels, "pixel_mask": torch.ones(1, 64, 96).long()})
    assert len(attention["cross"].query_positions) == 5
    alone = {"pixel_values": pixels[0].numpy(), "pixel_mask": np.ones((64, 96), dtype=np.int64)}
    assert difference(attention, capture(model, alone)) == ""
    boxes = {"class_labels": torch.tensor([1]), "boxes": torch.rand(1, 4)}
    same(model, {"pixel_values": pixels, "labels": [boxes]})  # a list of dicts stays one
    with pytest.raises(
        ValueError,
        match=r"DetrForObjectDetection\.forward has none, give decoder_inputs_embeds",
    ):
        capture(model, pixels, target=[1])


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # PEFT asks for it
def test_an_adapter_around_a_detector() -> None:
    """PEFT's forward names nothing and passes everything on."""
    model = peft.get_peft_model(detr(), peft.LoraConfig(target_modules=["q_proj"], r=2)).eval()
    same(model, {"pixel_values": torch.rand(1, 3, 64, 96)})
    bart = peft.get_peft_model(
        zoo.build("bart-2-4"), peft.LoraConfig(target_modules=["q_proj"], r=2)
    )
    assert len(capture(bart.eval(), zoo.ids(7), target=[7, 8])["decoder"].key_positions) == 3


def test_a_decoder_with_a_vocabulary_of_its_own() -> None:
    config = hf.MarianConfig(
        vocab_size=40, decoder_vocab_size=90, share_encoder_decoder_embeddings=False, tie_word_embeddings=False,
        pad_token_id=0, decoder_start_token_id=0, eos_token_id=1, **SIDES,
    )  # fmt: skip
    model = hf.MarianMTModel(config).eval()
    same(model, {"input_ids": torch.tensor([[5, 6]]), "decoder_input_ids": torch.tensor([[80, 3]])})
    decoder = capture(model, [5, 6], target=[80, 81])["decoder"]
    assert [position.label for position in decoder.key_positions] == ["0", "80", "81"]
    with pytest.raises(ValueError, match=r"input_ids must be in 0\.\.39, got 80"):
        capture(model, [5, 80], target=[3])


def test_an_encoder_decoder_inside_of_a_model_that_is_none() -> None:
    """InstructBLIP's configuration says nothing of the T5 that writes its answer."""
    config = hf.InstructBlipConfig(
        vision_config=SMALL | {"image_size": 32, "patch_size": 16},
        qformer_config=SMALL | {"encoder_hidden_size": 16, "vocab_size": 30},
        text_config={"model_type": "t5", "vocab_size": 61, "d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 2,
                     "num_heads": 2, "decoder_start_token_id": 0},
        num_query_tokens=4, image_token_index=60,
    )  # fmt: skip
    model = hf.InstructBlipForConditionalGeneration(config).eval()
    ids = torch.tensor([[60, 60, 60, 60, 7, 8]])
    inputs = {"pixel_values": torch.rand(1, 3, 32, 32), "input_ids": ids, "attention_mask": torch.ones_like(ids),
              "qformer_input_ids": torch.tensor([[7, 8]])}  # fmt: skip
    attention = capture(model, inputs, target=[9])
    assert [position.label for position in attention["decoder"].key_positions] == ["0", "9"]
    assert len(capture(model, inputs)["decoder"].key_positions) > 1


@pytest.mark.parametrize("kind", ["SequenceClassification", "QuestionAnswering"])
@pytest.mark.parametrize("family", ["Bart", "T5"])
def test_a_model_that_decodes_its_text_by_itself(family: str, kind: str) -> None:
    sizes = SIDES if family == "Bart" else {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 2, "num_heads": 2}  # fmt: skip
    config = getattr(hf, f"{family}Config")(
        vocab_size=61, pad_token_id=0, eos_token_id=2, decoder_start_token_id=1, **sizes
    )
    model = zoo.wake(getattr(hf, f"{family}For{kind}")(config)).eval()
    attention = same(model, {"input_ids": torch.tensor([[5, 6, 7, 8, 2]])})
    assert len(attention["decoder"].key_positions) == 5


def test_what_is_passed_on_is_not_written_again() -> None:
    bart = zoo.build("bart-2-4")
    generate, bart.generate = bart.generate, None
    given = torch.tensor([[3, 7, 8]])
    assert len(capture(bart, zoo.ids(7), decoder_input_ids=given)["decoder"].key_positions) == 3
    assert len(capture(bart, zoo.ids(7), labels=given)["decoder"].key_positions) == 3
    bart.generate = generate


def test_a_model_that_cannot_begin_says_what_it_wants() -> None:
    config = hf.SpeechT5Config(
        vocab_size=61, hidden_size=16, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, conv_dim=(16, 16), conv_stride=(5, 2),
        conv_kernel=(10, 3), num_feat_extract_layers=2, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2,
    )  # fmt: skip
    model = hf.SpeechT5ForSpeechToText(config).eval()
    for each in (model.config, model.generation_config):
        each.decoder_start_token_id = each.bos_token_id = each.pad_token_id = None
    with pytest.raises(ValueError, match=r"nothing to decode.*; give decoder_input_ids\.$"):
        capture(model, {"input_values": torch.rand(1, 1600)})


def test_ids_of_several_axes() -> None:
    """Choices, or codebooks: several ids at a position."""
    model = hf.BertForMultipleChoice(hf.BertConfig(vocab_size=61, **SMALL)).eval()
    same(model, {"input_ids": zoo.ids(7, rows=2)[None], "attention_mask": torch.ones(1, 2, 7)})
    with pytest.raises(
        ValueError, match=r"failed on input_ids of torch\.int64 \[1, 1, 7\] \(Value"
    ):
        capture(model.bert, zoo.ids(7)[None])
    codec = {"model_type": "mimi", "num_filters": 4, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
             "codebook_dim": 8, "codebook_size": 32, "upsampling_ratios": [2, 2], "num_quantizers": 4,
             "num_semantic_quantizers": 1, "vector_quantization_hidden_dimension": 8, "upsample_groups": 16}  # fmt: skip
    config = hf.KyutaiSpeechToTextConfig(
        vocab_size=60, codebook_vocab_size=30, num_codebooks=4, hidden_size=16, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=2, head_dim=8, ffn_dim=32, audio_bos_token_id=29,
        audio_pad_token_id=28, pad_token_id=3, bos_token_id=1, codec_config=codec,
    )  # fmt: skip
    speech = hf.KyutaiSpeechToTextForConditionalGeneration(config).eval()
    ids = torch.randint(4, 25, (2, 6, 5), generator=torch.Generator().manual_seed(0))
    same(speech, {"input_ids": ids, "attention_mask": torch.ones(2, 6).long()}, batch=1)
    same(speech, {"input_ids": ids[:1]})


def test_an_id_that_only_marks_the_place_of_a_picture() -> None:
    """The configuration names it; the model replaces it before it looks ids up."""
    vision = SMALL | {"image_size": 32, "patch_size": 8}
    text = SMALL | {"vocab_size": 50, "num_key_value_heads": 1, "head_dim": 8}
    config = hf.Gemma3Config(
        text_config=text, vision_config=vision, mm_tokens_per_image=4, image_token_index=77
    )
    model = hf.Gemma3ForConditionalGeneration(config).eval()
    ids = torch.tensor([[3, 77, 77, 77, 77, 8]])
    inputs = {"input_ids": ids, "pixel_values": torch.rand(1, 3, 32, 32), "token_type_ids": (ids == 77).long()}  # fmt: skip
    same(model, inputs)
    with pytest.raises(ValueError, match=r"must be in 0\.\.49, got 78"):
        capture(model, inputs | {"input_ids": ids + (ids == 8) * 70})


def test_a_mask_over_the_cache_too() -> None:
    model, mask = zoo.build("llama", "sdpa"), torch.ones(1, 9).long()
    with torch.no_grad():
        caches = [model(zoo.ids(7)).past_key_values for _ in range(2)]
        with recording(model) as attention:
            model(zoo.ids(2), attention_mask=mask, past_key_values=caches[0])
    inputs = {"input_ids": zoo.ids(2), "attention_mask": mask, "past_key_values": caches[1]}
    assert difference(attention.attention, capture(model, inputs)) == ""


def test_boxes_and_masks_of_one_text_without_a_batch_axis() -> None:
    model = hf.LayoutLMModel(hf.LayoutLMConfig(vocab_size=61, **SMALL)).eval()
    box = [[1, 2, 3, 4]] * 7
    whole = {
        "input_ids": zoo.ids(7),
        "bbox": torch.tensor([box]),
        "attention_mask": torch.ones(1, 7),
    }
    alone = {"input_ids": zoo.ids(7)[0].tolist(), "bbox": box, "attention_mask": [1] * 7}
    assert difference(recorded(model, whole), capture(model, alone)) == ""


class Attends(nn.Module):
    """Attends over what it makes of patches, and keeps what it was given beside them."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(48, 16)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.given: dict[str, Any] = {}

    def forward(
        self,
        pixel_values: torch.Tensor,
        grid: torch.Tensor | None = None,
        counts: torch.Tensor | None = None,
        sizes: list[int] | None = None,
        names: Any = None,
    ) -> torch.Tensor:
        self.given = {"grid": grid, "counts": counts, "sizes": sizes, "names": names}
        states = self.project(pixel_values.flatten(1) if grid is not None else pixel_values)
        states = states if states.ndim == 3 else states[None]
        return self.attention(states, states, states)[0]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("shape", "grid"),
    [((64, 48), [[8, 8]]), ((64, 48), [[1, 4, 8], [2, 4, 4]]), ((64, 3, 4, 4), [[8, 8]])],
)
def test_packed_patches_are_no_batch(shape: tuple[int, ...], grid: list[list[int]]) -> None:
    model = Attends().eval()
    inputs = {"pixel_values": torch.rand(shape), "grid": torch.tensor(grid), "counts": torch.ones(len(grid))}  # fmt: skip
    attention = same(model, inputs)
    assert len(attention["vision"].key_positions) == 64
    assert model.given["counts"].shape == (len(grid),)
    arrays = {"pixel_values": inputs["pixel_values"].numpy(), "grid": grid}
    assert difference(attention, capture(model, arrays)) == ""


def test_patches_of_one_image_are_no_image() -> None:
    """Both have three axes: the weights of the model say which it reads."""
    model = Attends().eval()
    assert len(same(model, {"pixel_values": torch.rand(1, 10, 48)})["vision"].key_positions) == 10
    both = {"pixel_values": torch.rand(3, 10, 48)}
    with pytest.raises(ValueError, match="batch of 3"):
        capture(model, both)
    same(model, both, batch=2)


def test_a_list_stays_one_where_forward_has_a_list() -> None:
    model, pixels = Attends().eval(), torch.rand(1, 10, 48)
    names, sizes = ["a", "b"], [3, 4]
    capture(model, {"pixel_values": pixels, "sizes": sizes, "names": names, "counts": [1, 2]})
    assert model.given["sizes"] == sizes
    assert type(model.given["sizes"]) is list
    assert model.given["names"] == names
    assert torch.equal(model.given["counts"], torch.tensor([1, 2]))

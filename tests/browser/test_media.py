"""Attention over the picture or the sound that went in, in a real notebook."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from browser.figures import headless, saved_by_button
from browser.lab import Widget
from playwright.sync_api import expect

if TYPE_CHECKING:
    from browser.lab import Lab, Notebook

TESTS = Path(__file__).parents[1]
# Patches attend to patches that look like them: keys are made as queries are.
SETUP = f"""
import sys
sys.path.insert(0, {str(TESTS)!r})
import torch, transformers as hf, attnwidget as aw
from support import seeing, words, zoo

def alike(model):
    weights = model.state_dict()
    for name in weights:
        for key, query in (("key.weight", "query.weight"), ("k_proj.weight", "q_proj.weight")):
            if name.endswith(key) and weights[name].shape == weights[name.replace(key, query)].shape:
                weights[name] = weights[name.replace(key, query)]
    model.load_state_dict(weights)
    return model

def see(processor=seeing.Processor):
    vit = alike(seeing.vit(image_size=(160, 240), patch_size=20))
    return aw.view(vit, seeing.pixel_values(seeing.picture(240, 160)), processor(), choose=False)
"""
CELLS = [SETUP]
WINDOW = (1400, 1300)
SEE = "view = see()\nview"
HEAR = """
whisper = zoo.wake(hf.WhisperForConditionalGeneration(hf.WhisperConfig(
    vocab_size=61, d_model=24, encoder_layers=2, decoder_layers=3, encoder_attention_heads=3,
    decoder_attention_heads=3, encoder_ffn_dim=32, decoder_ffn_dim=32, num_mel_bins=20, max_source_positions=100,
    pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=3)))
extractor = hf.WhisperFeatureExtractor(feature_size=20, chunk_length=2)
sound = extractor(seeing.chirp(1.6), sampling_rate=16_000, return_tensors="pt")
view = aw.view(whisper, dict(sound) | {"decoder_input_ids": zoo.ids(6)}, stream="cross", heads=[0, 2])
view
"""
READ = """
chat = "what is the red shape left of the yellow square".split()
tokenizer = words.word_piece(chat)
text = tokenizer(" ".join(chat), add_special_tokens=False)["input_ids"]
picture = seeing.picture(64, 64)
config = hf.LlavaConfig(
    vision_config={"model_type": "clip_vision_model", "hidden_size": 24, "intermediate_size": 32, "patch_size": 8,
                   "num_hidden_layers": 2, "num_attention_heads": 3, "image_size": 64, "projection_dim": 12},
    text_config={"model_type": "llama", **seeing.TEXT}, image_token_index=seeing.IMAGE_TOKEN)
inputs = {"input_ids": [[1] + [seeing.IMAGE_TOKEN] * 64 + text], "pixel_values": seeing.pixel_values(picture)}
processor = seeing.Processor()
processor.tokenizer = tokenizer
view = aw.view(zoo.wake(hf.LlavaForConditionalGeneration(config)), inputs, processor, stream="decoder", choose=False)
view
"""

# The middle of what has a name, as red, green and blue on the canvas.
COLOUR = """([canvas, x, y]) => {
  const box = canvas.getBoundingClientRect();
  const scale = canvas.width / box.width;
  const at = [Math.round((x - box.left) * scale), Math.round((y - box.top) * scale)];
  return [...canvas.getContext("2d").getImageData(...at, 1, 1).data];
}"""


def show(notebook: Notebook, source: str) -> Widget:
    widget = notebook.widget(notebook.append(source))
    widget.settle()
    return widget


def pictures(lab: Lab, widget: Widget, name: str) -> None:
    """Screenshots, wide and narrow, light and dark."""
    lab.set_viewport(1400, 1300)
    widget.screenshot(f"{name}-wide")
    lab.set_theme("dark")
    lab.set_viewport(620, 1300)
    widget.screenshot(f"{name}-narrow-dark")
    lab.set_theme("light")
    lab.set_viewport(1400, 1300)
    widget.settle()


def colour(widget: Widget, name: str) -> list[int]:
    x, y = widget.point("head", name)
    canvas = widget.panel("head").locator("canvas").element_handle()
    found: list[int] = widget.page.evaluate(COLOUR, [canvas, x, y])
    return found


def test_a_vision_transformers_patches_over_the_picture(lab: Lab, notebook: Notebook) -> None:
    widget = show(notebook, SEE)
    page = notebook.page
    assert widget.root.locator("[data-form='image']").get_attribute("aria-pressed") == "true"
    assert notebook.value("view.form") == "image"
    # Nothing chosen: pointing at a patch asks what it attends to, a click pins it.
    before = widget.picture("head")
    widget.hover("head", "query 27 ")
    fan = widget.wait_for_another("head", before)
    widget.click("head", "query 27 ")
    notebook.wait_value("view.query", 27)
    widget.leave()
    assert widget.wait_for_another("head", before) != before
    # Then pointing reads the weight, and the brightest patch is the one with the most.
    row = notebook.value("view.attention['vision'][0].weights(head=0)[27].tolist()")
    stops = [1 + 12 * r + c for r in range(0, 8, 2) for c in range(0, 12, 2)]
    strongest = max(stops, key=row.__getitem__)
    weakest = min(stops, key=row.__getitem__)
    if strongest != 27:  # its outline is drawn there
        assert sum(colour(widget, f"key {strongest} ")[:2]) > sum(
            colour(widget, f"key {weakest} ")[:2]
        )
    widget.hover("head", f"key {strongest} ")
    row_, column = divmod(strongest - 1, 12)
    shown = "<0.001" if row[strongest] < 0.0005 else f"{row[strongest]:.3f}"
    status = widget.root.locator(".aw-status")
    expect(status).to_contain_text(f"“r2 c2” looks at “r{row_} c{column}”, {shown}")
    # A click on another patch asks anew; Escape lets go.
    other = next(stop for stop in stops if stop != 27)
    widget.click("head", f"key {other} ")
    notebook.wait_value("view.query", other)
    page.keyboard.press("Escape")
    notebook.wait_value("view.query", None)
    assert fan
    # The token that is no patch answers as well, by keyboard.
    stop = widget.stop("head", "query 0 “[CLS]”")
    stop.wait_for(state="attached")
    stop.focus()
    page.keyboard.press("Enter")
    notebook.wait_value("view.query", 0)
    page.evaluate("document.activeElement.blur()")
    notebook.execute("view.query, view.heads = 53, [0, 1, 2]")
    pictures(lab, widget, "image-vit")
    notebook.execute("view.close()")


def test_whispers_decoder_over_a_chirps_spectrogram(lab: Lab, notebook: Notebook) -> None:
    widget = show(notebook, HEAR)
    assert widget.root.locator("[data-form='image']").inner_text() == "sound"
    before = widget.picture("head")
    widget.click("head", "query 3 ")
    notebook.wait_value("view.query", 3)
    widget.leave()
    widget.wait_for_another("head", before)
    # The frame under the pointer, by its time.
    widget.hover("head", "key 40 ")
    widget.root.locator(".aw-status", has_text="looks at encoder “0.80 s”").wait_for()
    weights = notebook.value("view.attention['cross'][0].weights()[[0, 2], 3, 40].tolist()")
    # Of each head, and not their mean.
    shown = ["<0.001" if weight < 0.0005 else f"{weight:.3f}" for weight in weights]
    expect(widget.root.locator(".aw-status")).to_contain_text(
        f"“0.80 s”: head 0 {shown[0]}, head 2 {shown[1]} of its weight"
    )
    widget.leave()
    pictures(lab, widget, "sound-whisper")
    # Among the encoder's own frames a click on the time axis chooses the query.
    notebook.execute("view.stream, view.query = 'encoder', None")
    widget.settle()
    widget.click("head", "query 60 ")
    notebook.wait_value("view.query", 60)
    # The decoder's tokens lie in no sound: they are lines, and the form is kept for when there is one again.
    notebook.execute("view.stream = 'decoder'")
    widget.settle()
    assert widget.root.locator("[data-form='lines']").get_attribute("aria-pressed") == "true"
    assert widget.root.locator("[data-form='image']").count() == 0
    notebook.execute("view.stream = 'cross'")
    widget.root.locator("[data-form='image'][aria-pressed='true']").wait_for()
    notebook.execute("view.close()")


def test_a_text_token_over_the_image_of_its_prompt(lab: Lab, notebook: Notebook) -> None:
    widget = show(notebook, READ)
    before = widget.picture("head")
    red = 1 + 64 + 3
    widget.click("head", f"query {red} “red”")
    notebook.wait_value("view.query", red)
    widget.leave()
    widget.wait_for_another("head", before)
    # Beside text a patch is what tokens look at.
    widget.hover("head", "key 20 ")
    widget.root.locator(".aw-status", has_text="“red” looks at “r2 c3”").wait_for()
    widget.click("head", "key 20 ")
    notebook.wait_value("view.key", 20)
    notebook.execute("view.key = None")
    widget.leave()
    notebook.execute("view.heads = [0, 1]")
    pictures(lab, widget, "image-llava")
    notebook.execute("view.close()")


def test_browser_and_headless_figures_are_one(notebook: Notebook, tmp_path: Path) -> None:
    widget = show(notebook, SEE)
    states = [
        "view.view, view.heads, view.query = 'head', [0, 2], 30",
        "view.view, view.query = 'all', None",
    ]
    for index, state in enumerate(states):
        notebook.execute(state)
        notebook.rest(widget)
        drawn = headless(notebook, tmp_path / f"headless{index}.svg")
        button = saved_by_button(widget)
        assert b"<image" in button
        assert drawn == button, state
    notebook.execute("view.close()")


def test_a_saved_page_shows_the_picture_without_a_kernel(
    lab: Lab, notebook: Notebook, tmp_path: Path
) -> None:
    path = tmp_path / "seen.html"
    notebook.execute(f"page = see()\npage.query = 30\npage.save({str(path)!r})\npage.close()")
    page = lab.context.new_page()
    page.goto(path.as_uri())
    root = page.frames[-1].locator(".attnwidget[data-pending='0']")
    root.wait_for()
    assert root.locator("[data-form='image'][aria-pressed='true']").count() == 1
    assert root.locator(".aw-failure").count() == 0
    # Without a query the mean over all of them is in the page, too.
    copy = Widget(page, page.frames[-1].locator(".attnwidget"))
    before = copy.picture("head")
    page.keyboard.press("Tab")
    root.locator("[data-form='image']").focus()
    page.keyboard.press("Escape")
    copy.wait_for_another("head", before)
    assert root.locator(".aw-failure").count() == 0
    assert len(set(root.locator(".aw-panel-head canvas").screenshot())) > 10
    page.close()

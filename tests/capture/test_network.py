"""No entry point reaches for the network, whatever was left out: a process counts its own attempts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

# Models that carry the names of models on the hub, as those do that were loaded from it; none of their files is here.
SESSION = """
import json, os, shutil, sys
from pathlib import Path

attempts = []

def is_local(address):
    host = address[0] if isinstance(address, tuple) else address
    return not isinstance(address, tuple) or str(host).startswith("127.") or host in ("::1", "localhost")

def heard(event, arguments):
    if event in ("socket.connect", "socket.sendto") and not is_local(arguments[1]):
        attempts.append((event, str(arguments[1])))
    if event.startswith(("socket.getaddrinfo", "socket.gethostby", "urllib.Request")):
        attempts.append((event, str(arguments[0])))

sys.addaudithook(heard)

import numpy as np
import torch
from PIL import Image
from transformers import (
    CLIPVisionConfig, CLIPVisionModel, GPT2Config, GPT2LMHeadModel, T5Config, T5ForConditionalGeneration,
    WhisperConfig, WhisperModel,
)

import attnwidget as aw

folder = sys.argv[1]
torch.manual_seed(0)
gpt2 = GPT2LMHeadModel(GPT2Config(n_layer=2, n_head=2, n_embd=8, vocab_size=500, n_positions=32))
gpt2.name_or_path = "gpt2"
t5 = T5ForConditionalGeneration(
    T5Config(vocab_size=50, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
)
t5.name_or_path = "google-t5/t5-small"
clip = CLIPVisionModel(
    CLIPVisionConfig(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2, image_size=8, patch_size=4)
)
clip.name_or_path = "openai/clip-vit-base-patch32"
whisper = WhisperModel(
    WhisperConfig(
        vocab_size=50, d_model=8, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=8, decoder_ffn_dim=8, max_source_positions=8,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
    )
)
whisper.name_or_path = "openai/whisper-tiny"
picture = Image.fromarray(np.zeros((8, 8, 3), np.uint8))
ids = torch.tensor([[1, 2, 3]])
chat = [{"role": "user", "content": "some text"}]
refused = {}

def refuses(name, call):
    try:
        call()
    except ValueError as error:
        refused[name] = str(error)
    else:
        refused[name] = None

def recorded():
    with aw.recording(gpt2) as attention:
        gpt2(ids)
    return attention

refuses("view", lambda: aw.view(gpt2, "some text"))
refuses("capture", lambda: aw.capture(gpt2, "some text"))
refuses("pair", lambda: aw.capture(gpt2, ("some text", "more text")))
refuses("several", lambda: aw.capture(gpt2, ["some text", "more text"], batch=1))
refuses("chat", lambda: aw.capture(gpt2, chat))
refuses("target", lambda: aw.capture(t5, ids, target="some text"))
refuses("source", lambda: aw.capture(t5, "some text"))
refuses("survey", lambda: aw.survey(gpt2, ["some text"], progress=False))
refuses("picture", lambda: aw.capture(clip, picture))
refuses("sound", lambda: aw.capture(whisper, np.zeros(1600, np.float32)))

attention = aw.capture(gpt2, ids)
recorded()
aw.inspect(gpt2)
view = aw.view(gpt2, ids)
view.score, view.stream = "previous", view.stream
base = {"stream": view.stream, "layer": 0, "head": 0}
view.blocks({"requests": [{"what": "weights", **base, "queries": [0, 3]}, {"what": "mean", **base}]}, [])
view.save(folder + "/page.html")
view.save(folder + "/figure.svg")
view.freeze()
attention.save(folder + "/record.safetensors")
attention.find(key=0)
attention.words()
other = aw.load(folder + "/record.safetensors")
aw.compare(attention, other).view()
aw.from_weights(np.full((1, 2, 3, 3), 1 / 3, np.float32), ["a", "b", "c"])
model, tokenizer = aw.pocket()
survey = aw.survey(model, ["the cat sat", "it was tired"], tokenizer, progress=False)
survey.view(model, tokenizer).show_example(next(iter(survey.texts)))
# Files that are here, beside the model and in the cache of the hub, are found under the model's name.
model.save_pretrained(folder + "/saved")
tokenizer.save_pretrained(folder + "/saved")
saved = type(model).from_pretrained(folder + "/saved")
cached = Path(os.environ["HF_HOME"]) / "hub" / "models--someone--cached"
(cached / "refs").mkdir(parents=True)
(cached / "refs" / "main").write_text("0123abcd")
shutil.copytree(folder + "/saved", cached / "snapshots" / "0123abcd")
found = [[each.label for each in aw.capture(saved, "the cat sat")["decoder"].query_positions]]
saved.name_or_path = "someone/cached"
found.append([each.label for each in aw.capture(saved, "the cat sat")["decoder"].query_positions])
print(json.dumps({"found": found, "attempts": attempts, "refused": refused}))
"""


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What a process found out about itself in which nothing says that there is no network."""
    folder: Path = tmp_path_factory.mktemp("session")
    kept = {
        name: value
        for name, value in os.environ.items()
        if "OFFLINE" not in name and not name.upper().endswith("_PROXY")
    }
    environment = {**kept, "HF_HOME": str(folder / "hub"), "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(
        [sys.executable, "-c", SESSION, str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    found: dict[str, object] = json.loads(run.stdout.splitlines()[-1])
    return found


def test_no_entry_point_tries_to_connect(session: dict[str, object]) -> None:
    assert session["attempts"] == []


def test_files_of_this_machine_are_found(session: dict[str, object]) -> None:
    assert session["found"] == [["<bos>", "the", "cat", "sat"]] * 2


@pytest.mark.parametrize(
    ("call", "line"),
    [
        *[
            (call, "tokenizer = AutoTokenizer.from_pretrained('gpt2')")
            for call in ("view", "capture", "pair", "several", "chat", "survey")
        ],
        ("target", "tokenizer = AutoTokenizer.from_pretrained('google-t5/t5-small')"),
        ("source", "tokenizer = AutoTokenizer.from_pretrained('google-t5/t5-small')"),
        ("picture", "processor = AutoProcessor.from_pretrained('openai/clip-vit-base-patch32')"),
        ("sound", "processor = AutoProcessor.from_pretrained('openai/whisper-tiny')"),
    ],
)
def test_what_was_left_out_is_answered_with_the_line_to_write(
    session: dict[str, object], call: str, line: str
) -> None:
    refused = session["refused"]
    assert isinstance(refused, dict)
    said = refused[call]
    assert said is not None, f"{call} found something to read text with"
    assert line in said
    assert "aw.view(model, " in said

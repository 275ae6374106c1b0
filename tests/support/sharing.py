"""What each process of a shared model does in `test_tensor_parallel`: records, and writes what it got into a folder."""

from __future__ import annotations

import json
import sys
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from support import zoo
from support.model_checks import hooks
from torch import distributed
from torch.distributed.fsdp import fully_shard
from transformers import AutoModelForCausalLM
from transformers.distributed import DistributedConfig

from attnwidget.capture.distributed import barrier
from attnwidget.recordings import capture, recording

# Over the model's own plan: each process has the one key and value head that there is.
ONE_KEY = {f"model.layers.*.self_attn.{name}": "replicate" for name in ("k_proj", "v_proj")}


def load(folder: Path, name: str, implementation: str, plan: Any = "auto") -> Any:
    """Load the part of a model that this process has."""
    config = DistributedConfig(tp_plan=plan, tp_size=distributed.get_world_size())
    model = AutoModelForCausalLM.from_pretrained(
        folder / name, distributed_config=config, attn_implementation=implementation
    )
    return model.eval()


class Process:
    """One of the processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rank = distributed.get_rank()
        self.said: dict[str, Any] = {}

    def record(self, name: str, implementation: str, plan: Any = "auto") -> None:
        """Record a shared model; look whether it computes the same to the last bit, and keeps no hooks."""
        model = load(self.folder, name, implementation, plan)
        inputs = {"input_ids": zoo.ids(9)}
        before = hooks(model)
        with torch.no_grad():
            off = model(**inputs).logits
            with recording(model) as attention:
                on = model(**inputs).logits
        self.said[f"{name}-{implementation}"] = torch.equal(on, off) and hooks(model) == before
        attention.save(self.folder / f"{name}-{implementation}-{self.rank}.safetensors")

    def grouped(self) -> None:
        """Record more of one model: with gradients, a generation, a row of a batch, and when something goes wrong."""
        model = load(self.folder, "llama", "sdpa")
        with recording(model) as attention:
            model(zoo.ids(9)).logits.sum().backward()
        attention.save(self.folder / f"gradients-{self.rank}.safetensors")
        with recording(model) as attention:
            model.generate(zoo.ids(5), max_new_tokens=4, do_sample=False)
        attention.save(self.folder / f"generation-{self.rank}.safetensors")
        for name, store in (("some", "cpu"), ("disk", "disk")):
            found = capture(model, zoo.ids(9), layers=1, positions=slice(2, 5), store=store)
            found.save(self.folder / f"{name}-{self.rank}.safetensors")
        found = capture(model, zoo.ids(9, rows=3), batch=1)
        found.save(self.folder / f"row-{self.rank}.safetensors")
        self.alone(model)

    def alone(self, model: Any) -> None:
        """Let one process do what the others do not."""
        self.said["raised"] = self.error(lambda: self.raising(model))
        self.said["other input"] = self.error(lambda: capture(model, zoo.ids(9, seed=self.rank)))
        patience, barrier._PATIENCE = barrier._PATIENCE, timedelta(seconds=0.5)
        self.said["only the first"] = None
        with torch.no_grad():
            if self.rank:
                model(zoo.ids(9))
            else:
                self.said["only the first"] = self.error(lambda: capture(model, zoo.ids(9)))
        barrier._PATIENCE = patience
        distributed.barrier()

    def raising(self, model: Any) -> None:
        """Raise in the last process, after the model has run."""
        with recording(model), torch.no_grad():
            model(zoo.ids(9))
            if self.rank == distributed.get_world_size() - 1:
                message = "no more"
                raise KeyError(message)

    def replicas(self) -> None:
        """Record a model of which every process has all, each on an input of its own."""
        model = AutoModelForCausalLM.from_pretrained(self.folder / "llama").eval()
        found = capture(model, zoo.ids(5 + self.rank))
        found.save(self.folder / f"replica-{self.rank}.safetensors")
        wrapped = torch.nn.parallel.DistributedDataParallel(model)
        with recording(wrapped) as attention, torch.no_grad():
            wrapped(zoo.ids(5 + self.rank))
        attention.save(self.folder / f"wrapped-{self.rank}.safetensors")
        model = AutoModelForCausalLM.from_pretrained(self.folder / "llama").eval()
        for part in (*model.model.layers, model):
            fully_shard(part)
        found = capture(model, zoo.ids(5 + self.rank))
        found.save(self.folder / f"put-away-{self.rank}.safetensors")

    @staticmethod
    def error(call: Any) -> str:
        """Return what a call raises."""
        try:
            call()
        except Exception as error:  # noqa: BLE001  that is what is asked for
            return f"{type(error).__name__}: {error}"
        return "nothing"


def main(folder: Path) -> None:
    """Do it all, once this process has found the others."""
    warnings.simplefilter("ignore")  # of transformers, about its own plans
    torch.set_num_threads(1)
    process = Process(folder)
    for implementation in ("eager", "sdpa"):
        process.record("llama", implementation)
    process.record("one-key", "sdpa", ONE_KEY)
    for name in ("sinks", "softcap", "gathered"):
        process.record(name, "eager")
    process.grouped()
    process.replicas()
    (folder / f"{process.rank}.json").write_text(json.dumps(process.said))
    distributed.barrier()
    distributed.destroy_process_group()


def in_file(rank: int, world: int, folder: Path) -> None:
    """Find the other processes through a file."""
    method = f"file://{folder / 'found'}"
    distributed.init_process_group("gloo", init_method=method, rank=rank, world_size=world)
    main(folder)


if __name__ == "__main__":
    distributed.init_process_group("gloo")  # as torchrun says
    main(Path(sys.argv[1]))

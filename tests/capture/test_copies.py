"""Copies and checkpoints made inside of a recording are those of the model alone."""

from __future__ import annotations

import copy
import io
import pickle
import warnings
from typing import TYPE_CHECKING, Any

import pytest
import torch
from support import others, zoo
from support.model_checks import hooks
from torch import nn
from torch.nn.attention import flex_attention as flex

from attnwidget.recordings import recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


class Flexible(nn.Module):
    """Attends by ``flex_attention``, which it has as an attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.projection = nn.Linear(24, 72)
        self.attend = flex.flex_attention

    def forward(self, states: Tensor) -> Tensor:
        parts = self.projection(states).unflatten(-1, (3, 3, 8)).movedim(2, 0).transpose(-2, -3)
        query, key, value = parts
        found: Tensor = self.attend(query, key, value).transpose(1, 2).flatten(2)
        return found


def encoder() -> Any:
    layer = nn.TransformerEncoderLayer(24, 2, 32, batch_first=True)
    return nn.TransformerEncoder(layer, 2).eval()


MODELS: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "llama": (lambda: zoo.build("llama", "sdpa"), lambda: zoo.ids(7)),
    "gpt2": (lambda: zoo.build("gpt2", "eager"), lambda: zoo.ids(7)),
    "bert": (lambda: zoo.build("bert", "sdpa"), lambda: zoo.ids(7)),
    "own": (lambda: others.Own().eval(), others.hidden_states),
    "encoder": (encoder, others.hidden_states),
    "flex": (lambda: Flexible().eval(), others.hidden_states),
}


def saved(model: Any) -> bytes:
    file = io.BytesIO()
    torch.save(model, file)
    return file.getvalue()


def loaded(data: bytes) -> Any:
    return torch.load(io.BytesIO(data), weights_only=False)


COPIES: dict[str, Callable[[Any], Any]] = {
    "torch.save": lambda model: loaded(saved(model)),
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),  # noqa: S301  made here
    "deepcopy": copy.deepcopy,
}


def output(model: Any, given: Any) -> Tensor:
    with torch.no_grad():
        found = model(given)
    first: Tensor = found if isinstance(found, torch.Tensor) else found[0]
    return first


def attributes(model: nn.Module) -> dict[str, dict[str, str]]:
    """What the modules of a model have, by name and kind; functions by their address."""
    return {
        path: {
            key: f"{value}" if callable(value) else f"{type(value)} {key == 'training' and value}"
            for key, value in vars(module).items()
        }
        for path, module in model.named_modules()
    }


@pytest.mark.filterwarnings("ignore:.*flex_attention called without torch.compile")
@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("name", MODELS)
def test_a_copy_inside_of_a_recording(name: str, way: str) -> None:
    build, inputs = MODELS[name]
    model, given = build(), inputs()
    outside = attributes(COPIES[way](model))
    with recording(model) as attention:
        expected = output(model, given)
        made = COPIES[way](model)
        assert attributes(made) == outside
        assert torch.equal(output(made, given), expected)
    assert attention.passes == 1, "what the copy ran was recorded"
    assert hooks(made) == []
    assert attributes(made) == outside
    assert torch.equal(output(made, given), expected)
    with recording(made) as again:
        output(made, given)
    stream, other = (next(iter(each.streams.values())) for each in (attention, again))
    assert all((a.weights() == b.weights()).all() for a, b in zip(stream, other, strict=True))


@pytest.mark.parametrize("name", ["llama", "own", "encoder"])
def test_a_checkpoint_is_the_same_to_the_last_byte(name: str) -> None:
    model = MODELS[name][0]()
    given = MODELS[name][1]()
    output(model, given)
    outside = pickle.dumps(model), saved(model), model.state_dict()
    with recording(model):
        output(model, given)
        inside = pickle.dumps(model), saved(model), model.state_dict()
    assert inside[:2] == outside[:2]
    assert b"attnwidget" not in inside[0]
    assert inside[2].keys() == outside[2].keys()


def test_a_copy_in_the_middle_of_a_forward_pass() -> None:
    """An average of the weights that a hook takes, say."""
    model, given = zoo.build("llama", "sdpa"), zoo.ids(7)
    expected = output(model, given)
    made = []
    handle = model.model.layers[1].register_forward_hook(
        lambda *_: made.append((copy.deepcopy(model), copy.copy(model)))
    )
    with recording(model) as attention:
        output(model, given)
    handle.remove()
    assert attention.passes == 1
    for deep, shallow in made:
        assert not deep.model.layers[0]._forward_hooks
        assert len(deep.model.layers[1]._forward_hooks) == 1  # the user's own
        deep.model.layers[1]._forward_hooks.clear()
        assert torch.equal(output(deep, given), expected)
        assert torch.equal(output(shallow, given), expected)


def test_a_copy_generates_with_its_own_weights() -> None:
    """Generation with a static cache asks the model for a compiled call: a copy was given that of the model it came from."""
    model = zoo.build("llama", "sdpa")
    with recording(model):
        output(model, zoo.ids(5))
        made = copy.deepcopy(model)
        assert "get_compiled_call" not in vars(made)
        assert made.get_compiled_call.__self__ is made


@pytest.mark.filterwarnings("ignore:.*is compiled. what is recorded runs uncompiled")
@pytest.mark.parametrize("how", ["in place", "forward"])
def test_a_copy_of_a_compiled_model(how: str) -> None:
    torch.compiler.reset()
    model: Any = others.Own().eval()
    if how == "in place":
        model.compile(backend="eager")
    else:
        model.forward = torch.compile(model.forward, backend="eager")
    expected = output(model, others.hidden_states())
    outside = attributes(copy.deepcopy(model))
    with recording(model):
        output(model, others.hidden_states())
        made = copy.deepcopy(model)
        assert attributes(made) == outside
    torch.testing.assert_close(output(made, others.hidden_states()), expected)


def test_moved_to_another_dtype_inside_of_a_recording() -> None:
    model, given = zoo.build("llama", "sdpa"), zoo.ids(7)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with recording(model) as attention:
            output(model, given)
            model.to(torch.bfloat16)
            expected = output(model, given)
    assert attention.passes == 2
    assert attention["decoder"][0].query.dtype == torch.bfloat16
    assert torch.equal(output(model, given), expected)

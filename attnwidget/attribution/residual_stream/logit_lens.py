"""`logit_lens`: what a model would put out if its output were made of the residual stream after each layer."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from attnwidget.attention import Attention
from attnwidget.attribution.residual_stream.lens_result import LogitLens, TokenByLayer
from attnwidget.capture.taps.listeners import others_set_aside
from attnwidget.compute.checks import check_count
from attnwidget.edits.edits import Edits, check_edits
from attnwidget.record import viewers
from attnwidget.record.hidden_states import HiddenStates, is_kept_option
from attnwidget.record.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

    from attnwidget.attribution.residual_stream.stack import Stack
    from attnwidget.capture.forward import Ran
    from attnwidget.capture.taps.listeners import Run
    from attnwidget.metrics.outputs import Reading

__all__ = ["captured_with_lens", "logit_lens", "with_hidden_states"]

_KEPT = 5  # choices that a record keeps of each layer and position
_CLOSE = (
    1e-5  # of the largest logit, by which the last layer's prediction may differ from the model's
)


def logit_lens(
    model: nn.Module,
    inputs: Any,
    tokenizer: Any = None,
    *,
    top: int = 5,
    interventions: Edits | None = None,
    **options: Any,
) -> LogitLens:
    """Say what a model would predict at each position if it ended after each of its layers (nostalgebraist 2020).

    What the residual stream is after a layer is put in the place of what it is after the last one, and the rest of the model
    runs on it: the final norm and the output embedding, with whatever else the model does there. So it works for a model of
    any architecture whose blocks hand one stream from each to the next. What was put there for the last layer gives the
    model's own logits, which is checked.

    A model learns to read the stream after its last layer. Before that the numbers say what its last steps make of a stream
    which they were not trained for.

    Args:
        model: A Hugging Face model that returns logits of tokens, or of labels.
        inputs: What `capture` takes.
        tokenizer: As for `capture`.
        top: How many of the likeliest choices are kept of each layer and position.
        interventions: What is changed while the model runs, as for `capture`.
        **options: Passed on to `capture`.

    Returns:
        The predictions. It keeps the model and the states of the stream, to answer `LogitLens.of`.

    Raises:
        ValueError: If the model returns no logits, if its layers hand no stream from one to the next, or as `capture` raises.

    Example:
        >>> import attnwidget as aw
        >>> model, tokenizer = pocket()
        >>> lens = aw.logit_lens(model, "the cat sat on the mat because it", tokenizer)
        >>> [lens.predicted[layer, -1] for layer in (1, 3)], lens.probabilities.shape
        (['was', 'was'], (4, 9, 5))
        >>> lens.of("purred").rank[:, -1].tolist()[-1]
        2
    """
    from attnwidget.capture.forward import check_numbers  # noqa: PLC0415  brings transformers

    most = check_count("top", top, least=1)
    edits = Edits() if interventions is None else check_edits("interventions", interventions)
    check_numbers(model)
    with others_set_aside(), _running(model, inputs, tokenizer, edits, options) as ran:
        return _lens(_read(ran), most)


def captured_with_lens(
    model: nn.Module,
    inputs: Any,
    tokenizer: Any = None,
    *,
    interventions: Edits | None = None,
    metric: Any = None,
    **options: Any,
) -> Attention:
    """Record as `capture`, with the gradients of a metric too, and keep in the record what each layer would predict.

    Raises:
        ValueError: As `capture`, as `logit_lens`, or if it is the input as a whole that the model says something of.
    """
    from attnwidget.capture.forward import check_numbers  # noqa: PLC0415

    edits = Edits() if interventions is None else interventions
    check_numbers(model)
    keeps = is_kept_option(options.get("hidden_states")) and options.pop("hidden_states")
    with (
        others_set_aside(),
        _running(model, inputs, tokenizer, edits, options, metric=metric) as ran,
    ):
        predictions = _lens(_read(ran), _KEPT).for_record()
        record = with_hidden_states(ran.record, ran) if keeps else ran.record
    if predictions is None:
        msg = (
            f"{type(ran.model).__name__} predicts nothing at each position, so there is nothing to show beside tokens: call "
            "attnwidget.logit_lens(model, inputs, tokenizer) for what each layer says of the input, and leave out lens=True."
        )
        raise ValueError(msg)
    return Attention.of(replace(record, predictions=predictions))


@contextmanager
def _running(
    model: nn.Module,
    inputs: Any,
    tokenizer: Any,
    edits: Edits,
    options: dict[str, Any],
    *,
    metric: Any = None,
) -> Iterator[Ran]:
    """Run the model, record it, with the gradients of a metric too, and leave the edits in force inside the block."""
    from attnwidget.capture.edited_runs import editing_again, run_edited  # noqa: PLC0415
    from attnwidget.capture.forward import run_recorded  # noqa: PLC0415
    from attnwidget.metrics.gradients import run_with_gradients  # noqa: PLC0415

    def run(inputs: Any, **more: Any) -> Ran:
        if not edits:
            return run_recorded(model, inputs, tokenizer, **options, **more)
        return run_edited(model, edits, tokenizer, inputs, {**options, **more})

    ran = run(inputs) if metric is None else run_with_gradients(run, inputs, metric, -1)
    with editing_again(model, edits, ran):
        yield ran


@dataclass(frozen=True, slots=True)
class _Read:
    """A run and its residual stream, to be read by the model's last steps.

    Attributes:
        ran: The run, without the logits of all positions.
        reading: How its output is read.
        stack: The blocks and their states.
        kept: Which rows of the logits are no padding, and their positions, counted without it.
        stream: Name of the recorded stream whose queries the positions are, or ``None``.
        tokens: How each position is labelled.
    """

    ran: Ran
    reading: Reading
    stack: Stack
    kept: tuple[list[int], list[int]]
    stream: str | None
    tokens: tuple[str, ...]


def with_hidden_states(record: Record, ran: Ran) -> Record:
    """Return a record with what the residual stream was after each layer, for `Attention.logit_lens`.

    Args:
        record: The record.
        ran: Its run; what edits it must be in force.

    Raises:
        ValueError: As `logit_lens`.
    """
    read = _read(ran)

    def lens(top: int) -> LogitLens:
        with others_set_aside():
            return _lens(read, check_count("top", top, least=1))

    return replace(record, hidden_states=HiddenStates(read.stack.states, lens))


viewers.register(Record, "hidden states", with_hidden_states)


def _read(ran: Ran) -> _Read:
    """Find the residual stream of a recorded run.

    Raises:
        ValueError: As `logit_lens`.
    """
    from attnwidget.attribution.residual_stream.stack import find_stack  # noqa: PLC0415
    from attnwidget.metrics.outputs import read_output  # noqa: PLC0415

    reading = read_output(ran, -1)
    if reading.kind not in {"token", "label"}:
        msg = (
            f"{type(ran.model).__name__} returns no logits, so no layer of it predicts anything: load it with its head, such as "
            "AutoModelForCausalLM.from_pretrained(...); the forward of a model of your own returns {'logits': logits}."
        )
        raise ValueError(msg)
    stack = find_stack(ran)
    kept = _kept_rows(ran, stack.output)
    _check_last(ran, stack, stack.output)
    place = _stream(ran, stack, kept)
    ran, reading, stack = _light(ran, reading, stack)
    return _Read(ran, reading, stack, kept, *place)


def _lens(read: _Read, top: int) -> LogitLens:
    """Return what each layer of a recorded run would predict; `logit_lens` describes it.

    Args:
        read: The run.
        top: How many of the likeliest choices are kept.
    """
    import numpy as np  # noqa: PLC0415
    import torch  # noqa: PLC0415

    from attnwidget.metrics.metrics import labels_of  # noqa: PLC0415

    ran, reading, stack, kept = read.ran, read.reading, read.stack, read.kept
    ids, probabilities = [], []
    for state in stack.states:
        logits = _logits(ran, _replayed(ran, stack, state), kept)
        found = logits.log_softmax(dim=-1).topk(min(top, logits.shape[-1]), dim=-1)
        ids.append(found.indices.cpu())
        probabilities.append(found.values.exp().cpu())

    def by_layer(choice: Any) -> TokenByLayer:
        with others_set_aside():
            return _of(ran, reading, stack, kept, choice)

    numbers = torch.stack(ids).numpy()
    used = np.unique(numbers).tolist()
    return LogitLens(
        layers=tuple(range(len(stack.calls))),
        stream=read.stream,
        positions=tuple(kept[1]),
        tokens=read.tokens,
        ids=numbers,
        probabilities=torch.stack(probabilities).numpy(),
        labels=dict(zip(used, labels_of(ran, reading, used), strict=True)),
        by_layer=by_layer,
    )


def _replayed(ran: Ran, stack: Stack, state: Tensor) -> Any:
    """Run the model with every block answered from the run before, the last of the stream by ``state``."""
    import torch  # noqa: PLC0415

    from attnwidget.attribution.residual_stream.stack import tell_hooks, with_state  # noqa: PLC0415
    from attnwidget.capture.architecture.uncompiled import running_uncompiled  # noqa: PLC0415
    from attnwidget.capture.taps.substitutes import substituting  # noqa: PLC0415

    def answering(path: str, answers: Iterator[Any]) -> Run:
        last = stack.calls[-1] == path

        def run(_original: Run, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            returned, is_end = next(answers)
            # A copy: the model may write into it.
            answer = with_state(returned, state.clone()) if last and is_end else returned
            tell_hooks(module, args, kwargs, answer)
            return answer

        return run

    instead = [
        (
            ran.model.get_submodule(path),
            answering(path, iter([(one, n == len(each)) for n, one in enumerate(each, start=1)])),
        )
        for path, each in stack.returned.items()
    ]
    with torch.no_grad(), running_uncompiled(ran.model), substituting(instead):
        return ran.model(*ran.args, **ran.kwargs)


def _light(ran: Ran, reading: Reading, stack: Stack) -> tuple[Ran, Reading, Stack]:
    """Return these without the logits of all positions; those of the one that is read tell how a token is spelled."""
    logits = _raw_logits(ran.output).detach()  # gradients are not asked for any more
    if reading.at is not None:
        logits = logits[:, reading.at : reading.at + 1].clone()
        reading = replace(reading, at=0)
    return replace(ran, output={"logits": logits}), reading, replace(stack, output=None)


def _kept_rows(ran: Ran, output: Any) -> tuple[list[int], list[int]]:
    """Return which rows of the logits are no padding, and their positions, counted without it."""
    from attnwidget.metrics.outputs import mask_of  # noqa: PLC0415

    logits = _raw_logits(output)
    if logits.ndim == 2:
        return [0], [0]
    count = logits.shape[1]
    mask = mask_of(ran)
    total = count
    if mask is not None and len(mask) >= count:
        total = int(mask.sum())
        rows = mask[-count:].nonzero()[:, 0].tolist()
    else:
        rows = list(range(count))
    return rows, list(range(total - len(rows), total))


def _raw_logits(output: Any) -> Tensor:
    found: Tensor = output["logits"] if isinstance(output, dict) else output.logits
    return found


def _logits(ran: Ran, output: Any, kept: tuple[list[int], list[int]]) -> Tensor:
    """Return float32 ``[position, choice]`` of the recorded row."""
    logits = _raw_logits(output)[ran.row].float()
    return logits[None] if logits.ndim == 1 else logits[kept[0]]


def _check_last(ran: Ran, stack: Stack, output: Any) -> None:
    """Refuse a model whose logits are made of more than the stream after its last block."""
    wanted = _raw_logits(output)
    found = _raw_logits(_replayed(ran, stack, stack.states[-1]))
    scale = wanted.abs().max().clamp(min=1e-12)
    apart = float(((found - wanted).abs().nan_to_num(0).max() / scale).float())
    if found.shape != wanted.shape or apart > _CLOSE:
        msg = (
            f"the logits of {type(ran.model).__name__} are made of more than what its last block, {stack.calls[-1]}, returns: "
            f"made of that alone they differ by {apart:.2g} of the largest, so no layer's prediction can be told."
        )
        raise ValueError(msg)


def _of(
    ran: Ran, reading: Reading, stack: Stack, kept: tuple[list[int], list[int]], choice: Any
) -> TokenByLayer:
    """Return probability and rank of one choice after each layer."""
    import torch  # noqa: PLC0415

    from attnwidget.metrics.metrics import choice_of  # noqa: PLC0415

    number = choice_of(ran, reading, choice)
    probabilities, ranks = [], []
    for state in stack.states:
        logs = _logits(ran, _replayed(ran, stack, state), kept).log_softmax(dim=-1)
        own = logs[:, number]
        probabilities.append(own.exp().cpu())
        ranks.append(1 + (logs > own[:, None]).sum(dim=-1).cpu())
    return TokenByLayer(torch.stack(probabilities).numpy(), torch.stack(ranks).numpy())


def _stream(
    ran: Ran, stack: Stack, kept: tuple[list[int], list[int]]
) -> tuple[str | None, tuple[str, ...]]:
    """Return the recorded stream whose queries the positions are, and their labels; numbers where there is none."""
    for name in dict.fromkeys(name for name, _ in stack.places):
        if name not in ran.record.streams:
            continue
        positions = ran.record.streams[name].query_positions
        if _raw_logits(stack.output).ndim == 3 and kept[1] and kept[1][-1] < len(positions):
            return name, tuple(positions[at].label for at in kept[1])
    return None, tuple(map(str, kept[1]))

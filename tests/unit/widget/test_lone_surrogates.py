"""A token with a lone surrogate, which byte-level tokenizers make: everything that travels to the page can."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from support.kernels import Notebook, notebook

if TYPE_CHECKING:
    from collections.abc import Iterator

START = r"""
import torch
from IPython.display import display
import attnwidget as aw
texts = ["\ud800", "b\udc80", " c", "\ud83d\ude00", "\udfff"]
weights = [torch.eye(5)[None].repeat(2, 1, 1)]
record = aw.from_weights(weights, texts, model_name="m\ud800")
view = aw.view(record)
"""
CELLS = {
    "the view": "view",
    "the record": "record",
    "printed": "print(record, view, record['self'], sep='\\n')",
    "pinned by its text": r"view.query = '\ud800'; assert view.query == 0; view.key = '\udfff'",
    "a ranking's name": r"view.rank(pattern=torch.ones(5, 5), name='p\udc81'); view.send_state()",
    "frozen": "view.freeze()",
    "frozen at once": "aw.view(record, frozen=True)",
    "closed": "again = aw.view(record); again.close(); again",
    "compared": "aw.compare(record, record).view()",
    "a figure": "record.figure('head')",
    "what was found": "record.find(query=0, key=0)",
    "an answer": r"view.send({'id': '1', 'response': {'error': 'no \ud800'}})",
    "an echo": r"view.set_state({'ranking': {'pattern': '\ud800', 'number': view.ranking['number']}})",
    "the page's state": "display(view); view.send_state('meta')",
    "kept as it is": r"assert [p.text for p in record['self'].query_positions] == texts",
    "saved": "import tempfile, os; folder = tempfile.mkdtemp(); [view.save(os.path.join(folder, 'x.' + e)) for e in ('svg', 'html')]",
}


@pytest.fixture(scope="module")
def kernel() -> Iterator[Notebook]:
    with notebook() as started:
        started.run(START)
        yield started


@pytest.mark.parametrize("code", CELLS.values(), ids=CELLS)
def test_whatever_is_shown_arrives(kernel: Notebook, code: str) -> None:
    kernel.run(code, cell="a")
    said = json.dumps([message["content"] for message in kernel.messages], ensure_ascii=False)
    # No text of it would be refused by a host that is stricter than the kernel's own client.
    said.encode()
    assert "surrogates not allowed" not in said
    assert "deprecated in jupyter-client" not in said

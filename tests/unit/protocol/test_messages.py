"""What the page sends is refused with a reason, whether a check is compiled with its reasons or without."""

from __future__ import annotations

import fastjsonschema
import pytest

from attnwidget.protocol.constants import schema
from attnwidget.protocol.messages import MessageError, check_command, check_part, check_request


def values() -> list[object]:
    """Return values of all kinds, some of which follow parts of the schema."""
    sample = {"what": "sample", "stream": "decoder", "layer": 0, "head": 0}
    return [
        None, True, 0, 1, 2.5, "", "norm", "ranking", [], [0, 1], [[0, 1]], ["value", "norm"], {},
        sample, {**sample, "what": "weights", "queries": [0, 1], "keys": [0, 4]}, {**sample, "layer": "first"},
        {"requests": [sample]}, {"id": "a", "kind": "anywidget-command", "name": "blocks", "msg": {}},
    ]  # fmt: skip


@pytest.mark.parametrize("name", sorted(schema()["$defs"]))
def test_a_check_takes_what_the_schema_takes(name: str) -> None:
    described = {"$ref": f"#/$defs/{name}", "$defs": schema()["$defs"]}
    with_reasons = fastjsonschema.compile(described, use_default=False)
    for value in values():
        try:
            with_reasons(value)
        except fastjsonschema.JsonSchemaValueException:
            with pytest.raises(MessageError, match="got"):
                check_part(name, "it", value)
        else:
            check_part(name, "it", value)


def test_a_refusal_says_where_what_is_accepted_and_what_came() -> None:
    request = {"what": "weights", "stream": "decoder", "layer": 0, "head": 0}
    with pytest.raises(MessageError, match="must have queries, got"):
        check_request(request)
    with pytest.raises(MessageError, match=r"what must be one of .*weights.*, got 'wieghts'"):
        check_request({**request, "what": "wieghts"})
    with pytest.raises(MessageError, match=r"kind must be .*anywidget-command"):
        check_command({"id": "a", "kind": "other", "name": "blocks", "msg": {}})

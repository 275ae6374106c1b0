"""Commands of the page: compared with the schema, carried out, and answered whatever they are."""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Any

import anywidget

from attnwidget.protocol.messages import MessageError, check_command, check_message
from attnwidget.protocol.text import in_one_line
from attnwidget.serve.jobs import error_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Answer = tuple[dict[str, Any], list[bytes]]
    Command = Callable[[Any, dict[str, Any], list[bytes]], Answer]

__all__ = ["Answering", "answered"]

logger = logging.getLogger(__name__)

_COMMAND = "anywidget-command"


def answered(command: Command) -> Command:
    """Let a command be called with what follows the schema only, and answer with the reason where it fails."""

    @functools.wraps(command)
    def carried_out(self: Any, message: Any, buffers: list[bytes]) -> Answer:
        try:
            return command(self, check_message(command.__name__, message), buffers)
        except MessageError as error:
            return {"error": str(error)}, []
        except Exception as error:
            # Whatever went wrong: the page waits for an answer, and shows it to the reader.
            logger.debug("The command %s failed.", command.__name__, exc_info=True)
            return {"error": error_text(error) or type(error).__name__}, []

    return carried_out


class Answering(anywidget.AnyWidget):
    """A widget that answers every command of its page.

    anywidget's own way to the commands raises where there is none of a name, or a part of the message is missing, and
    then sends nothing: the page would wait for its whole patience.
    """

    def _handle_custom_msg(self, content: Any, buffers: list[bytes]) -> None:
        """Answer a command; what is none goes to those who listen with `on_msg`, and is refused where nobody does."""
        is_command = isinstance(content, dict) and content.get("kind") == _COMMAND
        if not is_command and self._msg_callbacks.callbacks:
            super()._handle_custom_msg(content, buffers)
            return
        identity = content.get("id") if isinstance(content, dict) else None
        response: Mapping[str, Any] = {"error": "The kernel was interrupted: try again."}
        parts: list[bytes] = []
        try:
            command = check_command(content)
            identity = command["id"]
            response, parts = self._carry_out(command, buffers)
        except MessageError as error:
            identity = identity if _can_travel(identity) else None
            response = {"error": str(error)}
        finally:
            # Also where the reader interrupts the kernel: then what interrupts goes on after it.
            answer = {"id": identity, "kind": f"{_COMMAND}-response", "response": response}
            self.send(answer, parts)

    def _carry_out(self, command: Mapping[str, Any], buffers: list[bytes]) -> Answer:
        carry_out = getattr(type(self), command["name"], None)
        if carry_out is None:
            message = f"{type(self).__name__} has no command {in_one_line(command['name'])}."
            raise MessageError(message)
        answer: Answer = carry_out(self, command["msg"], buffers)
        return answer


def _can_travel(identity: object) -> bool:
    """Tell whether an id that came can be sent back: half a surrogate pair is no UTF-8."""
    return isinstance(identity, str) and identity.isascii() and len(identity) <= 100

"""A kernel of its own, asked as a notebook asks: every cell says who it is."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from jupyter_client.manager import start_new_kernel

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT = 120
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


class Notebook:
    """What runs cells in a kernel and keeps what they put out."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.messages: list[dict[str, Any]] = []

    def run(self, code: str, *, cell: str | None = None) -> str:
        """Run a cell and return what it printed.

        Args:
            code: The cell.
            cell: Its id, as JupyterLab, Notebook 7 and VS Code send it; None as the other hosts.

        Raises:
            RuntimeError: If the cell raises, with its traceback.
        """
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": True,
            "stop_on_error": True,
        }
        metadata = {} if cell is None else {"cellId": cell}
        message = self._client.session.msg("execute_request", content, metadata=metadata)
        self._client.shell_channel.send(message)
        self.messages = []
        while True:
            heard = self._client.get_iopub_msg(timeout=TIMEOUT)
            if heard["parent_header"].get("msg_id") != message["header"]["msg_id"]:
                continue
            self.messages.append(heard)
            if heard["content"].get("execution_state") == "idle":
                break
        self._client.get_shell_msg(timeout=TIMEOUT)
        for error in self.of_type("error"):
            raise RuntimeError(ESCAPES.sub("", "\n".join(error["traceback"])))
        return "".join(stream["text"] for stream in self.of_type("stream"))

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        """Return the contents of the last cell's messages of one type."""
        return [message["content"] for message in self.messages if message["msg_type"] == kind]


@contextmanager
def notebook() -> Iterator[Notebook]:
    """Start a kernel; it is gone afterwards."""
    manager, client = start_new_kernel()
    try:
        yield Notebook(client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)

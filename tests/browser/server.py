"""A real JupyterLab server in a folder of its own, cut off from the network and the user's set-up."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

# A proxy nobody listens on: whatever is not on this machine fails at once.
NOWHERE = "http://127.0.0.1:9"

SETTINGS = {
    # Every cell stays in the document, so a test can find cells that are out of sight.
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
    "@jupyterlab/apputils-extension:notification": {
        "checkForUpdates": False,
        "doNotDisturbMode": True,
        "fetchNews": "false",
    },
    "@jupyterlab/docmanager-extension:plugin": {"autosave": False},
    "@jupyterlab/completer-extension:inline-completer": {"providers": {}},
}

OPTIONS = (
    "--no-browser",
    "--allow-root",
    "--ServerApp.ip=127.0.0.1",
    "--ServerApp.port_retries=0",
    "--ServerApp.disable_check_xsrf=True",
    "--ServerApp.terminals_enabled=False",
    "--IdentityProvider.token=",
    "--PasswordIdentityProvider.hashed_password=",
    "--LabApp.expose_app_in_browser=True",
    # The same server has Notebook 7, under /notebooks.
    "--JupyterNotebookApp.expose_app_in_browser=True",
    "--LabApp.extension_manager=readonly",
    "--LabApp.news_url=None",
    "--LanguageServerManager.autodetect=False",
)


@dataclass(frozen=True)
class LabServer:
    """Where the server listens, and the folder it serves notebooks from."""

    url: str
    root: Path


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[LabServer]:
    """Start JupyterLab with everything it reads and writes under ``folder``; stop it afterwards.

    Kernels run this interpreter. Both they and the server reach nothing but this machine.

    Raises:
        RuntimeError: The server ended or did not answer within two minutes.
    """
    root = folder / "notebooks"
    root.mkdir(parents=True)
    settings = folder / "config" / "labconfig"
    settings.mkdir(parents=True)
    (settings / "default_setting_overrides.json").write_text(json.dumps(SETTINGS), "utf-8")
    port = free_port()
    command = (
        *("jupyterlab", *OPTIONS),
        f"--ServerApp.port={port}",
        f"--ServerApp.root_dir={root}",
    )
    url = f"http://127.0.0.1:{port}"
    with running(command, folder, f"{url}/api/status", directory=root):
        yield LabServer(url, root)


@contextlib.contextmanager
def running(
    command: Sequence[str],
    folder: Path,
    probe: str,
    *,
    directory: Path,
    python: Path | str = sys.executable,
) -> Iterator[None]:
    """Run a module of an interpreter, of this one unless told, as a server, from when it answers at ``probe`` to the end of the block.

    Raises:
        RuntimeError: It ended or did not answer within two minutes. The message ends with its log.
    """
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(python), "-m", *command],
            cwd=directory,
            env=environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until_up(probe, process, log)
        yield
    finally:
        # The server shuts its kernels down; one that hangs is killed, and its kernels notice.
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def environment(folder: Path) -> dict[str, str]:
    """Environment of the server and its kernels: own folders, no network, one thread each."""
    own = {
        "IPYTHONDIR": folder / "ipython",
        "JUPYTER_CONFIG_DIR": folder / "config",
        "JUPYTER_DATA_DIR": folder / "data",
        "JUPYTER_RUNTIME_DIR": folder / "runtime",
        "JUPYTERLAB_SETTINGS_DIR": folder / "settings",
        "JUPYTERLAB_WORKSPACES_DIR": folder / "workspaces",
        "XDG_CONFIG_HOME": folder / "config",
        "XDG_STATE_HOME": folder / "state",
    }
    return {
        **os.environ,
        **{name: str(path) for name, path in own.items()},
        "JUPYTER_PREFER_ENV_PATH": "1",
        "HTTP_PROXY": NOWHERE,
        "HTTPS_PROXY": NOWHERE,
        "NO_PROXY": "127.0.0.1,localhost",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


def wait_until_up(probe: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return when something answers at this address.

    Raises:
        RuntimeError: It ended, or two minutes have passed. The message ends with its log.
    """
    give_up = time.monotonic() + 120
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < give_up and process.poll() is None:
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            direct.open(probe, timeout=5).close()
            return
        time.sleep(0.1)
    tail = log.read_text("utf-8", "replace")[-3000:]
    message = f"The server did not start (exit status {process.poll()}). Its log ends:\n{tail}"
    raise RuntimeError(message)


def free_port() -> int:
    """Return a port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

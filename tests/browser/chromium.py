"""Find a Chromium for the browser tests, or install one: ``python tests/browser/chromium.py``."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MAC = (
    Path("/Applications/Chromium.app/Contents/MacOS/Chromium"),
    Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"),
)

ASK_PLAYWRIGHT = """
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    print(playwright.chromium.executable_path)
"""

log = logging.getLogger("chromium")


def find() -> str | None:
    """Path of a browser that starts, or None: $CHROMIUM, then PATH, then Playwright's own."""
    named = os.environ.get("CHROMIUM")
    if named:
        return named
    candidates = [shutil.which(name) for name in NAMES]
    candidates += [str(path) for path in MAC if path.exists()]
    usual = next((path for path in candidates if path and starts(path)), None)
    return usual or playwrights_own()


def playwrights_own() -> str | None:
    """Where ``playwright install chromium`` puts its browser, if it has."""
    # In a process of its own: Playwright refuses to start twice in one.
    done = subprocess.run(
        [sys.executable, "-c", ASK_PLAYWRIGHT], capture_output=True, text=True, check=False
    )
    path = done.stdout.strip()
    return path if path and starts(path) else None


def starts(path: str) -> bool:
    """Whether the program answers ``--version``; a distribution's stub for a snap does not."""
    try:
        done = subprocess.run([path, "--version"], capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and b"snap" not in done.stderr


def install() -> None:
    """Install Chromium through apt where that is allowed without a password, else by Playwright."""
    apt = shutil.which("apt-get")
    root = apt is not None and os.geteuid() == 0
    sudo = [] if root else ["sudo", "-n"]
    if apt and (root or (shutil.which("sudo") and run("sudo", "-n", "true"))):
        log.info("installing Chromium with apt-get")
        run(*sudo, apt, "update", "-qq")
        environment = ["env", "DEBIAN_FRONTEND=noninteractive"]
        if run(*sudo, *environment, apt, "install", "-y", "-qq", "chromium") and find():
            return
    log.info("downloading Chromium with Playwright")
    run(sys.executable, "-m", "playwright", "install", "chromium")


def run(*command: str) -> bool:
    """Run quietly, show what it printed only when it fails, and say whether it worked."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        log.warning("%s failed:\n%s", " ".join(command), done.stdout[-2000:])
    return done.returncode == 0


def main() -> None:
    """Make sure that there is a Chromium.

    Raises:
        SystemExit: There is none, and none could be installed.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    path = find()
    if path is None:
        install()
        path = find()
    if path is None:
        message = (
            "No Chromium was found or could be installed. Install one (`apt-get install chromium`, "
            "`playwright install chromium`, or Google Chrome), or set CHROMIUM to its path."
        )
        raise SystemExit(message)
    log.info("Chromium: %s", path)


if __name__ == "__main__":
    main()

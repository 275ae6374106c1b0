"""Single files of npm packages that tests put into pages: fetched once, kept in pytest's cache, checked against a digest."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

# Of one try to reach the registry; a test that cannot have its package is skipped.
SECONDS = 120


class NotFetchedError(Exception):
    """npm is missing, or did not bring a package; the message says which."""


@dataclass(frozen=True)
class NpmFile:
    """One file of one version of an npm package."""

    package: str
    version: str
    digest: str
    """SHA-512 of the archive in base64, as npm names it."""
    path: str

    def read(self, cache: Path) -> str:
        """Return the file's text; the archive is fetched into ``cache`` unless it is there.

        Raises:
            NotFetchedError: npm could not fetch it.
            ValueError: What came is another archive than the one that is meant.
        """
        archive = cache / f"{self.package.lstrip('@').replace('/', '-')}-{self.version}.tgz"
        if not archive.exists():
            self._fetch(cache)
        digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode("ascii")
        if digest != self.digest:
            archive.unlink()
            message = f"{self.package}@{self.version} has the digest {digest}, not {self.digest}"
            raise ValueError(message)
        with tarfile.open(archive) as files:
            found = files.extractfile(f"package/{self.path}")
            assert found is not None
            return found.read().decode("utf-8")

    def _fetch(self, cache: Path) -> None:
        name = f"{self.package}@{self.version}"
        # The environment's own npm first, wherever the tests are started from.
        places = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        npm = shutil.which("npm", path=places)
        if npm is None:
            message = f"no npm to fetch {name} with"
            raise NotFetchedError(message)
        command = [npm, "pack", name, "--silent", "--pack-destination", str(cache)]
        try:
            subprocess.run(
                command,
                check=True,
                capture_output=True,
                text=True,
                timeout=SECONDS,
                env={**os.environ, "PATH": places},
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            said = str(error.stderr or error).strip().splitlines()
            message = f"npm could not fetch {name}: {said[-1] if said else error}"
            raise NotFetchedError(message) from error

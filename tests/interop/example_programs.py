"""The programs of examples/, built as their README says, and run."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.interop.foreign_tools import find_tool, said
from tests.interop.locked_jars import locked_jars
from tests.support.waiting import timeout_s
from trapline.embedded.jvm import Jvm

EXAMPLES: Final = Path(__file__).parents[2] / "examples"
COMPILER: Final = Path(__file__).with_name("compiler.lock")
_ALL: Final = ("java", "go", "node")


def chosen_languages(text: str | None) -> tuple[str, ...]:
    """The languages that TRAPLINE_TEST_EXAMPLES names; where it is not set, all.

    Raises:
        ValueError: it names none, so that nothing would be tested and nobody told; or one there is not.
    """
    chosen = _ALL if text is None else tuple(text.split())
    if not chosen or not set(chosen) <= set(_ALL):
        raise ValueError(
            f"TRAPLINE_TEST_EXAMPLES is {text!r}; name some of {', '.join(_ALL)}, or leave it unset for all"
        )
    return chosen


LANGUAGES: Final = chosen_languages(os.environ.get("TRAPLINE_TEST_EXAMPLES"))
"""All, unless .ci/run has found that what one of them needs cannot be had."""
_LONGEST_BUILD_S: Final = 240.0  # the first one downloads modules, and Go compiles its standard library
_LONGEST_RUN_S: Final = 90.0


@dataclass(frozen=True)
class Run:
    """What a program printed.

    Attributes:
        groups: its lines, in order.
        log: its standard error.
    """

    groups: list[dict[str, Any]]
    log: str


@dataclass(frozen=True)
class Program:
    """One example, ready to run."""

    command: tuple[str, ...]

    def run(self, bootstrap_servers: str, prefix: str, consumer_group: str, count: int) -> Run:
        """Let it find so many groups; fails where it does not end by itself with status 0."""
        ended = _run(
            *self.command, bootstrap_servers, prefix, consumer_group, count, longest_s=_LONGEST_RUN_S
        )
        return Run([json.loads(line) for line in ended.stdout.splitlines()], ended.stderr.decode())


def build(language: str, folder: Path) -> Program:
    """Build an example below `folder`, from exactly what its lock file names."""
    source = EXAMPLES / language
    return {"java": _build_java, "go": _build_go, "node": _build_node}[language](source, folder)


def _build_java(source: Path, folder: Path) -> Program:
    """Compiled by Eclipse's compiler, which is a jar: neither a JDK nor Maven is needed."""
    jars = locked_jars(source / "jars.lock")
    java = str(Jvm.find(()).java)
    classpath = ":".join(map(str, [folder, *jars]))
    (compiler,) = locked_jars(COMPILER)
    _run(
        *(java, "-jar", compiler, "-17", "-cp", classpath, "-d", folder),
        source / "Groups.java",
    )
    options = ("-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
    return Program((java, *options, "-cp", classpath, "Groups"))


def _build_go(source: Path, folder: Path) -> Program:
    program = folder / "groups"
    _run(find_tool("go"), "vet", ".", cwd=source)
    _run(find_tool("go"), "build", "-o", program, ".", cwd=source)
    return Program((str(program),))


def _build_node(source: Path, folder: Path) -> Program:
    for name in ("package.json", "package-lock.json", "groups.js"):
        shutil.copy(source / name, folder)
    _run(find_tool("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=folder)
    return Program((find_tool("node"), str(folder / "groups.js")))


def _run(
    *command: object, cwd: Path | None = None, longest_s: float = _LONGEST_BUILD_S
) -> subprocess.CompletedProcess[bytes]:
    ended = subprocess.run(
        [str(word) for word in command],
        check=False,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        # No other toolchain and no other modules than those of go.mod and go.sum.
        env={**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly"},
        timeout=timeout_s(longest_s),
    )
    assert ended.returncode == 0, said(ended)
    return ended

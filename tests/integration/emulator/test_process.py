import contextlib
import json
import os
import signal
import subprocess
import sys

import pytest

from runtime.settings_sources import ENV_PREFIX
from schemas.digest import frame_digest
from schemas.source import Source
from tests.support.frame_reader import FrameReader
from tests.support.waiting import timeout_s, wait_until


@pytest.fixture
def process(stack, tmp_path):
    """Start `trapline emulator` with these options; gives the process and its sources, once they answer."""
    ports_file = tmp_path / "ports"

    def start(*options: str) -> tuple[subprocess.Popen, list[Source]]:
        command = [
            sys.executable,
            "-m",
            "trapline",
            "emulator",
            "--port",
            "0",
            "--ports-file",
            str(ports_file),
        ]
        environment = {name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX)}
        started = subprocess.Popen(
            [*command, "--size", "64x48", "--log-format", "json", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        stack.callback(started.communicate)
        stack.callback(started.kill)
        wait_until(lambda: ports_file.exists() or started.poll() is not None, "the ports file", 60)
        assert started.poll() is None, started.communicate()[1]
        value = ports_file.read_text().strip()
        return started, [Source.parse(part) for part in value.split(",")]

    return start


def ended(process: subprocess.Popen) -> tuple[int, str, list[dict]]:
    """Exit status, standard output and log lines of a process that is to end by itself."""
    out, err = process.communicate(timeout=timeout_s(60))
    return process.returncode, out, [json.loads(line) for line in err.splitlines()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_with_final_counts(process, truth, truth_file, number):
    started, sources = process("--sources", "2", "--rate", "50", "--truth", str(truth_file))
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(FrameReader(source.host, source.port)) for source in sources]
        readers[1].wait_for(5)
        started.send_signal(number)
        received = [reader.wait_for_end() for reader in readers]
    status, out, log = ended(started)
    assert status == 0
    assert out.strip() == ",".join(map(str, sources))
    assert not any(reader.skipped for reader in readers)
    assert log[-1]["event"] == "stopped"
    assert log[-1]["frames_sent"] == sum(map(len, received)) == len(truth())


def test_a_finite_run_ends_by_itself_with_everything_delivered(process, truth, truth_file):
    started, sources = process(
        "--sources", "2", "--rate", "max", "--frames", "30", "--truth", str(truth_file)
    )
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(FrameReader(source.host, source.port)) for source in sources]
        received = [frame_digest(frame) for reader in readers for frame in reader.wait_for_end()]
    assert ended(started)[0] == 0
    assert sorted(line["digest"] for line in truth()) == sorted(received)
    assert len(received) == 60


def test_a_killed_one_has_written_down_all_but_the_last_frame(process, truth_file):
    started, (source,) = process("--sources", "1", "--rate", "max", "--truth", str(truth_file))
    with FrameReader(source.host, source.port) as reader:
        reader.wait_for(20)
        started.kill()
        started.communicate()
        received = [frame_digest(frame) for frame in reader.wait_for_end()]
    complete, _, _ = truth_file.read_text().rpartition("\n")
    recorded = [json.loads(line)["digest"] for line in complete.splitlines()]
    # A frame is written down when it is wholly in the connection: one at most is missing.
    assert received[: len(recorded)] == recorded[: len(received)]
    assert len(received) - len(recorded) <= 1


def test_wrong_options_are_all_named():
    command = [
        sys.executable,
        "-m",
        "trapline",
        "emulator",
        "--size",
        "10x",
        "--misbehave",
        "cat",
        "--rate",
        "0",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout_s(60))
    assert done.returncode == 2
    for option in ("--size", "--misbehave", "--rate"):
        assert option in done.stderr


def test_the_faults_are_listed():
    command = [sys.executable, "-m", "trapline", "emulator", "--faults"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=timeout_s(60))
    assert "wrong-magic" in done.stdout

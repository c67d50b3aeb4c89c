"""The supervising process, with small programs in the JVM's place."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from tests.support.kafka import process_gone
from tests.support.waiting import timeout_s, wait_until
from trapline.embedded.errors import StartError
from trapline.embedded.process import SupervisedProcess, stopped_within

SLEEP = ["sleep", "600"]
DEAF = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(600)",
]


@pytest.fixture
def run(tmp_path):
    running = []

    def run(command):
        with (tmp_path / "lock").open("w") as lock:
            running.append(SupervisedProcess(command, log=tmp_path / "log", lock_fd=lock.fileno()))
        return running[-1]

    yield run
    for process in running:
        process.kill()
        assert process.wait(timeout_s(10))


def test_status_and_output(run, tmp_path):
    process = run(["sh", "-c", "echo out; echo err >&2; exit 7"])
    assert process.wait(timeout_s(10))
    assert process.status == 7
    assert (tmp_path / "log").read_text() == "out\nerr\n"
    process.terminate()  # nothing is left to be told
    assert not process.running


def test_terminate_and_kill(run):
    process = run(SLEEP)
    assert process.running
    assert psutil.Process(process.pid).cmdline() == SLEEP
    assert stopped_within(process, timeout_s(10))
    assert process.status == -signal.SIGTERM
    process = run(SLEEP)
    process.kill()
    assert process.wait(timeout_s(10))
    assert process.status == -signal.SIGKILL


def test_who_does_not_stop_in_time_is_killed(run, tmp_path):
    process = run(DEAF)
    wait_until((tmp_path / "log").read_text, "the program to ignore SIGTERM")
    assert not stopped_within(process, 0.2)
    assert process.status == -signal.SIGKILL


def test_ends_with_its_supervisor(run):
    process = run(SLEEP)
    process._supervisor.kill()
    wait_until(lambda: process_gone(process.pid), "the program's end")
    assert process.wait(timeout_s(10))
    assert process.status == -signal.SIGKILL


def test_a_program_that_is_not_there(run, capfd):
    with pytest.raises(StartError, match="/no/such/java"):
        run(["/no/such/java"])
    assert "/no/such/java" in capfd.readouterr().err


@pytest.mark.parametrize("forked_child", [False, True], ids=["alone", "with a forked child"])
def test_ends_with_our_process_however_that_ends(tmp_path, forked_child):
    # A forked child holds the write end of the pipe open, so the end of input alone does not tell.
    script = f"""
        import os, sys, time
        from pathlib import Path
        from trapline.embedded.process import SupervisedProcess
        lock = open({str(tmp_path / "lock")!r}, "w")
        process = SupervisedProcess({SLEEP!r}, log=Path({str(tmp_path / "log")!r}), lock_fd=lock.fileno())
        child = os.fork() if {forked_child} else None
        if child == 0:
            time.sleep(600)
        print(process.pid, process._supervisor.pid, child, flush=True)
        time.sleep(600)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        pid, supervisor, child = parent.stdout.readline().split()
        parent.kill()
        parent.wait()
        try:
            wait_until(lambda: process_gone(int(pid)) and process_gone(int(supervisor)), "the end of both")
        finally:
            if child != "None":
                os.kill(int(child), signal.SIGKILL)


def test_the_program_keeps_the_lock_open_and_no_pipe(run, tmp_path):
    process = run(SLEEP)
    names = {str(fd.readlink()) for fd in Path(f"/proc/{process.pid}/fd").iterdir()}
    assert str(tmp_path / "lock") in names
    # An end of our pipe in there would keep it open after us.
    assert not [name for name in names if name.startswith(("pipe:", "socket:"))]


def test_output_that_is_read_ends_with_the_program_and_the_rest_goes_to_the_log(tmp_path):
    read_fd, write_fd = os.pipe()
    with os.fdopen(read_fd) as lines:
        command = ["sh", "-c", "echo out; echo err $WORD >&2"]
        process = SupervisedProcess(
            command, log=tmp_path / "log", output_fd=write_fd, environment={**os.environ, "WORD": "word"}
        )
        os.close(write_fd)
        assert lines.read() == "out\n"
    assert process.wait(timeout_s(10))
    assert process.status == 0
    assert (tmp_path / "log").read_text() == "err word\n"


def test_java_options_of_the_shell_do_not_reach_it(run, tmp_path, monkeypatch):
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Xmx1m")
    assert run(["env"]).wait(timeout_s(10))
    assert "JAVA_TOOL_OPTIONS" not in (tmp_path / "log").read_text()

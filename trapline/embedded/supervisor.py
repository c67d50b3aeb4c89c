"""A small process between us and a program, so that the program never outlives us, whatever happens to us.

    python -I -S supervisor.py PARENT_PID LOG_FILE OUTPUT_FD PASSED_FD -- COMMAND...

It starts COMMAND as its child with standard output and error in LOG_FILE; the output goes to OUTPUT_FD, a
pipe that somebody reads, where that is not -1. It says on its own standard output `pid N`, later
`exit STATUS` (negative: the signal). On its standard input it takes one letter: T sends SIGTERM, K sends
SIGKILL. End of input means that our process is gone: SIGTERM, and SIGKILL if that has not helped within
GRACE_S. A forked child of ours may hold the pipe open, so the parent's process id is watched too. If this
process itself is killed, Linux ends the child (PR_SET_PDEATHSIG; its caveat, that the death of the starting
*thread* counts, is none here: there is one thread).

PASSED_FD, a locked file, is left open in the child: the lock lasts as long as the child does; -1: none.
Only the standard library, and nothing of ours: it starts in a few hundredths of a second.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time

GRACE_S = 15.0
_POLL_S = 0.25
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def main() -> int:
    """Run the command until it ends."""
    parent_pid, log_file, output_fd, passed_fd = int(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:5])
    command = sys.argv[6:]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # only our process decides, or its end
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    with open(log_file, "ab") as log:  # noqa: PTH123  pathlib would double the start time
        child = subprocess.Popen(  # noqa: S603  # our own command line
            command,
            stdin=subprocess.DEVNULL,
            stdout=log if output_fd < 0 else output_fd,
            stderr=log,
            pass_fds=[passed_fd] if passed_fd >= 0 else [],
            preexec_fn=_before_exec,  # noqa: PLW1509  safe: there is one thread
        )
    if output_fd >= 0:
        os.close(output_fd)  # its reader shall see the end where the child ends
    _say(f"pid {child.pid}")
    _watch(child, parent_pid, woken)
    _say(f"exit {child.returncode}")
    return 0


def _watch(child: "subprocess.Popen[bytes]", parent_pid: int, woken: int) -> None:
    """Pass orders on until the child has ended; see to it that it ends once the parent is gone."""
    kill_at: float | None = None
    inputs = [0, woken]
    while child.poll() is None:
        ready, _, _ = select.select(inputs, [], [], _POLL_S)
        if woken in ready:
            os.read(woken, 4096)
        orders = os.read(0, 64) if 0 in ready else None
        if orders == b"":
            inputs.remove(0)
        if b"K" in (orders or b""):
            child.kill()
        elif b"T" in (orders or b""):
            child.terminate()
        orphaned = orders == b"" or os.getppid() != parent_pid
        if orphaned and kill_at is None:
            kill_at = time.monotonic() + GRACE_S
            child.terminate()
        if kill_at is not None and time.monotonic() >= kill_at:
            child.kill()


def _before_exec() -> None:
    """In the child, before it becomes the program: default signals, and SIGKILL when this process dies."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _say(line: str) -> None:
    with contextlib.suppress(OSError):  # nobody listens any more
        os.write(1, line.encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())

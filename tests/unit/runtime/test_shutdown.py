import os
import signal
import subprocess
import sys
import threading

import pytest

from runtime.shutdown import Shutdown


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_asks_for_a_stop_and_the_handlers_come_back(number):
    before = signal.getsignal(number)
    with Shutdown() as shutdown:
        assert not shutdown.requested
        assert not shutdown.wait(0)
        os.kill(os.getpid(), number)
        assert shutdown.wait(10)
        assert shutdown.requested
        assert shutdown.signal == number
    assert signal.getsignal(number) is before


def test_any_thread_may_ask():
    shutdown = Shutdown()
    thread = threading.Thread(target=shutdown.request)
    thread.start()
    assert shutdown.wait(10)
    thread.join()


def test_outside_the_main_thread_it_listens_to_nothing():
    before = signal.getsignal(signal.SIGTERM)
    inside = []

    def enter():
        with Shutdown():
            inside.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert inside == [before]


STUBBORN = """
import os, signal
from runtime.shutdown import Shutdown
with Shutdown() as shutdown:
    os.kill(os.getpid(), signal.SIGTERM)
    assert shutdown.requested
    print("asked", flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
    print("not reached", flush=True)
"""


def test_a_second_signal_ends_the_process():
    done = subprocess.run(
        [sys.executable, "-c", STUBBORN], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "asked\n"
    assert done.returncode == -signal.SIGTERM

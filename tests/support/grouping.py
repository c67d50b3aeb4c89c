"""Groupers as processes, and in the test's own process."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading

from grouper.service import GrouperService
from grouper.settings import GrouperSettings
from runtime.health import Heartbeat
from runtime.settings import load_settings
from runtime.shutdown import Shutdown
from tests.support.raw_topic import RawTopic
from tests.support.waiting import timeout_s, wait_until


def settings_of(raw: RawTopic, **more) -> GrouperSettings:
    overrides = {
        "bootstrap_servers": raw.bootstrap_servers,
        "topic_prefix": raw.prefix,
        "sources": ",".join(f"{source}=tcp://127.0.0.1:1" for source in raw.sources),
        "commit_interval_s": 0.2,
        **more,
    }
    return load_settings(GrouperSettings, overrides=overrides, known=[])


@contextlib.contextmanager
def grouping(raw: RawTopic, on_step=None, **settings):
    """A grouper on a thread of this process; stopped at the end, its error raised here."""
    hook = {} if on_step is None else {"on_step": on_step}
    service = GrouperService(settings_of(raw, **settings), Heartbeat(), **hook)
    shutdown = Shutdown()
    errors: list[BaseException] = []

    def run():
        try:
            service.run(shutdown)
        except BaseException as error:  # noqa: BLE001  raised again below, in the test's thread
            errors.append(error)

    thread = threading.Thread(target=run, name="grouper")
    thread.start()
    service.errors = errors
    try:
        yield service
    finally:
        shutdown.request()
        thread.join(timeout_s(60))
        assert not thread.is_alive()
    if errors:
        raise errors[0]


class GrouperProcess:
    """A grouper in a process of its own, which may be told to die at a step of a transaction."""

    def __init__(self, raw: RawTopic, step="committed", nth=1, action="never", image=0, **settings):
        overrides = settings_of(raw, **settings)
        names = {"bootstrap_servers", "topic_prefix", "commit_interval_s", *settings}
        self._environment = {f"TRAPLINE_{name.upper()}": str(getattr(overrides, name)) for name in names}
        self._environment["TRAPLINE_SOURCES"] = ",".join(f"{s}=tcp://127.0.0.1:1" for s in raw.sources)
        self._environment["TRAPLINE_LOG_FORMAT"] = "json"
        arguments = [step, str(nth), action, *([str(image)] if image else [])]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.crashing_grouper", *arguments],
            env={**os.environ, **self._environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self.log: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=(stream, lines))
            for stream, lines in ((self._process.stdout, self.lines), (self._process.stderr, self.log))
        ]
        for reader in self._readers:
            reader.start()

    @staticmethod
    def _read(stream, lines):
        with stream:
            for line in stream:
                lines.append(line)

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        if self._process.poll() is None:
            self._process.kill()
            os.kill(self._process.pid, signal.SIGCONT)
        self._process.wait()
        for reader in self._readers:
            reader.join()

    def suspend(self):
        self._process.send_signal(signal.SIGSTOP)

    def resume(self):
        self._process.send_signal(signal.SIGCONT)

    @property
    def rejoins(self) -> list[str]:
        """Why it left the consumer group and joined it anew, each time, as its log says."""
        return [json.loads(line)["cause"] for line in list(self.log) if "consumer group anew" in line]

    def kill(self):
        self._process.kill()
        self._process.wait()

    def terminate(self) -> int:
        self._process.terminate()
        return self._process.wait(timeout_s(30))

    def wait_for_fault(self):
        """Wait until the process says that it acts, and, where it kills itself, until it is dead."""
        wait_until(lambda: self.lines, timeout=60, message=lambda: "no fault\n" + "".join(self.log[-20:]))
        if "kill" in self.lines[0]:
            assert self._process.wait(timeout_s(30)) == -signal.SIGKILL

    def wait_for_log(self, text: str, count: int = 1):
        wait_until(
            lambda: sum(text in line for line in self.log) >= count,
            timeout=90,
            message=lambda: f"no {text!r} in\n" + "".join(self.log[-20:]),
        )

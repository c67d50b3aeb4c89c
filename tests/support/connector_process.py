"""`trapline connector`, or another service's verb, as a process of its own, for signals and exit statuses."""

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from types import TracebackType
from typing import Self

from prometheus_client.parser import text_string_to_metric_families

from runtime.settings_sources import ENV_PREFIX
from tests.support.waiting import timeout_s, wait_until


class ConnectorProcess:
    """Runs while it is entered; killed at the end if it still does."""

    def __init__(
        self,
        bootstrap_servers: str,
        prefix: str,
        *options: str,
        verb: str = "connector",
        **environment: str,
    ) -> None:
        self._command = [
            sys.executable,
            "-m",
            "trapline",
            verb,
            f"--bootstrap-servers={bootstrap_servers}",
            f"--topic-prefix={prefix}",
            "--log-format=json",
            "--http-port=0",
            *options,
        ]
        clean = {name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX)}
        self._environment = {**clean, **environment}
        self.lines: list[str] = []

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def events(self) -> list[dict]:
        """Its log lines so far."""
        return [json.loads(line) for line in list(self.lines) if line.startswith("{")]

    def said(self, event: str) -> list[dict]:
        """Its log lines of an event."""
        return [line for line in self.events if line["event"] == event]

    def wait_until_said(self, event: str) -> dict:
        """The first line of an event, once it is there."""
        wait_until(lambda: self.said(event) or self._process.poll() is not None, event)
        assert self.said(event), "".join(self.lines)
        return self.said(event)[0]

    def metrics(self) -> dict[tuple[str, str], float]:
        """Values by name and source."""
        return {
            (sample.name, sample.labels.get("source", "")): sample.value
            for family in text_string_to_metric_families(self.get("/metrics")[1])
            for sample in family.samples
            if len(sample.labels) < 2 or sample.labels.get("topic") == "raw"
        }

    def get(self, path: str) -> tuple[int, str]:
        """Ask its health end point."""
        port = self.wait_until_said("health and metrics are served")["port"]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=timeout_s(10)) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self, timeout: float = 60.0) -> int:
        """Its exit status."""
        status = self._process.wait(timeout_s(timeout))
        self._thread.join()
        return status

    @property
    def last_line(self) -> str:
        return self.lines[-1].rstrip()

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=self._environment
        )
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()

    def _listen(self) -> None:
        if self._process.stderr is not None:
            for line in self._process.stderr:
                self.lines.append(line)

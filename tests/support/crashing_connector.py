"""A connector process that writes down what its decoder gave it, and stops dead at a named step.

    python -m tests.support.crashing_connector JOURNAL STEP NTH

Settings come from TRAPLINE_* as for `trapline connector`. JOURNAL gets a line of JSON for each frame as the
decoder gives it ("read"), once it is in the spool ("appended"), and once Kafka has it ("acknowledged"). A
line is one write to the kernel, so a SIGKILL loses none. STEP is a `connector.steps.Step`, NTH how often it
is reached until the process kills itself there; with `never` it does not.
"""

import json
import os
import signal
import sys
import threading

from connector.service import ConnectorService
from connector.settings import ConnectorSettings
from connector.steps import Step
from runtime.logs import configure_logs
from runtime.settings import load_settings
from runtime.shutdown import Shutdown

_LINES = {Step.BEFORE_APPEND: "read", Step.AFTER_APPEND: "appended", Step.AFTER_ACK: "acknowledged"}


class Saboteur:
    """Keeps the journal, and acts at the step it was told."""

    def __init__(self, journal: str, step: str, nth: int) -> None:
        self._journal = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
        self._step = step
        self._left = nth
        self._lock = threading.Lock()

    def __call__(self, step: Step, source: str, digest: str | None) -> None:
        if step in _LINES and digest is not None:
            self._write({"event": _LINES[step], "source": source, "digest": digest})
        if step.value != self._step:
            return
        with self._lock:
            self._left -= 1
            if self._left:
                return
        # The line is the proof that the fault took effect, and where.
        self._write({"event": "killed", "step": step.value, "source": source, "digest": digest})
        os.kill(os.getpid(), signal.SIGKILL)

    def _write(self, line: dict[str, str | None]) -> None:
        os.write(self._journal, json.dumps(line).encode() + b"\n")


def main() -> None:
    """Run the connector until told to stop, or until it is sabotaged."""
    journal, step, nth = sys.argv[1:]
    settings = load_settings(ConnectorSettings, overrides={}, config_file=None, known=[ConnectorSettings])
    configure_logs(settings.log_level, settings.log_format)
    with Shutdown() as shutdown:
        summary = ConnectorService(settings, Saboteur(journal, step, int(nth))).run(shutdown)
    sys.stderr.write(json.dumps({"event": "ended", "spooled": summary.spooled}) + "\n")


if __name__ == "__main__":
    main()

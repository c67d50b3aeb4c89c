"""One soak: real processes on an embedded Kafka of its own, sampled until the image servers have sent all."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Final

from tests.soak.errors import SoakError
from tests.soak.reader import GROUP_ID
from tests.soak.sampling import Sample, Sampler
from trapline.demo.processes import DemoError, Stage, Stages
from trapline.embedded import EmbeddedKafka
from trapline.embedded.ports import free_port

_PREFIX: Final = "soak"
_START_S: Final = 60.0
_AUDIT_S: Final = 10.0
_POLL_S: Final = 0.5
_LEAST_FREE_GIB: Final = 10.0
# Kafka deletes whole segments, every five minutes and a minute later: with 48 MiB/s it is some 20 GiB all the
# same, which a bound of its own for each topic keeps from growing.
_RETENTION: Final = "2GiB"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is run.

    Attributes:
        minutes: of images.
        sources: image servers.
        size: pixels of an image's side.
        rate: timestamps a second.
        spool: the connector's mode.
        sample_s: seconds between samples.
    """

    minutes: float
    sources: int
    size: int
    rate: float
    spool: str
    sample_s: float

    @property
    def timestamps(self) -> int:
        """How many there are in all."""
        return max(1, round(60 * self.minutes * self.rate))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it.

    Attributes:
        samples: in order.
        sent: timestamps that the image servers sent.
        read: groups that the reader took,
        complete: and how many of them lacked nothing.
        findings: of the auditor, who read along: a line each.
        audited: the auditor's own summary.
    """

    samples: tuple[Sample, ...]
    sent: int
    read: int
    complete: int
    findings: tuple[str, ...]
    audited: dict[str, object]


def soak(plan: Plan, folder: Path, say: Callable[[str], None]) -> Outcome:
    """Run it.

    Args:
        plan: what.
        folder: for logs and samples; Kafka's data and the spool are removed at the end.
        say: prints a line.

    Raises:
        SoakError: a process ended, or the disk is nearly full.
        DemoError: a process did not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data, spool = folder / "kafka", folder / "spool"
    try:
        with EmbeddedKafka(data) as kafka, Stages(folder) as stages:
            return _Soak(plan, folder, kafka, stages, say).run()
    finally:
        for each in (data, spool):
            shutil.rmtree(each, ignore_errors=True)


class _Soak:
    """The parts of one run."""

    def __init__(
        self, plan: Plan, folder: Path, kafka: EmbeddedKafka, stages: Stages, say: Callable[[str], None]
    ) -> None:
        self._plan = plan
        self._folder = folder
        self._kafka = kafka
        self._stages = stages
        self._say = say
        self._counts = folder / "reader.counts"
        self._ports = {name: free_port() for name in ("connector", "grouper")}

    def run(self) -> Outcome:
        emulator, running = self._start()
        samples: list[Sample] = []
        with (
            self._reading() as reader,
            Sampler(
                self._kafka.bootstrap_servers,
                _PREFIX,
                GROUP_ID,
                self._ports,
                self._kafka.data,
                spool=self._plan.spool != "off",
            ) as sampler,
            (self._folder / "samples.jsonl").open("w") as log,
        ):
            pids = {name: stage.pid for name, stage in running.items()}
            pids |= {"reader": reader.pid, "broker": self._kafka.pid}
            while not _ended(emulator):
                began_s = time.monotonic()
                samples.append(self._sample(sampler, pids, running))
                log.write(json.dumps(asdict(samples[-1])) + "\n")
                log.flush()
                self._check(samples[-1], running, reader)
                if len(samples) % 12 == 0:
                    self._say(f"{samples[-1].at_s:6.0f} s: {self._read()[0]} groups read")
                time.sleep(max(0.0, self._plan.sample_s - (time.monotonic() - began_s)))
            self._wait_until_all_is_read(sampler, running, reader)
            running["auditor"].stop()  # it ends with a last look, and its summary
        findings, audited = self._audit(running["auditor"].log)
        return Outcome(tuple(samples), self._plan.timestamps, *self._read(), findings, audited)

    def _start(self) -> tuple[Stage, dict[str, Stage]]:
        """The image servers, and all whose wear is looked at."""
        plan, stages = self._plan, self._stages
        stages.tell(bootstrap_servers=self._kafka.bootstrap_servers, topic_prefix=_PREFIX, log_format="json")
        stages.run("topics", "create", f"--retention-bytes={_RETENTION}")
        ports = self._folder / "ports"
        ports.unlink(missing_ok=True)
        emulator = stages.start(
            "emulator",
            f"--sources={plan.sources}",
            f"--size={plan.size}",
            f"--rate={plan.rate}",
            f"--frames={plan.timestamps}",
            "--wait-for-clients=1",
            "--port=0",
            f"--ports-file={ports}",
        )
        stages.tell(sources=stages.wait_for_file(ports, _START_S))
        spool = [] if plan.spool == "off" else [f"--spool-dir={self._folder / 'spool'}"]
        return emulator, {
            "grouper": stages.start("grouper", f"--http-port={self._ports['grouper']}"),
            "auditor": stages.start("verify", "--follow", "--json"),
            "connector": stages.start(
                "connector", f"--http-port={self._ports['connector']}", f"--spool={plan.spool}", *spool
            ),
        }

    @contextmanager
    def _reading(self) -> Iterator[subprocess.Popen[bytes]]:
        """The reader, once connector and grouper tell their metrics."""
        self._counts.unlink(missing_ok=True)
        for name, port in self._ports.items():
            self._wait_for(partial(_answers, port), f"the metrics of the {name}")
        environment = {
            "TRAPLINE_BOOTSTRAP_SERVERS": self._kafka.bootstrap_servers,
            "TRAPLINE_TOPIC_PREFIX": _PREFIX,
        }
        with (self._folder / "reader.log").open("wb") as log:
            reader = subprocess.Popen(
                [sys.executable, "-m", "tests.soak.reader", str(self._counts)],
                env={**os.environ, **environment},
                stdout=log,
                stderr=log,
            )
        try:
            self._wait_for(self._counts.exists, "the reader's first group")
            yield reader
        finally:
            reader.terminate()
            reader.wait()

    @staticmethod
    def _sample(sampler: Sampler, pids: Mapping[str, int], running: Mapping[str, Stage]) -> Sample:
        try:
            return sampler.sample(pids)
        except SoakError:
            for stage in running.values():
                stage.check()  # shows the end of its log, where one of ours has ended
            raise

    def _check(self, sample: Sample, running: Mapping[str, Stage], reader: subprocess.Popen[bytes]) -> None:
        for stage in running.values():
            stage.check()
        if reader.poll() is not None:
            raise SoakError(f"the reader ended; see {self._folder / 'reader.log'}")
        if sample.figures["disk free"] < _LEAST_FREE_GIB:
            raise SoakError(f"less than {_LEAST_FREE_GIB:g} GiB of disk are free; the run needs about 30")

    def _wait_until_all_is_read(
        self, sampler: Sampler, running: Mapping[str, Stage], reader: subprocess.Popen[bytes]
    ) -> None:
        def done() -> bool:
            self._check(sampler.sample({}), running, reader)
            return self._read()[0] >= self._plan.timestamps

        with suppress(SoakError):  # what is missing is in the outcome
            self._wait_for(done, "the last groups")
        time.sleep(_AUDIT_S)  # the auditor looks once a second, and may be a few seconds behind

    def _wait_for(self, there: Callable[[], bool], what: str) -> None:
        deadline_s = time.monotonic() + _START_S
        while not there():
            if time.monotonic() > deadline_s:
                raise SoakError(f"waited {_START_S:g} s in vain for {what}; the logs are in {self._folder}")
            time.sleep(_POLL_S)

    def _read(self) -> tuple[int, int]:
        if not self._counts.exists():
            return 0, 0
        taken, complete = self._counts.read_text().split()
        return int(taken), int(complete)

    @staticmethod
    def _audit(log: Path) -> tuple[tuple[str, ...], dict[str, object]]:
        """The auditor's findings, a line each, and its summary."""
        lines = [line for line in log.read_text().splitlines() if line.startswith("{")]
        found = tuple(line for line in lines if "finding" in json.loads(line))
        summaries = [json.loads(line) for line in lines if "findings" in json.loads(line)]
        if not summaries:
            raise SoakError(f"the auditor ended without a summary; see {log}")
        return found, summaries[-1]


def _ended(stage: Stage) -> bool:
    """Whether the image servers have sent all.

    Raises:
        DemoError: they have failed.
    """
    try:
        stage.check()
    except DemoError:
        if stage.wait(0) == 0:
            return True
        raise
    return False


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0

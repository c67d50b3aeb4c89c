"""The demo itself: starts every stage, prints a line a group, and says at the end whether all was well."""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from consumer.fits_files import write_group
from consumer.group import Group
from consumer.settings import ConsumerSettings
from consumer.stream import GroupStream
from runtime.settings import load_settings
from trapline.demo.comparison import Comparison
from trapline.demo.processes import DemoError, Stage, Stages

PREFIX = "demo"
_REVIVED = ("broker", "connector", "grouper")
_BROKER_START_S = 900.0  # the first start downloads Kafka
_START_S = 60.0
_GROUP_S = 180.0  # also where a broker is killed, on a slow machine


@dataclass(frozen=True, slots=True)
class Scale:
    """How much to show."""

    groups: int  # 0: until Ctrl-C
    sources: int
    size: str
    rate: float


@dataclass(slots=True)
class Result:
    """What was seen."""

    groups: int = 0
    complete: int = 0
    latencies_s: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether every group was complete and equal to what was sent."""
        return self.groups > 0 and self.complete == self.groups and not self.problems


class Demo:
    """Runs the stages in `folder`, and puts the last group there as FITS."""

    def __init__(self, scale: Scale, folder: Path, say: Callable[[str], None]) -> None:
        """Prepare.

        Args:
            scale: how much to show.
            folder: for logs, Kafka's data and the FITS file.
            say: prints a line.
        """
        self._scale = scale
        self._folder = folder
        self._say = say
        self._result = Result()
        self._last: Group | None = None

    def run(self) -> Result:
        """Show it.

        Raises:
            DemoError: a stage ended or did not answer, or no group came.
        """
        began_s = time.monotonic()
        truth = self._folder / "truth.jsonl"
        with Stages(self._folder) as stages:
            bootstrap = self._start_kafka(stages, began_s)
            settings = load_settings(
                ConsumerSettings, overrides={"bootstrap_servers": bootstrap, "topic_prefix": PREFIX}
            )
            ports = self._folder / "sources.txt"
            # It waits for the connector, so the first timestamp is not sent into the void.
            stages.start(
                "emulator",
                f"--sources={self._scale.sources}",
                f"--size={self._scale.size}",
                f"--rate={self._scale.rate:g}",
                "--port=0",
                "--wait-for-clients=1",
                f"--ports-file={ports}",
                f"--truth={truth}",
            )
            stages.tell(sources=stages.wait_for_file(ports, _START_S))
            # The static name gives a grouper that is killed and started again its partition back at once.
            # Its rules are those of any other: groups close complete, and a broker that is killed and started
            # again is one long step of log time, which closes nothing (docs/decisions/0008-log-time.md).
            stages.start("grouper", "--group-instance-id=demo-grouper")
            limit = [f"--limit={self._scale.groups}"] if self._scale.groups else []
            tail = stages.start("tail", "--json", "--from-beginning", *limit, read=True)
            stages.start("connector")
            stages.expect(_GROUP_S + 1 / self._scale.rate)
            stages.revive(_REVIVED, self._say, tail.end)
            comparison = Comparison(settings, truth)
            interrupted = False
            try:
                try:
                    self._read(tail, stages, settings, comparison, began_s)
                except KeyboardInterrupt:
                    interrupted = True
                    self._say("Stopping ...")
                self._result.problems += [f"{at} was sent and is in no group" for at in comparison.lost()]
            finally:
                comparison.close()
            if not interrupted and self._result.groups != self._scale.groups:
                stages.check()
                raise DemoError(f"the reader ended after {self._result.groups} groups:\n{tail.last_lines()}")
        self._write_last()
        return self._result

    def _read(
        self, tail: Stage, stages: Stages, settings: ConsumerSettings, comparison: Comparison, began_s: float
    ) -> None:
        """Show a line a group, until the reader has as many as it should, or ended."""
        with GroupStream(settings, start="beginning") as groups:
            for line in iter(tail.lines.readline, ""):
                if self._result.groups == 0:
                    self._introduce(stages, time.monotonic() - began_s)
                self._show(json.loads(line), self._next(groups), comparison)
                stages.expect(_GROUP_S + 1 / self._scale.rate)

    def _start_kafka(self, stages: Stages, began_s: float) -> str:
        self._say("Starting Apache Kafka (the first time, it is downloaded: about 40 MB) ...")
        ready = self._folder / "broker.txt"
        stages.start("broker", f"--data={self._folder / 'kafka'}", "--port=0", f"--ready-file={ready}")
        bootstrap = stages.wait_for_file(ready, _BROKER_START_S)
        self._say(
            f"Kafka answers at {bootstrap} after {time.monotonic() - began_s:.1f} s. "
            f"Starting {self._scale.sources} image servers of {self._scale.size} pixels, "
            "connector, grouper and reader ..."
        )
        stages.tell(bootstrap_servers=bootstrap, topic_prefix=PREFIX)
        stages.run("topics", "create")
        return bootstrap

    def _introduce(self, stages: Stages, took_s: float) -> None:
        self._say(f"Started in {took_s:.1f} s. Each group:")
        pids = stages.pids()
        victims = ", ".join(f"{verb} {pids[verb]}" for verb in _REVIVED)
        self._say(f"  (kill -9 any of {victims}: it is started again)")

    @staticmethod
    def _next(groups: GroupStream) -> Group:
        group = next(groups, None)
        if group is None:
            raise DemoError("the groups ended before the reader's lines did")
        return group

    def _show(self, line: dict[str, object], group: Group, comparison: Comparison) -> None:
        result = self._result
        problems = comparison.problems(group)
        result.groups += 1
        result.complete += group.complete
        result.problems += [f"{line['timestamp']}: {problem}" for problem in problems]
        latency_s = float(str(line["latency_s"]))
        result.latencies_s.append(latency_s)
        self._last = group
        self._say(
            f"  {line['timestamp']}  {line['size']}/{line['expected']}  latency {latency_s * 1000:5.0f} ms  "
            + ("equal to what was sent" if not problems else "; ".join(problems))
        )

    def _write_last(self) -> None:
        if self._last is None:
            return
        path = self._folder / "last-group.fits"
        write_group(self._last, path)
        self._say(f"\nThe last group is in {path}. Open it with")
        self._say(f"  ds9 -multiframe {path}")
        python = os.path.relpath(sys.executable)
        self._say(f"  {python} -c \"from astropy.io import fits; fits.info('{path}')\"")


def summary(result: Result) -> str:
    """The last line."""
    if not result.groups:
        return "No group came."
    median_s = statistics.median(result.latencies_s)
    text = (
        f"{result.groups} groups, {result.complete} complete; latency from the last image read to the group "
        f"readable: median {median_s * 1000:.0f} ms, longest {max(result.latencies_s) * 1000:.0f} ms."
    )
    if result.problems:
        return "\n".join([text, f"{len(result.problems)} problems:", *result.problems[:20]])
    return text + " Each was compared with what was sent, to the byte and the pixel: equal."

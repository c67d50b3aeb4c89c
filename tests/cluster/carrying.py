"""Releases whose pods are processes: they carry images while the chart changes under them.

Kafka is `trapline broker --nodes 3`, the images are `trapline emulator`'s. The pods come from the live
StatefulSets and Jobs, through the scheduler, to kubelet.py.
"""

import json
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import yaml

from connector.spool.folder import left_behind
from tests.chaos.truth import Truth
from tests.chaos.witness import Seen, Witness
from tests.cluster.api import MERGE
from tests.cluster.carried_judge import judged
from tests.cluster.control_plane import KWOK_NODES, ControlPlane
from tests.cluster.kubelet import Kubelet, Life
from tests.cluster.pod_command import ROOT
from tests.cluster.release import Release
from tests.cluster.scenario import PARTITIONS, RATE_HZ, SIZE, SOURCES, Carried, Change, Pause, Scenario
from tests.cluster.variants import restricted_namespace
from tests.cluster.volumes import make_volumes
from tests.support.waiting import wait_until
from trapline.demo.processes import Stage, Stages
from trapline.embedded.ports import free_port

_STEADY_GROUPS: Final = 10  # a partition
_START_S: Final = 180.0
_DRAINED_S: Final = 240.0


def carry(
    scenarios: tuple[Scenario, ...], plane: ControlPlane, helm: Path, folder: Path, say: Callable[[str], None]
) -> list[Carried]:
    """Run them, one after the other, on one Kafka."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in KWOK_NODES:
        plane.api.request("PATCH", f"/api/v1/nodes/{name}", {"spec": {"unschedulable": True}}, kind=MERGE)
    data = folder / "kafka"
    try:
        with Stages(folder) as stages, Kubelet(plane.api, folder / "pods") as kubelet:
            ready = folder / "kafka.address"
            stages.start("broker", "--nodes=3", "--port=0", f"--data={data}", f"--ready-file={ready}")
            address = stages.wait_for_file(ready, _START_S)
            done = []
            for scenario in scenarios:
                say(f"{scenario.name}: {scenario.words}")
                run = _Run(
                    scenario,
                    plane=plane,
                    helm=helm,
                    kubelet=kubelet,
                    kafka=address,
                    folder=folder / scenario.name,
                    say=say,
                )
                done.append(run.run())
            return done
    finally:
        shutil.rmtree(data, ignore_errors=True)


class _Run:
    """One scenario."""

    def __init__(
        self,
        scenario: Scenario,
        *,
        plane: ControlPlane,
        helm: Path,
        kubelet: Kubelet,
        kafka: str,
        folder: Path,
        say: Callable[[str], None],
    ) -> None:
        folder.mkdir(parents=True)
        self._scenario = scenario
        self._plane = plane
        self._kubelet = kubelet
        self._kafka = kafka
        self._folder = folder
        self._say = say
        self._truth = Truth(folder)
        self._values = folder / "values.yaml"
        self._options: tuple[str, ...] = ()
        self._release = Release(helm, plane.kubeconfig, scenario.name, (f"--values={self._values}",))
        self._carried = Carried(scenario)
        self._first_life = len(kubelet.lives)

    def run(self) -> Carried:
        scenario, carried = self._scenario, self._carried
        self._plane.api.create(restricted_namespace(scenario.name))
        make_volumes(self._plane.api, self._folder / scenario.name, 2 * scenario.shares)
        with Stages(self._folder) as stages:
            emulator = self._start_emulator(stages)
            self._release.install()
            self._say("  installed; every pod's readiness probe answers")
            self._release.test()
            stages.tell(bootstrap_servers=self._kafka, topic_prefix=scenario.name)
            stages.start("tail", "--json", f"--group-id={scenario.name}.reader")
            with self._witness() as witness:
                self._wait_for_groups(witness, time.time(), _STEADY_GROUPS)
                for change in scenario.changes:
                    carried.pauses.append(self._change(change, witness))
                emulator.stop()
                self._wait_until_drained(witness)
                verdict = judged(
                    scenario,
                    self._kafka,
                    truth=self._truth.frames(),
                    read_lines=self._read_lines(),
                    lives=self._lives,
                    folder=self._folder,
                )
                carried.problems += verdict.problems
                carried.counts |= verdict.counts
        self._release.uninstall()
        pods = f"/api/v1/namespaces/{scenario.name}/pods"
        self._plane.wait_until(lambda: not self._plane.api.items(pods), "the pods to go", _START_S)
        self._look_at_lives()
        self._look_at_spools()
        return carried

    def _start_emulator(self, stages: Stages) -> Stage:
        """The image servers, and the values of a release that reads them."""
        ports = self._folder / "ports"
        emulator = stages.start(
            "emulator",
            *(f"--sources={SOURCES}", f"--size={SIZE}", f"--rate={RATE_HZ}", "--port=0"),
            *(f"--ports-file={ports}", f"--truth={self._truth.file(1)}", "--backlog-frames=10000"),
            f"--wait-for-clients={2 if self._scenario.redundant else 1}",
        )
        sources = [each.partition("=") for each in stages.wait_for_file(ports, _START_S).split(",")]
        values: dict[str, Any] = {
            "kafka": {"bootstrapServers": self._kafka, "topicPrefix": self._scenario.name},
            "sources": [{"name": name, "url": url} for name, _, url in sources],
            "metricsPort": free_port(),
            "connector": {
                "shares": self._scenario.shares,
                "redundant": self._scenario.redundant,
                "spool": {"mode": "through", "size": "1Gi"},
            },
            "grouper": {"replicas": self._scenario.groupers},
            "topics": {"partitions": PARTITIONS, "retentionHours": 1, "retentionBytes": "4GiB"},
        }
        self._values.write_text(yaml.safe_dump(values))
        return emulator

    @contextmanager
    def _witness(self) -> Iterator[Witness]:
        witness = Witness(self._kafka, f"{self._scenario.name}.groups", PARTITIONS)
        try:
            yield witness
        finally:
            witness.close()

    def _change(self, change: Change, witness: Witness) -> Pause:
        began_s = time.time()
        self._options += change.options
        self._release.upgrade(*self._options)
        took_s = time.time() - began_s
        self._wait_for_groups(witness, time.time(), _STEADY_GROUPS)
        seen = list(witness.seen)
        pause = Pause(
            change.name,
            took_s,
            _longest(seen, began_s, time.time()),
            _longest(seen, min(each.seen_s for each in seen), began_s),
        )
        self._say(f"  {change.name}: {took_s:.1f} s, longest pause {max(pause.longest_s.values()):.1f} s")
        return pause

    def _wait_for_groups(self, witness: Witness, since_s: float, number: int) -> None:
        """Until so many groups that were observed after that time have come, in each partition."""

        def enough() -> bool:
            self._check()
            after = [each for each in list(witness.seen) if each.timestamp_us > since_s * 1e6]
            return all(
                sum(each.partition == partition for each in after) >= number
                for partition in range(PARTITIONS)
            )

        wait_until(enough, lambda: f"groups in each partition; seen {len(witness.seen)}", _START_S)

    def _wait_until_drained(self, witness: Witness) -> None:
        sent = set(self._truth.timestamps())

        def missing() -> set[int]:
            self._check()
            return sent - witness.timestamps()

        wait_until(
            lambda: not missing(), lambda: f"{len(missing())} of {len(sent)} timestamps in groups", _DRAINED_S
        )
        wait_until(lambda: not self._in_progress(), "no window in progress", _DRAINED_S)
        wait_until(lambda: len(self._read_lines()) >= len(witness.seen), "the reader to have read all", 60)

    @property
    def _lives(self) -> list[Life]:
        return self._kubelet.lives[self._first_life :]

    def _check(self) -> None:
        if self._kubelet.failure is not None:
            raise self._kubelet.failure
        self._plane.check()

    def _in_progress(self) -> int:
        """By the auditor."""
        done = subprocess.run(
            [
                *(sys.executable, "-m", "trapline", "verify", "--json", "--no-pixels"),
                *(f"--bootstrap-servers={self._kafka}", f"--topic-prefix={self._scenario.name}"),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        return int(json.loads(done.stdout.splitlines()[-1])["in_progress"])

    def _read_lines(self) -> list[str]:
        lines = (self._folder / "tail.log").read_text().splitlines(keepends=True)
        return [line for line in lines if line.startswith("{") and '"group_id"' in line]

    def _look_at_lives(self) -> None:
        """Each process ended in order, within its grace period, when it was asked to, and not before."""
        carried = self._carried
        carried.lives = self._lives
        for life in carried.lives:
            if life.killed:
                carried.problems.append(f"{life.pod} did not end within its grace period")
            if life.status:
                carried.problems.append(f"{life.pod} ended with status {life.status}; see {life.log}")
            carried.problems += [f"{life.pod}: {each}; see {life.log}" for each in life.trouble]
        kinds = {life.component for life in carried.lives}
        if kinds != {"topics", "connector", "grouper", "status", "test"}:
            carried.problems.append(f"only these were started: {sorted(kinds)}")
        if self._scenario.restarts:
            lives = Counter(life.pod for life in carried.lives if life.component in {"connector", "grouper"})
            carried.problems += [f"{pod} was started {n} times, not 2" for pod, n in lives.items() if n != 2]

    def _look_at_spools(self) -> None:
        """The volumes are kept, and hold nothing that Kafka has not."""
        space = f"/api/v1/namespaces/{self._scenario.name}"
        claims = self._plane.api.items(f"{space}/persistentvolumeclaims")
        if len(claims) != self._scenario.connectors:
            self._carried.problems.append(f"{len(claims)} volumes of spools are left")
        for claim in claims:
            volume = self._plane.api.get(f"/api/v1/persistentvolumes/{claim['spec']['volumeName']}")
            spool = Path(volume["spec"]["hostPath"]["path"]) / "frames"
            self._carried.problems += [f"{spool} holds frames of {each}" for each in left_behind(spool)]


def _longest(seen: list[Seen], begin_s: float, end_s: float) -> dict[int, float]:
    """Partition -> longest time between two groups, or an end of the time that is looked at and a group."""
    longest = {}
    for partition in range(PARTITIONS):
        times = sorted(
            each.seen_s for each in seen if each.partition == partition and begin_s <= each.seen_s <= end_s
        )
        edges = [begin_s, *times, end_s]
        longest[partition] = max(later - earlier for earlier, later in pairwise(edges))
    return longest

"""The part of a kubelet that a rolling restart needs, for one node: pods' commands run as processes.

It starts what the scheduler has put on its node, asks each process's own probes and tells the API server
what they say, sends SIGTERM when a pod is to go, SIGKILL once its grace period is over, and lets go of the
pod when the process has ended. So the StatefulSets' controller waits for the processes, as for containers.
"""

import http.client
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tests.cluster.api import MERGE, STRATEGIC, Api, ApiError, Object
from tests.cluster.control_plane import node
from tests.cluster.pod_command import pod_command
from tests.cluster.pod_logs import PodLogs
from tests.cluster.probes import Probes
from trapline.embedded.ports import HOST

NODE: Final = "native"
_LOOK_S: Final = 0.2
_ALIVE_EVERY_S: Final = 10.0
_LEASH: Final = "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); os.execv(sys.argv[1], sys.argv[1:])"


@dataclass(slots=True)
class Life:
    """One run of one pod's process.

    Attributes:
        namespace, pod: its name.
        component: connector, grouper, status, topics or test.
        log: what it wrote.
        started_s, ready_s, stop_s, ended_s: when, seconds since 1970; None: not yet.
        status: its exit status.
        killed: its grace period was not enough.
        trouble: what a probe or an end without being asked says against it.
    """

    namespace: str
    pod: str
    component: str
    log: Path
    started_s: float
    ready_s: float | None = None
    stop_s: float | None = None
    ended_s: float | None = None
    status: int | None = None
    killed: bool = False
    trouble: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Running:
    pod: Object
    address: str
    process: subprocess.Popen[bytes]
    life: Life
    probes: Probes
    ready: bool = False
    told: str = ""


class Kubelet:
    """A node whose pods are processes; as a context manager it leaves none of them.

    Args:
        api: of the control plane.
        folder: for logs and the volumes of pods.

    Attributes:
        lives: all there were, in the order of their starts.
        failure: what ended its thread.
    """

    def __init__(self, api: Api, folder: Path) -> None:
        self.lives: list[Life] = []
        self.failure: BaseException | None = None
        self._api = api
        self._folder = folder
        self._running: dict[str, _Running] = {}
        self._addresses: dict[tuple[str, str], str] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kubelet", daemon=True)

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._logs = PodLogs(self._folder, self._log_of)
        self._logs.__enter__()
        self._api.create(node(NODE, managed_by="test"))
        self._tell_of_node()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._thread.join()
        self._logs.__exit__(kind, error, trace)
        for each in self._running.values():
            each.process.kill()
            each.process.wait()

    def _run(self) -> None:
        try:
            told_s = 0.0
            while not self._closing.wait(_LOOK_S):
                if time.monotonic() - told_s > _ALIVE_EVERY_S:
                    self._tell_of_node()
                    told_s = time.monotonic()
                self._look()
        except BaseException as failure:  # noqa: BLE001  whoever waits for a pod is told
            self.failure = failure

    def _look(self) -> None:
        for pod in self._api.items("/api/v1/pods", fieldSelector=f"spec.nodeName={NODE}"):
            running = self._running.get(pod["metadata"]["uid"])
            if "deletionTimestamp" in pod["metadata"]:
                self._end(pod, running)
            elif running is not None:
                self._watch(running)
            elif pod["status"]["phase"] not in {"Succeeded", "Failed"}:
                self._begin(pod)

    def _begin(self, pod: Object) -> None:
        metadata = pod["metadata"]
        name, uid = metadata["name"], metadata["uid"]
        number = len(self._addresses)
        own = f"127.0.{1 + number // 200}.{2 + number % 200}"
        address = self._addresses.setdefault((metadata["namespace"], name), own)
        command = pod_command(self._api, pod, address, self._folder / "volumes" / uid)
        log = self._folder / f"{metadata['namespace']}.{name}.{len(self.lives) + 1}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _LEASH, *command.arguments],
                env=command.environment,
                cwd=command.working_folder,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        component = metadata["labels"].get("app.kubernetes.io/component", "")
        life = Life(metadata["namespace"], name, component, log, time.time())
        self.lives.append(life)
        (container,) = pod["spec"]["containers"]
        probes = Probes(address, container, life.trouble)
        self._running[uid] = running = _Running(pod, address, process, life, probes)
        self._tell(running, "Running", ready=False)

    def _end(self, pod: Object, running: _Running | None) -> None:
        """The pod is to go: on SIGTERM, or on SIGKILL after its grace period."""
        if running is not None and running.process.poll() is None:
            life = running.life
            if life.stop_s is None:
                life.stop_s = time.time()
                running.process.send_signal(signal.SIGTERM)
            elif time.time() - life.stop_s > pod["spec"]["terminationGracePeriodSeconds"] and not life.killed:
                life.killed = True
                running.process.kill()
            return
        if running is not None:
            self._note_end(running)
        preconditions = {"uid": pod["metadata"]["uid"]}
        with _gone_in_between():
            self._api.request(
                "DELETE", self._path(pod), {"gracePeriodSeconds": 0, "preconditions": preconditions}
            )

    def _watch(self, running: _Running) -> None:
        if running.told in {"Succeeded", "Failed"}:
            return
        if running.process.poll() is not None:
            self._note_end(running)
            if running.pod["spec"]["restartPolicy"] == "Always":
                running.life.trouble.append(f"ended by itself with status {running.process.returncode}")
            self._tell(running, "Failed" if running.process.returncode else "Succeeded", ready=False)
            return
        running.probes.look()
        if running.probes.ready and running.life.ready_s is None:
            running.life.ready_s = time.time()
        if running.probes.ready != running.ready:
            self._tell(running, "Running", ready=running.probes.ready)

    def _note_end(self, running: _Running) -> None:
        if running.life.ended_s is None:
            running.life.ended_s = time.time()
            running.life.status = running.process.returncode

    def _tell(self, running: _Running, phase: str, *, ready: bool) -> None:
        """What becomes of the pod, to the API server."""
        running.ready, running.told = ready, phase
        now = _now()
        words = "True" if ready else "False"
        (container,) = running.pod["spec"]["containers"]
        state: dict[str, Any] = {"running": {"startedAt": now}}
        if phase != "Running":
            state = {
                "terminated": {"exitCode": running.process.returncode, "reason": phase, "finishedAt": now}
            }
        status = {
            "phase": phase,
            "startTime": now,
            "podIP": running.address,
            "podIPs": [{"ip": running.address}],
            "conditions": [
                {
                    "type": each,
                    "status": words if each != "Initialized" else "True",
                    "lastTransitionTime": now,
                }
                for each in ("Initialized", "ContainersReady", "Ready")
            ],
            "containerStatuses": [
                {
                    "name": container["name"],
                    "image": container["image"],
                    "imageID": "",
                    "ready": ready,
                    "restartCount": 0,
                    "state": state,
                }
            ],
        }
        path = self._path(running.pod) + "/status"
        with _gone_in_between():
            self._api.request("PATCH", path, {"status": status}, kind=STRATEGIC)

    def _log_of(self, namespace: str, pod: str) -> Path | None:
        logs = [life.log for life in list(self.lives) if (life.namespace, life.pod) == (namespace, pod)]
        return logs[-1] if logs else None

    def _tell_of_node(self) -> None:
        now = _now()
        conditions = [
            {
                "type": kind,
                "status": "True" if kind == "Ready" else "False",
                "reason": "Test",
                "lastHeartbeatTime": now,
                "lastTransitionTime": now,
            }
            for kind in ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
        ]
        room = {"cpu": "64", "memory": "256Gi", "pods": "110"}
        status = {
            "conditions": conditions,
            "capacity": room,
            "allocatable": room,
            "addresses": [{"type": "InternalIP", "address": HOST}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._logs.port}},
        }
        self._api.request("PATCH", f"/api/v1/nodes/{NODE}/status", {"status": status}, kind=MERGE)

    def _path(self, pod: Object) -> str:
        return self._api.path({**pod, "apiVersion": "v1", "kind": "Pod"})


@contextmanager
def _gone_in_between() -> Iterator[None]:
    """What is asked for a pod that is not there any more needs no answer."""
    try:
        yield
    except ApiError as error:
        if error.status != http.client.NOT_FOUND:
            raise


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

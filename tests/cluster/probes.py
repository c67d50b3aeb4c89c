"""What the probes of a container say, asked as a kubelet asks them."""

import http.client
import time
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Probes:
    """Start-up, liveness and readiness of one process.

    Attributes:
        address: of the pod.
        container: as the pod's spec has it, with all three probes or none.
        trouble: what they say against it; a kubelet would have killed it.
        ready: what readiness says; false as long as the start-up probe has not succeeded.
    """

    address: str
    container: dict[str, Any]
    trouble: list[str]
    ready: bool = False
    _started: bool = False
    _next_s: float = 0.0
    _failures: dict[str, int] = field(default_factory=dict)

    def look(self) -> None:
        """Ask, where it is time to."""
        if "readinessProbe" not in self.container or time.monotonic() < self._next_s:
            return
        if self._started:
            self._look_on()
            return
        self._next_s = time.monotonic() + self.container["startupProbe"]["periodSeconds"]
        if self._answers("startupProbe"):
            self._started = True
            self._look_on()
        elif self._too_often("startupProbe"):
            self.trouble.append("did not start in time")

    def _look_on(self) -> None:
        self._next_s = time.monotonic() + self.container["readinessProbe"]["periodSeconds"]
        if not self._answers("livenessProbe") and self._too_often("livenessProbe"):
            self.trouble.append("its liveness probe failed")
        if self._answers("readinessProbe"):
            self.ready = True
        elif self._too_often("readinessProbe"):
            self.ready = False

    def _too_often(self, probe: str) -> bool:
        """Whether this failure is the one too many, of those in a row."""
        self._failures[probe] = self._failures.get(probe, 0) + 1
        return bool(self._failures[probe] == self.container[probe]["failureThreshold"])

    def _answers(self, probe: str) -> bool:
        """One GET, as the probe says."""
        wanted = self.container[probe]["httpGet"]
        ports = {port["name"]: port["containerPort"] for port in self.container["ports"]}
        connection = http.client.HTTPConnection(
            self.address,
            ports.get(wanted["port"], wanted["port"]),
            timeout=self.container[probe].get("timeoutSeconds", 1),
        )
        try:
            connection.request("GET", wanted["path"])
            good = 200 <= connection.getresponse().status < 400
        except (OSError, http.client.HTTPException):
            good = False
        finally:
            connection.close()
        if good:
            self._failures[probe] = 0
        return good

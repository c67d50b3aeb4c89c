"""Each variant of the chart through the life of a release, on pods that kwok only says are there."""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from tests.cluster.api import Api, ApiError, Object
from tests.cluster.control_plane import ControlPlane, ControlPlaneError, is_ready
from tests.cluster.release import CHART, HelmError, Release

STEPS: Final = (
    "install",
    "strict",
    "upgrade",
    "scale out",
    "scale in",
    "roll back",
    "test",
    "uninstall",
    "again",
)
_SETTLE_S: Final = 30.0
_CLAIM: Final = "PersistentVolumeClaim"
# What a namespace has of itself, and what is only the account of what happened.
_OF_ITSELF: Final = {("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")}
_ACCOUNTS: Final = {"Event"}


class VariantError(Exception):
    """A step did not have the effect that it must have; says which."""


@dataclass(slots=True)
class Outcome:
    """What became of a variant.

    Attributes:
        variant: its name.
        steps: step -> "passed", or "-" where there is nothing to do; those after a failure are not there.
        problem: the step that failed, and why; None: none did.
        took_s: all of it.
    """

    variant: str
    steps: dict[str, str] = field(default_factory=dict)
    problem: str | None = None
    took_s: float = 0.0


def variants() -> list[Path]:
    """The values of each."""
    return sorted(CHART.glob("ci/*-values.yaml"))


def run_variant(values: Path, plane: ControlPlane, helm: Path) -> Outcome:
    """Install one, change it, and take it away, in a namespace of its own."""
    outcome = Outcome(values.name.removesuffix("-values.yaml"))
    began_s = time.monotonic()
    step = "prepare"
    try:
        life = _Life(outcome.variant, values, plane, helm)
        for step in STEPS:
            outcome.steps[step] = "passed" if life.step(step) else "-"
    except (VariantError, HelmError, ApiError) as error:
        outcome.problem = f"{step}: {error}"
    outcome.took_s = time.monotonic() - began_s
    return outcome


class _Life:
    """One variant's release."""

    def __init__(self, name: str, values: Path, plane: ControlPlane, helm: Path) -> None:
        self._plane = plane
        self._api: Api = plane.api
        self._values: dict[str, Any] = yaml.safe_load(values.read_text())
        self._namespace = f"variant-{name}"
        self._release = Release(helm, plane.kubeconfig, self._namespace, (f"--values={values}",))
        self._api.create(restricted_namespace(self._namespace))
        self._objects = [_at(each, self._namespace) for each in self._release.template()]
        for secret in sorted(set(_secrets(self._objects))):
            self._api.create(_secret(secret, self._namespace, sorted(set(_keys(self._objects, secret)))))
        self._before = self._there()

    def step(self, name: str) -> bool:
        """Do it; false: this variant has nothing to do there."""
        steps: dict[str, Callable[[], bool]] = {
            "strict": self._strict,
            "install": self._install,
            "upgrade": self._upgrade,
            "scale out": self._scale_out,
            "scale in": self._scale_in,
            "roll back": self._roll_back,
            "test": self._test,
            "uninstall": self._uninstall,
            "again": self._again,
        }
        return steps[name]()

    def _strict(self) -> bool:
        """The server knows every field of every object. Of a release that is there: pods need its account."""
        for each in self._objects:
            try:
                self._api.apply(each, dry_run=True)
            except ApiError as error:
                raise VariantError(f"{each['kind']} {each['metadata']['name']}: {error}") from error
        return True

    def _install(self) -> bool:
        self._release.install()
        self._require_ready()
        return True

    def _upgrade(self) -> bool:
        """Another log level gives other pods: all are replaced, and none else is."""
        before = self._pods()
        level = "warning" if self._values.get("log", {}).get("level") != "warning" else "info"
        self._release.upgrade(f"--set=log.level={level}")
        self._require_ready()
        same = before & self._pods()
        if same:
            raise VariantError(f"{len(same)} pods were not replaced, with another log level")
        return True

    def _scale_out(self) -> bool:
        before = self._pods()
        self._release.upgrade(*self._more())
        self._require_ready()
        grown = len(self._pods()) - len(before)
        if grown != (1 + self._copies if self._can_grow else 1):
            raise VariantError(f"there are {grown} pods more")
        return True

    def _scale_in(self) -> bool:
        """Of connectors it is refused unless it is said; the volumes stay."""
        if not self._can_grow:
            return False
        said = self._release.refused()
        if "allowScaleIn" not in said:
            raise VariantError(f"the refusal does not say what to do: {said[-500:]}")
        claims = self._claims()
        self._release.upgrade("--set=connector.allowScaleIn=true")
        self._require_ready()
        if self._claims() != claims:
            raise VariantError("volumes of spools went with their pods")
        return True

    def _roll_back(self) -> bool:
        self._release.rollback(1)
        self._require_ready()
        now = self._stateful_sets()
        for each in now:
            wanted = next(
                one for one in self._objects if one["kind"] == "StatefulSet" and _name(one) == _name(each)
            )
            if each["spec"]["replicas"] != wanted["spec"]["replicas"]:
                raise VariantError(f"{_name(each)} has {each['spec']['replicas']} replicas again")
        return True

    def _test(self) -> bool:
        """Helm's own wait for the test's pod; what it would find is no part of this."""
        self._release.test()
        return True

    def _uninstall(self) -> bool:
        """Nothing is left but what was there, and the volumes of spools."""
        self._release.uninstall()

        def left() -> str:
            found = {each for each in self._there() - self._before if each[0] not in {_CLAIM, *_ACCOUNTS}}
            return f"left behind: {sorted(found)}" if found else ""

        self._settle(left)  # what belongs to what went is collected a moment later
        if bool(self._claims()) != self._spooled:
            raise VariantError(f"volumes that are left: {sorted(self._claims())}")
        return True

    def _again(self) -> bool:
        """Installed again, a pod has the volume it had."""
        if not self._spooled:
            return False
        claims = self._claims()
        self._release.install()
        self._require_ready()
        if not self._claims() >= claims:
            raise VariantError("volumes of spools were made anew")
        self._release.uninstall()
        self._plane.wait_until(lambda: not self._pods(), "the pods to go")
        return True

    @property
    def _copies(self) -> int:
        return 2 if self._values.get("connector", {}).get("redundant") else 1

    @property
    def _shares(self) -> int:
        return int(self._values.get("connector", {}).get("shares", 1))

    @property
    def _can_grow(self) -> bool:
        return self._shares < len(self._values["sources"])

    @property
    def _spooled(self) -> bool:
        return self._values.get("connector", {}).get("spool", {}).get("mode") != "off"

    def _more(self) -> Iterator[str]:
        yield f"--set=grouper.replicas={int(self._values.get('grouper', {}).get('replicas', 2)) + 1}"
        if self._can_grow:
            yield f"--set=connector.shares={self._shares + 1}"

    def _require_ready(self) -> None:
        """Helm says deployed, and every replica is there, ready and of the newest revision."""
        status = self._release.status()["info"]["status"]
        if status != "deployed":
            raise VariantError(f"helm says {status}")
        self._settle(self._unready)

    def _unready(self) -> str:
        for each in self._stateful_sets():
            told, wanted = each["status"], each["spec"]["replicas"]
            counts = {told.get(key, 0) for key in ("replicas", "readyReplicas", "updatedReplicas")}
            if counts != {wanted} or told["currentRevision"] != told["updateRevision"]:
                return f"{_name(each)}: {told}, wanted {wanted}"
        pods = self._api.items(f"/api/v1/namespaces/{self._namespace}/pods")
        return ", ".join(f"{_name(pod)}: {pod['status']}" for pod in pods if not is_ready(pod))

    def _settle(self, problem: Callable[[], str]) -> None:
        """Wait until there is none any more: controllers come a moment after helm.

        Raises:
            VariantError: there still is one.
        """
        try:
            self._plane.wait_until(lambda: not problem(), "controllers", _SETTLE_S)
        except ControlPlaneError:
            raise VariantError(problem()) from None

    def _stateful_sets(self) -> list[Object]:
        return self._api.items(f"/apis/apps/v1/namespaces/{self._namespace}/statefulsets")

    def _pods(self) -> set[str]:
        """Their unique ids."""
        pods = self._api.items(f"/api/v1/namespaces/{self._namespace}/pods")
        return {pod["metadata"]["uid"] for pod in pods}

    def _claims(self) -> set[tuple[str, str]]:
        """Volume claims, each with the volume it is bound to."""
        claims = self._api.items(f"/api/v1/namespaces/{self._namespace}/persistentvolumeclaims")
        return {(_name(each), each["spec"].get("volumeName", "")) for each in claims}

    def _there(self) -> set[tuple[str, str]]:
        found = {(each["kind"], _name(each)) for each in self._api.everything(self._namespace)}
        return found | _OF_ITSELF


def restricted_namespace(name: str) -> Object:
    """One whose pods must keep to the Pod Security Standard `restricted`."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def _secret(name: str, namespace: str, keys: list[str]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "stringData": dict.fromkeys(keys, "nothing"),
    }


def _secrets(objects: list[Object]) -> Iterator[str]:
    """Names of the Secrets that pods refer to."""
    for text in map(yaml.safe_dump, objects):
        yield from re.findall(r"secretName: (\S+)", text)
        yield from re.findall(r"secretKeyRef:\s+key: \S+\s+name: (\S+)", text)


def _keys(objects: list[Object], secret: str) -> Iterator[str]:
    """Keys that pods read of a Secret."""
    for text in map(yaml.safe_dump, objects):
        yield from re.findall(rf"secretKeyRef:\s+key: (\S+)\s+name: {re.escape(secret)}\b", text)


def _at(one: Object, namespace: str) -> Object:
    return {**one, "metadata": {"namespace": namespace, **one["metadata"]}}


def _name(one: Object) -> str:
    return str(one["metadata"]["name"])

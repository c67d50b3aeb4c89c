"""What helm makes of the chart: the objects, and the pods that they would start."""

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.support.chart import CHART, ROOT, variant_file

KUBERNETES = "1.31.0"
RELEASE = "trapline"
NAMESPACE = "telescope"
TOOLS = Path(
    os.environ.get("TRAPLINE_TEST_CHART_TOOLS")
    or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trapline" / "tools"
)


def tool(name: str) -> str:
    """The program that `make test-chart` has installed.

    Raises:
        AssertionError: it is not there; never skipped.
    """
    versions = dict(re.findall(r"^([a-z]+)_VERSION := (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE))
    path = TOOLS / f"{name}-{versions[name]}" / name
    assert path.is_file(), f"{name} is missing: {path}; `make test-chart` installs it with Go"
    return str(path)


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run helm."""
    return subprocess.run([tool("helm"), *arguments], capture_output=True, text=True, check=False)


def template(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`helm template` of the chart."""
    where = [f"--namespace={NAMESPACE}", f"--kube-version={KUBERNETES}"]
    return helm("template", RELEASE, str(CHART), *where, *arguments)


@cache
def text_of(variant: str) -> str:
    """The manifests of a variant."""
    done = template(f"--values={variant_file(variant)}")
    assert done.returncode == 0, done.stderr
    return done.stdout


def objects_of(variant: str) -> list[dict[str, Any]]:
    """The objects of a variant."""
    return [each for each in yaml.safe_load_all(text_of(variant)) if each]


@dataclass(frozen=True)
class Pod:
    """A pod that an object would start.

    Attributes:
        owner: the object.
        name: of the pod, with ordinal 0 where it has one.
        metadata: its labels and annotations.
        spec: its spec.
        volume_claims: names of the volumes that are made for it.
    """

    owner: dict[str, Any]
    name: str
    metadata: dict[str, Any]
    spec: dict[str, Any]
    volume_claims: tuple[str, ...] = ()

    @property
    def container(self) -> dict[str, Any]:
        (container,) = self.spec["containers"]
        return container

    def environment(self, ordinal: int = 0, secrets: dict[str, str] | None = None) -> dict[str, str]:
        """Its variables, as Kubernetes would make them.

        Args:
            ordinal: of the pod.
            secrets: the text of each key of any Secret; None where it does not matter.
        """
        known: dict[str, str] = {}
        for each in self.container["env"]:
            value = each.get("value")
            if value is None:
                value = self._from(each["valueFrom"], ordinal, secrets)
            known[each["name"]] = re.sub(r"\$\((\w+)\)", lambda found: known[found[1]], value)
        return known

    def _from(self, origin: dict[str, Any], ordinal: int, secrets: dict[str, str] | None) -> str:
        if "secretKeyRef" in origin:
            key = origin["secretKeyRef"]["key"]
            return f"the {key}" if secrets is None else secrets[key]
        return {
            "metadata.name": f"{self.name}-{ordinal}",
            "metadata.labels['apps.kubernetes.io/pod-index']": str(ordinal),
        }[origin["fieldRef"]["fieldPath"]]


def pods_of(variant: str) -> Iterator[Pod]:
    """Each pod of a variant, whatever starts it."""
    for each in objects_of(variant):
        if each["kind"] == "Pod":
            yield Pod(each, each["metadata"]["name"], each["metadata"], each["spec"])
        elif each["kind"] in {"StatefulSet", "Deployment", "Job"}:
            claims = each["spec"].get("volumeClaimTemplates", ())
            template = each["spec"]["template"]
            names = tuple(claim["metadata"]["name"] for claim in claims)
            yield Pod(each, each["metadata"]["name"], template["metadata"], template["spec"], names)
        else:
            assert "template" not in each.get("spec", {}), f"{each['kind']} starts pods, and is not looked at"


def with_files(pod: Pod, folder: Path, content: dict[str, bytes]) -> dict[str, str]:
    """Make the files that the pod's Secrets would be, and say where each of its folders is.

    Args:
        pod: whose.
        folder: to make them in.
        content: of each key of any Secret.

    Returns:
        mount path -> folder.
    """
    volumes = {volume["name"]: volume for volume in pod.spec["volumes"]}
    made = {}
    for mount in pod.container["volumeMounts"]:
        place = folder / mount["mountPath"].strip("/")
        place.mkdir(parents=True, exist_ok=True)
        made[mount["mountPath"]] = str(place)
        for item in volumes.get(mount["name"], {}).get("secret", {}).get("items", ()):
            (place / item["path"]).write_bytes(content[item["key"]])
    return made

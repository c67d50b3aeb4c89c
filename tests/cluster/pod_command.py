"""What a pod would start, as a process of this machine can be started: its command, environment and folders.

Where this differs from a container: the pod's own address is one of 127.0.0.0/8, so that pods do not share
their ports; a path under a mount is replaced by the folder that stands for the volume; user, limits and
read-only root are not enforced.
"""

import base64
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.cluster.api import Api, Object

ROOT: Final = Path(__file__).parents[2]
_TMP: Final = "/tmp"  # noqa: S108  the mount path, whose folder stands for it
_EVERY_ADDRESS: Final = "0.0.0.0"  # noqa: S104  inside a pod


class PodCommandError(Exception):
    """The pod asks for what is not provided for here; says what."""


@dataclass(frozen=True, slots=True)
class PodCommand:
    """A process.

    Attributes:
        arguments: the command line.
        environment: all of it.
        working_folder: where it runs.
    """

    arguments: tuple[str, ...]
    environment: dict[str, str]
    working_folder: Path


def pod_command(api: Api, pod: Object, address: str, folder: Path) -> PodCommand:
    """What the pod's one container would run.

    Args:
        api: to look up Secrets, ConfigMaps and volumes with.
        pod: as the API server has it.
        address: the pod's own.
        folder: for the volumes that live as long as the pod.

    Raises:
        PodCommandError: something of it is not known here.
    """
    (container,) = pod["spec"]["containers"]
    if pod["spec"].get("initContainers") or container.get("envFrom") or container.get("command"):
        raise PodCommandError(
            f"{pod['metadata']['name']}: init containers, envFrom, command are not known here"
        )
    places = _places(api, pod, container, folder)
    told: dict[str, str] = {}
    for each in container.get("env", ()):
        told[each["name"]] = _expanded(_value(api, pod, each), told)
    environment = _image(places) | {name: _placed(value, places) for name, value in told.items()}
    if environment.get("TRAPLINE_HTTP_HOST") == _EVERY_ADDRESS:
        environment["TRAPLINE_HTTP_HOST"] = address
    arguments = [_placed(_expanded(each, told), places) for each in container.get("args", ())]
    return PodCommand((sys.executable, "-m", "trapline", *arguments), environment, Path(places[_TMP]))


def _image(places: dict[str, str]) -> dict[str, str]:
    """What the image itself sets, and what a process needs here."""
    if _TMP not in places:
        raise PodCommandError("no volume at /tmp: with a read-only root nothing could be written")
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "HOME": places[_TMP],
        "TMPDIR": places[_TMP],
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
    }


def _places(api: Api, pod: Object, container: dict[str, Any], folder: Path) -> dict[str, str]:
    """Mount path -> folder that stands for the volume; the longest path first."""
    volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes", ())}
    places = {}
    for mount in container.get("volumeMounts", ()):
        if "subPath" in mount:
            raise PodCommandError(f"subPath of {mount['name']} is not known here")
        place = _place(api, pod, volumes[mount["name"]], folder / mount["name"])
        place.mkdir(parents=True, exist_ok=True)
        places[mount["mountPath"]] = str(place)
    return dict(sorted(places.items(), key=lambda each: -len(each[0])))


def _place(api: Api, pod: Object, volume: dict[str, Any], own: Path) -> Path:
    space = f"/api/v1/namespaces/{pod['metadata']['namespace']}"
    if "persistentVolumeClaim" in volume:
        claim = api.get(f"{space}/persistentvolumeclaims/{volume['persistentVolumeClaim']['claimName']}")
        return Path(
            api.get(f"/api/v1/persistentvolumes/{claim['spec']['volumeName']}")["spec"]["hostPath"]["path"]
        )
    if "secret" in volume:
        data = api.get(f"{space}/secrets/{volume['secret']['secretName']}")["data"]
        own.mkdir(parents=True, exist_ok=True)
        for item in volume["secret"].get("items") or [{"key": key, "path": key} for key in data]:
            (own / item["path"]).write_bytes(base64.b64decode(data[item["key"]]))
    elif "emptyDir" not in volume:
        raise PodCommandError(f"a volume of this kind is not known here: {volume}")
    return own


def _value(api: Api, pod: Object, variable: dict[str, Any]) -> str:
    if "valueFrom" not in variable:
        return str(variable.get("value", ""))
    space = f"/api/v1/namespaces/{pod['metadata']['namespace']}"
    origin = variable["valueFrom"]
    if "secretKeyRef" in origin:
        data = api.get(f"{space}/secrets/{origin['secretKeyRef']['name']}")["data"]
        return base64.b64decode(data[origin["secretKeyRef"]["key"]]).decode()
    if "configMapKeyRef" in origin:
        data = api.get(f"{space}/configmaps/{origin['configMapKeyRef']['name']}")["data"]
        return str(data[origin["configMapKeyRef"]["key"]])
    field = origin.get("fieldRef", {}).get("fieldPath", "")
    label = re.fullmatch(r"metadata\.labels\['(.+)'\]", field)
    if label is not None:
        return str(pod["metadata"]["labels"][label[1]])
    if field in {"metadata.name", "metadata.namespace", "metadata.uid"}:
        return str(pod["metadata"][field.removeprefix("metadata.")])
    raise PodCommandError(f"a variable from {origin} is not known here")


def _expanded(text: str, known: dict[str, str]) -> str:
    """$(NAME), as Kubernetes has it: of variables that were set before, else left as it is."""
    return re.sub(r"\$\((\w+)\)", lambda found: known.get(found[1], found[0]), text)


def _placed(text: str, places: dict[str, str]) -> str:
    """A path under a mount, in its folder."""
    for mounted, place in places.items():
        if text == mounted or text.startswith(mounted + "/"):
            return place + text.removeprefix(mounted)
    return text

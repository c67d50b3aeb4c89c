"""Volumes for the claims of spools: made ahead, since nothing in the cluster makes any."""

from pathlib import Path
from typing import Final

from tests.cluster.api import Api, Object

CLASSES: Final = ("standard", "fast")
_NO_PROVISIONER: Final = "kubernetes.io/no-provisioner"


def make_classes(api: Api) -> None:
    """A default class, and the one that a variant names. A volume is chosen once its pod has a node."""
    for name in CLASSES:
        marks = {"storageclass.kubernetes.io/is-default-class": str(name == CLASSES[0]).lower()}
        api.create(
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "StorageClass",
                "metadata": {"name": name, "annotations": marks},
                "provisioner": _NO_PROVISIONER,
                "reclaimPolicy": "Retain",
                "volumeBindingMode": "WaitForFirstConsumer",
            }
        )


def make_volumes(api: Api, folder: Path, number: int) -> None:
    """So many of each class.

    Args:
        api: of the cluster.
        folder: each is a folder in it.
        number: of each class.
    """
    for storage_class in CLASSES:
        for index in range(number):
            api.create(_volume(f"{folder.name}-{storage_class}-{index}", storage_class, folder))


def _volume(name: str, storage_class: str, folder: Path) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "storageClassName": storage_class,
            "capacity": {"storage": "1Ti"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": {"path": str(folder.absolute() / name)},
        },
    }

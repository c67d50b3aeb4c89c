"""The programs of a Kubernetes control plane: built with Go once, and kept in the user's cache folder."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from trapline.embedded.places import default_cache_dir

Say = Callable[[str], None]

_MODULES: Final = Path(__file__).parent / "go"
_KUBERNETES: Final = _MODULES / "kubernetes"
_ETCD: Final = _MODULES / "etcd"
_KWOK: Final = "v0.8.0"
_HELM: Final = "v3.22.0"  # as in the Makefile
_OPERATOR: Final = "v0.85.0"
_STAGES: Final = (
    "node/fast/node-initialize.yaml",
    "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
    "pod/fast/pod-ready.yaml",
    "pod/fast/pod-complete.yaml",
    "pod/fast/pod-delete.yaml",
)
_DEFINITIONS: Final = ("monitoring.coreos.com_podmonitors.yaml", "monitoring.coreos.com_prometheusrules.yaml")


class ToolError(Exception):
    """A program is missing and cannot be built; names it, and shows what Go said last."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What runs a control plane.

    Attributes:
        etcd, apiserver, controller_manager, scheduler, kwok, helm: programs.
        stages: what kwok does with nodes and pods: kwok's own stages, in one file.
        definitions: PodMonitor and PrometheusRule, as the Prometheus Operator defines them.
        build_s: how long each that was missing took to build.
    """

    etcd: Path
    apiserver: Path
    controller_manager: Path
    scheduler: Path
    kwok: Path
    helm: Path
    stages: Path
    definitions: tuple[Path, ...]
    build_s: Mapping[str, float]


def versions() -> dict[str, str]:
    """Program -> version; of those with a module here, as its go.mod says."""
    kubernetes = _required(_KUBERNETES, r"k8s\.io/apiserver => k8s\.io/apiserver v0\.(\S+)")
    return {
        "kubernetes": f"v1.{kubernetes}",
        "etcd": _required(_ETCD, r"go\.etcd\.io/etcd/server/v3 (v\S+)"),
        "kwok": _KWOK,
        "helm": _HELM,
        "prometheus-operator": _OPERATOR,
    }


def tools(say: Say) -> Tools:
    """Find all programs; build those that are not there.

    Args:
        say: prints a line.

    Raises:
        ToolError: one cannot be built.
    """
    known = versions()
    build_s: dict[str, float] = {}

    def made(name: str, version: str, make: Callable[[Path], None], result: str | None = None) -> Path:
        path = default_cache_dir() / "tools" / f"{name}-{version}" / (result or name)
        if not path.exists():
            say(f"building {name} {version} ...")
            began_s = time.monotonic()
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_name(path.name + f".{os.getpid()}")
            make(unfinished)
            unfinished.replace(path)
            build_s[name] = time.monotonic() - began_s
            say(f"built {name} in {build_s[name]:.0f} s")
        return path

    kubernetes = {
        name: made(name, known["kubernetes"], partial(_build_kubernetes, name, known["kubernetes"]))
        for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
    }
    operator = f"github.com/prometheus-operator/prometheus-operator@{_OPERATOR}"
    return Tools(
        etcd=made("etcd", known["etcd"], _build_etcd),
        apiserver=kubernetes["kube-apiserver"],
        controller_manager=kubernetes["kube-controller-manager"],
        scheduler=kubernetes["kube-scheduler"],
        kwok=made("kwok", _KWOK, partial(_install, f"sigs.k8s.io/kwok/cmd/kwok@{_KWOK}")),
        helm=made("helm", _HELM, partial(_install, f"helm.sh/helm/v3/cmd/helm@{_HELM}")),
        stages=made("kwok", _KWOK, _stages, "stages.yaml"),
        definitions=tuple(
            made("prometheus-operator", _OPERATOR, partial(_copy, operator, name), name)
            for name in _DEFINITIONS
        ),
        build_s=build_s,
    )


def _build_kubernetes(name: str, version: str, path: Path) -> None:
    """Without the version clients could not parse what the API server says of itself."""
    _, minor, _ = version.split(".")
    told = {"gitVersion": version, "gitMajor": "1", "gitMinor": minor}
    flags = " ".join(f"-X k8s.io/component-base/version.{key}={value}" for key, value in told.items())
    _go(
        "build",
        "-trimpath",
        f"-ldflags=-s -w {flags}",
        f"-o={path}",
        f"k8s.io/kubernetes/cmd/{name}",
        at=_KUBERNETES,
    )


def _build_etcd(path: Path) -> None:
    _go("build", "-trimpath", "-ldflags=-s -w", f"-o={path}", ".", at=_ETCD)


def _install(package: str, path: Path) -> None:
    folder = path.with_name(path.name + ".bin")
    _go("install", "-trimpath", "-ldflags=-s -w", package, at=path.parent, into=folder)
    (program,) = folder.iterdir()
    program.replace(path)
    folder.rmdir()


def _stages(path: Path) -> None:
    folder = _module(f"sigs.k8s.io/kwok@{_KWOK}", path.parent) / "kustomize" / "stage"
    path.write_text("\n---\n".join((folder / name).read_text() for name in _STAGES))


def _copy(module: str, name: str, path: Path) -> None:
    shutil.copyfile(_module(module, path.parent) / "example" / "prometheus-operator-crd" / name, path)


def _module(module: str, at: Path) -> Path:
    """The folder of a module's files."""
    found = re.search(r'"Dir": "([^"]+)"', _go("mod", "download", "-json", module, at=at))
    if found is None:
        raise ToolError(f"Go does not say where it put {module}")
    return Path(found[1])


def _go(*arguments: str, at: Path, into: Path | None = None) -> str:
    """Run Go, and return what it prints."""
    go = shutil.which("go")
    if go is None:
        raise ToolError("Go is missing: install Go 1.26 or later, and have `go` on PATH")
    environment = {**os.environ, "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
    if into is not None:
        environment["GOBIN"] = str(into)
    done = subprocess.run(
        [go, *arguments], cwd=at, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ToolError(f"`go {' '.join(arguments)}` in {at} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def _required(module: Path, pattern: str) -> str:
    found = re.search(pattern, (module / "go.mod").read_text())
    if found is None:
        raise ToolError(f"{module / 'go.mod'} names no version: nothing matches {pattern}")
    return found[1]

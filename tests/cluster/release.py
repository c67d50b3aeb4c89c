"""A release of the chart: helm's verbs, with what was said where one fails."""

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tests.cluster.api import Object
from tests.support.waiting import timeout_s

CHART: Final = Path(__file__).parents[2] / "helm" / "trapline"
NAME: Final = "trapline"
_WAIT_S: Final = 300.0


class HelmError(Exception):
    """Helm ended with a status that was not expected; shows what it said."""


@dataclass(frozen=True, slots=True)
class Release:
    """The one release of a namespace.

    Attributes:
        helm: the program.
        kubeconfig: of the cluster.
        namespace: there already.
        values: files and settings of every install and upgrade, as helm's options.
    """

    helm: Path
    kubeconfig: Path
    namespace: str
    values: tuple[str, ...]

    def template(self) -> list[Object]:
        """The objects, hooks too, as they would be installed."""
        text = self._run("template", NAME, str(CHART), *self.values, "--kube-version=1.37.2")
        return [each for each in yaml.safe_load_all(text) if each]

    def install(self, *more: str) -> None:
        """Install, and wait until all is ready."""
        self._run("install", NAME, str(CHART), *self.values, *more, *self._wait())

    def upgrade(self, *more: str) -> None:
        """Upgrade, and wait until all is ready."""
        self._run("upgrade", NAME, str(CHART), *self.values, *more, *self._wait())

    def refused(self, *more: str) -> str:
        """An upgrade that must be refused: why it was.

        Raises:
            HelmError: it was not.
        """
        done = self._done("upgrade", NAME, str(CHART), *self.values, *more, *self._wait())
        if done.returncode == 0:
            raise HelmError(f"upgrade {' '.join(more)} was not refused")
        return done.stderr

    def rollback(self, revision: int) -> None:
        """Go back, and wait until all is ready."""
        self._run("rollback", NAME, str(revision), *self._wait())

    def test(self) -> str:
        """Run the chart's tests; what helm and the tests say."""
        return self._run("test", NAME, f"--timeout={timeout_s(_WAIT_S):g}s")

    def uninstall(self) -> None:
        """Take it away, and wait until it is."""
        self._run("uninstall", NAME, *self._wait())

    def status(self) -> dict[str, Any]:
        """What helm knows of it."""
        return dict(json.loads(self._run("status", NAME, "--output=json")))

    def _wait(self) -> tuple[str, ...]:
        return ("--wait", f"--timeout={timeout_s(_WAIT_S):g}s")

    def _run(self, *arguments: str) -> str:
        done = self._done(*arguments)
        if done.returncode:
            raise HelmError(
                f"helm {_shown(arguments)} ended with status {done.returncode}:\n{done.stderr[-3000:]}"
            )
        return done.stdout

    def _done(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        folder = self.kubeconfig.parent / "helm"
        homes = {f"HELM_{each}_HOME": str(folder / each.lower()) for each in ("CACHE", "CONFIG", "DATA")}
        return subprocess.run(
            [self.helm, *arguments, f"--namespace={self.namespace}", f"--kubeconfig={self.kubeconfig}"],
            env={**os.environ, **homes},
            capture_output=True,
            text=True,
            check=False,
        )


def _shown(arguments: Sequence[str]) -> str:
    return " ".join(each for each in arguments if not each.startswith("/"))

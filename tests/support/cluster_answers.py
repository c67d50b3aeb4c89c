"""Fixed answers to what `lookup` in a template asks a cluster: no Kubernetes, and nothing is kept.

What a real API server makes of the chart is another test's; here it is only whether the templates look at
what they are told.
"""

import json
import threading
from collections.abc import Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_KINDS = {
    "v1": {
        "configmaps": "ConfigMap",
        "pods": "Pod",
        "secrets": "Secret",
        "serviceaccounts": "ServiceAccount",
        "services": "Service",
    },
    "apps/v1": {"deployments": "Deployment", "statefulsets": "StatefulSet"},
    "batch/v1": {"jobs": "Job"},
    "monitoring.coreos.com/v1": {"podmonitors": "PodMonitor", "prometheusrules": "PrometheusRule"},
    "networking.k8s.io/v1": {"networkpolicies": "NetworkPolicy"},
    "policy/v1": {"poddisruptionbudgets": "PodDisruptionBudget"},
}
"""What the chart makes: version -> plural -> kind."""


def _groups() -> dict[str, Any]:
    named = [version for version in _KINDS if "/" in version]
    served = {version: {"groupVersion": version, "version": version.partition("/")[2]} for version in named}
    groups = [
        {"name": version.partition("/")[0], "versions": [each], "preferredVersion": each}
        for version, each in served.items()
    ]
    return {"apiVersion": "v1", "kind": "APIGroupList", "groups": groups}


def _root(version: str) -> str:
    return f"/apis/{version}" if "/" in version else f"/api/{version}"


def _resources(version: str, kinds: Mapping[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "APIResourceList",
        "groupVersion": version,
        "resources": [
            {"name": name, "kind": kind, "namespaced": True, "verbs": ["get", "list"]}
            for name, kind in kinds.items()
        ],
    }


class ClusterAnswers:
    """Answers while it is entered."""

    def __init__(self, objects: Iterable[dict[str, Any]], folder: Path, namespace: str) -> None:
        """Prepare.

        Args:
            objects: what is there.
            folder: for the file that tells helm where to ask.
            namespace: the one in which nothing is released yet.
        """
        self._answers: dict[str, object] = {
            "/version": {"major": "1", "minor": "31", "gitVersion": "v1.31.0"},
            "/api": {"kind": "APIVersions", "versions": ["v1"]},
            "/apis": _groups(),
            **{_root(version): _resources(version, kinds) for version, kinds in _KINDS.items()},
        }
        releases = {"apiVersion": "v1", "kind": "SecretList", "metadata": {}, "items": []}
        self._answers[f"/api/v1/namespaces/{namespace}/secrets"] = releases
        for each in objects:
            plurals = {kind: plural for plural, kind in _KINDS[each["apiVersion"]].items()}
            where = each["metadata"]
            place = f"{_root(each['apiVersion'])}/namespaces/{where['namespace']}/{plurals[each['kind']]}"
            self._answers[f"{place}/{where['name']}"] = each
        self.kubeconfig = folder / "kubeconfig.json"

    def __enter__(self) -> Self:
        answers = self._answers

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer = answers.get(self.path.partition("?")[0])
                missing = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound"}
                body = json.dumps({**missing, "code": 404} if answer is None else answer).encode()
                self.send_response(404 if answer is None else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        cluster = {"server": f"http://127.0.0.1:{self._server.server_address[1]}"}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "answers", "cluster": cluster}],
            "users": [{"name": "helm", "user": {}}],
            "contexts": [{"name": "answers", "context": {"cluster": "answers", "user": "helm"}}],
            "current-context": "answers",
        }
        self.kubeconfig.write_text(json.dumps(config))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

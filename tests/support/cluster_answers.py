"""Fixed answers to what `lookup` in a template asks a cluster: no Kubernetes, and nothing is kept.

What a real API server makes of the chart is another test's; here it is only whether the templates look at
what they are told.
"""

import json
import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_GROUPS = {
    "apiVersion": "v1",
    "kind": "APIGroupList",
    "groups": [
        {
            "name": "apps",
            "versions": [{"groupVersion": "apps/v1", "version": "v1"}],
            "preferredVersion": {"groupVersion": "apps/v1", "version": "v1"},
        }
    ],
}


def _resources(version: str, **kinds: str) -> dict[str, Any]:
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

    def __init__(self, objects: Iterable[dict[str, Any]], folder: Path) -> None:
        """Prepare.

        Args:
            objects: what is there: StatefulSets and Secrets.
            folder: for the file that tells helm where to ask.
        """
        self._answers: dict[str, object] = {
            "/version": {"major": "1", "minor": "31", "gitVersion": "v1.31.0"},
            "/api": {"kind": "APIVersions", "versions": ["v1"]},
            "/api/v1": _resources("v1", secrets="Secret"),
            "/apis": _GROUPS,
            "/apis/apps/v1": _resources("apps/v1", statefulsets="StatefulSet"),
        }
        for each in objects:
            root, plural = {
                "Secret": ("/api/v1", "secrets"),
                "StatefulSet": ("/apis/apps/v1", "statefulsets"),
            }[each["kind"]]
            where = each["metadata"]
            self._answers[f"{root}/namespaces/{where['namespace']}/{plural}/{where['name']}"] = each
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

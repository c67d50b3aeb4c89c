"""Kubernetes' API by HTTP and JSON: what a test asks of it, and no more."""

import http.client
import json
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

JSON: Final = "application/json"
APPLY: Final = "application/apply-patch+yaml"
MERGE: Final = "application/merge-patch+json"
STRATEGIC: Final = "application/strategic-merge-patch+json"
_TIMEOUT_S: Final = 30.0
_BUSY_S: Final = 0.5
_TRIES: Final = 40

Object = dict[str, Any]


class ApiError(Exception):
    """The API server refused; says what and why.

    Attributes:
        status: of HTTP.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Api:
    """A client of one API server. Safe to use from several threads: a connection each request.

    Args:
        port: on 127.0.0.1.
        token: of the user.
        authority: file of the certificate that the server's is signed with.
    """

    def __init__(self, port: int, token: str, authority: Path) -> None:
        self._port = port
        self._token = token
        self._authority = authority
        self._paths: dict[tuple[str, str], tuple[str, bool]] = {}

    def request(
        self, method: str, path: str, body: object = None, *, kind: str = JSON, **parameters: str
    ) -> Object:
        """Ask; again where the server is not ready for it yet, as after a new kind of object.

        Raises:
            ApiError: the server refused.
            OSError: it does not answer.
        """
        for _ in range(_TRIES):
            status, text = self._answer(method, path, body, kind, parameters)
            if status != http.client.TOO_MANY_REQUESTS:
                break
            time.sleep(_BUSY_S)
        if status >= http.client.BAD_REQUEST:
            raise ApiError(status, _message(text))
        return json.loads(text) if text.startswith("{") else {"text": text}

    def _answer(
        self, method: str, path: str, body: object, kind: str, parameters: dict[str, str]
    ) -> tuple[int, str]:
        tls = ssl.create_default_context(cafile=str(self._authority))
        connection = http.client.HTTPSConnection("127.0.0.1", self._port, timeout=_TIMEOUT_S, context=tls)
        try:
            connection.request(
                method,
                path + ("?" + urlencode(parameters) if parameters else ""),
                None if body is None else json.dumps(body),
                {"Authorization": f"Bearer {self._token}", "Content-Type": kind, "Accept": JSON},
            )
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def get(self, path: str, **parameters: str) -> Object:
        return self.request("GET", path, **parameters)

    def items(self, path: str, **parameters: str) -> list[Object]:
        """Objects of a list."""
        return list(self.get(path, **parameters)["items"])

    def find(self, path: str) -> Object | None:
        """An object, or None."""
        try:
            return self.get(path)
        except ApiError as error:
            if error.status == http.client.NOT_FOUND:
                return None
            raise

    def create(self, one: Object) -> Object:
        return self.request("POST", self.path(one, named=False), one)

    def apply(self, one: Object, *, dry_run: bool = False) -> Object:
        """Server-side apply, with every unknown or doubled field refused."""
        parameters = {"fieldManager": "trapline-test", "fieldValidation": "Strict", "force": "true"}
        if dry_run:
            parameters["dryRun"] = "All"
        return self.request("PATCH", self.path(one), one, kind=APPLY, **parameters)

    def path(self, one: Object, *, named: bool = True) -> str:
        """Where an object, or a kind of object, is."""
        version, metadata = one["apiVersion"], one["metadata"]
        if (version, one["kind"]) not in self._paths:
            self._discover(version)
        plural, namespaced = self._paths[version, one["kind"]]
        middle = f"/namespaces/{metadata['namespace']}" if namespaced else ""
        return f"{_root(version)}{middle}/{plural}" + (f"/{metadata['name']}" if named else "")

    def everything(self, namespace: str) -> Iterator[Object]:
        """All objects of a namespace, of whatever kind can be listed, as the server has them."""
        versions = ["v1"]
        versions += [group["preferredVersion"]["groupVersion"] for group in self.get("/apis")["groups"]]
        for version in versions:
            for resource in self.get(_root(version))["resources"]:
                if resource["namespaced"] and "list" in resource["verbs"] and "/" not in resource["name"]:
                    path = f"{_root(version)}/namespaces/{namespace}/{resource['name']}"
                    for one in self.items(path):
                        yield {**one, "apiVersion": version, "kind": resource["kind"]}

    def _discover(self, version: str) -> None:
        for resource in self.get(_root(version))["resources"]:
            if "/" not in resource["name"]:
                self._paths[version, resource["kind"]] = resource["name"], resource["namespaced"]


def _root(version: str) -> str:
    return f"/api/{version}" if "/" not in version else f"/apis/{version}"


def _message(text: str) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError):
        return text

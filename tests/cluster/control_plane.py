"""A Kubernetes control plane on free loopback ports, in a folder of its own: no container engine, no root."""

import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import yaml

from tests.cluster.api import Api, ApiError, Object
from tests.cluster.tools import Tools
from tests.support.waiting import timeout_s
from trapline.embedded.ports import HOST, free_port

KWOK_NODES: Final = ("fake-0", "fake-1")
_BARE_PODS: Final = Path(__file__).with_name("bare-pods.yaml")
_START_S: Final = 60.0
_STOP_S: Final = 20.0
_POLL_S: Final = 0.05
# The kernel ends it when this process dies, however it does.
_LEASH: Final = "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); os.execv(sys.argv[1], sys.argv[1:])"


class ControlPlaneError(Exception):
    """A program did not start, or ended; names it, and shows the end of its log."""


class ControlPlane:
    """etcd, API server, controller manager, scheduler and kwok, with two nodes that only kwok keeps up.

    Args:
        folder: for data, certificates and logs; must be empty or not there.
        tools: the programs.

    Attributes:
        api: asks the API server, as an administrator.
        kubeconfig: file for others who do.
        ready_s: from the start until each was ready.
    """

    api: Api

    def __init__(self, folder: Path, tools: Tools) -> None:
        self.kubeconfig = folder / "kubeconfig"
        self.ready_s: dict[str, float] = {}
        self._folder = folder
        self._tools = tools
        self._programs: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._ports: set[int] = set()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End all, the last one started first: the API server before etcd."""
        while self._programs:
            _, program = self._programs.pop()
            program.terminate()
            try:
                program.wait(timeout_s(_STOP_S))
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait()

    def check(self) -> None:
        """Raise where a program has ended.

        Raises:
            ControlPlaneError: names it.
        """
        for name, program in self._programs:
            if program.poll() is not None:
                last = self._log(name).read_text(errors="replace")[-1500:]
                raise ControlPlaneError(f"{name} ended with status {program.returncode}:\n{last}")

    def wait_until(self, there: Callable[[], object], what: str, seconds: float = _START_S) -> None:
        """Wait, as long as all programs run.

        Raises:
            ControlPlaneError: one ended, or it took too long.
        """
        deadline_s = time.monotonic() + timeout_s(seconds)
        while True:
            self.check()
            with suppress(OSError, ApiError):
                if there():
                    return
            if time.monotonic() > deadline_s:
                raise ControlPlaneError(
                    f"waited {timeout_s(seconds):g} s in vain for {what}; see {self._folder}"
                )
            time.sleep(_POLL_S)

    def define(self, definition: Path) -> None:
        """Make a kind of object known, and wait until it is served."""
        made = self.api.create(yaml.safe_load(definition.read_text()))
        path = self.api.path(made)

        def served() -> bool:
            conditions = self.api.get(path)["status"].get("conditions") or ()
            return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)

        self.wait_until(served, definition.name)

    def _start(self) -> None:
        began_s = time.monotonic()
        self._folder.mkdir(parents=True, exist_ok=True)
        token = secrets.token_urlsafe(24)
        key = self._folder / "service-accounts.key"
        _make_key(key)
        tokens = self._folder / "tokens.csv"
        tokens.write_text(f"{token},test,test,system:masters\n")
        store = self._start_etcd()
        port = self._port()
        self._start_program(
            "apiserver",
            self._tools.apiserver,
            f"--etcd-servers={store}",
            f"--bind-address={HOST}",
            f"--secure-port={port}",
            "--endpoint-reconciler-type=none",  # nobody looks for the server inside the cluster
            "--service-cluster-ip-range=10.96.0.0/16",
            f"--cert-dir={self._folder / 'certificates'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            f"--token-auth-file={tokens}",
            "--authorization-mode=RBAC",
            "--kubelet-preferred-address-types=InternalIP",  # the nodes' names are no names of this machine
        )
        authority = self._folder / "certificates" / "apiserver.crt"
        self._write_kubeconfig(port, token, authority)
        self.wait_until(authority.exists, "the API server's certificate")
        self.api = Api(port, token, authority)
        self.wait_until(lambda: self.api.get("/readyz"), "the API server")
        self.ready_s["API server"] = time.monotonic() - began_s
        self._start_controllers(key)
        for name in KWOK_NODES:
            self.api.create(node(name, managed_by="kwok"))
        self.wait_until(lambda: all(map(self._node_is_ready, KWOK_NODES)), "the nodes")
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        self.wait_until(lambda: self.api.get(account), "the default service account")
        self.ready_s["nodes"] = time.monotonic() - began_s

    def _start_etcd(self) -> str:
        client, peer = (f"http://{HOST}:{self._port()}" for _ in range(2))
        self._start_program(
            "etcd",
            self._tools.etcd,
            f"--data-dir={self._folder / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",  # the data is thrown away
            "--log-level=warn",
        )
        return client

    def _start_controllers(self, key: Path) -> None:
        common = [f"--kubeconfig={self.kubeconfig}", "--leader-elect=false", f"--bind-address={HOST}"]
        folder = self._folder / "certificates"
        self._start_program(
            "controller-manager",
            self._tools.controller_manager,
            *common,
            f"--secure-port={self._port()}",
            f"--cert-dir={folder}",
            f"--service-account-private-key-file={key}",
        )
        self._start_program(
            "scheduler",
            self._tools.scheduler,
            *common,
            f"--secure-port={self._port()}",
            f"--cert-dir={folder}",
        )
        port = self._port()
        self._start_program(
            "kwok",
            self._tools.kwok,
            f"--kubeconfig={self.kubeconfig}",
            f"--config={self._tools.stages}",
            f"--config={_BARE_PODS}",
            "--manage-all-nodes=false",
            "--manage-nodes-with-label-selector=trapline-test/node=kwok",
            f"--server-address={HOST}:{port}",
            "--node-lease-duration-seconds=40",  # its stage for nodes leaves it to leases that they are alive
            f"--node-ip={HOST}",
            f"--node-port={port}",
        )

    def _write_kubeconfig(self, port: int, token: str, authority: Path) -> None:
        cluster = {"server": f"https://{HOST}:{port}", "certificate-authority": str(authority.absolute())}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "current-context": "test",
        }
        self.kubeconfig.touch(mode=0o600)
        self.kubeconfig.write_text(yaml.safe_dump(content))

    def _node_is_ready(self, name: str) -> bool:
        return is_ready(self.api.get(f"/api/v1/nodes/{name}"))

    def _port(self) -> int:
        port = free_port(self._ports)
        self._ports.add(port)
        return port

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def _start_program(self, name: str, program: Path, *arguments: str) -> None:
        with self._log(name).open("wb") as log:
            started = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _LEASH, str(program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                start_new_session=True,
            )
        self._programs.append((name, started))


def node(name: str, *, managed_by: str) -> Object:
    """A node object."""
    labels = {
        "trapline-test/node": managed_by,
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
    }
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}


def is_ready(one: Object) -> bool:
    """Whether a node or a pod says so of itself."""
    conditions = one.get("status", {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _make_key(path: Path) -> None:
    """A key for tokens of service accounts.

    Raises:
        ControlPlaneError: openssl is missing, or failed.
    """
    # In the old form: Kubernetes reads no PKCS #8 here.
    command = ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(path)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        raise ControlPlaneError("openssl is missing: it makes the key of the service accounts") from None
    except subprocess.CalledProcessError as error:
        raise ControlPlaneError(f"openssl failed: {error.stderr.decode()[-500:]}") from error

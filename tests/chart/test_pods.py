"""The pods: what the Pod Security Standard `restricted` asks for, and how they start, wait and stop."""

import pytest

from tests.support.chart import MINIMAL, STARTS, variant_values
from tests.support.rendered import objects_of, pods_of

VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}


def by_container(variant):
    return {pod.container["name"]: pod for pod in pods_of(variant)}


def rooms(variant):
    return {
        name: pod for name, pod in by_container(variant).items() if name in {"connector", "grouper", "status"}
    }


def test_they_satisfy_restricted(variant):
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/, each rule of `restricted`."""
    for pod in pods_of(variant):
        spec, context = pod.spec, pod.spec["securityContext"]
        assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers", "initContainers"} & spec.keys()
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] > 0
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"sysctls", "seLinuxOptions", "windowsOptions", "appArmorProfile"} & context.keys()
        for volume in spec["volumes"]:
            assert volume.keys() - {"name"} <= VOLUMES
        own = pod.container["securityContext"]
        assert own["allowPrivilegeEscalation"] is False
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert own["readOnlyRootFilesystem"] is True
        assert not {"privileged", "procMount", "runAsUser", "runAsNonRoot", "seccompProfile"} & own.keys()
        assert all("hostPort" not in port for port in pod.container.get("ports", ()))


def test_none_gets_a_token_or_variables_of_services(variant):
    """A Service called trapline-... would make variables TRAPLINE_..., which no process knows."""
    for pod in pods_of(variant):
        assert pod.spec["automountServiceAccountToken"] is False
        assert pod.spec["enableServiceLinks"] is False
    for each in objects_of(variant):
        if each["kind"] == "ServiceAccount":
            assert each["automountServiceAccountToken"] is False


def test_every_mount_has_a_volume(variant):
    for pod in pods_of(variant):
        there = {volume["name"] for volume in pod.spec["volumes"]} | set(pod.volume_claims)
        mounted = {mount["name"] for mount in pod.container["volumeMounts"]}
        assert mounted == there
        paths = [mount["mountPath"] for mount in pod.container["volumeMounts"]]
        assert "/tmp" in paths  # noqa: S108  the mount, not a file
        assert len(paths) == len(set(paths))


def test_memory_is_bounded(variant):
    for pod in pods_of(variant):
        resources = pod.container["resources"]
        assert resources["requests"].keys() == {"cpu", "memory"}
        assert "memory" in resources["limits"]


def test_probes_ask_what_the_processes_answer(variant):
    for pod in rooms(variant).values():
        container = pod.container
        (port,) = container["ports"]
        assert pod.environment()["TRAPLINE_HTTP_PORT"] == str(port["containerPort"])
        asked = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
        assert asked == {
            "startup": {"path": "/livez", "port": port["name"]},
            "liveness": {"path": "/livez", "port": port["name"]},
            "readiness": {"path": "/readyz", "port": port["name"]},
        }


def test_a_stop_has_time(variant):
    """The grace period is above what the processes may take by themselves, with room for start and end."""
    pods = rooms(variant)
    flush_s = float(pods["connector"].environment()["TRAPLINE_FLUSH_TIMEOUT_S"])
    assert pods["connector"].spec["terminationGracePeriodSeconds"] >= flush_s + 30
    assert pods["grouper"].spec["terminationGracePeriodSeconds"] >= 15 + 30


def test_a_restarted_grouper_keeps_its_partitions(variant):
    pod = rooms(variant)["grouper"]
    environment = pod.environment(ordinal=1)
    assert environment["TRAPLINE_GROUP_INSTANCE_ID"] == f"{pod.name}-1"
    assert float(environment["TRAPLINE_SESSION_TIMEOUT_S"]) >= 30


def test_the_spool_is_kept(variant):
    pod = rooms(variant)["connector"]
    spec = pod.owner["spec"]
    assert spec["podManagementPolicy"] == "Parallel"
    if pod.environment()["TRAPLINE_SPOOL"] == "off":
        assert "volumeClaimTemplates" not in spec
        return
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    (claim,) = spec["volumeClaimTemplates"]
    (mount,) = [each for each in pod.container["volumeMounts"] if each["name"] == claim["metadata"]["name"]]
    assert pod.environment()["TRAPLINE_SPOOL_DIR"].startswith(mount["mountPath"] + "/")


def test_nothing_scales_by_itself(variant):
    assert not [each for each in objects_of(variant) if "Autoscaler" in each["kind"]]


@pytest.mark.parametrize("container", STARTS)
def test_they_start_as_make_test_starts_them(container):
    """tests/support/chart.py has the table that tests/integration/image/ runs without helm."""
    pods = by_container(MINIMAL)
    assert pods.keys() == STARTS.keys()
    pod = pods[container]
    assert "command" not in pod.container
    assert tuple(pod.container["args"]) == STARTS[container].args
    assert pod.environment() == STARTS[container].environment


def test_the_image(variant):
    image = variant_values(variant).get("image", {})
    for pod in pods_of(variant):
        expected = f"trapline:{variant_version()}"
        if "digest" in image:
            expected = f"{image['repository']}@{image['digest']}"
        assert pod.container["image"] == expected


def variant_version():
    from trapline.version import __version__  # noqa: PLC0415

    return __version__

"""What an upgrade makes of what is in the cluster: connectors that would go, Secrets that have changed."""

import re
import shlex

import pytest
import yaml

from connector.reading_keys import DECODER_BYTES
from connector.settings import ConnectorSettings
from grouper.settings import GrouperSettings
from runtime.settings import load_settings
from tests.support.chart import CHART, MINIMAL, variant_file, variant_values
from tests.support.cluster_answers import ClusterAnswers
from tests.support.command_line import parse
from tests.support.rendered import NAMESPACE, RELEASE, helm, objects_of, template


def stateful_set(replicas):
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "trapline-connector", "namespace": NAMESPACE},
        "spec": {"replicas": replicas},
    }


def secret(version):
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "trapline-login",
            "namespace": NAMESPACE,
            "uid": "u",
            "resourceVersion": version,
        },
        "data": {"password": "aGlkZGVu"},
    }


@pytest.fixture
def rendered(tmp_path):
    """`helm template` against a cluster that holds these objects."""

    def run(variant, objects, *options):
        with ClusterAnswers(objects, tmp_path, NAMESPACE) as cluster:
            asked = [f"--kubeconfig={cluster.kubeconfig}", "--dry-run=server", "--disable-openapi-validation"]
            return template(f"--values={variant_file(variant)}", *asked, *options)

    return run


@pytest.mark.parametrize("there", [5, 8])
def test_fewer_connectors_are_refused(rendered, there):
    done = rendered("redundant-pair", [stateful_set(there)])
    assert done.returncode != 0
    assert f"connector: {there} pods would become 4" in done.stderr
    assert "--set connector.allowScaleIn=true" in done.stderr


@pytest.mark.parametrize("there", [1, 4])
def test_as_many_or_more_are_not(rendered, there):
    done = rendered("redundant-pair", [stateful_set(there)])
    assert done.returncode == 0, done.stderr


def test_fewer_are_taken_where_that_is_meant(rendered):
    done = rendered("redundant-pair", [stateful_set(8)], "--set=connector.allowScaleIn=true")
    assert done.returncode == 0, done.stderr


def test_a_first_install_has_nothing_to_look_at(rendered):
    done = rendered("redundant-pair", [])
    assert done.returncode == 0, done.stderr


def test_pods_are_others_once_a_secret_has_another_version(rendered):
    def checksums(version):
        done = rendered("sasl-tls", [secret(version)])
        assert done.returncode == 0, done.stderr
        return [
            each["spec"]["template"]["metadata"]["annotations"]["checksum/secrets"]
            for each in yaml.safe_load_all(done.stdout)
            if each and each["kind"] == "StatefulSet"
        ]

    first, again, renewed = checksums("1"), checksums("1"), checksums("2")
    assert len(first) == 2
    assert first == again
    assert not set(first) & set(renewed)


@pytest.fixture
def notes_of(tmp_path):
    """The notes of an install."""

    def run(variant, *options):
        with ClusterAnswers([], tmp_path, NAMESPACE) as cluster:
            done = helm(
                *("install", RELEASE, str(CHART), f"--namespace={NAMESPACE}"),
                *(f"--values={variant_file(variant)}", f"--kubeconfig={cluster.kubeconfig}"),
                *("--dry-run=server", "--disable-openapi-validation", *options),
            )
        assert done.returncode == 0, done.stderr
        return done.stdout.partition("\nNOTES:\n")[2]

    return run


def test_notes_say_how_to_check_that_it_works(variant, notes_of):
    notes = notes_of(variant)
    assert f"helm test {RELEASE} --namespace {NAMESPACE}\n" in notes
    connector = variant_values(variant).get("connector", {})
    assert ("get pvc" in notes) == (connector.get("spool", {}).get("mode") != "off")
    assert ("Neighbouring connectors" in notes) == connector.get("redundant", False)
    observed = variant_values(variant).get("prometheusRule", {}).get("enabled", False)
    assert (f"no other release of this chart may be in {NAMESPACE}" in notes) == observed
    assert "WARNING" not in notes, "a variant is an example to follow"


@pytest.mark.parametrize("status", [True, False])
def test_notes_say_how_to_see_groups(status, notes_of):
    """With a command that the command line takes, in a pod that there is."""
    notes = notes_of(MINIMAL, f"--set=status.enabled={str(status).lower()}")
    (line,) = re.findall(r"\s(trapline tail .*)$", notes, re.MULTILINE)
    parse(shlex.split(line)[1:])
    found = re.search(r"exec deployment/(\S+) -- trapline tail ", notes)
    assert (found is not None) == status
    deployments = [each["metadata"]["name"] for each in objects_of(MINIMAL) if each["kind"] == "Deployment"]
    assert found is None or [found[1]] == deployments


def test_notes_warn_where_pods_may_hold_more_than_their_limit(notes_of):
    """By the bounds that the settings have where nobody says otherwise."""
    gib = 1024**3
    bounds = {name: field.default for name, field in GrouperSettings.model_fields.items()}
    most = 3 * bounds["max_open_bytes"] + bounds["fetch_buffer_bytes"] + bounds["transaction_max_bytes"]
    notes = notes_of(MINIMAL, "--set=topics.partitions=5")
    assert f"a grouper that owns 3 of the partitions may hold {most / gib:.1f} GiB at the worst" in notes
    assert "its memory limit is 4Gi" in notes
    for enough in (
        "grouper.resources.limits.memory=6.5Gi",
        "grouper.settings.max_open_bytes=1GiB",
        "grouper.replicas=5",
        "grouper.resources.limits.memory=null",
    ):
        assert "WARNING" not in notes_of(MINIMAL, "--set=topics.partitions=5", f"--set={enough}")
    settings = load_settings(ConnectorSettings, overrides={"sources": "a=tcp://h:1,b=tcp://h:2"}, known=[])
    most = settings.queue_max_bytes + 4 * (600 * 1024**2 + DECODER_BYTES)
    notes = notes_of(MINIMAL, "--set=maxFrameBytes=600MiB")
    assert f"a connector with 2 sources may hold {most / gib:.1f} GiB at the worst" in notes
    assert "WARNING" not in notes_of(MINIMAL, "--set=maxFrameBytes=600MiB,connector.shares=2")

"""What an upgrade makes of what is in the cluster: connectors that would go, Secrets that have changed."""

import pytest
import yaml

from tests.support.chart import CHART, variant_file, variant_values
from tests.support.cluster_answers import ClusterAnswers
from tests.support.rendered import NAMESPACE, RELEASE, helm, template


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


def test_notes_say_how_to_check_that_it_works(variant, tmp_path):
    with ClusterAnswers([], tmp_path, NAMESPACE) as cluster:
        done = helm(
            *("install", RELEASE, str(CHART), f"--namespace={NAMESPACE}"),
            *(f"--values={variant_file(variant)}", f"--kubeconfig={cluster.kubeconfig}"),
            *("--dry-run=server", "--disable-openapi-validation"),
        )
    assert done.returncode == 0, done.stderr
    notes = done.stdout.partition("\nNOTES:\n")[2]
    assert f"helm test {RELEASE} --namespace {NAMESPACE}\n" in notes
    connector = variant_values(variant).get("connector", {})
    assert ("get pvc" in notes) == (connector.get("spool", {}).get("mode") != "off")
    assert ("Neighbouring connectors" in notes) == connector.get("redundant", False)

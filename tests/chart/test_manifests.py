"""The manifests: linted, valid, and without figures that YAML would make a fraction of."""

import re

import kubernetes_validate
import pytest
import yaml

from tests.support.chart import CHART, variant_file
from tests.support.rendered import KUBERNETES, NAMESPACE, helm, objects_of, text_of

OF_THE_OPERATOR = "monitoring.coreos.com/v1"  # its kinds are no part of Kubernetes' schemas
SCIENTIFIC = re.compile(r"(?<![\w./:-])\d+(?:\.\d+)?[eE][+-]?\d+\b")


def test_helm_lints_it(variant):
    done = helm(
        "lint", "--strict", str(CHART), f"--values={variant_file(variant)}", f"--kube-version={KUBERNETES}"
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_object_is_valid(variant):
    """No field that Kubernetes does not know, and none of a wrong type."""
    seen = set()
    for each in objects_of(variant):
        if each["apiVersion"] != OF_THE_OPERATOR:
            kubernetes_validate.validate(each, KUBERNETES.rpartition(".")[0], strict=True)
            seen.add(each["kind"])
    assert {"Service", "StatefulSet", "PodDisruptionBudget", "NetworkPolicy", "Pod"} <= seen


def test_a_mistyped_field_would_be_seen(variant):
    """The check of the check."""
    (first, *_) = [each for each in objects_of(variant) if each["kind"] == "StatefulSet"]
    first["spec"]["podManagmentPolicy"] = "Parallel"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(first, KUBERNETES.rpartition(".")[0], strict=True)


def test_no_figure_is_written_with_an_exponent(variant):
    for document in text_of(variant).split("\n---\n"):
        if "\nkind: PrometheusRule\n" not in document and "\nkind: ConfigMap\n" not in document:
            assert SCIENTIFIC.findall(document) == []


@pytest.mark.parametrize(
    "text", ["replicas: 2e+10", 'value: "2.68435456e+08"', "value: 1E9", 'value: "5e-07"']
)
def test_such_a_figure_would_be_seen(text):
    """The check of the check."""
    assert SCIENTIFIC.findall(text)


def test_every_variable_is_a_text(variant):
    for each in objects_of(variant):
        for value in re.findall(r"^ +value: (.*)$", yaml.safe_dump(each), re.MULTILINE):
            assert not isinstance(yaml.safe_load(value), (int, float, bool)), value


def test_every_object_says_whose_it_is(variant):
    for each in objects_of(variant):
        metadata = each["metadata"]
        assert metadata["namespace"] == NAMESPACE, each["kind"]
        assert metadata["labels"]["app.kubernetes.io/instance"] == "trapline"
        assert len(metadata["name"]) <= 52  # a pod's name is a label, and a StatefulSet adds a hash of 11
    names = [(each["kind"], each["metadata"]["name"]) for each in objects_of(variant)]
    assert len(names) == len(set(names))


def test_selectors_select_the_pods_and_no_others(variant):
    objects = objects_of(variant)
    sets = {each["metadata"]["name"]: each for each in objects if each["kind"] == "StatefulSet"}
    assert len(sets) == 2
    for each in objects:
        if each["kind"] in {"Service", "PodDisruptionBudget", "NetworkPolicy"}:
            spec = each["spec"]
            selector = spec.get("podSelector", spec.get("selector", {}))
            labels = selector.get("matchLabels", selector)
            assert labels["app.kubernetes.io/component"] in each["metadata"]["name"]
    for name, each in sets.items():
        labels = each["spec"]["template"]["metadata"]["labels"]
        assert each["spec"]["selector"]["matchLabels"].items() <= labels.items()
        assert each["spec"]["serviceName"] == name

"""What the objects around the pods say."""

import yaml

from tests.support.chart import CHART, variant_values
from tests.support.rendered import NAMESPACE, objects_of, pods_of


def of_kind(variant, kind):
    return {each["metadata"]["name"]: each for each in objects_of(variant) if each["kind"] == kind}


def ports(rule):
    return {(each["port"], each["protocol"]) for each in rule["ports"]}


DNS = {(53, "UDP"), (53, "TCP")}


def test_pods_may_talk_to_brokers_sources_and_name_servers_alone():
    policies = of_kind("default-minimal", "NetworkPolicy")
    rules = {name.removeprefix("trapline-"): each["spec"]["egress"] for name, each in policies.items()}
    assert {name: [ports(rule) for rule in egress] for name, egress in rules.items()} == {
        "connector": [{(9092, "TCP")}, {(6666, "TCP")}, DNS],
        "grouper": [{(9092, "TCP")}, DNS],
        "status": [{(9092, "TCP")}, DNS],
        "topics": [{(9092, "TCP")}, DNS],
        "test": [{(9092, "TCP")}, {(6666, "TCP")}, DNS],
    }
    assert rules["connector"][1]["to"] == [
        {"ipBlock": {"cidr": "10.0.0.1/32"}},
        {"ipBlock": {"cidr": "10.0.0.2/32"}},
    ]
    assert all(each["spec"]["policyTypes"] == ["Ingress", "Egress"] for each in policies.values())


def test_every_pod_has_a_policy(variant):
    policies = of_kind(variant, "NetworkPolicy").values()
    for pod in pods_of(variant):
        held = [
            each
            for each in policies
            if each["spec"]["podSelector"]["matchLabels"].items() <= pod.metadata["labels"].items()
        ]
        assert len(held) == 1


def test_ports_that_brokers_name_and_providers_of_tokens_are_open():
    policies = of_kind("sasl-tls", "NetworkPolicy")
    (brokers, sources, _) = policies["trapline-connector"]["spec"]["egress"]
    assert ports(brokers) == {(9093, "TCP"), (9193, "TCP")}
    assert brokers["to"][0]["namespaceSelector"]
    assert "to" not in sources, "names of hosts are no addresses"
    assert ports(sources) == {(6666, "TCP"), (6667, "TCP")}
    rules = of_kind("oauth", "NetworkPolicy")["trapline-grouper"]["spec"]["egress"]
    assert [ports(rule) for rule in rules] == [{(9095, "TCP")}, DNS, {(443, "TCP")}]
    (sources,) = [
        rule
        for rule in of_kind("mtls", "NetworkPolicy")["trapline-connector"]["spec"]["egress"]
        if ports(rule) == {(6666, "TCP")}
    ]
    assert "to" not in sources


def test_metrics_may_be_read():
    spec = of_kind("everything-on", "NetworkPolicy")["trapline-images-grouper"]["spec"]
    (rule,) = spec["ingress"]
    assert rule["ports"] == [{"port": "metrics", "protocol": "TCP"}]
    assert rule["from"][0]["namespaceSelector"]["matchLabels"] == {
        "kubernetes.io/metadata.name": "monitoring"
    }
    assert "ingress" not in of_kind("everything-on", "NetworkPolicy")["trapline-images-topics"]["spec"]


def test_the_topics_job_comes_first_and_needs_nothing_of_the_release(variant):
    jobs = of_kind(variant, "Job")
    if not variant_values(variant)["topics"].get("create", True):
        assert not jobs
        return
    (job,) = jobs.values()
    hooks = {"pre-install", "pre-upgrade", "pre-rollback"}
    assert set(job["metadata"]["annotations"]["helm.sh/hook"].split(",")) == hooks
    assert job["metadata"]["annotations"]["helm.sh/hook-output-log-policy"] == "hook-succeeded,hook-failed"
    spec = job["spec"]["template"]["spec"]
    assert "serviceAccountName" not in spec
    policy = of_kind(variant, "NetworkPolicy")[job["metadata"]["name"]]
    assert set(policy["metadata"]["annotations"]["helm.sh/hook"].split(",")) == hooks
    weights = [int(each["metadata"]["annotations"]["helm.sh/hook-weight"]) for each in (policy, job)]
    assert weights[0] < weights[1]


def test_evictions_take_one_at_a_time(variant):
    budgets = of_kind(variant, "PodDisruptionBudget")
    assert {name.rpartition("-")[2]: each["spec"]["maxUnavailable"] for name, each in budgets.items()} == {
        "connector": 1,
        "grouper": 1,
    }


def test_pods_are_spread(variant):
    for pod in pods_of(variant):
        if pod.owner["kind"] == "StatefulSet":
            (spread,) = pod.spec["topologySpreadConstraints"]
            assert spread["labelSelector"]["matchLabels"].items() <= pod.metadata["labels"].items()
            assert spread["topologyKey"] == "kubernetes.io/hostname"


def test_what_is_on_for_the_operator_and_grafana():
    kinds = {each["kind"] for each in objects_of("default-minimal")}
    assert not {"PodMonitor", "PrometheusRule", "ConfigMap"} & kinds
    (monitor,) = of_kind("everything-on", "PodMonitor").values()
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    named = {
        port["name"]
        for pod in pods_of("everything-on")
        if pod.container["name"] in {"connector", "grouper", "status"}
        for port in pod.container["ports"]
    }
    assert named == {endpoint["port"]}
    (rule,) = of_kind("everything-on", "PrometheusRule").values()
    written = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())
    names = [[each["alert"] for each in group["rules"]] for group in written["groups"]]
    assert [[each["alert"] for each in group["rules"]] for group in rule["spec"]["groups"]] == names
    assert f'namespace="{NAMESPACE}"' in str(rule["spec"])
    (dashboard,) = of_kind("everything-on", "ConfigMap").values()
    assert dashboard["data"]["trapline.json"] == (CHART / "files" / "dashboard.json").read_text().strip("\n")
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_another_secret_gives_other_pods():
    """Where the cluster can be asked its version is part of it; here its name alone."""
    before, after = (
        {pod.container["name"]: pod.metadata["annotations"]["checksum/secrets"] for pod in pods_of(variant)}
        for variant in ("sasl-tls", "mtls")
    )
    assert all(before[name] != after[name] for name in before)
    assert before["topics"] != before["grouper"], "the topics' login is another one"
    assert not any(
        "checksum/secrets" in pod.metadata.get("annotations", {}) for pod in pods_of("many-sources")
    )

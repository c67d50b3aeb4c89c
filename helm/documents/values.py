"""Every value of the chart, with its default and what it means: the one place they are written in.

`python -m helm.documents` makes values.yaml, values.schema.json and the table in the chart's README of it.
"""

from typing import Any, Final

from helm.documents.settings import CONNECTOR, GROUPER
from helm.documents.value import (
    Section,
    Value,
    choice,
    number,
    objects,
    off,
    on,
    opaque,
    size,
    strings,
    text,
)

_OBJECT_NAME: Final = r"^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?)?$"
_HOST: Final = r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)"
_AMOUNT: Final = {"type": ["string", "number"]}


def _resources(cpu: str, memory: str, most: str) -> Value:
    amounts = {"type": "object", "additionalProperties": _AMOUNT}
    return Value(
        "CPU and memory of the container.",
        {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": most}},
        {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "requests": {**amounts, "description": "What a node must have free."},
                "limits": {**amounts, "description": "What the container may take."},
            },
        },
    )


def _logins(who: str) -> Section:
    return Section(
        f"Secrets of {who} alone, where it has a login of its own.",
        {
            "sasl": text("", "In place of kafka.sasl.existingSecret.", pattern=_OBJECT_NAME),
            "tls": text("", "In place of kafka.tls.existingSecret.", pattern=_OBJECT_NAME),
        },
    )


def _pods(what: str) -> dict[str, Value | Section]:
    """What can be said of all pods."""
    return {
        "podAnnotations": strings(f"Further annotations of {what}."),
        "podLabels": strings(f"Further labels of {what}."),
        "nodeSelector": strings(f"Labels of the nodes that may run {what}."),
        "tolerations": objects(f"Taints that {what} tolerate."),
        "affinity": opaque(f"Affinity of {what}, as Kubernetes has it."),
        "priorityClassName": text("", f"Priority class of {what}."),
        "extraEnv": objects(
            "Further environment variables, as in a container; Trapline refuses a TRAPLINE_ variable that is "
            "no setting."
        ),
        "extraVolumes": objects(f"Further volumes of {what}."),
        "extraVolumeMounts": objects("Where these are mounted."),
    }


def _spread(what: str) -> Section:
    return Section(
        f"How {what} are spread.",
        {
            "enabled": on("Spread them evenly."),
            "topologyKey": text("kubernetes.io/hostname", "Label of the nodes that tells places apart."),
            "whenUnsatisfiable": choice(
                "ScheduleAnyway",
                ("ScheduleAnyway", "DoNotSchedule"),
                "DoNotSchedule: rather leave a pod waiting than put two in one place while another has none.",
            ),
        },
    )


def _disruptions() -> Section:
    return Section(
        "How many may be taken away at the same time, as when nodes are drained.",
        {
            "enabled": on("Make a PodDisruptionBudget."),
            "maxUnavailable": number(1, "Pods at most.", minimum=0),
        },
    )


SOURCES: Final = Value(
    "The image servers, for connector and grouper alike: a name and an address each, "
    "`tcp://HOST:PORT`, with `?pixel_order=transposed` for images that are transposed.",
    [],
    {
        "type": "array",
        "items": {
            "type": "object",
            "additionalProperties": False,
            "required": ["name", "url"],
            "properties": {
                "name": {
                    "type": "string",
                    "pattern": "^[A-Za-z0-9._-]{1,64}$",
                    "description": "Its name in headers, metrics and catalogue.",
                },
                "url": {
                    "type": "string",
                    "pattern": rf"^tcp://{_HOST}:[0-9]{{1,5}}(\?pixel_order=(fits|transposed))?$",
                    "description": "tcp://HOST:PORT of the image server.",
                },
            },
        },
    },
)

_KAFKA: Final = Section(
    "The Kafka that everything talks to.",
    {
        "bootstrapServers": text("", "Required. Brokers to ask first, `HOST:PORT,HOST:PORT`."),
        "topicPrefix": text(
            "aartfaac", "First part of the topics' names.", pattern="^[A-Za-z0-9._-]{1,238}$"
        ),
        "grouperGroupId": text("", "Consumer group of the groupers; empty: PREFIX.grouper."),
        "securityProtocol": choice(
            "plaintext", ("plaintext", "ssl", "sasl_plaintext", "sasl_ssl"), "Kafka's security protocol."
        ),
        "sasl": Section(
            "How to log in, with a sasl_ protocol.",
            {
                "mechanism": choice(
                    "SCRAM-SHA-512", ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"), "How."
                ),
                "existingSecret": text(
                    "", "Required with a sasl_ protocol. A Secret that you have made.", pattern=_OBJECT_NAME
                ),
                "usernameKey": text("username", "Its key with the user name, for PLAIN and SCRAM."),
                "passwordKey": text("password", "Its key with the password, for PLAIN and SCRAM."),
                "clientSecretKey": text("client-secret", "Its key with the client secret, for OAUTHBEARER."),
                "tokenUrl": text("", "Token end point of the OpenID Connect provider, for OAUTHBEARER."),
                "clientId": text("", "Client id, for OAUTHBEARER."),
                "caKey": text(
                    "", "Its key with the authorities that sign the provider; empty: the system's."
                ),
                "scope": text("", "Scope to ask the provider for, for OAUTHBEARER."),
            },
        ),
        "tls": Section(
            "How brokers are known, and how we show who we are, with ssl and sasl_ssl.",
            {
                "existingSecret": text(
                    "",
                    "A Secret that you have made, with the authorities that sign the brokers and perhaps a "
                    "client certificate; empty: the system's authorities.",
                    pattern=_OBJECT_NAME,
                ),
                "caKey": text("ca.crt", "Its key with the authorities, PEM; empty: the system's."),
                "clientCertificate": off("Show a client certificate (mutual TLS)."),
                "certificateKey": text("tls.crt", "Its key with the client certificate, PEM."),
                "privateKeyKey": text("tls.key", "Its key with the key of the client certificate, PEM."),
                "keyPasswordKey": text("", "Its key with the password of that key; empty: it has none."),
                "verifyHostname": on("Refuse a broker whose certificate is for another host name."),
            },
        ),
    },
)

_CONNECTOR: Final = Section(
    "Image servers -> raw.",
    {
        "shares": number(
            1, "Connectors that share out the sources; with redundant, twice as many pods.", minimum=1
        ),
        "redundant": off(
            "Two connectors for each share, so that no frame is missed while one is restarted or dies; the "
            "grouper drops what comes twice.",
        ),
        "allowScaleIn": off(
            "Let an upgrade take connectors away. It is refused otherwise: what is in the spool of a pod "
            "that is gone is sent by nobody. Its volume is kept in any case.",
        ),
        "spool": Section(
            "What is on disk until Kafka has it: a volume a pod, kept when the release or the pod goes.",
            {
                "mode": choice(
                    "through",
                    ("off", "overflow", "through"),
                    "through: every frame, so that a kill costs none; overflow: what memory has no room for; "
                    "off: nothing, and no volume.",
                ),
                "size": text(
                    "25Gi",
                    "Size of the volume of each pod. Nine tenths of it are the spool's.",
                    pattern="^[1-9][0-9]*(Mi|Gi|Ti|M|G|T)$",
                ),
                "storageClass": text("", "Storage class of the volumes; empty: the cluster's default."),
                "fsync": off("Each frame on the medium before it goes on: survives a power cut."),
            },
        ),
        "flushTimeoutSeconds": number(
            20,
            "How long a stop waits for Kafka to take what was read. The pod's grace period is 40 s longer.",
            minimum=0,
            maximum=3600,
        ),
        "settings": CONNECTOR,
        "secrets": _logins("the connectors"),
        "resources": _resources("500m", "2Gi", "3Gi"),
        "podDisruptionBudget": _disruptions(),
        "topologySpread": _spread("connectors"),
        **_pods("the connectors' pods"),
    },
)

_GROUPER: Final = Section(
    "raw -> groups.",
    {
        "replicas": number(
            2, "Groupers. They share the partitions of raw; those beyond their number stand by.", minimum=1
        ),
        "sessionTimeoutSeconds": number(
            45,
            "After so long without a sign of life a grouper's partitions go to another one. Above the time "
            "that a pod takes to restart, so that a restarted one keeps its own.",
            minimum=30,
            maximum=300,
        ),
        "reorderGraceSeconds": number(
            2,
            "How far one connector may be behind the other, with connector.redundant. Below grace_s.",
            whole=False,
            minimum=0,
        ),
        "settings": GROUPER,
        "secrets": _logins("the groupers"),
        "resources": _resources("500m", "2Gi", "4Gi"),
        "podDisruptionBudget": _disruptions(),
        "topologySpread": _spread("groupers"),
        **_pods("the groupers' pods"),
    },
)

_TOPICS: Final = Section(
    "The topics, made by a Job before each install, upgrade and rollback; those that exist are checked, not "
    "changed.",
    {
        "create": on("Run the Job."),
        "partitions": number(1, "Partitions of each topic. Never changed later.", minimum=1, maximum=10_000),
        "replicationFactor": number(3, "Copies of each partition.", minimum=1, maximum=32_767),
        "retentionHours": number(
            None, "Required. Hours that raw, groups and rejects are kept.", whole=False, exclusiveMinimum=0
        ),
        "retentionBytes": size(
            None, "Required. Bytes that each partition of raw, groups and rejects keeps, such as 500GiB."
        ),
        "catalogueRetentionBytes": size("10GiB", "Bytes of catalogue that each partition keeps."),
        "activeDeadlineSeconds": number(600, "The Job is given up after so long.", minimum=1),
        "secrets": _logins("the Job, which needs the rights of an administrator,"),
        "resources": _resources("100m", "256Mi", "512Mi"),
        **_pods("the Job's pods"),
    },
)

_STATUS: Final = Section(
    "One pod that asks Kafka how far every consumer group is behind, for metrics and alerts.",
    {
        "enabled": on(
            "Run it; without it the alerts about lag and retention cannot fire, and TraplineLagUnknown is "
            "left out."
        ),
        "secrets": _logins("this pod, which needs the rights of an auditor,"),
        "resources": _resources("50m", "256Mi", "512Mi"),
        **_pods("this pod"),
    },
)

_PEERS: Final = "as in a NetworkPolicy; empty: any, on these ports."

_NETWORK_POLICY: Final = Section(
    "What the pods may talk to, by port, and by address where that is said: brokers, sources, DNS; and who "
    "may read their metrics.",
    {
        "enabled": on("Make NetworkPolicies."),
        "brokers": Section(
            "The brokers.",
            {
                "ports": Value(
                    "Ports that brokers name for themselves, besides those in kafka.bootstrapServers.",
                    [],
                    {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 65_535}},
                ),
                "to": objects(f"Where they are, {_PEERS}"),
            },
        ),
        "sources": Section(
            "The image servers, whose ports are in `sources`.",
            {
                "to": objects(
                    "Where they are, as in a NetworkPolicy; empty: the addresses in `sources` where all are "
                    "IPv4 addresses, else any, on their ports."
                )
            },
        ),
        "dns": Section(
            "The name servers, on port 53.",
            {
                "to": objects(
                    f"Where they are, {_PEERS}",
                    [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}],
                )
            },
        ),
        "metrics": Section(
            "Who may read /metrics.",
            {
                "from": objects(
                    "Who, as in a NetworkPolicy; empty: nobody but the node's own probes.",
                    [{"namespaceSelector": {}}],
                )
            },
        ),
    },
)

VALUES: Final = Section(
    "Values of the Trapline chart.",
    {
        "kafka": _KAFKA,
        "sources": SOURCES,
        "maxFrameBytes": size("64MiB", "Largest frame; topics and clients are set to carry it."),
        "connector": _CONNECTOR,
        "grouper": _GROUPER,
        "topics": _TOPICS,
        "status": _STATUS,
        "image": Section(
            "The container image.",
            {
                "repository": text(
                    "trapline",
                    "Where it is, without a tag. The default names no registry: it is for an image that the "
                    "nodes have already.",
                    minLength=1,
                ),
                "tag": text("", "Its tag; empty: the chart's appVersion."),
                "digest": text("", "Its digest, in place of a tag.", pattern="^(sha256:[0-9a-f]{64})?$"),
                "pullPolicy": choice(
                    "IfNotPresent", ("Always", "IfNotPresent", "Never"), "When it is fetched."
                ),
            },
        ),
        "imagePullSecrets": Value(
            "Secrets to fetch the image with.",
            [],
            {
                "type": "array",
                "items": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["name"],
                    "properties": {"name": {"type": "string", "description": "Name of the Secret."}},
                },
            },
        ),
        "nameOverride": text("", "In place of the chart's name in the names of objects.", maxLength=40),
        "fullnameOverride": text("", "In place of release and chart in the names of objects.", maxLength=40),
        "log": Section(
            "Log lines.",
            {
                "level": choice("info", ("debug", "info", "warning", "error"), "Least severe ones to write."),
                "format": choice("json", ("json", "console"), "For machines, or for people."),
            },
        ),
        "metricsPort": number(9100, "Port of /livez, /readyz and /metrics.", minimum=1024, maximum=65_535),
        "podSecurity": Section(
            "Who the containers run as. They satisfy the Pod Security Standard `restricted`.",
            {
                "runAsUser": number(65532, "User of the processes.", minimum=1, maximum=2**31 - 1),
                "runAsGroup": number(
                    65532, "Group of the processes, and of their volumes.", minimum=1, maximum=2**31 - 1
                ),
            },
        ),
        "serviceAccount": Section(
            "Whom the pods are in the cluster. Nothing asks the API server, so none gets a token.",
            {
                "create": on("Make a ServiceAccount."),
                "name": text("", "Its name; empty: that of the release, or `default` with create: false."),
                "annotations": strings("Its annotations."),
            },
        ),
        "networkPolicy": _NETWORK_POLICY,
        "podMonitor": Section(
            "Scraping by the Prometheus Operator.",
            {
                "enabled": off("Make a PodMonitor."),
                "interval": text("15s", "Time between scrapes.", pattern="^[1-9][0-9]*(s|m)$"),
                "labels": strings("Labels by which your Prometheus finds it."),
            },
        ),
        "prometheusRule": Section(
            "Alerts, for the Prometheus Operator.",
            {
                "enabled": off("Make a PrometheusRule."),
                "runbook": text("docs/operations.md", "Where docs/operations.md is read: its address."),
                "sourceSilentSeconds": number(
                    120,
                    "Most seconds without a frame of a source; above the cadence of the images, and at least "
                    "four scrapes.",
                    minimum=60,
                ),
                "completenessTarget": number(
                    0.95,
                    "Least share of groups that should be complete.",
                    whole=False,
                    exclusiveMinimum=0,
                    maximum=1,
                ),
                "latencyP99Seconds": number(
                    10,
                    "Most seconds from a group's last image to the group.",
                    whole=False,
                    exclusiveMinimum=0,
                ),
                "retentionLeftSeconds": number(
                    14_400,
                    "Least seconds until retention may delete what somebody has not read.",
                    minimum=0,
                ),
                "labels": strings("Labels by which your Prometheus finds it."),
            },
        ),
        "dashboard": Section(
            "The Grafana dashboard.",
            {
                "enabled": off("Make a ConfigMap that holds it."),
                "labels": strings("Labels by which Grafana's sidecar finds it.", {"grafana_dashboard": "1"}),
                "annotations": strings("Its annotations, such as the folder it belongs to."),
            },
        ),
        "test": Section(
            "`helm test`: a pod that runs `trapline doctor`.",
            {
                "sourceWaitSeconds": number(
                    10, "How long each source may take to send a frame.", whole=False, exclusiveMinimum=0
                ),
                "secrets": _logins("the test"),
                "resources": _resources("100m", "512Mi", "1Gi"),
                **_pods("the test's pod"),
            },
        ),
    },
)


def defaults(section: Section = VALUES) -> dict[str, Any]:
    """The defaults, as values.yaml holds them."""
    return {
        name: defaults(entry) if isinstance(entry, Section) else entry.default
        for name, entry in section.keys.items()
    }

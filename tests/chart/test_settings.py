"""The variables of each pod, loaded by our own settings code: a name that has drifted is refused by it."""

import os

import pytest

from connector.settings import ConnectorSettings
from grouper.settings import GrouperSettings
from runtime.errors import SettingsError
from runtime.settings import load_settings
from runtime.settings_sources import ENV_PREFIX
from runtime.topic_settings import TopicsSettings
from tests.support.chart import VARIANTS, variant_values
from tests.support.rendered import pods_of, with_files
from trapline.all_settings import KNOWN_SETTINGS
from trapline.doctor.settings import DoctorSettings
from trapline.status.settings import StatusSettings

CLASSES = {
    "connector": ConnectorSettings,
    "grouper": GrouperSettings,
    "topics": TopicsSettings,
    "status": StatusSettings,
    "test": DoctorSettings,
}
SECRETS = {"username": "anna", "password": "hidden", "client-secret": "hidden"}


@pytest.fixture
def load(monkeypatch, tmp_path):
    """Settings of a pod, with its Secrets as files here."""
    for name in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
        monkeypatch.delenv(name)

    def loaded(pod, ordinal=0):
        content = {key: value.encode() for key, value in SECRETS.items()}
        content |= dict.fromkeys(("ca.crt", "tls.crt", "tls.key", "key-password"), b"text")
        folders = with_files(pod, tmp_path / pod.name, content)
        environment = pod.environment(ordinal, SECRETS)
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                mount = next((mount for mount in folders if value.startswith(mount + "/")), None)
                patch.setenv(name, value if mount is None else value.replace(mount, folders[mount], 1))
            return load_settings(CLASSES[pod.container["name"]], known=KNOWN_SETTINGS)

    return loaded


def test_every_pod_is_configured(variant, load):
    names = set()
    for pod in pods_of(variant):
        load(pod)
        names.add(pod.container["name"])
    assert names >= {"connector", "grouper", "status", "test"}
    assert ("topics" in names) == variant_values(variant)["topics"].get("create", True)


def test_one_list_of_sources_reaches_both(variant, load):
    """Each source is read by as many connectors as there are copies, and expected by every grouper."""
    wanted = [f"{each['name']}={each['url']}" for each in variant_values(variant)["sources"]]
    copies = 2 if variant_values(variant).get("connector", {}).get("redundant") else 1
    pods = {pod.container["name"]: pod for pod in pods_of(variant)}
    connector = pods["connector"]
    read = [
        str(source)
        for ordinal in range(connector.owner["spec"]["replicas"])
        for source in load(connector, ordinal).own_sources
    ]
    assert sorted(read) == sorted(wanted * copies)
    grouper = load(pods["grouper"])
    assert [str(source) for source in grouper.sources] == wanted
    assert grouper.rules.expected == tuple(source.name for source in grouper.sources)
    assert (grouper.reorder_grace_s > 0) == (copies == 2)


def test_all_pods_mean_the_same_topics(variant, load):
    settings = [load(pod) for pod in pods_of(variant)]
    shared = ("bootstrap_servers", "topic_prefix", "max_frame_bytes", "security_protocol")
    assert len({tuple(getattr(each, name) for name in shared) for each in settings}) == 1
    groups = {
        each.consumer_group
        for each in settings
        if isinstance(each, GrouperSettings | TopicsSettings | StatusSettings)
    }
    assert len(groups) == 1


def test_figures_arrive_as_they_were_written(load):
    connector, grouper = (
        load(pod) for pod in pods_of("many-sources") if pod.container["name"] in {"connector", "grouper"}
    )
    assert connector.queue_max_bytes == 2_147_483_648
    assert connector.spool_max_bytes == 180_000_000_000
    assert connector.fsync is True
    assert grouper.max_open_bytes == 4_294_967_296
    (topics,) = (load(pod) for pod in pods_of("mtls") if pod.container["name"] == "topics")
    assert topics.retention_bytes == 9_007_199_254_740_991
    assert topics.retention_hours == 1.5
    (connector,) = (load(pod) for pod in pods_of("everything-on") if pod.container["name"] == "connector")
    assert connector.max_future_s == 0.5
    assert connector.silence_warning_s == 1_000_000
    assert connector.connect_timeout_s == 7.5  # of extraEnv


@pytest.mark.parametrize(
    ("variant", "login", "files"),
    [
        ("sasl-tls", "Password", {"ca_file": "ca.crt"}),
        ("mtls", "NoneType", {"ca_file": "ca.crt", "certificate_file": "tls.crt", "key_file": "tls.key"}),
        ("oauth", "OAuthClient", {}),
    ],
)
def test_logins_come_from_secrets(variant, login, files, load):
    for pod in pods_of(variant):
        security = load(pod).kafka_security
        assert type(security.login).__name__ == login
        for name, file in files.items():
            assert getattr(security.tls, name).name == file
        text = str(pod.owner)
        assert "hidden" not in text


def test_one_doctor_examines_what_no_one_connector_could_read(load):
    """64 sources of the default frame size, shared out: `helm test` is told of all of them."""
    pods = {pod.container["name"]: pod for pod in pods_of("many-sources")}
    doctor, connector = load(pods["test"]), load(pods["connector"])
    assert len(doctor.sources) == 64
    assert doctor.max_frame_bytes == connector.max_frame_bytes == 64 * 1024**2
    assert len(connector.own_sources) == 16
    (share,) = (each for each in pods["connector"].container["env"] if each["name"] == "TRAPLINE_SHARE")
    share["value"] = "0/1"
    with pytest.raises(SettingsError, match="reading_max_bytes"):
        load(pods["connector"])


def test_every_variant_is_looked_at():
    assert len(VARIANTS) >= 6

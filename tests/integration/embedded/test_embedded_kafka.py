"""The embedded Kafka as its users meet it: it keeps what it has, refuses what is wrong, leaves nothing."""

import json
import os
import socket
import subprocess
import sys
import textwrap
import time

import psutil
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.support.kafka import OwnKafka, process_gone
from tests.support.waiting import timeout_s, wait_until
from trapline.embedded import EmbeddedKafka, data_folder
from trapline.embedded.errors import DataFolderError, JarError, PortError, StartError
from trapline.embedded.jar_lock import packaged_lock
from trapline.embedded.places import default_cache_dir

MIB = 2**20
TOPIC = "kept"


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    """A broker of this module, for the tests that leave it running."""
    with OwnKafka(tmp_path_factory.mktemp("broker")) as broker:
        yield broker


def create_topic(bootstrap_servers, name, **config):
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    admin.create_topics([NewTopic(name, 1, 1, config=config)])[name].result(timeout_s(20))


def produce(bootstrap_servers, values, topic=TOPIC):
    producer = Producer({"bootstrap.servers": bootstrap_servers, "enable.idempotence": True})
    failures = []
    for value in values:
        producer.produce(topic, value, on_delivery=lambda error, _record: failures.append(error))
    assert producer.flush(timeout_s(20)) == 0
    assert failures == [None] * len(values)


def read(bootstrap_servers, count, topic=TOPIC):
    """The values of the first records, as a reader of committed ones sees them."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "reader",
            "isolation.level": "read_committed",
            "fetch.message.max.bytes": 70 * MIB,
            "receive.message.max.bytes": 150 * MIB,
            "fetch.max.bytes": 70 * MIB,
        }
    )
    try:
        consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
        values = []
        deadline = time.monotonic() + timeout_s(30)
        while len(values) < count and time.monotonic() < deadline:
            record = consumer.poll(0.2)
            if record is not None and record.error() is None:
                values.append(record.value())
        return values
    finally:
        consumer.close()


def cluster_of(broker):
    return json.loads((broker.embedded.data / "cluster.json").read_text())


def test_what_was_acknowledged_survives_stop_and_sigkill(own_kafka):
    create_topic(own_kafka.bootstrap_servers, TOPIC)
    before = own_kafka.bootstrap_servers, cluster_of(own_kafka)
    produce(own_kafka.bootstrap_servers, [b"%d" % n for n in range(100)])

    own_kafka.restart()
    assert (own_kafka.bootstrap_servers, cluster_of(own_kafka)) == before
    produce(own_kafka.bootstrap_servers, [b"%d" % n for n in range(100, 200)])
    pid = own_kafka.pid
    own_kafka.kill()
    assert process_gone(pid)
    own_kafka.restart()

    assert (own_kafka.bootstrap_servers, cluster_of(own_kafka)) == before
    assert read(own_kafka.bootstrap_servers, 200) == [b"%d" % n for n in range(200)]
    assert own_kafka.embedded.stop(), "a clean stop"


def test_transactions_hide_what_was_aborted(broker, topic_prefix):
    create_topic(broker.bootstrap_servers, topic_prefix)
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "transactional.id": topic_prefix})
    producer.init_transactions(timeout_s(20))
    for value in (b"kept", b"aborted", b"kept too"):
        producer.begin_transaction()
        producer.produce(topic_prefix, value)
        if value == b"aborted":
            producer.flush()
            producer.abort_transaction(timeout_s(20))
        else:
            producer.commit_transaction(timeout_s(20))
    assert read(broker.bootstrap_servers, 2, topic_prefix) == [b"kept", b"kept too"]


def test_records_of_64_mib_from_several_producers_at_once(broker, topic_prefix):
    size = 64 * MIB + 64 * 1024
    create_topic(broker.bootstrap_servers, topic_prefix, **{"max.message.bytes": str(size + 4096)})
    config = {"bootstrap.servers": broker.bootstrap_servers, "message.max.bytes": size + 4096}
    values = [bytes([number]) * size for number in range(4)]
    producers = [Producer({**config, "transactional.id": f"{topic_prefix}-{number}"}) for number in range(4)]
    for producer, value in zip(producers, values, strict=True):
        producer.init_transactions(timeout_s(20))
        producer.begin_transaction()
        producer.produce(topic_prefix, value)
        producer.poll(0)
    for producer in producers:
        producer.commit_transaction(timeout_s(60))
    assert sorted(read(broker.bootstrap_servers, 4, topic_prefix)) == values


def test_topics_do_not_come_into_being_by_themselves(broker, topic_prefix):
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    admin.list_topics(topic_prefix, timeout=timeout_s(10))
    assert topic_prefix not in admin.list_topics(timeout=timeout_s(10)).topics


def test_is_ready_with_its_internal_topics(broker):
    topics = (
        AdminClient({"bootstrap.servers": broker.bootstrap_servers}).list_topics(timeout=timeout_s(10)).topics
    )
    assert {"__consumer_offsets", "__transaction_state"} <= topics.keys()


def test_starts_from_the_archive_of_loaded_classes(broker):
    command = psutil.Process(broker.pid).cmdline()
    (archive,) = (part.removeprefix("-XX:AOTCache=") for part in command if part.startswith("-XX:AOTCache="))
    # The JVM maps it: named on the command line alone it may have been refused.
    assert archive in {mapped.path for mapped in psutil.Process(broker.pid).memory_maps()}


def test_listens_on_this_machine_only(broker):
    addresses = {
        connection.laddr.ip
        for connection in psutil.Process(broker.pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert {address.removeprefix("::ffff:") for address in addresses} == {"127.0.0.1"}


def test_data_in_use_is_refused_and_left_alone(broker):
    second = EmbeddedKafka(broker.embedded.data)
    with pytest.raises(DataFolderError, match=rf"in use by a broker that process {os.getpid()} started"):
        second.start()
    assert broker.embedded.running


def test_a_port_in_use_is_refused(broker, tmp_path):
    port = int(broker.bootstrap_servers.rpartition(":")[2])
    with pytest.raises(PortError, match=rf"port {port} is in use"):
        EmbeddedKafka(tmp_path, port).start()


def test_a_port_that_is_taken_between_our_look_and_kafkas_is_replaced(tmp_path, monkeypatch):
    free_port = data_folder.free_port
    with socket.socket() as thief:
        stolen = free_port()
        thief.bind(("127.0.0.1", stolen))
        thief.listen()
        picks = [stolen]
        monkeypatch.setattr(
            data_folder, "free_port", lambda taken=(): picks.pop() if picks else free_port(taken)
        )
        with OwnKafka(tmp_path / "data") as broker:
            assert picks == []
            assert broker.bootstrap_servers != f"127.0.0.1:{stolen}"


@pytest.fixture
def no_network(tmp_path, monkeypatch):
    """No repository can be reached, and the machine's own is empty."""
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("M2_REPO", str(tmp_path / "m2"))


@pytest.mark.usefixtures("broker", "no_network")  # a broker has run: the jars are cached
def test_starts_without_a_network_and_ends_when_our_process_is_killed(tmp_path):
    data = tmp_path / "data"
    script = f"""
        import time
        from pathlib import Path
        from trapline.embedded import EmbeddedKafka
        kafka = EmbeddedKafka(Path({str(data)!r}))
        kafka.start()
        print(kafka.pid, flush=True)
        time.sleep(600)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        pid = int(parent.stdout.readline())
        assert "kafka.Kafka" in psutil.Process(pid).cmdline()
        parent.kill()
        parent.wait()
    wait_until(lambda: process_gone(pid), "the end of the JVM")
    data_folder.DataFolder(data).close()  # who comes next does not find the folder in use


@pytest.mark.usefixtures("no_network")
def test_a_first_start_without_a_network_says_what_helps(tmp_path):
    with pytest.raises(JarError, match=r"cannot download .*HTTPS_PROXY"):
        EmbeddedKafka(tmp_path / "data", cache=tmp_path / "cache").start()


@pytest.mark.usefixtures("broker")  # it has run: the jars are cached
def test_two_processes_fill_one_cache_and_a_jar_that_goes_bad_is_refused(tmp_path, monkeypatch):
    # The machine's own Maven repository has the jars, and no other can be reached.
    lock = packaged_lock()
    for jar in lock.jars:
        folder = tmp_path.joinpath("m2", *jar.group_id.split("."), jar.artifact_id, jar.version)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / jar.filename).symlink_to(default_cache_dir() / lock.name / jar.filename)
    monkeypatch.setenv("M2_REPO", str(tmp_path / "m2"))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    cache = tmp_path / "cache"
    script = f"""
        from pathlib import Path
        from trapline.embedded.jar_lock import packaged_lock
        from trapline.embedded.jars import installed_jars
        from trapline.embedded.progress import Unwatched
        installed_jars(packaged_lock(), Path({str(cache)!r}), Unwatched())
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait(timeout_s(60)) for process in processes] == [0, 0, 0]
    assert [path.name for path in cache.iterdir() if path.is_dir()] == [lock.name]

    jar = cache / lock.name / lock.jars[7].filename
    content = bytearray(jar.read_bytes())
    content[len(content) // 2] ^= 1
    jar.write_bytes(content)
    with pytest.raises(JarError, match=rf"{jar.name} is not .*remove the folder"):
        EmbeddedKafka(tmp_path / "data", cache=cache).start()


def test_a_jvm_that_dies_at_its_start_is_shown_with_its_last_words(tmp_path):
    data = tmp_path / "data"
    (data / "node-1" / "data").mkdir(parents=True)
    (data / "node-1" / "data" / "meta.properties").write_text("version=1\ncluster.id=another\nnode.id=7\n")
    kafka = EmbeddedKafka(data)
    with pytest.raises(StartError, match=r"(?s)Kafka ended while it started.*node.id"):
        kafka.start()
    assert not kafka.running
    data_folder.DataFolder(data).close()


def test_a_jvm_that_cannot_run_at_all(tmp_path, monkeypatch):
    monkeypatch.setattr("trapline.embedded.jvm._OPTIONS", ("-Xmx1x",))
    with pytest.raises(StartError, match="Invalid maximum heap size"):
        EmbeddedKafka(tmp_path, start_archive=False).start()

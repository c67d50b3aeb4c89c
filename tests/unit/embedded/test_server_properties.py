from pathlib import Path

from trapline.embedded.data_folder import Cluster, Node
from trapline.embedded.server_properties import server_properties

ONE = Node(1, 19092, 19093)


def settings_of(nodes, data=Path("/data")):
    text = server_properties(Cluster("abc", nodes), nodes[0], data)
    return dict(line.split("=", 1) for line in text.splitlines())


def test_listens_on_this_machine_only():
    settings = settings_of((ONE,))
    for name in ("listeners", "advertised.listeners"):
        for listener in settings[name].split(","):
            assert listener.split("://")[1].startswith("127.0.0.1:")


def test_a_record_of_the_largest_frame_fits():
    settings = settings_of((ONE,))
    frame_bytes = 64 * 2**20
    assert int(settings["message.max.bytes"]) > frame_bytes + 64 * 1024
    assert int(settings["replica.fetch.max.bytes"]) >= int(settings["message.max.bytes"])
    assert int(settings["socket.request.max.bytes"]) > int(settings["message.max.bytes"])
    assert int(settings["queued.max.request.bytes"]) >= int(settings["socket.request.max.bytes"])


def test_offsets_of_empty_consumer_groups_stay_for_years():
    minutes = int(settings_of((ONE,))["offsets.retention.minutes"])
    assert 10 * 365 * 24 * 60 <= minutes < 2**31


def test_one_node_has_one_replica_and_three_have_three():
    assert settings_of((ONE,))["transaction.state.log.replication.factor"] == "1"
    three = settings_of((ONE, Node(2, 19094, 19095), Node(3, 19096, 19097)))
    assert three["transaction.state.log.replication.factor"] == "3"
    assert three["transaction.state.log.min.isr"] == "2"
    assert three["min.insync.replicas"] == "2"
    assert three["controller.quorum.voters"] == "1@127.0.0.1:19093,2@127.0.0.1:19095,3@127.0.0.1:19097"


def test_a_folder_with_letters_of_any_language_is_written_as_java_reads_it():
    assert settings_of((ONE,), Path("/d\u00e4ta/\U0001f52d/a\\b"))["log.dirs"] == (
        r"/d\u00e4ta/\ud83d\udd2d/a\\b"
    )

"""As fast as it goes: serve, and replay to a topic, at --speed max; bare loops carry the same bytes."""

import json
import statistics
from collections.abc import Iterator, Sequence

from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined]  # public, but not in its __all__

from benchmarks.bed import Bed
from benchmarks.figures import Figure, Target, of_rounds, ratios
from benchmarks.lane import Lane
from benchmarks.log_times import await_groups, copies_stretch
from benchmarks.plan import LARGE, SOURCES, Plan
from benchmarks.raw_filler import fill_raw
from benchmarks.readings import bytes_per_s, parse_readings
from consumer.replay import BATCH_BYTES
from runtime.kafka import max_record_bytes

RATIO = Target(0.8)
GROUP_BYTES = SOURCES * LARGE**2 * 4
_PER_TRANSACTION = BATCH_BYTES // GROUP_BYTES * SOURCES
_RUN_S = 180.0
_ASK_S = 30.0
_SKIP = 2


def measure(bed: Bed, plan: Plan) -> Iterator[Figure]:
    """Throughput at 4 MiB, to clients of the image protocol and to a topic."""
    with Lane(bed, "speed") as lane:
        fill_raw(lane, LARGE, plan.large_groups)
        lane.grouper()
        await_groups(lane, plan.large_groups, _RUN_S)
        lane.stop()
        yield _serve(lane, plan)
        yield _to_topic(lane, bed, plan)


def _serve(lane: Lane, plan: Plan) -> Figure:
    """Against a consumer of raw that sends each frame to its client; beside it, one that sends nothing."""
    ours: list[float] = []
    floors: list[float] = []
    bare: list[float] = []
    frames = f"--frames={plan.large_groups * SOURCES}"
    for _ in range(plan.rounds):
        ours.append(_sent_mb_per_s(lane, "benchmarks.serve_process", "--speed=max"))
        floors.append(_sent_mb_per_s(lane, "benchmarks.play_floor", frames))
        consumer = lane.floor("consumer", f"--groups={plan.large_groups}", f"--size={SOURCES}")
        consumer.wait(_RUN_S)
        bare.append(bytes_per_s(parse_readings(consumer.output), _SKIP) / 1e6)
    return of_rounds(
        "serve at --speed max, 4 MiB",
        ratios(ours, floors),
        "x floor",
        RATIO,
        {
            "MB/s": statistics.median(ours),
            "floor MB/s": statistics.median(floors),
            "bare consumer MB/s": statistics.median(bare),
        },
    )


def _sent_mb_per_s(lane: Lane, *server: str) -> float:
    """From the first byte of one group at the client to that of another, after those that filled buffers."""
    process = lane.server(*server)
    client = lane.start("client", "benchmarks.first_bytes")
    client.wait(_RUN_S, lane.processes)
    process.wait(_RUN_S)
    times: Sequence[float] = json.loads(client.output)[_SKIP:]
    lane.stop()
    return (len(times) - 1) * GROUP_BYTES / 1e6 / (times[-1] - times[0])


def _to_topic(lane: Lane, bed: Bed, plan: Plan) -> Figure:
    """Against a consumer that produces what it gets, as many bytes a transaction; by the broker's times."""
    ours: list[float] = []
    floors: list[float] = []
    records = plan.large_groups * SOURCES
    for number in range(plan.rounds):
        topics = [_make_topic(lane, bed, f"{name}-{number}") for name in ("copies", "floor-copies")]
        replay = lane.start(
            "replay", "trapline", "replay", "--quiet", "--speed=max", f"--to-topic={topics[0]}"
        )
        replay.wait(_RUN_S)
        ours.append(copies_stretch(lane, topics[0], records).mb_per_s)
        floor = lane.floor(
            "copier", f"--records={records}", f"--per-transaction={_PER_TRANSACTION}", f"--topic={topics[1]}"
        )
        floor.wait(_RUN_S)
        floors.append(copies_stretch(lane, topics[1], records).mb_per_s)
        bed.delete_topics(*topics)
    return of_rounds(
        "replay to a topic at --speed max, 4 MiB",
        ratios(ours, floors),
        "x floor",
        RATIO,
        {"MB/s": statistics.median(ours), "floor MB/s": statistics.median(floors)},
    )


def _make_topic(lane: Lane, bed: Bed, name: str) -> str:
    config = {
        "max.message.bytes": str(max_record_bytes(lane.settings)),
        "message.timestamp.type": "LogAppendTime",
    }
    topic = NewTopic(name, num_partitions=1, config=config)
    bed.admin.create_topics([topic], operation_timeout=_ASK_S)[name].result(_ASK_S)
    return name

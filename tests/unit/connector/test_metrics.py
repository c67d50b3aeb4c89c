from prometheus_client import REGISTRY, generate_latest

from connector import metrics
from connector.metrics import REASONS, SourceCounts
from schemas.errors import RejectReason
from tests.support.metrics import Change


def test_every_series_is_there_at_zero_before_anything_happens():
    SourceCounts("untouched")
    lines = {
        line.rsplit(" ", 1)[0]: line.rsplit(" ", 1)[1]
        for line in generate_latest(REGISTRY).decode().splitlines()
        if 'source="untouched"' in line and "_created{" not in line
    }
    assert set(lines.values()) == {"0.0"}
    names = {key.partition("{")[0] for key in lines}
    assert names == {
        "trapline_connector_back_pressure_seconds_total",
        "trapline_connector_connect_failures_total",
        "trapline_connector_connected",
        "trapline_connector_connections_ended_total",
        "trapline_connector_connections_total",
        "trapline_connector_delivered_records_total",
        "trapline_connector_delivery_failures_total",
        "trapline_connector_files_total",
        "trapline_connector_frames_total",
        "trapline_connector_last_frame_time_seconds",
        "trapline_connector_queue_bytes",
        "trapline_connector_queue_records",
        "trapline_connector_read_bytes_total",
        "trapline_connector_reconnects_total",
        "trapline_connector_rejects_total",
        "trapline_connector_resyncs_total",
        "trapline_connector_silent",
        "trapline_connector_skipped_bytes_total",
        "trapline_connector_stalled_frames_total",
        "trapline_connector_undelivered_records_total",
    }
    assert sum("rejects_total" in key for key in lines) == len(REASONS)


def test_a_count_is_of_its_run_and_the_metric_of_the_process():
    with Change(metrics.FRAMES.labels("again")) as frames:
        first, second = SourceCounts("again"), SourceCounts("again")
        first.frames.add()
        second.frames.add(2)
    assert (first.frames.total, second.frames.total, frames.by) == (1, 2, 3)


def test_rejects_are_summed_over_reasons_expected_or_not():
    counts = SourceCounts("rejecting")
    counts.reject(RejectReason.BAD_MAGIC)
    counts.reject(RejectReason.BAD_MAGIC)
    counts.reject(RejectReason.CONFLICT)
    assert counts.rejects == 3

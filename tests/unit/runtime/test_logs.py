import io
import json
import logging

import pytest

from runtime import logs
from runtime.kafka_state import librdkafka_log


@pytest.fixture
def secrets(monkeypatch):
    monkeypatch.setattr(logs, "_secrets", set())


@pytest.fixture
def root():
    before = logging.getLogger().handlers[:], logging.getLogger().level
    yield logging.getLogger()
    logging.getLogger().handlers[:] = before[0]
    logging.getLogger().setLevel(before[1])


@pytest.fixture
def stream(root, secrets):  # noqa: ARG001  they clean up
    return io.StringIO()


def lines(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_where_there_is_no_terminal(stream):
    logs.configure_logs("info", "auto", stream)
    logs.get_logger("room").info("group closed", timestamp="now", images=6)
    (line,) = lines(stream)
    assert line.pop("time").endswith("Z")
    assert line.pop("timestamp") == "now"
    assert line == {"event": "group closed", "images": 6, "level": "info", "logger": "room"}


def test_for_people_on_request(stream):
    logs.configure_logs("info", "console", stream)
    logs.get_logger("room").warning("group closed", images=6)
    text = stream.getvalue()
    assert "group closed" in text
    assert "images=6" in text
    assert not text.startswith("{")


def test_levels(stream):
    logs.configure_logs("warning", "json", stream)
    logs.get_logger("room").info("quiet")
    logs.get_logger("room").error("loud")
    assert [line["event"] for line in lines(stream)] == ["loud"]


def test_libraries_end_in_the_same_format(stream):
    logs.configure_logs("info", "json", stream)
    logging.getLogger("librdkafka").warning("%s [%s] %s", "REQTMOUT", "client", "timed out")
    (line,) = lines(stream)
    assert line["event"] == "REQTMOUT [client] timed out"
    assert line["logger"] == "librdkafka"
    assert line["level"] == "warning"


def test_configured_twice_writes_once(stream):
    logs.configure_logs("info", "json", io.StringIO())
    logs.configure_logs("info", "json", stream)
    logs.get_logger("room").info("once")
    assert len(lines(stream)) == 1


def test_secrets_are_masked(stream):
    logs.hide_secrets(["hunter2", ""])
    logs.configure_logs("info", "json", stream)
    logs.get_logger("room").info("login as hunter2", cause="(hunter2)", sasl_password="anything")  # noqa: S106  no real one
    logging.getLogger("library").info("sent %s", "hunter2")
    try:
        int("hunter2")
    except ValueError:
        logs.get_logger("room").exception("failed")
    assert "hunter2" not in stream.getvalue()
    first, second, third = lines(stream)
    assert first["event"] == "login as ***"
    assert first["sasl_password"] == logs.MASK
    assert first["cause"] == "(***)"
    assert second["event"] == "sent ***"
    assert "with base 10: '***'" in third["exception"]


def test_secrets_are_masked_in_tracebacks_for_people_too(stream):
    logs.hide_secrets(["hunter2"])
    logs.configure_logs("info", "console", stream)
    try:
        int("hunter2")
    except ValueError:
        logs.get_logger("room").exception("failed")
    text = stream.getvalue()
    assert "with base 10: '***'" in text
    assert "Traceback" in text
    assert "\n  File " in text  # in lines, as Python lays it out
    assert "hunter2" not in text


@pytest.mark.usefixtures("secrets")
def test_a_library_s_user_gets_plain_records(root, caplog):
    logs.hide_secrets(["hunter2"])
    root.handlers[:] = [each for each in root.handlers if not isinstance(each, logs._Handler)]
    with caplog.at_level("INFO"):
        logs.get_logger("room").info("group closed", images=6, cause="hunter2")
    assert caplog.messages == ["group closed images=6 cause='***'"]


def test_failed_connections_are_left_to_the_error_callback(stream):
    logs.configure_logs("info", "json", stream)
    librdkafka_log.warning("FAIL [client] connection refused")
    assert stream.getvalue() == ""

"""Health and metrics are for this machine alone, unless somebody says otherwise."""

import json

import psutil
import pytest

from tests.support.waiting import wait_until
from trapline.demo.processes import Stages


@pytest.mark.parametrize(("options", "address"), [((), "127.0.0.1"), (("--http-host=0.0.0.0",), "0.0.0.0")])  # noqa: S104
def test_the_address_that_http_is_bound_to(options, address, tmp_path):
    with Stages(tmp_path) as stages:
        stages.tell(log_format="json")
        stage = stages.start("emulator", "--port=0", "--http-port=0", *options)

        def served():
            lines = (line for line in stage.log.read_text().splitlines() if line.endswith("}"))
            events = (json.loads(line) for line in lines)
            return next((each["port"] for each in events if "metrics are served" in each["event"]), None)

        port = wait_until(served, "the port of /metrics", timeout=60)
        bound = {
            each.laddr.ip
            for each in psutil.Process(stage.pid).net_connections("inet")
            if each.status == psutil.CONN_LISTEN and each.laddr.port == port
        }
        assert bound == {address}

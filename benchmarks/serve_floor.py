"""The floor of serving: a bare loop that sleeps until a group is due and sends frames that it has in memory.

What it is late by is the machine's: two processes that have to be woken, beside whatever else runs.
"""

import json
import socket
import time
from pathlib import Path

import click

from benchmarks.plan import LARGE, SOURCES
from schemas.frame import encode_frame

_LEAD_S = 0.5
_TEXT = b"".join(card.ljust(80) for card in (b"SIMPLE  =                    T", b"END")) * 20


@click.command()
@click.option("--ports-file", required=True, help="Where to write the addresses.")
@click.option("--groups", type=int, required=True, help="Groups to send, one a second.")
def serve(ports_file: str, groups: int) -> None:
    """Send to one client a source; write [[number, due_s, began_s], …], on the monotonic clock."""
    frame = encode_frame(_TEXT, bytes(4 * LARGE * LARGE))
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(SOURCES)]
    addresses = [f"sb{n}=tcp://127.0.0.1:{each.getsockname()[1]}" for n, each in enumerate(listeners)]
    Path(ports_file).write_text(",".join(addresses), encoding="utf-8")
    clients = [listener.accept()[0] for listener in listeners]
    for client in clients:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    first_s = time.monotonic() + _LEAD_S
    sent: list[tuple[int, float, float]] = []
    for number in range(groups):
        due_s = first_s + number
        time.sleep(max(0.0, due_s - time.monotonic()))
        sent.append((number, due_s, time.monotonic()))
        for client in clients:
            client.sendall(frame)
    for each in (*clients, *listeners):
        each.close()
    print(json.dumps(sent))


if __name__ == "__main__":
    serve()

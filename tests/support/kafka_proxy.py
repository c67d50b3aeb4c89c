"""A wire to Kafka that knows requests by their API key: delays, holds, drops or cuts chosen ones, or dies.

The protocol, as far as it matters here: a message is a length of four bytes and so many bytes. A request
begins with API key, API version (two bytes each) and correlation id (four); its answer with that
correlation id. Answers of one connection come in the order of its requests.

Brokers tell clients each other's addresses, so a client that came through the proxy would go past it; the
brokers have a listener for it whose *advertised* address is the proxy's (tests/support/routed_kafka.py).
"""

import asyncio
import contextlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from tests.support.proxy_loop import HOST, ProxyLoop, reset

_LIMIT_BYTES = 256 * 1024**2


class Api(IntEnum):
    """The requests that matter here, by Kafka's numbers."""

    PRODUCE = 0
    FETCH = 1
    INIT_PRODUCER_ID = 22
    ADD_PARTITIONS_TO_TXN = 24
    ADD_OFFSETS_TO_TXN = 25
    END_TXN = 26
    TXN_OFFSET_COMMIT = 28


class Way(StrEnum):
    """Which of the two messages."""

    REQUEST = "request"
    ANSWER = "answer"


class Act(StrEnum):
    """What is done to it."""

    DELAY = "delay"  # it arrives after so many seconds, and so does what follows on its connection
    HOLD = "hold"  # it arrives when the rule is lifted, even if its sender is gone by then
    DROP = "drop"  # it never arrives; the connection goes on
    CUT = "cut"  # it never arrives, and the connection is broken
    DIE = "die"  # as if the brokers had died: each connection is broken, and no other one can be made


@dataclass(eq=False)
class Rule:
    """What to do to which messages.

    Attributes:
        api: of the request.
        way: the request, or its answer.
        act: see there.
        seconds: of a delay.
        limit: do it to so many messages.
        acted: how many it was done to so far.
        passed_on: how many delayed or held ones have arrived since.
    """

    api: Api
    way: Way
    act: Act
    seconds: float = 0.0
    limit: int = 1
    acted: int = 0
    passed_on: int = 0

    def takes(self, api: int, way: Way) -> bool:
        return api == self.api and way is self.way and self.acted < self.limit

    def __str__(self) -> str:
        return f"{self.act} {self.way} of {self.api.name}"


class KafkaProxy:
    """The way of one kind of client to all brokers.

    Args:
        loop: that serves it.
        ports: for each port to listen on, the broker's port that it leads to.
    """

    def __init__(self, loop: ProxyLoop, ports: Mapping[int, int]) -> None:
        self.requests: dict[int, int] = {}
        self._loop = loop
        self._ports = ports
        self._rules: list[Rule] = []
        self._servers: list[asyncio.Server] = []
        self._ends: set[asyncio.StreamWriter] = set()
        self._lifted = loop.run(self._listen())

    def apply(self, *rules: Rule) -> None:
        """From now on; rules are tried in order."""
        self._loop.call(self._rules.extend, rules)

    def lift(self) -> None:
        """Take all rules away; what is held arrives."""
        self._loop.call(self._lift)

    async def _listen(self) -> asyncio.Event:
        for port, to in self._ports.items():
            server = await self._loop.listen(
                port, lambda reader, writer, to=to: self._serve(reader, writer, to)
            )
            self._servers.append(server)
        return asyncio.Event()

    def _lift(self) -> None:
        self._rules.clear()
        self._lifted.set()
        self._lifted = asyncio.Event()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, to: int) -> None:
        try:
            up_reader, up_writer = await asyncio.open_connection(HOST, to)
        except OSError:
            reset(writer)
            return
        asked: dict[bytes, int] = {}
        self._ends |= {writer, up_writer}
        try:
            async with asyncio.TaskGroup() as group:
                answers = group.create_task(self._answers(up_reader, writer, up_writer, asked))
                # A request that is held still arrives when its sender has gone: so is a slow network.
                await self._requests(reader, up_writer, writer, asked)
                if up_writer.can_write_eof() and not up_writer.is_closing():
                    with contextlib.suppress(OSError):
                        up_writer.write_eof()
                await answers
        finally:
            self._ends -= {writer, up_writer}
            writer.close()
            up_writer.close()

    def _break(self, rule: Rule, *ends: asyncio.StreamWriter) -> bool:
        """Break what the rule wants broken: these ends, or all there are; says whether it does."""
        if rule.act is Act.DIE:
            for server in self._servers:
                server.close()
            ends = tuple(self._ends)
        elif rule.act is not Act.CUT:
            return False
        for end in ends:
            reset(end)
        return True

    async def _requests(
        self,
        reader: asyncio.StreamReader,
        up_writer: asyncio.StreamWriter,
        writer: asyncio.StreamWriter,
        asked: dict[bytes, int],
    ) -> None:
        while (message := await _message(reader)) is not None:
            api = int.from_bytes(message[:2])
            self.requests[api] = self.requests.get(api, 0) + 1
            rule = self._rule(api, Way.REQUEST)
            if rule is not None and not await self._arrives(rule):
                if self._break(rule, writer, up_writer):
                    return
                continue
            asked[message[4:8]] = api
            if not await _send(up_writer, message):
                reset(writer)
                return
            if rule is not None:
                rule.passed_on += 1

    async def _answers(
        self,
        up_reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        up_writer: asyncio.StreamWriter,
        asked: dict[bytes, int],
    ) -> None:
        while (message := await _message(up_reader)) is not None:
            rule = self._rule(asked.pop(message[:4], -1), Way.ANSWER)
            if rule is not None and not await self._arrives(rule):
                if self._break(rule, writer, up_writer):
                    return
                continue
            # Whether the client is still there does not matter: it may have sent more before it went.
            if await _send(writer, message) and rule is not None:
                rule.passed_on += 1
        writer.close()

    def _rule(self, api: int, way: Way) -> Rule | None:
        for rule in self._rules:
            if rule.takes(api, way):
                rule.acted += 1
                return rule
        return None

    async def _arrives(self, rule: Rule) -> bool:
        """Wait as long as the rule says; whether the message arrives at all."""
        if rule.act is Act.DELAY:
            await asyncio.sleep(rule.seconds)
        elif rule.act is Act.HOLD:
            await self._lifted.wait()
        return rule.act in {Act.DELAY, Act.HOLD}


def total(rules: Collection[Rule]) -> int:
    """How many messages they acted on."""
    return sum(rule.acted for rule in rules)


async def _message(reader: asyncio.StreamReader) -> bytes | None:
    """The next one without its length; None at the end of the connection."""
    try:
        size = int.from_bytes(await reader.readexactly(4))
        if size > _LIMIT_BYTES:
            raise ConnectionError(f"{size} bytes is no message of Kafka's")
        return await reader.readexactly(size)
    except (OSError, asyncio.IncompleteReadError):
        return None


async def _send(writer: asyncio.StreamWriter, message: bytes) -> bool:
    """False where the connection is gone."""
    try:
        writer.write(len(message).to_bytes(4) + message)
        await writer.drain()
    except OSError:
        return False
    return True

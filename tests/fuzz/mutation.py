"""Inputs near those that are there, without an engine: the same ones for the same seed, on any machine."""

import random
from collections.abc import Iterator, Sequence

_EDGES = (0, 1, 9, 10, 13, 32, 39, 48, 57, 61, 127, 128, 255)
_MOST_CHANGES = 4


def mutations(
    inputs: Sequence[bytes], tokens: Sequence[bytes], *, seed: str, count: int, max_bytes: int = 8192
) -> Iterator[bytes]:
    """Make `count` inputs, each from one or two of the given ones by one to four changes."""
    chance = random.Random(seed)
    for _ in range(count):
        data = bytearray(chance.choice(inputs))
        for _ in range(chance.randint(1, _MOST_CHANGES)):
            _change(data, chance, inputs, tokens)
        yield bytes(data[:max_bytes])


def _change(data: bytearray, chance: random.Random, inputs: Sequence[bytes], tokens: Sequence[bytes]) -> None:
    at = chance.randint(0, len(data))
    size = min(chance.choice((1, 1, 2, 4, 8, 16, 80)), len(data) - at)
    kind = chance.randrange(7)
    if kind == 0 and size:
        data[at] ^= 1 << chance.randrange(8)
    elif kind == 1 and size:
        data[at] = chance.choice(_EDGES)
    elif kind == 2:
        del data[at : at + size]
    elif kind == 3:
        data[at:at] = data[at : at + size] * chance.randint(1, 3)
    elif kind == 4:
        data[at:at] = chance.choice(tokens)
    elif kind == 5:
        token = chance.choice(tokens)
        data[at : at + len(token)] = token
    else:
        other = chance.choice(inputs)
        data[at:] = other[chance.randint(0, len(other)) :]

"""The partition that Kafka's Java client gives a key: 32-bit MurmurHash2 with its seed, then modulo.

Written from the published algorithm, so that librdkafka's word for it need not be taken.
"""

from typing import Final

_SEED: Final = 0x9747B28C
_FACTOR: Final = 0x5BD1E995
_WORD: Final = 0xFFFFFFFF


def murmur2(key: bytes) -> int:
    """The hash of a key, as an unsigned number."""
    hashed = _SEED ^ len(key)
    whole = len(key) - len(key) % 4
    for at in range(0, whole, 4):
        word = int.from_bytes(key[at : at + 4], "little") * _FACTOR & _WORD
        word = (word ^ word >> 24) * _FACTOR & _WORD
        hashed = hashed * _FACTOR & _WORD ^ word
    if whole < len(key):
        hashed = (hashed ^ int.from_bytes(key[whole:], "little")) * _FACTOR & _WORD
    hashed = (hashed ^ hashed >> 13) * _FACTOR & _WORD
    return hashed ^ hashed >> 15


def java_partition(key: bytes, partitions: int) -> int:
    """The number of the partition. Java makes the hash positive by dropping its sign."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions

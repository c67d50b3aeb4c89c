import pytest
import xxhash

from schemas.digest import DIGEST, frame_digest


def test_a_known_value():
    # XXH3 with 128 bits of nothing, from the algorithm's own test vectors
    assert frame_digest(b"") == "xxh3-128:99aa06d3014798d86001c324468d497f"


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer(kind):
    data = bytes(range(256)) * 40
    assert frame_digest(kind(data)) == "xxh3-128:" + xxhash.xxh3_128(data).hexdigest()


def test_form():
    assert DIGEST.fullmatch(frame_digest(b"x"))
    assert not DIGEST.fullmatch("xxh3-128:" + "A" * 32)
    assert not DIGEST.fullmatch("md5:" + "a" * 32)

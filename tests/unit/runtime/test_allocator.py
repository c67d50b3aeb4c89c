"""Freed memory stays with the process: seen by the pages that the kernel has to bring in anew."""

import platform
import subprocess
import sys

import pytest

CHURN = """
import resource, sys
from runtime.allocator import keep_freed_memory
if "keep" in sys.argv:
    assert keep_freed_memory()
def churn():
    for _ in range(20):
        frames = [bytes(4 * 1024**2) for _ in range(8)]
        del frames
churn()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
churn()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(*arguments):
    done = subprocess.run(
        [sys.executable, "-c", CHURN, *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    return int(done.stdout)


@pytest.mark.xfail(platform.libc_ver()[0] != "glibc", reason="only glibc has the setting", strict=True)
def test_freed_frames_are_used_again():
    assert faults("keep") * 10 < faults()

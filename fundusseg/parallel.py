"""The cores, and a map over threads that keeps order and never holds more than a few items.

Decoding, resampling and encoding run in C code that releases the interpreter lock, so
threads are enough, and nothing has to be pickled. Chaining two of these maps around a
generator gives a pipeline in which reading, computing and writing overlap.
"""

import os
import platform
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def free_cores() -> int:
    """The number of cores that this process may run on (taskset, cpusets and Slurm set it)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS cannot tell


def processor() -> str:
    """The processor's name and whether it multiplies in bfloat16, for tables of times."""
    lines = _cpuinfo().splitlines()
    names = (line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine()) + (" (avx512_bf16)" if cpu_has_bfloat16() else "")


def cpu_has_bfloat16() -> bool:
    """Whether the processor multiplies in bfloat16 (avx512_bf16)."""
    return "avx512_bf16" in _cpuinfo().split()


def _cpuinfo() -> str:
    """What Linux tells of the processor; nothing elsewhere."""
    try:
        return Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""


def ordered_map(
    function: Callable[[Item], Result], items: Iterable[Item], jobs: int, ahead: int = 2
) -> Iterator[Result]:
    """Yield `function(item)` for each item, in the items' order.

    At most `jobs + ahead` items are taken from `items` before the first result is
    handed out, so memory stays bounded however long the input is. `items` is read in
    the caller's thread. An exception of `function` is raised at its item's turn.
    """
    with ThreadPoolExecutor(jobs) as pool:
        pending: deque = deque()
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) >= jobs + ahead:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()

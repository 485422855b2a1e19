"""A map over threads that keeps order and never holds more than a few items.

Decoding, resampling and encoding run in C code that releases the interpreter lock, so
threads are enough, and nothing has to be pickled. Chaining two of these maps around a
generator gives a pipeline in which reading, computing and writing overlap.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


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

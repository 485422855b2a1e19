"""The workers of a training as a stage sees them: one process here, which needs no tensorflow.

`nets.distribution` has those of several replicas and of several processes.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fundusseg import stop


class Workers:
    """The workers of a training; these are one process with one replica.

    Attributes:
        replicas: parts that a global batch is dealt out in, one for each GPU, or one for each
            process without a GPU.
        count: processes (workers). rank: this one's number; the chief, 0, writes.
        strategy: of tensorflow; None for its default.
    """

    replicas = 1
    count = 1
    rank = 0
    strategy = None

    @property
    def is_chief(self) -> bool:
        """Whether this is the worker that validates and writes."""
        return self.rank == 0

    def together(self, action: Callable[[], object]) -> object:
        """What `action` returns, run by every worker; if it fails on one, all end.

        Raises:
            FundussegError: of this worker, or saying that another one failed.
        """
        return action()

    def from_chief(self, action: Callable[[], int | None]) -> int:
        """What `action` returns on the chief, which alone runs it while the others wait.

        Raises:
            FundussegError: as in `together`.
        """
        return int(action() or 0)

    def require_equal(self, number: Callable[[], int], problem: str) -> None:
        """Make sure that `number` (64 bit, signed) is the same on all workers.

        Raises:
            FundussegError: with `problem`, if it is not.
        """

    def stop_requested(self, step: int, asked: bool = False) -> bool:
        """Whether a worker was asked to stop, the same answer for all after the same step.

        asked: the question may not wait for a later step.
        """
        return stop.requested()

    @contextmanager
    def stopped_by_a_loss(self) -> Iterator[None]:
        """Raise `Stopped` from the body if a worker is lost during it."""
        yield

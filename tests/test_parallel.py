"""The map over threads keeps order, stays bounded, and fails at the right item."""

import threading
import time
from itertools import islice

import pytest

from fundusseg.parallel import ordered_map


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_results_come_in_the_items_order(jobs):
    def slow_first(number: int) -> int:
        time.sleep(0.002 * (number % 3 == 0))
        return number**2

    assert list(ordered_map(slow_first, range(30), jobs)) == [n**2 for n in range(30)]


def test_nothing_gives_nothing():
    assert list(ordered_map(abs, [], 2)) == []


def test_no_more_items_are_taken_than_jobs_and_a_few():
    taken = []

    def items():
        for number in range(100):
            taken.append(number)
            yield number

    results = ordered_map(abs, items(), jobs=3, ahead=2)
    assert next(results) == 0
    assert len(taken) == 5
    assert list(islice(results, 10))[-1] == 10
    assert len(taken) == 15
    results.close()


def test_items_are_read_in_the_callers_thread_and_worked_on_in_others():
    readers, workers = set(), set()

    def items():
        for number in range(5):
            readers.add(threading.get_ident())
            yield number

    list(ordered_map(lambda _: workers.add(threading.get_ident()), items(), 2))
    assert readers == {threading.get_ident()}
    assert threading.get_ident() not in workers


def test_jobs_run_at_the_same_time():
    together = threading.Barrier(2, timeout=10)
    assert len(list(ordered_map(lambda _: together.wait(), range(4), 2))) == 4


def test_an_exception_comes_at_its_items_turn():
    results = ordered_map(lambda number: 1 // (number - 2), range(100), 2)
    assert next(results) == -1
    assert next(results) == -1
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_an_exception_of_the_items_comes_through():
    def items():
        yield 1
        raise KeyError

    with pytest.raises(KeyError):
        list(ordered_map(abs, items(), 2))


def test_a_caller_that_stops_early_ends_the_work():
    done = []

    def slowly(number: int) -> None:
        time.sleep(0.01)
        done.append(number)

    results = ordered_map(slowly, range(1000), jobs=1, ahead=30)
    next(results)
    results.close()
    assert len(done) < 20  # of 31 that were taken

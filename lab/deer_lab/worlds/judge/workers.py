"""Independent jobs on several processes, each with a world of its own (`catalog.own_world`)."""

import ctypes
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

Result = TypeVar("Result")
PR_SET_PDEATHSIG = 1  # linux/prctl.h
MAX_DEATHS = 3  # workers that may die before the whole gives up


def run_jobs(job: Callable[[int], Result], numbers: list[int], workers: int) -> Iterator[tuple[int, Result]]:
    """Yields each number with its job's result as it is ready; runs a dead worker's jobs again.

    Where it is left early, as by Ctrl-C, only the jobs under way are waited for. Raises BrokenProcessPool where workers
    keep dying, and whatever a job raises.
    """
    deaths, left = 0, set(numbers)
    while left:
        pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=follow_the_parent)
        try:
            pending = {pool.submit(job, number): number for number in sorted(left)}
            while pending:
                ready, _ = wait(pending, return_when=FIRST_COMPLETED)
                for future in ready:
                    number = pending.pop(future)
                    result = future.result()
                    left.discard(number)
                    yield number, result
        except BrokenProcessPool:
            deaths += 1
            if deaths > MAX_DEATHS:
                raise
            print(f"a worker died; {len(left)} jobs are left and run again", file=sys.stderr)
        finally:
            pool.shutdown(cancel_futures=True)


def follow_the_parent() -> None:
    """Ctrl-C is the parent's to answer; where it dies without a word, so does its worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()


def die_with_parent() -> None:
    """Asks the kernel to end this process when the one that started it dies, however it dies."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

"""Independent jobs on several processes or machines, each with a world of its own (`catalog.own_world`)."""

import argparse
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

from deer_lab.worlds.judge.cluster import run_on_cluster

Result = TypeVar("Result")
PR_SET_PDEATHSIG = 1  # linux/prctl.h
MAX_DEATHS = 3  # workers that may die before the whole gives up


def add_options(parser: argparse.ArgumentParser) -> None:
    """Gives a program the options --workers and --ray."""
    parser.add_argument("--workers", type=int, default=1, help="processes on this machine")
    parser.add_argument("--ray", metavar="ADDRESS", help="a Ray cluster whose CPUs work instead")


def run_jobs(
    job: Callable[[int], Result], numbers: list[int], workers: int, cluster: str | None = None
) -> Iterator[tuple[int, Result]]:
    """Yields each number with its job's result as it is ready; runs a dead worker's jobs again.

    On `workers` processes of this machine or, where it has the address of one, on a Ray `cluster`. Where it is left
    early, as by Ctrl-C, only the jobs under way are waited for. Raises BrokenProcessPool where workers keep dying,
    ValueError where there is no such cluster, and whatever a job raises.
    """
    if cluster is not None:
        yield from run_on_cluster(job, numbers, cluster)
        return
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
    """Ctrl-C is the parent's to answer; where it dies without a word, so does its worker.

    What a simulator prints is no result, so it goes to stderr.
    """
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()


def die_with_parent() -> None:
    """Asks the kernel to end this process when the one that started it dies, however it dies."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

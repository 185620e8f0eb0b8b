"""The same jobs on a Ray cluster. The only module that names Ray.

Every node must have deer_lab, and find bundles, recordings and programs under the same paths: a shared file system. Its
environment is that of the shell in which `ray start` was called; a bundle needs ROS sourced there.
"""

import os
import socket
from collections.abc import Callable, Iterator
from typing import TypeVar

Result = TypeVar("Result")
CALVIN = "CALVIN_ENV"
CARRIED = (CALVIN, "MUJOCO_GL")  # what a job must know of this process's environment
PATIENCE_SECS = 10.0
MAX_DEATHS = 10  # times that one job may lose its worker before the whole gives up


def knock(address: str) -> None:
    """Raises OSError where nobody listens at HOST:PORT or ray://HOST:PORT, for which Ray itself would wait minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE_SECS).close()


def run_on_cluster(job: Callable[[int], Result], numbers: list[int], address: str) -> Iterator[tuple[int, Result]]:
    """Yields each number with its job's result as it is ready; Ray runs the jobs of lost workers and nodes again.

    As many at once as the cluster has CPUs. Raises ValueError where Ray is not installed or no cluster answers, and
    whatever a job raises.
    """
    try:
        import ray
    except ImportError as error:
        raise ValueError("--ray needs Ray: pip install -e 'lab[ray]'") from error
    environment = {name: os.environ[name] for name in CARRIED if name in os.environ}
    if CALVIN in environment:  # a worker begins elsewhere
        environment[CALVIN] = os.path.abspath(os.path.expanduser(environment[CALVIN]))
    try:
        knock(address)
        ray.init(address, runtime_env={"env_vars": environment}, log_to_driver=False, logging_level="error")
    except (OSError, RuntimeError) as error:
        raise ValueError(f"no Ray cluster at {address}: begin one with `ray start --head` ({error})") from error

    @ray.remote(num_cpus=1, max_retries=MAX_DEATHS)
    def run(number: int) -> Result:
        return job(number)

    try:
        pending = {run.remote(number): number for number in numbers}
        while pending:
            ready, _ = ray.wait(list(pending))
            for reference in ready:
                yield pending.pop(reference), ray.get(reference)
    finally:
        ray.shutdown()  # jobs that are left end with it

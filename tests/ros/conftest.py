import itertools
import os
import signal

import numpy as np
import pytest
from peer import Peer
from programs import Running, policy

os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # tests that run under nohup hand that on, and a node would go on, too
DOMAINS = itertools.cycle(range(50, 60))


@pytest.fixture
def domain() -> int:
    """A ROS domain of one's own: what an earlier test left behind is not heard here."""
    return next(DOMAINS)


@pytest.fixture
def pair(domain, tmp_path):
    """Starts a node and its peer; afterwards the node must end cleanly.

    In lock-step where time is simulated (it is unless parameters say otherwise), enabled and with the loosest limit on
    the frames' age.
    """
    started = []

    def begin(*, remappings: dict | None = None, peer: dict | None = None, **parameters) -> tuple[Running, Peer]:
        defaults = {"use_sim_time": True, "autostart": True, "dry_run": False, "images__qos": "default"}
        parameters = defaults | {"max_frame_age": 10.0} | parameters
        parameters.setdefault("twist__mode", "lock_step" if parameters["use_sim_time"] else "stream")
        node = policy(tmp_path, domain, remappings=remappings, **parameters)
        listener = Peer(
            domain,
            sim_time=parameters["use_sim_time"],
            dry_run=parameters["dry_run"],
            compressed=parameters.get("images__transport") == "compressed",
            **(peer or {}),
        )
        started.append((node, listener))
        listener.meet(node.check)
        return node, listener

    yield begin
    for node, listener in started:
        code = node.stop()
        listener.close()
        assert code == 0, f"the node ended with {code}:\n{node.said()[-3000:]}"


@pytest.fixture
def pictures() -> tuple[np.ndarray, np.ndarray]:
    """A picture of each camera: smooth colours, so that JPEG changes them little."""
    return picture(200, 0), picture(84, 1)


@pytest.fixture
def other_pictures() -> tuple[np.ndarray, np.ndarray]:
    return picture(200, 2), picture(84, 3)


def picture(side: int, seed: int) -> np.ndarray:
    """[side, side, 3] uint8: three slanted waves."""
    phase = np.random.default_rng(seed).uniform(0, 2 * np.pi, (3, 3, 1, 1))
    y, x = np.mgrid[0:side, 0:side] * (2 * np.pi / side)
    waves = [np.sin((1 + i) * x + a) + np.cos((3 - i) * y + b) + np.sin(x + y + c) for i, (a, b, c) in enumerate(phase)]
    return (127.5 + 42 * np.stack(waves, axis=-1)).astype(np.uint8)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What colcon builds takes the place of the programs that can be told to go wrong: its tests come last."""
    items.sort(key=lambda item: item.path.name == "test_install.py")

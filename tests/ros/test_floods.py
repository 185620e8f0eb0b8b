"""Cameras that are much faster than the node."""

import time

import pytest
from messages import Decision, time_message
from peer import Peer

SECONDS = 3.0


def counted(peer: Peer) -> dict[str, int]:
    """What the node said last of both cameras together: messages that came, and pictures that were read."""
    inputs = [status for report in peer.diagnostics for status in report.status if "Inputs/" in status.name][-2:]
    values = [value for status in inputs for value in status.values]
    return {key: sum(int(value.value) for value in values if value.key == key) for key in ("came", "read")}


@pytest.mark.parametrize("transport", ["raw", "compressed"])
def test_of_a_flood_of_pictures_no_more_are_read_than_steps_need(pair, pictures, transport):
    """The arm goes on: nothing latches, and what comes too fast is dropped before it is read.

    Of files one a camera may be decoded while the last step still computes, and prove too old when it is over.
    """
    node, peer = pair(
        use_sim_time=False,
        images__qos="sensor_data",
        images__transport=transport,
        max_frame_age=1.0,
        max_silence=1.0,
        images__min_rate=0.0,
        images__frozen=0,
        peer={"best_effort": True},
    )
    peer.say("push the button")
    peer.stream(pictures, lambda: peer.decisions[-1].acts, "an action")
    told = len(peer.diagnostics)
    peer.until(lambda: len(peer.diagnostics) > told, "a diagnosis before the flood")
    before, first = counted(peer), len(peer.decisions)
    messages = [peer.image(picture, 0) for picture in pictures]
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        for publisher, message in zip((peer.static, peer.gripper), messages, strict=True):
            message.header.stamp = time_message(time.time_ns())
            publisher.publish(message)
        peer.executor.spin_once(timeout_sec=0)
    told = len(peer.diagnostics)
    peer.until(lambda: len(peer.diagnostics) > told + 1, "a diagnosis after the flood")
    node.check()
    flood: list[Decision] = peer.decisions[first:]
    after = counted(peer)
    came, read = (after[key] - before[key] for key in ("came", "read"))
    assert came > 4 * len(flood), "no flood"
    most = {"raw": 1, "compressed": 2}[transport] * 2 * len(flood) + 10
    assert read <= most, f"{read} of {came} pictures were read for {len(flood)} decisions"
    assert any(decision.acts for decision in flood)
    assert not any(decision["state"] == "fault" for decision in flood)

"""A node that moves an arm in real time, and everything that can go wrong while it does."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from arm import last_zeros
from messages import PERIOD, SECOND, image_message, is_zero
from peer import Peer
from programs import Running
from std_srvs.srv import SetBool

VARIANTS = 16


class Live:
    """Cameras of 30 Hz with noise, one instruction, and a file that tells the network what to do wrong.

    `feeds` maps a camera to what it makes of a picture and its time: a message, or None for silence.
    """

    def __init__(self, node: Running, peer: Peer, pictures: tuple[np.ndarray, np.ndarray], fault_file: Path):
        self.node, self.peer, self.fault_file = node, peer, fault_file
        random = np.random.default_rng(0)
        noise = [[random.integers(0, 8, p.shape, np.uint8) for p in pictures] for _ in range(VARIANTS)]
        self.variants = [[p // 2 + n for p, n in zip(pictures, noises, strict=True)] for noises in noise]
        self.shown = 0
        self.feeds = [image_message, image_message]

    def show(self) -> int:
        """Waits for the cameras' next moment and publishes it; gives its time."""
        stamp = self.peer.tick()
        self.shown += 1
        pictures = self.variants[self.shown % VARIANTS]
        for publisher, feed, picture in zip((self.peer.static, self.peer.gripper), self.feeds, pictures, strict=True):
            message = feed(picture, stamp)
            if message is not None:
                publisher.publish(message)
        self.peer.shown = stamp
        return stamp

    def until(self, condition: Callable, what: str, patience: float = 30.0):
        def shown_in_vain():
            self.show()
            self.node.check()
            return condition()

        return self.peer.until(shown_in_vain, what, patience)

    def begin(self, text: str = "push the button") -> None:
        """Clears what went wrong and moves the arm."""
        self.feeds = [image_message, image_message]
        self.fault_file.write_text("")
        self.peer.stop(False)
        self.peer.say(text)
        if self.peer.decisions and self.peer.decisions[-1]["state"] == "fault":
            self.until_answered("clear_fault")
        self.until(self.enabled, "the node to be ready")
        self.peer.twists.clear()
        self.until(lambda: len(self.peer.twists) > 20 and not any(map(is_zero, self.peer.twists[-15:])), "a motion")

    def enabled(self) -> bool:
        return self.peer.enable().success

    def until_answered(self, service: str) -> None:
        self.until(lambda: self.peer.trigger(service).success, f"{service} to be followed")

    def state(self) -> str:
        return self.peer.decisions[-1]["state"]

    def until_zero(self, fault: int) -> tuple[int, int] | None:
        """Goes on for a while; nanoseconds from the fault to the first zero of the halt, and how many zeros it had.

        None where the arm stood already: a busy machine makes holds of its own. The gripper, too, is told nothing later
        than two control periods after the fault; what was sent then may take a moment to be heard.
        """
        end = time.time_ns() + SECOND // 5
        told = None
        while time.time_ns() < end:
            if told is None and time.time_ns() > fault + 2 * PERIOD + SECOND // 20:
                told = len(self.peer.gripper_commands)
            if self.node.process.poll() is None:
                self.show()
            else:
                self.peer.executor.spin_once(timeout_sec=0.01)
        # On a busy machine what was said may still wait to be heard.
        heard = -1
        while heard < len(self.peer.twists):
            heard = len(self.peer.twists)
            for _ in range(5):
                self.peer.executor.spin_once(timeout_sec=0.01)
        assert told in (None, len(self.peer.gripper_commands)), "the gripper is told something after the halt"
        zeros = last_zeros(self.peer.twists, fault)
        assert zeros or is_zero(self.peer.twists[-1]), "it goes on moving"
        return (zeros[0] - fault, len(zeros)) if zeros else None


# Faults. Each gives the time from which on the arm should not move any more.


def estop(live: Live) -> int:
    live.peer.stop(True)
    return time.time_ns()


def disable(live: Live) -> int:
    client = live.peer.node.create_client(SetBool, "deer_vla/enable")
    live.until(client.service_is_ready, "the service enable")
    began = time.time_ns()
    client.call_async(SetBool.Request(data=False))
    return began


def terminate(live: Live) -> int:
    live.node.process.send_signal(signal.SIGTERM)
    return time.time_ns()


def interrupt(live: Live) -> int:
    live.node.process.send_signal(signal.SIGINT)
    return time.time_ns()


def hang_up(live: Live) -> int:
    """As a terminal does that is closed."""
    live.node.process.send_signal(signal.SIGHUP)
    return time.time_ns()


def spoil(live: Live, feeds: list[Callable | None]) -> int:
    """From the next picture on cameras send something else."""
    live.feeds = [feed or image_message for feed in feeds]
    return live.show()


def both_cameras_die(live: Live) -> int:
    last = live.show()
    live.feeds = [lambda *_: None] * 2
    return last


def one_camera_dies(live: Live) -> int:
    last = live.show()
    live.feeds = [image_message, lambda *_: None]
    return last


def frozen_camera(live: Live) -> int:
    """From the first picture on that is the same as the one before."""
    still = live.variants[0][0]
    spoil(live, [lambda _, stamp: image_message(still, stamp), None])
    return live.show()


def covered_lens(live: Live) -> int:
    return spoil(live, [lambda picture, stamp: image_message(np.full_like(picture, 30), stamp), None])


def other_encoding(live: Live) -> int:
    return spoil(live, [None, lambda picture, stamp: image_message(picture, stamp, "bgr8")])


def other_size(live: Live) -> int:
    return spoil(live, [None, lambda picture, stamp: image_message(picture[:-2], stamp)])


def old_pictures(live: Live) -> int:
    return spoil(live, [lambda picture, stamp: image_message(picture, stamp - SECOND // 2)] * 2)


def future_pictures(live: Live) -> int:
    return spoil(live, [lambda picture, stamp: image_message(picture, stamp + SECOND // 2)] * 2)


def skewed_pictures(live: Live) -> int:
    return spoil(live, [None, lambda picture, stamp: image_message(picture, stamp - SECOND // 10)])


def network(fault: str) -> Callable[[Live], int]:
    def fail(live: Live) -> int:
        live.peer.tick()  # the step before this one has begun, and it reads the file when it begins
        began = time.time_ns()
        live.fault_file.write_text(fault)
        live.show()
        return began

    return fail


ENDS = {"SIGTERM": terminate, "SIGINT": interrupt, "SIGHUP": hang_up, "panic of the control thread": network("panic")}
PICTURES = {
    "both cameras die": both_cameras_die,
    "one camera dies": one_camera_dies,
    "frozen camera": frozen_camera,
    "covered lens": covered_lens,
    "other encoding": other_encoding,
    "other size": other_size,
    "old pictures": old_pictures,
    "pictures from the future": future_pictures,
    "skewed pictures": skewed_pictures,
}
OTHERS = {
    "estop": estop,
    "disable": disable,
    "not a number": network("nan"),
    "huge numbers": network("huge"),
    "network hangs": network("hang 0.5"),
}
FAULTS = OTHERS | PICTURES | ENDS

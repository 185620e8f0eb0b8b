"""A world that goes wrong on purpose, and what holds whatever goes wrong in it.

A schedule is drawn from a seed. The simulated tabletop lives through its part and says for every control period what
was wrong in it: from that follows when the arm must stand. The network's part goes into the file that a node built with
the feature `faults` reads before every step.
"""

import json
import math
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from messages import PERIOD, SECOND, Decision, nanoseconds_of, numbers_of
from peer import Peer
from programs import Running, policy
from std_msgs.msg import String
from std_srvs.srv import Trigger

CAMERAS = "static", "gripper"
MAX_AGE, MAX_SKEW = 0.2, 0.05  # [s], as in config/policy.yaml
# [m/s, rad/s] in lock step: every output at its end
MOST = {False: (0.35, 0.7), True: (0.6 * math.sqrt(3), 1.5 * math.sqrt(3))}
MARGIN = 0.02  # [s] around a limit in which either answer is right
# How many commands may still move the arm after its last action has ended: two control periods of them, at 100 a second
# and at one a period. Counted, not timed: where a busy machine does not let the node run, it sends nothing either.
STILL_MOVING = {False: 8, True: 2}
MUST_HAVE_STOOD = SECOND // 2  # [ns] without usable pictures after which a zero must have come on any machine
NETWORK_AFTER = 15  # periods of a schedule after which its network goes wrong
QUIET = 12  # periods without a fault after which a schedule is over, late pictures included
AFTER_DEATH = 15  # periods that a dead world is watched for
INSTRUCTION = "push the button"
ASK_SECS = 2.0


@dataclass(frozen=True)
class Schedule:
    """What goes wrong, and in which of the two ways of running."""

    seed: int
    lock_step: bool
    text: str
    network: str = ""

    def __str__(self) -> str:
        way = "lock step" if self.lock_step else "real time"
        return f"seed {self.seed}, {way}: {self.text}; the network: {self.network or 'well'}"


def draw(seed: int) -> Schedule:
    """One to three faults of the world within two seconds, at times together, and at times one of the network."""
    rng = random.Random(seed)
    lock_step = seed % 3 == 2
    faults = [fault(rng, lock_step) for _ in range(rng.randint(1, 3))]
    network = (
        rng.choice(["nan", "huge", "hang 0.3"] if not lock_step else ["nan", "huge"]) if rng.random() < 0.3 else ""
    )
    return Schedule(seed, lock_step, "; ".join(faults), network)


def fault(rng: random.Random, lock_step: bool) -> str:
    kinds = ["drop", "freeze", "delay", "skew", "corrupt", "reorder", "clock"] + ["die"] * (not lock_step)
    kind = rng.choice(kinds)
    camera, start, lasts = rng.choice(["static", "gripper", "both"]), rng.uniform(0.2, 1.2), rng.uniform(0.1, 0.8)
    by = {
        "delay": rng.uniform(0.03, 0.6),
        "skew": rng.choice([-1, 1]) * rng.uniform(0.01, 0.4),
        "clock": rng.choice([-1, 1]) * rng.uniform(0.05, 2.0),
    }
    words = [kind, *([camera] if kind not in ("clock", "die") else []), f"{start:.2f}"]
    words += [f"{lasts:.2f}"] if kind != "die" else []
    return " ".join(words + ([f"{by[kind]:.2f}"] if kind in by else []))


def unusable(active: list[str], lock_step: bool) -> bool:
    """Whether no set of pictures that is taken under these faults may be acted on."""
    static, gripper = late(active, "skew")
    return not all(fit(active, lock_step)) or abs(static - gripper) > MAX_SKEW + MARGIN


def fit(active: list[str], lock_step: bool) -> list[bool]:
    """Whether each camera's picture may be acted on, given a partner."""
    faults = [line.split() for line in active]
    clock = sum(float(words[3]) for words in faults if words[0] == "clock")
    if any(words[0] == "die" for words in faults) or (not lock_step and abs(clock) > MAX_AGE + MARGIN):
        return [False] * len(CAMERAS)
    broken = [words[1] for words in faults if words[0] in ("drop", "corrupt")]
    late_by = zip(CAMERAS, late(active, "skew"), late(active, "delay"))
    return [
        not {camera, "both"} & {*broken} and max(abs(lag), delay) <= MAX_AGE + MARGIN for camera, lag, delay in late_by
    ]


def late(active: list[str], kind: str) -> list[float]:
    """Seconds by which each camera's pictures are skewed, or delayed."""
    found = [words for words in map(str.split, active) if words[0] == kind]
    return [sum(float(words[4]) for words in found if words[1] in (camera, "both")) for camera in CAMERAS]


def taken_at(report: dict) -> int:
    """When a period began, by a clock that never jumps; nanoseconds of the world."""
    return report["stamp"] - report["offset"]


def blind(reports: list[dict]) -> Iterator[tuple[int, int]]:
    """The stretches without usable pictures, from the last that were usable to the next; nanoseconds of the world."""
    usable = None
    for report in reports:
        stamp = taken_at(report)
        if not report["unusable"]:
            if usable is not None and usable[1]:
                yield usable[0], stamp
            usable = stamp, False
        elif usable is not None:
            usable = usable[0], True
    if usable is not None and usable[1]:
        yield usable[0], stamp


@dataclass(frozen=True)
class Story:
    """What came of a schedule: every twist, every decision, and every period's report."""

    schedule: Schedule
    twists: list
    decisions: list[Decision]
    reports: list[dict]


class World:
    """A tabletop, a node that moves its arm, and a peer that listens to both."""

    def __init__(self, domain: int, folder: Path, lock_step: bool):
        self.domain, self.folder, self.lock_step = domain, folder, lock_step
        folder.mkdir()
        self.network = folder / "fault"
        self.network.write_text("")
        # A shallow network: what is judged here is not how fast it is.
        shallow = {"gate__thresholds": [1e9] * 5, "gate__deadline": PERIOD / SECOND, "threads": 1}
        settings = {"use_sim_time": lock_step, "dry_run": False, "images__qos": "default"} | shallow
        settings["twist__mode"] = "lock_step" if lock_step else "stream"
        self.node = policy(folder, domain, network=self.network, **settings)
        self.table = self.new_table()
        self.peer = Peer(domain, sim_time=False)
        self.reports = self.peer.hear(String, "faults", lambda message: json.loads(message.data))
        self.deaths = 0

    def new_table(self) -> Running:
        command = [sys.executable, "-m", "deer_lab.worlds.ros_node", "--ros-args"]
        command += ["-p", f"lock_step:={str(self.lock_step).lower()}", "-p", "lock_step_timeout:=0.3"]
        command += ["-r", "twist:=deer_vla/twist", "-r", "gripper:=deer_vla/gripper"]
        return Running(command, self.folder, self.domain, log="table.log")

    def check(self) -> None:
        self.node.check()
        self.table.check()

    def recover(self) -> None:
        """Clears what is wrong, brings the arm home, enables it again, and waits until it moves.

        At home, because an arm that is blocked shows the same picture for as long as it is told to move.
        """
        if self.table.process.poll() is not None:
            self.table = self.new_table()
        self.peer.set_parameters("world", faults="")
        self.network.write_text("")
        self.peer.call("reset", Trigger.Request(), of="", again=True)
        heard, asked = len(self.peer.twists), 0.0

        def moving() -> bool:
            nonlocal asked
            self.check()
            if time.monotonic() > asked + ASK_SECS:  # a busy machine may be a fault of its own
                self.peer.say(INSTRUCTION)
                self.peer.trigger("clear_fault")
                self.peer.enable()
                asked = time.monotonic()
            return any(map(moves, self.peer.twists[heard:]))

        try:
            self.peer.until(moving, "the arm to move again", patience=60)
        except AssertionError as error:
            said = [f"{decision['verdict']}: {decision.message}" for decision in self.peer.decisions[-3:]]
            raise AssertionError(f"{error}; the node says {said}") from error

    def suffer(self, schedule: Schedule) -> Story:
        """Lets a schedule happen; tells what came of it."""
        twists, reports, decisions = len(self.peer.twists), len(self.reports), len(self.peer.decisions)
        self.peer.set_parameters("world", faults=schedule.text)

        def over() -> bool:
            self.node.check()
            seen = self.reports[reports:]
            if len(seen) > NETWORK_AFTER:
                self.network.write_text(schedule.network)
            quiet = len(seen) > QUIET and not any(report["active"] for report in seen[-QUIET:])
            return self.table.process.poll() is not None or (quiet and any(report["active"] for report in seen))

        self.peer.until(over, f"the end of {schedule}", patience=60)
        dead = self.mourn() if self.table.process.poll() is not None else []
        told = self.reports[reports:] + dead
        told = [report | {"unusable": unusable(report["active"], self.lock_step)} for report in told]
        return Story(schedule, self.peer.twists[twists:], self.peer.decisions[decisions:], told)

    def mourn(self) -> list[dict]:
        """Watches a dead world for a while: every period of it is one without pictures."""
        stamp = taken_at(self.reports[-1])
        dead = [{"stamp": stamp + i * PERIOD, "offset": 0, "active": ["die 0"]} for i in range(AFTER_DEATH)]
        self.peer.until(lambda: self.peer.tick(0) > dead[-1]["stamp"], "the dead world's last period")
        return dead

    def close(self) -> int:
        """The node's exit code."""
        self.table.stop()
        code = self.node.stop()
        self.peer.close()
        return code


def speeds(twist) -> tuple[float, float]:
    numbers = numbers_of(twist)
    return math.hypot(*numbers[:3]), math.hypot(*numbers[3:])


def moves(twist) -> bool:
    return any(numbers_of(twist))


def judge(story: Story) -> list[float]:
    """Fails where a command was none, too fast, or came when the arm must stand. Gives, for each stretch without usable
    pictures, the seconds from the first that did not come to the first zero twist."""
    lock_step = story.schedule.lock_step
    for twist in story.twists:
        assert all(map(math.isfinite, numbers_of(twist))), f"not finite: {twist}"
        slow = [speed <= most * (1 + 1e-9) for speed, most in zip(speeds(twist), MOST[lock_step])]
        assert all(slow), f"too fast: {twist}"
    twice = lock_step and any(report["offset"] for report in story.reports)  # the same time comes twice
    judge_network(story, twice)
    if twice:
        return []  # before and after cannot be told
    return [secs for stretch in blind(story.reports) for secs in judge_blind(story, *stretch)]


def judge_network(story: Story, twice: bool) -> None:
    """A network that was found out must be asked no longer, and its answers followed no longer."""
    found = [decision for decision in story.decisions if decision["verdict"] == "hold_fault"]
    if not found:
        return
    later = story.decisions[story.decisions.index(found[0]) :]
    assert not any(decision.acts for decision in later), f"acted after the network's fault: {found[0]}"
    if twice:
        return
    moving = [twist for twist in story.twists if moves(twist) and nanoseconds_of(twist.header.stamp) > found[0].time]
    most = STILL_MOVING[story.schedule.lock_step]
    assert len(moving) <= most, f"{len(moving)} commands, not {most}, moved the arm after the network's fault"


def newest_fit(story: Story, camera: int, begin: int, end: int) -> int:
    """The latest stamp of a camera's pictures taken in this time that may be acted on: skews and clocks move it."""
    return max(
        report["stamp"] - round(late(report["active"], "skew")[camera] * SECOND)
        for report in story.reports
        if begin <= taken_at(report) < end and fit(report["active"], story.schedule.lock_step)[camera]
    )


def judge_blind(story: Story, usable: int, end: int) -> Iterator[float]:
    """The same for one stretch."""
    answered = [decision for decision in story.decisions if decision.acts and usable < decision.time < end]
    newest = [newest_fit(story, camera, usable - round(MAX_AGE * SECOND), end) for camera in range(len(CAMERAS))]
    for act in answered:
        known = all(stamp <= limit for stamp, limit in zip(act.stamps, newest))
        assert known, f"acted on pictures that it may not use: {act}"
        assert max(act.stamps) - min(act.stamps) <= MAX_SKEW * SECOND, f"acted on pictures of two moments: {act}"
    ended = max([usable, *(act.time for act in answered)]) + PERIOD
    stamped = [(nanoseconds_of(twist.header.stamp), moves(twist)) for twist in story.twists]
    moving = sum(moved for stamp, moved in stamped if ended < stamp < end)
    most = STILL_MOVING[story.schedule.lock_step]
    assert moving <= most, f"{moving} commands, not {most}, moved the arm after its last action had ended"
    zeros = [stamp for stamp, moved in stamped if usable + PERIOD < stamp < end and not moved]
    moved_before = any(moved for stamp, moved in stamped if usable - PERIOD < stamp <= usable + PERIOD)
    told = [moved for stamp, moved in stamped if stamp < end]
    assert not told or not told[-1] or end - ended <= MUST_HAVE_STOOD, "it was never told to stand"
    if moved_before and zeros:
        yield (zeros[0] - usable - PERIOD) / SECOND

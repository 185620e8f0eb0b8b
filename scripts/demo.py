"""The demo's operator: starts the simulated robot, gives it one sentence after another and says what it does with them.

    python3 scripts/demo.py --instruction "open the drawer" --instruction "lift the red block"

The next sentence is said when the world shows that the last one was done, or after 12 seconds of robot time.

Called by demo.sh, which builds and installs what this starts. Leaves in --out: decisions.jsonl (one line a decision, as
`deer_vla replay` writes it), demo.gif and demo_sheet.png (what the cameras saw, how deep the network was run, how long
that took).
"""

import argparse
import contextlib
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import rclpy
from deer_lab.worlds.film import Film, Step
from deer_lab.worlds.tabletop.state import State
from deer_lab.worlds.tabletop.tasks import TASKS
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from std_msgs.msg import String

SCRIPTS = Path(__file__).resolve().parent
CHAIN = "open_drawer", "turn_on_lightbulb", "move_slider_right", "lift_red_block_table", "place_in_drawer"
TASK_OF = {sentence: task for task in TASKS.values() for sentence in task.phrasings}
TASK_SECS = 12.0  # of robot time for a sentence, as CALVIN's 360 steps
PATIENCE_SECS = 60.0  # without a decision the demo ends
EVERY = 15  # decisions a printed line
CAMERAS = "static", "gripper"
KEPT = 8  # pictures of a camera that wait for their decision


class Operator(Node):
    """Says each sentence until it is followed, and prints and keeps what the policy decides."""

    def __init__(self, instructions: list[str], manifest: dict, out: Path) -> None:
        super().__init__("operator")
        self.left = list(instructions)  # neither done nor given up
        self._file = (out / "decisions.jsonl").open("w")
        self._film = Film(out / "demo.gif", manifest["embodiment"]["control_hz"], every=2)
        self._all_exits = len(manifest["exits"])
        self._pictures: dict[str, dict[str, np.ndarray]] = {}  # of a camera, by their stamps
        self._say = self.create_publisher(String, "instruction", 1)
        self.create_subscription(DiagnosticStatus, "deer_vla/decision", self._decided, 100)
        self.create_subscription(String, "state", self._moved, 100)
        self._state: State | None = None
        self._before: State | None = None  # when the sentence was first followed
        self._began = 0.0  # [s] of `secs`
        self._first: float | None = None
        self._verdict = ""
        self.exits: Counter[int] = Counter()
        self.outcomes: list[str] = []
        self.travelled = 0.0  # [m] by the tool
        self.secs = 0.0  # of robot time since the first decision that followed a sentence
        self.heard = time.monotonic()

    def _moved(self, message: String) -> None:
        state = State.from_dict(json.loads(message.data))
        if self._state is not None:
            self.travelled += float(np.linalg.norm(np.subtract(state.tcp_position, self._state.tcp_position)))
        self._state = state

    def _look(self) -> None:
        """Not before the policy does: the world waits for the first that wants its pictures."""
        for camera in CAMERAS:
            self._pictures[camera] = {}
            keep = functools.partial(self._saw, camera)
            self.create_subscription(Image, f"{camera}/image", keep, qos_profile_sensor_data)

    def _saw(self, camera: str, image: Image) -> None:
        pictures, stamp = self._pictures[camera], image.header.stamp
        pixels = np.frombuffer(image.data, np.uint8).reshape(image.height, image.width, 3)
        pictures[f"{stamp.sec}.{stamp.nanosec:09d}"] = pixels
        if len(pictures) > KEPT:
            del pictures[min(pictures)]

    def _decided(self, status: DiagnosticStatus) -> None:
        self.heard = time.monotonic()
        if not self._pictures:
            self._look()
        values = {value.key: value.value for value in status.values}
        if not self.left or self._state is None:  # nothing moves before its place can be told
            return
        if values["instruction"] != self.left[0]:
            self._say.publish(String(data=self.left[0]))
            return
        now = float(values["stamp"])
        self._first = self._first or now
        self.secs = now - self._first
        if self._before is None:
            self._before, self._began = self._state, self.secs
            print(f"{self.secs:8.2f} s  {self.left[0]!r}", flush=True)
        if "exit" in values:
            self.exits[int(values["exit"])] += 1
        changed, self._verdict = values["verdict"] != self._verdict, values["verdict"]
        if changed or int(values["step"]) % EVERY == 0:
            self._print(values, status.message)
        self._write(values, status.message)
        self._show(values)
        self._judge()

    def _judge(self) -> None:
        """Goes on to the next sentence when this one is done, or has had its time."""
        took = self.secs - self._began
        task = TASK_OF.get(self.left[0])
        done = task is not None and task.done(self._before, self._state)
        if done or (took > TASK_SECS and len(self.left) > 1):
            self.outcomes.append(f"{'done' if done else 'not seen done'} in {took:.1f} s: {self.left.pop(0)}")
            self._before = None
            print(f"{self.secs:8.2f} s  {self.outcomes[-1]}", flush=True)

    def _print(self, values: dict[str, str], message: str) -> None:
        head = f"{self.secs:8.2f} s  step {values['step']:>4}"
        tcp = " ".join(f"{metres:6.3f}" for metres in self._state.tcp_position)
        if "exit" in values:
            exit_taken = f"exit {values['exit']} {values['reason']:<8} {float(values['total_ms']):6.1f} ms"
            print(f"{head}  {exit_taken}  tool at {tcp} m", flush=True)
        else:
            print(f"{head}  {values['verdict']}: {message}", flush=True)

    def _show(self, values: dict[str, str]) -> None:
        pictures = {camera: self._pictures[camera].get(values[f"stamp_{camera}"]) for camera in CAMERAS}
        if all(picture is not None for picture in pictures.values()):
            taken = int(values["exit"]) if "exit" in values else None
            self._film.add(pictures, Step(self.left[0], taken, self._all_exits, float(values["total_ms"])))

    def _write(self, values: dict[str, str], message: str) -> None:
        """The names that `deer_vla report` reads, of the same kinds."""
        seconds, _, nanoseconds = values["stamp"].partition(".")
        line = {name: values[name] for name in ("verdict", "instruction")}
        line |= {"stamp": int(seconds) * 10**9 + int(nanoseconds), "epoch": int(values["epoch"]), "message": message}
        if "exit" in values:
            line["decision"] = {"exit": int(values["exit"]), "reason": values["reason"]}
        self._file.write(json.dumps(line) + "\n")

    def close(self) -> None:
        self._file.close()
        self._film.close()
        self.destroy_node()


@contextlib.contextmanager
def launched(arguments: list[str]) -> Iterator[subprocess.Popen]:
    """World and policy, started through ROS 2 launch where there is one; both are gone afterwards."""
    if shutil.which("ros2"):
        command = ["ros2", "launch", "deer_vla", "sim.launch.py", *arguments]
    else:
        print("There is no `ros2 launch` here: scripts/launch_shim.py starts the launch file instead.", flush=True)
        command = [sys.executable, SCRIPTS / "launch_shim.py", SCRIPTS.parent / "launch" / "sim.launch.py", *arguments]
    process = subprocess.Popen(command, start_new_session=True)
    try:
        yield process
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # an impatient second Ctrl-C must not leave the robot running
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def run(operator: Operator, process: subprocess.Popen, seconds: float) -> str:
    """Listens until all is done or the time is over; gives what went wrong, if anything did."""
    while operator.secs < seconds and operator.left:
        rclpy.spin_once(operator, timeout_sec=0.1)
        if process.poll() is not None:
            return f"the launch ended with {process.returncode}; what it said stands above"
        if time.monotonic() - operator.heard > PATIENCE_SECS:
            return f"no decision for {PATIENCE_SECS:.0f} s; what the world and the policy said stands above"
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--instruction",
        action="append",
        help="a sentence; may be given several times (by default a chain of five tasks)",
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="of robot time at most")
    parser.add_argument("--bundle", default="tabletop", help="folder of a model bundle, or the name of one that ships")
    parser.add_argument("--out", type=Path, default=SCRIPTS.parent / "out", help="folder for what remains")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    manifest = SCRIPTS.parent / "models" / given.bundle / "manifest.json"  # a path of its own stands for itself
    if not manifest.exists():
        parser.error(f"--bundle {given.bundle}: there is no {manifest}")
    instructions = given.instruction or [TASKS[name].phrasings.validation for name in CHAIN]
    if given.bundle == "toy":
        print("The toy bundle's weights are random: the arm moves, but to no purpose.", flush=True)
    rclpy.init()
    operator = Operator(instructions, json.loads(manifest.read_text()), given.out)
    failure = "interrupted"
    try:
        with launched([f"bundle:={given.bundle}", "log_level:=warn"]) as process:
            failure = run(operator, process, given.seconds)
    except KeyboardInterrupt:
        pass
    finally:
        operator.close()
        rclpy.try_shutdown()
    if failure:
        print(f"demo: {failure}", file=sys.stderr)
        return 1
    steps = operator.exits.total()
    taken = ", ".join(f"{count / steps:.0%} at exit {k}" for k, count in sorted(operator.exits.items()))
    done = sum(outcome.startswith("done") for outcome in operator.outcomes)
    unfinished = [f"not seen done when the time was over: {sentence}" for sentence in operator.left]
    print("", *operator.outcomes, *unfinished, f"{done} of {len(instructions)} sentences done.", sep="\n")
    print(f"{steps} steps: {taken}. The tool travelled {operator.travelled:.2f} m.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

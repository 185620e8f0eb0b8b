"""The demo's operator: starts the simulated robot, gives it a sentence and says what it does with it.

    python3 scripts/demo.py --instruction "push the button" --seconds 20

Called by demo.sh, which builds and installs what this starts. Leaves in --out: decisions.jsonl (one line a decision, as
`deer_vla replay` writes it), demo.gif and demo_sheet.png (what the cameras saw).
"""

import argparse
import contextlib
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
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node
from std_msgs.msg import String

SCRIPTS = Path(__file__).resolve().parent
PATIENCE_SECS = 60.0  # without a decision the demo ends
EVERY = 15  # decisions a printed line


class Operator(Node):
    """Says the sentence until it is followed, and prints and keeps what the policy decides."""

    def __init__(self, instruction: str, decisions: Path) -> None:
        super().__init__("operator")
        self._instruction = instruction
        self._file = decisions.open("w")
        self._say = self.create_publisher(String, "instruction", 1)
        self.create_subscription(DiagnosticStatus, "deer_vla/decision", self._decided, 100)
        self.create_subscription(String, "state", self._moved, 100)
        self._tcp = np.full(3, np.nan)
        self._first: float | None = None
        self._verdict = ""
        self.exits: Counter[int] = Counter()
        self.travelled = 0.0  # [m] by the tool
        self.secs = 0.0  # of robot time since the first decision that followed the sentence
        self.heard = time.monotonic()

    def _moved(self, message: String) -> None:
        tcp = np.array(json.loads(message.data)["tcp_position"])
        if not np.isnan(self._tcp).any():
            self.travelled += float(np.linalg.norm(tcp - self._tcp))
        self._tcp = tcp

    def _decided(self, status: DiagnosticStatus) -> None:
        self.heard = time.monotonic()
        values = {value.key: value.value for value in status.values}
        if values["instruction"] != self._instruction:
            if not np.isnan(self._tcp).any():  # nothing moves before its place can be told
                self._say.publish(String(data=self._instruction))
            return
        now = float(values["stamp"])
        self._first = self._first or now
        self.secs = now - self._first
        if "exit" in values:
            self.exits[int(values["exit"])] += 1
        changed, self._verdict = values["verdict"] != self._verdict, values["verdict"]
        if changed or int(values["step"]) % EVERY == 0:
            self._print(values, status.message)
        self._write(values, status.message)

    def _print(self, values: dict[str, str], message: str) -> None:
        head = f"{self.secs:8.2f} s  step {values['step']:>4}"
        tcp = " ".join(f"{metres:6.3f}" for metres in self._tcp)
        if "exit" in values:
            exit_taken = f"exit {values['exit']} {values['reason']:<8} {float(values['total_ms']):6.1f} ms"
            print(f"{head}  {exit_taken}  tool at {tcp} m", flush=True)
        else:
            print(f"{head}  {values['verdict']}: {message}", flush=True)

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
    """Listens until the time is over; gives what went wrong, if anything did."""
    while operator.secs < seconds:
        rclpy.spin_once(operator, timeout_sec=0.1)
        if process.poll() is not None:
            return f"the launch ended with {process.returncode}; what it said stands above"
        if time.monotonic() - operator.heard > PATIENCE_SECS:
            return f"no decision for {PATIENCE_SECS:.0f} s; what the world and the policy said stands above"
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instruction", default="pull the handle to open the drawer", help="the sentence")
    parser.add_argument("--seconds", type=float, default=20.0, help="of robot time")
    parser.add_argument("--bundle", default="tabletop", help="folder of a model bundle, or the name of one that ships")
    parser.add_argument("--out", type=Path, default=SCRIPTS.parent / "out", help="folder for what remains")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    film = given.out.resolve() / "demo.gif"
    print(f"Instruction: {given.instruction!r}, for {given.seconds:g} s of robot time", flush=True)
    if given.bundle == "toy":
        print("The toy bundle's weights are random: the arm moves, but to no purpose.", flush=True)
    rclpy.init()
    operator = Operator(given.instruction, given.out / "decisions.jsonl")
    failure = "interrupted"
    try:
        with launched([f"bundle:={given.bundle}", f"record:={film}", "log_level:=warn"]) as process:
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
    print(f"{steps} steps: {taken}. The tool travelled {operator.travelled:.2f} m.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

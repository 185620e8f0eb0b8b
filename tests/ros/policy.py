"""The node under test, as a process of its own."""

import os
import signal
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUNDLE = ROOT / "models" / "toy"


def built(program: str) -> Path:
    """The built program; `DEER_VLA_BIN` names the folder where it is not cargo's own for development."""
    folder = os.environ.get("DEER_VLA_BIN") or Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"), "debug")
    path = Path(folder, program)
    assert os.access(path, os.X_OK), f"{path} is missing; build it with: cargo build --features ros"
    return path


class Policy:
    """`deer_vla_node`, started with parameters (`__` for a dot in their names) and remappings."""

    def __init__(self, folder: Path, domain: int, *, remappings: dict[str, str] | None = None, **parameters):
        self.log = folder / "node.log"
        command = [str(built("deer_vla_node")), "--ros-args", "--params-file", str(ROOT / "config" / "policy.yaml")]
        for name, value in ({"bundle": str(BUNDLE)} | parameters).items():
            command += ["-p", f"{name.replace('__', '.')}:={as_yaml(value)}"]
        for source, target in (remappings or {}).items():
            command += ["-r", f"{source}:={target}"]
        self.process = start(command, self.log, domain)

    def check(self) -> None:
        """Fails with what the node said last, where it has ended by itself."""
        code = self.process.poll()
        assert code is None, f"the node ended with {code}:\n{self.log.read_text()[-3000:]}"

    def stop(self) -> int:
        """Ends it as Ctrl-C does, and gives its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=30)


def start(command: list[str], log: Path, domain: int) -> subprocess.Popen:
    """A process that talks on this machine and domain alone and writes into its own folder."""
    environment = os.environ | {
        "ROS_DOMAIN_ID": str(domain),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "ROS_LOG_DIR": str(log.parent / "ros"),
    }
    with log.open("w") as file:
        return subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=environment, cwd=log.parent)


def as_yaml(value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"[{', '.join(map(as_yaml, value))}]" if isinstance(value, (list, tuple)) else str(value)

"""The programs under test, each a process of its own."""

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


class Running:
    """A process that talks on this machine and on one domain alone, and writes into its own folder."""

    def __init__(
        self, command: list[str | Path], folder: Path, domain: int, *, log: str = "said.log", **variables: str
    ):
        self.log = folder / log
        environment = os.environ | {
            "ROS_DOMAIN_ID": str(domain),
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
            "ROS_LOG_DIR": str(folder / "ros"),
            **variables,
        }
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment, cwd=folder)

    def said(self) -> str:
        return self.log.read_text()

    def check(self) -> None:
        """Fails with what the process said last, where it has ended by itself."""
        code = self.process.poll()
        assert code is None, f"it ended with {code}:\n{self.said()[-3000:]}"

    def stop(self) -> int:
        """Ends it as Ctrl-C does, and gives its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=30)


def policy(
    folder: Path, domain: int, *, remappings: dict[str, str] | None = None, network: Path | None = None, **parameters
) -> Running:
    """`deer_vla_node`, started with parameters (`__` for a dot in their names) and remappings; `network`: the file that
    tells its network to go wrong."""
    command = [built("deer_vla_node"), "--ros-args", "--params-file", ROOT / "config" / "policy.yaml"]
    for name, value in ({"bundle": str(BUNDLE)} | parameters).items():
        command += ["-p", f"{name.replace('__', '.')}:={as_yaml(value)}"]
    for source, target in (remappings or {}).items():
        command += ["-r", f"{source}:={target}"]
    return Running(command, folder, domain, **({"DEER_VLA_FAULT": str(network)} if network else {}))


def as_yaml(value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"[{', '.join(map(as_yaml, value))}]" if isinstance(value, (list, tuple)) else str(value)

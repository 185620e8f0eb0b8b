"""Makes the models that `deer_vla` runs, and the simulated world it runs them in."""

import os
import signal
import sys
from pathlib import Path
from types import FrameType

# Official builds of ONNX Runtime tell Microsoft how they are used, unless this is set before they are loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# What brings a library that not every module needs.
BRINGS = {
    "torch": "pip install -e 'lab[train]'",
    "mujoco": "pip install -e 'lab[sim]'",
    "rclpy": "source a ROS 2 installation, or the one that scripts/underlay.sh makes",
}


_stopped = False  # by Ctrl-C, whatever a library made of it


def _stop(number: int, frame: FrameType | None) -> None:
    global _stopped
    _stopped = True
    signal.default_int_handler(number, frame)


def _tell(kind: type[BaseException], error: BaseException, trace) -> None:
    """One sentence where a library is missing or Ctrl-C came, the usual trace for anything else.

    A program whose next call goes on where this one ended says so itself. A library that was stopped while it loaded
    or exported fails with an error of its own in place of Ctrl-C.
    """
    if _stopped or issubclass(kind, KeyboardInterrupt):
        print(f"{Path(sys.argv[0]).stem}: stopped", file=sys.stderr)
        sys.exit(130)
    mend = BRINGS.get(error.name) if isinstance(error, ModuleNotFoundError) else None
    if mend:
        print(f"this module needs {error.name}, which is not installed: {mend}", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


# Only for `python -m deer_lab.…`, which imports this package before it puts the module's name there.
if sys.argv[:1] == ["-m"]:
    sys.excepthook = _tell
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a background job ignores it
        signal.signal(signal.SIGINT, _stop)

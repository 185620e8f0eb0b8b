"""Makes the models that `deer_vla` runs, and the simulated world it runs them in."""

import os
import sys

# Official builds of ONNX Runtime tell Microsoft how they are used, unless this is set before they are loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# What brings a library that not every module needs.
BRINGS = {
    "torch": "pip install -e 'lab[train]'",
    "mujoco": "pip install -e 'lab[sim]'",
    "rclpy": "source a ROS 2 installation, or the one that scripts/underlay.sh makes",
}


def _tell(kind: type[BaseException], error: BaseException, trace) -> None:
    """One sentence where a library is missing, the usual trace for anything else."""
    mend = BRINGS.get(error.name) if isinstance(error, ModuleNotFoundError) else None
    if mend:
        print(f"this module needs {error.name}, which is not installed: {mend}", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


# Only for `python -m deer_lab.…`, which imports this package before it puts the module's name there.
if sys.argv[:1] == ["-m"]:
    sys.excepthook = _tell

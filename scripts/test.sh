#!/usr/bin/env bash
# test.sh: everything that is checked, from a fresh clone. The only part that needs PyTorch is the lab's tests.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=setup.sh
. "$(dirname "$0")/setup.sh"
cd "$root"

step() { printf '\n== %s (%d:%02d)\n' "$1" $((SECONDS / 60)) $((SECONDS % 60)); }

# named_only WORD FILES PLACE...: WORD as a dependency is named in these places and in no other of the FILES.
named_only() {
    local word=$1 files=$2 strays
    shift 2
    local pattern="(^|[^:[:alnum:]_])$word::|^[[:space:]]*(use|import|from) $word\b"
    strays=$(git grep --untracked -nE "$pattern" -- "$files" "${@/#/:!}" || true)
    [[ -z $strays ]] || {
        printf '%s is named outside %s:\n%s\n' "$word" "$*" "$strays" >&2
        return 1
    }
}

# Mostly a download, so made while others compute.
environment "$root/.deps/train" --editable "$root/lab[ros,sim,train]" lerobot-doctor pytest pytest-xdist &
train=$!
trap 'pkill --parent "$train" || true; kill "$train" 2> /dev/null || true' EXIT # and the pip that it waits for

step "Layers: each of these libraries is named in one place"
named_only ort '*.rs' src/engine
named_only r2r '*.rs' src/ros
named_only mujoco '*.py' lab/deer_lab/worlds/tabletop/scene.py
named_only calvin_env '*.py' lab/deer_lab/worlds/calvin/simulator.py
named_only pybullet '*.py' lab/deer_lab/worlds/calvin/simulator.py
named_only ray '*.py' lab/deer_lab/worlds/judge/cluster.py lab/tests/test_judge_cluster.py
named_only rclpy '*.py' lab/deer_lab/worlds/ros_node.py lab/deer_lab/worlds/judge/node_policy.py scripts/demo.py \
    scripts/underlay.py tests/ros/peer.py lab/tests/test_tabletop_node.py \
    benches/peers/node.py benches/peers/drive.py

step "Scripts and Python style"
shellcheck -x scripts/*.sh lab/*.sh .ci/run
ruff check lab
ruff check --config lab/pyproject.toml launch scripts tests benches

# With everything, as tests and programs are; the node alone, as the demo builds it; and with nothing. So every line is seen
# by the linter, whatever feature it is for.
step "Rust style: with all features, the node alone, none"
cargo fmt --check
cargo clippy --quiet --all-targets --features ros,faults -- -D warnings
cargo clippy --quiet --no-default-features --features ros -- -D warnings
cargo clippy --quiet --no-default-features -- -D warnings
RUSTDOCFLAGS="-D warnings" cargo doc --quiet --no-deps --features ros

# The command line's tests leave the programs that the next steps start.
step "Rust tests"
cargo test --quiet --features ros,faults

step "A hundred thousand robots on a virtual clock: cameras, operators and faults in any order"
cargo run --quiet --features ros,faults --example simulate -- --schedules 100000

step "The node against an rclpy peer; colcon; launch files"
python3 -m pytest -q -o tmp_path_retention_policy=failed tests/ros

step "The lab: models and the simulated world, with PyTorch"
wait "$train"
# A process that crashes ends the tests: with another in its place pytest-xdist waits for ever.
OMP_NUM_THREADS=1 "$root/.deps/train/bin/python" -m pytest -q --numprocesses 2 --dist loadfile --max-worker-restart 0 lab

step "Everything passed"

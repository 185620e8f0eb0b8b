#!/usr/bin/env bash
# nightly.sh [N] [M]: what takes too long for every change, other seeds every night: M (ten million) schedules of robots on
# a virtual clock, an hour and a half on two cores; then N (500) random schedules of faults against the running node.
# DEER_VLA_SEED names the first seed. A schedule that fails prints its own, by which it can be run alone.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=setup.sh
. "$(dirname "$0")/setup.sh"
cd "$root"

cargo build --quiet --features ros,faults --bins --examples
# shellcheck disable=SC2017 # whole days are meant
export DEER_VLA_SCHEDULES=${1:-500} DEER_VLA_SEED=${DEER_VLA_SEED:-$(($(date +%s) / 86400 * 1000))}
cargo run --quiet --features ros,faults --example simulate -- --schedules "${2:-10000000}" --from "$((DEER_VLA_SEED * 100))"
echo "$DEER_VLA_SCHEDULES schedules from seed $DEER_VLA_SEED on"
python3 -m pytest -q tests/ros/test_schedules.py

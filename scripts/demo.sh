#!/usr/bin/env bash
# demo.sh [--instruction SENTENCE]... [--seconds N] [--bundle FOLDER]: from a fresh clone to a simulated arm that does
# five tasks. Sets up what is missing, builds, launches world and policy, says the sentences, and leaves pictures in out/.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=setup.sh
. "$(dirname "$0")/setup.sh"
cd "$root"

echo "Building deer_vla (the first time takes minutes)"
install=$root/.deps/install
cargo ament-build --install-base "$install" -- --release --features ros

# The demo's own domain, on this machine alone: it must not move a robot that happens to listen.
export ROS_DOMAIN_ID=${ROS_DOMAIN_ID:-77} ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST
export AMENT_PREFIX_PATH=$install:$AMENT_PREFIX_PATH
python3 scripts/demo.py "$@"
"$install/lib/deer_vla/deer_vla" report out/decisions.jsonl --out out
ls -1 out/*

#!/usr/bin/env bash
# demo.sh [--instruction SENTENCE]... [--seconds N] [--bundle FOLDER]: from a fresh clone to a simulated arm that does
# five tasks. Sets up what is missing, builds, launches world and policy, says the sentences, and leaves a film in out/.
set -euo pipefail
cd "$(dirname "$0")/.."

# The node without recordings, plots and search, built for a short wait: with everything, and optimised, it would take five times as long.
build=(--profile demo --no-default-features --features ros)
beside=(cargo build "${build[@]}" --bins)
echo "Setting up and building deer_vla (the first time takes minutes)"
# shellcheck source-path=SCRIPTDIR source=setup.sh
. scripts/setup.sh
install=$root/.deps/install
cargo ament-build --install-base "$install" -- "${build[@]}"

# The demo's own domain, on this machine alone: it must not move a robot that happens to listen.
export ROS_DOMAIN_ID=${ROS_DOMAIN_ID:-77} ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST
export AMENT_PREFIX_PATH=$install:$AMENT_PREFIX_PATH
python3 scripts/demo.py "$@"
ls -1 out/*

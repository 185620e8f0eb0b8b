#!/bin/sh
# Sees to the system packages that building and running need: installs what is missing where it may (root, apt),
# and otherwise names the command that does.
set -eu

packages="
    build-essential
    libclang-dev
    python3-venv
    libegl1 libegl-mesa0 libgl1-mesa-dri libopengl0
"
# build-essential: a C compiler and linker for Rust, and readelf for the underlay.
# libclang-dev: r2r generates its bindings with it.  python3-venv: the environments under .deps/.
# libegl1 and after: MuJoCo renders the cameras without a screen.

command -v apt-get > /dev/null || {
    echo "system.sh: no apt here; have what Debian calls:$packages" >&2
    exit 0
}
missing=""
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2> /dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
    echo "system.sh: packages are missing. Run: sudo apt-get install$missing" >&2
    exit 1
fi
echo "Installing system packages:$missing"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # a list of words
apt-get update -qq && apt-get install -qq --no-install-recommends $missing > /dev/null

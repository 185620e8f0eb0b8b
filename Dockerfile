FROM ros:jazzy

SHELL ["/bin/bash", "-euo", "pipefail", "-c"]

RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        build-essential curl libclang-dev python3-pip ros-jazzy-control-msgs ros-jazzy-moveit-msgs \
    && rm -rf /var/lib/apt/lists/* \
    && curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal

RUN pip install --break-system-packages --no-cache-dir \
        cargo-ament-build==0.1.11 colcon-cargo==0.2.0 colcon-ros-cargo==0.2.0 \
    && pip install --break-system-packages --no-cache-dir --no-deps onnxruntime==1.31.1

WORKDIR /ws
COPY . src/deer_vla
RUN source /root/.cargo/env \
    && set +u && source /opt/ros/jazzy/setup.bash && set -u \
    && colcon build --packages-select deer_vla --cargo-args --release \
    && rm -rf build log /root/.cargo/registry \
    && sed -i 's|^exec |source /ws/install/setup.bash\nexec |' /ros_entrypoint.sh

CMD ["ros2", "launch", "deer_vla", "robot.launch.py"]

"""What a recording would have done is what the robot did."""

import json
import subprocess
import time
from pathlib import Path

import numpy as np
from conftest import picture
from diagnostic_msgs.msg import DiagnosticStatus
from live import Live
from messages import PERIOD, SECOND, image_message, numbers_of
from peer import Peer, serialized
from programs import BUNDLE, built, policy
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

SENTENCE = "open the drawer"
FRAMES = [(picture(200, seed), picture(84, 100 + seed)) for seed in range(40)]
TYPES = get_typestore(Stores.ROS2_JAZZY)


def record(folder: Path) -> None:
    """A bag as `ros2 bag record` leaves it, written by a library that shares nothing with the project."""
    image, text = TYPES.types["sensor_msgs/msg/Image"], TYPES.types["std_msgs/msg/String"]
    header, time = TYPES.types["std_msgs/msg/Header"], TYPES.types["builtin_interfaces/msg/Time"]
    with Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        topics = {
            topic: writer.add_connection(topic, kind.__msgtype__, typestore=TYPES)
            for topic, kind in [("/static/image", image), ("/gripper/image", image), ("/instruction", text)]
        }

        def write(topic: str, stamp: int, message) -> None:
            writer.write(topics[topic], stamp, TYPES.serialize_cdr(message, message.__msgtype__))

        write("/instruction", 1000 * SECOND, text(SENTENCE))
        for i, pictures in enumerate(FRAMES, start=1):
            stamp = 1000 * SECOND + i * PERIOD
            for topic, pixels in zip(("/static/image", "/gripper/image"), pictures, strict=True):
                height, width, _ = pixels.shape
                head = header(time(stamp // SECOND, stamp % SECOND), "")
                write(topic, stamp, image(head, height, width, "rgb8", 0, 3 * width, pixels.reshape(-1)))


def test_replay_takes_the_exits_and_the_actions_of_the_live_node(pair, tmp_path):
    _, peer = pair()
    live = [(peer.begin(SENTENCE, FRAMES[0]), peer.twists[-1])] + [peer.step(pictures) for pictures in FRAMES[1:]]

    record(tmp_path / "bag")
    command = [built("deer_vla"), "replay", BUNDLE, tmp_path / "bag", "--out", tmp_path / "replay"]
    subprocess.run(command, check=True, timeout=300)
    lines = [json.loads(line) for line in (tmp_path / "replay" / "decisions.jsonl").read_text().splitlines()]
    replayed = [line for line in lines if line["verdict"] == "act"]

    assert len(replayed) == len(live) == len(FRAMES)
    exits = [line["decision"]["exit"] for line in replayed]
    assert exits == [int(decision["exit"]) for decision, _ in live]
    assert len(set(exits)) > 1, "one exit throughout would prove little"
    for line, (decision, twist) in zip(replayed, live, strict=True):
        assert np.array_equal(np.float32(line["decision"]["arm"]), np.float32(decision.numbers("arm")))
        assert line["twist"]["linear"] + line["twist"]["angular"] == numbers_of(twist)


class Recorder:
    """What went over the topics and when, as `ros2 bag record` beside the node leaves it."""

    def __init__(self, folder: Path):
        self.writer = Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP)
        self.connections = {}
        self.messages = []

    def hear(self, topic: str, kind: str, message) -> None:
        self.messages.append((time.time_ns(), topic, kind, serialized(message)))

    def close(self) -> None:
        with self.writer as writer:
            for stamp, topic, kind, data in sorted(self.messages, key=lambda message: message[0]):
                if topic not in self.connections:
                    self.connections[topic] = writer.add_connection(topic, kind, typestore=TYPES)
                writer.write(self.connections[topic], stamp, data)


def recorded(publisher, recorder: Recorder, topic: str, kind: str) -> None:
    """What a publisher sends is recorded when it is sent."""
    send = publisher.publish

    def publish(message) -> None:
        recorder.hear(topic, kind, message)
        send(message)

    publisher.publish = publish


def histories(actions: list[tuple]) -> dict[tuple, list[tuple]]:
    """Of each action's pictures: those of all actions of its epoch so far. Actions as (epoch, pictures)."""
    epochs = {}
    for epoch, pictures in actions:
        epochs.setdefault(epoch, []).append(pictures)
    return {pictures: taken[: i + 1] for taken in epochs.values() for i, pictures in enumerate(taken)}


def test_a_live_run_with_faults_replays_to_the_runs_own_decisions(domain, tmp_path):
    """Cameras that die, freeze and go blank, an emergency stop, a disarm and a reset: decision by decision."""
    fault_file = tmp_path / "fault"
    fault_file.write_text("")
    node = policy(tmp_path, domain, network=fault_file, dry_run=False, threads=1, gate__thresholds=[0.05] * 5)
    peer = Peer(domain, sim_time=False)
    recorder = Recorder(tmp_path / "bag")
    image, text, flag = "sensor_msgs/msg/Image", "std_msgs/msg/String", "std_msgs/msg/Bool"
    recorded(peer.static, recorder, "/static/image", image)
    recorded(peer.gripper, recorder, "/gripper/image", image)
    recorded(peer.instruction, recorder, "/instruction", text)
    recorded(peer.estop, recorder, "/estop", flag)
    decision = "diagnostic_msgs/msg/DiagnosticStatus"
    peer.hear(DiagnosticStatus, "deer_vla/decision", lambda m: recorder.hear("/deer_vla/decision", decision, m))
    try:
        peer.meet(node.check)
        live = Live(node, peer, (picture(200, 0), picture(84, 1)), fault_file)
        live.begin(SENTENCE)
        for fault in (
            lambda: setattr(live, "feeds", [image_message, lambda *_: None]),
            lambda: setattr(live, "feeds", [lambda p, t: image_message(live.variants[0][0], t), image_message]),
            lambda: setattr(live, "feeds", [image_message, lambda p, t: image_message(np.full_like(p, 30), t)]),
            lambda: peer.stop(True),
            lambda: peer.enable(False),
            lambda: peer.trigger("reset"),
        ):
            fault()
            shown = live.shown + 12
            live.until(lambda shown=shown: live.shown >= shown, "the fault to last")
            live.begin(SENTENCE)
    finally:
        assert node.stop() == 0
        peer.close()
    recorder.close()

    command = [built("deer_vla"), "replay", BUNDLE, tmp_path / "bag", "--live", "--out", tmp_path / "replay"]
    command += ["--thresholds", ",".join(["0.05"] * 5)]
    subprocess.run(command, check=True, timeout=300)
    lines = [json.loads(line) for line in (tmp_path / "replay" / "decisions.jsonl").read_text().splitlines()]
    stamps = lambda line: tuple(stamp or 0 for _, stamp in line["frames"])  # noqa: E731
    replayed = {stamps(line): line for line in lines if line["verdict"] == "act"}
    acted = [d for d in peer.decisions if d.acts]
    assert len(acted) > 50
    ours = {d.stamps for d in acted}
    missing = [d for d in acted if d.stamps not in replayed]
    extra = [line for key, line in replayed.items() if key not in ours and key > acted[0].stamps]
    # What arrives at one moment on two topics may overtake one another on the wire, and on a busy machine a picture is
    # late: then one of the two took a step that the other did not.
    few = len(acted) // 10
    assert len(missing) <= few, f"{len(missing)} of {len(acted)} actions were not replayed"
    assert len(extra) <= few, f"{len(extra)} actions that were not taken, the first: {extra[0]}"
    # The memory goes by all steps of an epoch, so what is decided is the same after the same ones.
    before = histories([(d["epoch"], d.stamps) for d in acted])
    replays = histories([(line["epoch"], stamps(line)) for line in lines if line["verdict"] == "act"])
    same = [d for d in acted if before[d.stamps] == replays.get(d.stamps)]
    assert len(same) >= len(acted) // 2, f"{len(same)} of {len(acted)} actions came after the same ones"
    for decided in same:
        decision = replayed[decided.stamps]["decision"]
        assert decision["exit"] == int(decided["exit"]), decided
        assert np.array_equal(np.float32(decision["arm"]), np.float32(decided.numbers("arm"))), decided
    # Every hold of the run is one of the replay, in the same order. Which reason of a silence is said first is a matter
    # of milliseconds.
    silence = {"hold_spent", "hold_silent_camera", "hold_stale_frame"}

    def holds(verdicts: list[str]) -> list[str]:
        said = [verdict for verdict in verdicts if verdict not in silence]
        return [verdict for i, verdict in enumerate(said) if i == 0 or verdict != said[i - 1]]

    run = holds([d["verdict"] for d in peer.decisions if d.time >= acted[0].time])
    again = holds([line["verdict"] for line in lines if line["stamp"] >= acted[0].time])
    assert run == again

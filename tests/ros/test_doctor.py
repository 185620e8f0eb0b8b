"""`deer_vla doctor` beside cameras, an operator and a controller: a healthy graph is well, each defect is found."""

import json
import os
import subprocess
import time

import pytest
from messages import PERIOD, SECOND, image_message
from peer import Peer
from programs import BUNDLE, ROOT, as_yaml, built

PATIENCE_SECS = 60


class Doctor:
    """Calls the program while a peer goes on as it is told."""

    def __init__(self, domain: int):
        self.domain = domain
        self.environment = os.environ | {"ROS_DOMAIN_ID": str(domain)}

    def command(self, *remappings: str, **parameters) -> list:
        # A busy machine is no defect of the graph.
        patient = {"gate__deadline": 0.03, "images__min_rate": 0.0, "max_frame_age": 0.5}
        values = {"bundle": str(BUNDLE), "dry_run": False} | patient | parameters
        settings = [f"{name.replace('__', '.')}:={as_yaml(value)}" for name, value in values.items()]
        given = [word for setting in settings for word in ("-p", setting)]
        given += [word for remapping in remappings for word in ("-r", remapping)]
        file = ROOT / "config" / "policy.yaml"
        return [built("deer_vla"), "doctor", "--json", "--seconds", "1", "--ros-args", "--params-file", file, *given]

    def examine(self, peer: Peer, live, *remappings: str, **parameters) -> tuple[int, dict[str, dict]]:
        """Exit code, and for each check the worst that was found. `live` is called over and over meanwhile."""
        command = self.command(*remappings, **parameters)
        process = subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, text=True)

        end = time.monotonic() + PATIENCE_SECS
        while process.poll() is None:
            assert time.monotonic() < end, f"the doctor said nothing for {PATIENCE_SECS} s"
            live()
            peer.executor.spin_once(timeout_sec=0.001)
        found = json.loads(process.stdout.read())["findings"]
        levels = ["ok", "warning", "error"]
        return process.returncode, {f["check"]: f for f in sorted(found, key=lambda f: levels.index(f["level"]))}


@pytest.fixture
def doctor(domain) -> Doctor:
    return Doctor(domain)


@pytest.fixture
def robot(domain):
    """Starts peers that must be closed."""
    peers = []

    def start(**parameters) -> Peer:
        peers.append(Peer(domain, **({"sim_time": False} | parameters)))
        return peers[-1]

    yield start
    for peer in peers:
        peer.close()


def cameras(peer: Peer, pictures, *, age: int = 0, period: int = PERIOD):
    """Shows pictures of `age` nanoseconds ago, one a period."""

    def show() -> None:
        now = peer.tick(period)
        peer.show(pictures, now - age)
        peer.shown = now

    return show


def errors(findings: dict[str, dict]) -> set[str]:
    return {check for check, finding in findings.items() if finding["level"] == "error"}


def test_a_healthy_graph_gives_0_and_says_what_it_found(doctor, robot, pictures):
    peer = robot()
    code, found = doctor.examine(peer, cameras(peer, pictures))
    assert (code, errors(found)) == (0, set()), found
    assert "200x200" in found["static/image"]["message"]
    for check in ("bundle", "thresholds", "network", "clock", "~/gripper (/deer_vla/gripper)"):
        assert found[check]["level"] == "ok", found[check]
    assert "ONNX Runtime" in found["network"]["message"] and "median" in found["step time"]["message"]


def test_topics_that_do_not_meet_are_remapped(doctor, robot, pictures):
    peer = robot(remapped={"static/image": "/overhead", "~/twist": "/servo_node/delta_twist_cmds"})
    live = cameras(peer, pictures)
    code, found = doctor.examine(peer, live, "estop:=/nobody", estop__heartbeat=0.5)
    assert code == 1 and errors(found) == {"static/image", "~/twist (/deer_vla/twist)", "estop (/nobody)"}, found
    assert "-r static/image:=/TOPIC" in found["static/image"]["mend"]
    assert "-r ~/twist:=/TOPIC" in found["~/twist (/deer_vla/twist)"]["mend"]
    mended = ("static/image:=/overhead", "~/twist:=/servo_node/delta_twist_cmds")
    code, found = doctor.examine(peer, live, *mended, estop__heartbeat=0.5)
    assert (code, errors(found)) == (0, set()), found


def test_a_best_effort_camera_is_not_heard_by_a_reliable_subscription(doctor, robot, pictures):
    peer = robot(best_effort=True)
    live = cameras(peer, pictures)
    code, found = doctor.examine(peer, live, images__qos="default")
    assert code == 1 and errors(found) == {"static/image", "gripper/image"}, found
    assert found["static/image"]["mend"] == "set images.qos to sensor_data"
    assert doctor.examine(peer, live, images__qos="sensor_data")[0] == 0


def test_another_transport_and_another_encoding_are_told_apart(doctor, robot, pictures):
    peer = robot()
    code, found = doctor.examine(peer, cameras(peer, pictures), images__transport="compressed")
    assert code == 1 and "images.transport to raw" in found["static/image"]["mend"], found

    def speak_raw() -> None:
        stamp = peer.tick()
        peer.show(pictures, stamp)
        peer.static.publish(image_message(pictures[0], stamp, encoding="bayer_rggb16"))

    code, found = doctor.examine(peer, speak_raw)
    assert found["static/image"]["level"] == "warning" and "bayer_rggb16" in found["static/image"]["message"], found


def test_slow_old_and_skewed_pictures_would_make_the_arm_hold(doctor, robot, pictures):
    peer = robot()
    code, found = doctor.examine(peer, cameras(peer, pictures, period=SECOND // 10), images__min_rate=0.5)
    assert code == 1 and "Hz where the policy takes 30" in found["static/image"]["message"], found
    code, found = doctor.examine(peer, cameras(peer, pictures, age=SECOND))
    assert code == 1 and "max_frame_age" in found["gripper/image"]["message"], found

    def apart() -> None:
        stamp = peer.shown = peer.tick()
        peer.static.publish(image_message(pictures[0], stamp))
        peer.gripper.publish(image_message(pictures[1], stamp - SECOND // 60))

    code, found = doctor.examine(peer, apart, max_frame_skew=0.01)
    assert code == 1 and "max_frame_skew" in found["static/image and gripper/image"]["mend"], found


def test_a_clock_that_is_another_is_told_before_every_age_by_it(doctor, robot, pictures):
    peer = robot()
    code, found = doctor.examine(peer, cameras(peer, pictures), use_sim_time=True)
    assert (code, errors(found)) == (1, {"clock"}), found
    simulator = robot(sim_time=True)
    code, found = doctor.examine(simulator, cameras(simulator, pictures))
    assert code == 1 and found["clock"]["level"] == "warning", found
    assert "use_sim_time" in found["static/image"]["mend"], found


def test_a_servo_with_lower_limits_other_units_or_another_clock_is_an_error_each(doctor, robot, pictures):
    peer = robot()
    prefix = "moveit_servo__"
    well = {f"{prefix}command_in_type": "speed_units", f"{prefix}incoming_command_timeout": 0.1}
    well |= {f"{prefix}scale__linear": 2.0, f"{prefix}scale__rotational": 4.0}
    peer.neighbour("servo_node", **well)
    live = cameras(peer, pictures)
    code, found = doctor.examine(peer, live)
    assert code == 0 and found["/servo_node"]["level"] == "ok", found
    ill = well | {f"{prefix}scale__linear": 0.001, f"{prefix}command_in_type": "unitless", "use_sim_time": True}
    peer.neighbour("other_servo", **ill)
    code, found = doctor.examine(peer, live, servo__node="/other_servo")
    assert (code, errors(found)) == (1, {"/other_servo"}), found


def test_a_missing_servo_matters_only_where_it_was_asked_for(doctor, robot, pictures):
    peer = robot()
    live = cameras(peer, pictures)
    assert doctor.examine(peer, live)[1]["servo"]["level"] == "ok"
    code, found = doctor.examine(peer, live, servo__handshake=True)
    assert code == 1 and "servo.node" in found["servo"]["mend"], found


def test_what_stops_the_node_from_starting_is_found_without_it(doctor, robot, tmp_path):
    peer = robot()
    code, found = doctor.examine(peer, lambda: None, bundle=str(tmp_path))
    assert code == 1 and "bundle" in errors(found), found
    code, found = doctor.examine(peer, lambda: None, onnxruntime=str(tmp_path / "none.so"))
    assert code == 1 and "network" in errors(found), found
    code, found = doctor.examine(peer, lambda: None, max_frame_age=-1.0)
    assert code == 1 and "max_frame_age" in found["parameters"]["message"], found


def test_wrong_arguments_give_2(doctor):
    for wrong in (["--seconds", "0"], ["--ros-args", "--params-file", "/no/such.yaml"]):
        run = subprocess.run(
            [built("deer_vla"), "doctor", *wrong], env=doctor.environment, capture_output=True, text=True
        )
        assert run.returncode == 2 and "panicked" not in run.stderr, run.stderr


def test_for_a_person_it_is_one_line_a_check(doctor, robot, pictures):
    peer = robot()
    command = [word for word in doctor.command("static/image:=/nowhere") if word != "--json"]
    process = subprocess.Popen(command, env=doctor.environment, stdout=subprocess.PIPE, text=True)
    peer.until(lambda: process.poll() is not None, "the doctor's word")
    lines = process.stdout.read().splitlines()
    assert any(line.startswith("ok       bundle: ") for line in lines), lines
    assert any(line.startswith("error    static/image (/nowhere): ") and "; mend: " in line for line in lines), lines

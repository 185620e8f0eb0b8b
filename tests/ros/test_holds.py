"""Whatever is missing, old, contradictory or broken means zero motion."""

from bundles import without_numbers
from messages import SECOND, image_message, is_zero
from peer import Peer


def begin_to_move(peer: Peer, pictures) -> None:
    peer.begin("push the button", pictures)
    decision, twist = peer.step(pictures)
    assert decision.acts and not is_zero(twist)


def test_no_image_for_longer_than_max_frame_age_stops_the_arm_until_images_return(pair, pictures):
    _, peer = pair(max_frame_age=0.5)
    begin_to_move(peer, pictures)
    peer.tick(SECOND)
    peer.until_still()
    peer.until(lambda: peer.decisions[-1]["verdict"] == "hold_stale_frame", "a hold for a stale frame")
    begin_to_move(peer, pictures)


def test_one_silent_camera_stops_the_arm(pair, pictures):
    _, peer = pair(max_frame_age=0.5)
    begin_to_move(peer, pictures)
    for _ in range(30):
        peer.static.publish(image_message(pictures[0], peer.tick()))
    peer.until_still()
    peer.until(lambda: peer.decisions[-1]["verdict"] == "hold_stale_frame", "a hold for a stale frame")


def test_an_old_picture_is_not_acted_on(pair, pictures):
    _, peer = pair(max_frame_age=0.5)
    begin_to_move(peer, pictures)
    old = peer.now + 1
    peer.tick(2 * SECOND)
    heard = len(peer.decisions)
    peer.show(pictures, old)
    peer.until_still()
    assert not any(decision.acts for decision in peer.decisions[heard:])


def test_pictures_taken_apart_hold(pair, pictures):
    _, peer = pair(max_frame_skew=0.1)
    begin_to_move(peer, pictures)
    late = peer.tick(SECOND)
    peer.static.publish(image_message(pictures[0], late))
    peer.gripper.publish(image_message(pictures[1], late - SECOND // 2))

    def held() -> bool:
        peer.tick()  # for a while the older picture's successor is waited for
        return peer.decisions[-1]["verdict"] == "hold_skewed_frames"

    peer.until(held, "a hold for skewed frames")
    peer.until(lambda: is_zero(peer.twists[-1]), "a zero twist")


def test_what_is_not_a_number_is_a_latched_fault_and_never_a_command(pair, pictures, tmp_path):
    _, peer = pair(bundle=str(without_numbers(tmp_path / "bundle")))
    peer.say("push the button")
    peer.until(lambda: peer.decide(pictures)["verdict"] == "hold_fault", "a fault")
    peer.until_reported(["finite"])
    for _ in range(3):
        decision, twist = peer.step(pictures)
        assert decision["verdict"] == "hold_fault" and is_zero(twist)
    assert all(map(is_zero, peer.twists)) and not peer.gripper_commands

    assert not peer.enable().success, "a fault must be cleared first"
    assert peer.trigger("clear_fault").success
    assert peer.decide(pictures)["verdict"] == "hold_disarmed", "clearing a fault moves nothing"


def test_the_arm_moves_only_when_enabled_and_is_left_alone_when_disabled(pair, pictures):
    _, peer = pair(autostart=False)
    peer.say("push the button")
    assert peer.decide(pictures)["verdict"] == "hold_disarmed"
    assert all(map(is_zero, peer.twists))
    assert peer.enable().success
    begin_to_move(peer, pictures)

    assert peer.enable(False).success
    assert peer.decide(pictures)["verdict"] == "hold_disarmed"
    peer.until(lambda: is_zero(peer.twists[-1]), "a last zero twist")
    heard = len(peer.twists)
    assert all(peer.decide(pictures)["verdict"] == "hold_disarmed" for _ in range(5))
    assert len(peer.twists) == heard, "someone else may move it now"


def test_the_emergency_stop_stops_without_a_picture_and_its_release_moves_nothing(pair, pictures):
    _, peer = pair()
    begin_to_move(peer, pictures)
    peer.stop(True)
    peer.until_still()
    decision, twist = peer.step(pictures)
    assert decision["verdict"] == "hold_estop" and is_zero(twist)
    assert not peer.enable().success, "not while it is pressed"

    peer.stop(False)
    peer.until(lambda: peer.enable().success, "the release to be heard")
    begin_to_move(peer, pictures)


def test_releasing_the_emergency_stop_needs_enabling_again(pair, pictures):
    _, peer = pair()
    begin_to_move(peer, pictures)
    peer.stop(True)
    peer.stop(False)
    peer.until(lambda: peer.decide(pictures)["verdict"] == "hold_disarmed", "the press and the release to be heard")
    peer.until(lambda: is_zero(peer.twists[-1]), "a last zero twist")


def test_a_silent_emergency_stop_counts_as_pressed_where_a_heartbeat_was_configured(pair, pictures):
    """By the machine's clock: a simulated one that stands still is no heartbeat."""
    _, peer = pair(estop__heartbeat=2.0)
    peer.stop(False)
    begin_to_move(peer, pictures)
    peer.until(lambda: peer.decide(pictures)["verdict"] == "hold_estop_silent", "the silence to be noticed")
    peer.until_reported(["emergency stop"])

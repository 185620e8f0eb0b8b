"""MoveIt Servo's side, against a peer that plays it: the arm moves only while Servo moves it."""

import pytest
import servo
from messages import is_zero
from peer import Peer
from servo import Servo


@pytest.fixture
def moving(pair, pictures):
    """A node with the handshake, its peer, and a Servo that lets it move."""

    def begin(**parameters):
        _, peer = pair(servo__handshake=True, **parameters)
        there = Servo(peer)
        resume(peer, there, pictures)
        return peer, there

    return begin


def verdict_while(peer: Peer, there: Servo, code: int, pictures) -> dict:
    there.say(code)
    return peer.decide(pictures)


def resume(peer: Peer, there: Servo, pictures) -> None:
    """Shows pictures under a harmless status until the arm moves."""
    peer.say("push the button")

    def acts() -> bool:
        return verdict_while(peer, there, servo.NO_WARNING, pictures).acts

    peer.until(acts, "an action")


def test_nothing_moves_before_servo_was_asked_to_take_twists(pair, pictures):
    _, peer = pair(servo__handshake=True)
    peer.say("push the button")
    decision = peer.stream(pictures, lambda: peer.decisions[-1]["instruction"] and peer.decisions[-1], "a decision")
    assert decision["verdict"] == "hold_servo" and "waiting for MoveIt Servo at /servo_node" in decision.message
    there = Servo(peer)
    resume(peer, there, pictures)
    assert there.starts == 1


def test_a_servo_that_refuses_is_asked_again_and_says_why(pair, pictures):
    _, peer = pair(servo__handshake=True)
    there = Servo(peer, accepts=False)
    peer.say("push the button")
    peer.stream(pictures, lambda: "no robot state" in peer.decisions[-1].message, "the reason")
    there.accepts = True
    resume(peer, there, pictures)


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        (servo.INVALID, "hold_servo"),
        (servo.HALT_FOR_SINGULARITY, "hold_singularity"),
        (servo.HALT_FOR_COLLISION, "hold_collision"),
        (servo.JOINT_BOUND, "hold_joint_bound"),
    ],
)
def test_a_halt_of_servo_holds_and_clears_the_state_until_it_has_settled(moving, pictures, code, verdict):
    peer, there = moving()
    epoch = int(peer.decisions[-1]["epoch"])
    there.say(code)
    peer.stream(pictures, lambda: peer.decisions[-1]["verdict"] == verdict, "a hold")
    assert "MoveIt Servo stands" in peer.decisions[-1].message
    peer.until(lambda: is_zero(peer.twists[-1]), "the zero, which may be heard after the decision")
    resume(peer, there, pictures)
    assert int(peer.decisions[-1]["epoch"]) > epoch, "it is another beginning"


def test_servo_slowing_down_is_no_reason_to_hold(moving, pictures):
    peer, there = moving()
    assert verdict_while(peer, there, servo.SLOW_FOR_COLLISION, pictures).acts
    assert peer.decide(pictures).acts


def test_a_servo_that_falls_silent_holds_and_one_that_was_started_anew_is_greeted(moving, pictures):
    peer, there = moving()
    peer.stream(pictures, lambda: peer.decisions[-1]["verdict"] == "hold_servo", "a hold for silence")
    assert "silent" in peer.decisions[-1].message
    there.leave()
    peer.stream(pictures, lambda: "is gone" in peer.decisions[-1].message, "a hold for a Servo that is gone")
    again = Servo(peer)
    resume(peer, again, pictures)


def test_a_servo_that_comes_back_before_the_graph_forgets_the_old_one_is_greeted(moving, pictures):
    peer, _ = moving()
    again = Servo(peer)
    peer.stream(pictures, lambda: again.starts, "a greeting for the new one")
    resume(peer, again, pictures)


def test_without_the_handshake_servo_is_not_asked(pair, pictures):
    _, peer = pair()
    there = Servo(peer)
    there.say(servo.HALT_FOR_COLLISION)
    peer.begin("push the button", pictures)
    assert peer.decide(pictures).acts and there.starts == 0

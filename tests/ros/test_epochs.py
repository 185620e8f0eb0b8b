"""Instructions: the life of an epoch, and of the network's memory with it."""

from messages import is_zero


def test_a_changed_instruction_starts_an_epoch_with_a_cleared_memory(pair, pictures):
    _, peer = pair()
    first = peer.begin("push the button", pictures)
    second = peer.decide(pictures)
    assert second["arm"] != first["arm"], "the same pictures again: only the memory can make a difference"

    other = peer.begin("open the drawer", pictures)
    again = peer.begin("push the button", pictures)
    epochs = [int(decision["epoch"]) for decision in (first, second, other, again)]
    assert epochs == [epochs[0], epochs[0], epochs[0] + 1, epochs[0] + 2]
    assert other["arm"] != first["arm"]
    assert again["arm"] == first["arm"], "an epoch begins with nothing left of the one before"
    assert again["step"] == first["step"]


def test_the_same_instruction_again_changes_nothing(pair, pictures):
    _, peer = pair()
    undisturbed = [peer.begin("push the button", pictures)] + [peer.decide(pictures) for _ in range(8)]
    peer.begin("open the drawer", pictures)

    repeated = [peer.begin("push the button", pictures)]
    for _ in range(8):
        peer.say("push the button")
        repeated.append(peer.decide(pictures))
    assert [decision["arm"] for decision in repeated] == [decision["arm"] for decision in undisturbed]
    # Instructions arrive in order, so by the next one every repetition has been heard.
    assert int(peer.begin("open the drawer", pictures)["epoch"]) == int(repeated[0]["epoch"]) + 1


def test_reset_clears_the_memory(pair, pictures):
    _, peer = pair()
    first = peer.begin("push the button", pictures)
    assert peer.decide(pictures)["arm"] != first["arm"]
    assert peer.trigger("reset").success
    assert peer.decide(pictures)["arm"] == first["arm"]


def test_without_an_instruction_the_arm_holds(pair, pictures):
    _, peer = pair()
    decision, twist = peer.step(pictures)
    assert decision["verdict"] == "hold_no_instruction" and is_zero(twist)


def test_an_empty_instruction_holds(pair, pictures):
    _, peer = pair()
    peer.begin("push the button", pictures)
    peer.say("")
    decision, twist = peer.step(pictures)
    while decision.acts:
        decision, twist = peer.step(pictures)
    assert decision["verdict"] == "hold_no_instruction" and is_zero(twist)

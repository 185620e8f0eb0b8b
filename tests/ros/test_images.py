"""Pictures in: what is read, and that what is not read is refused without stopping the node."""

import numpy as np
import pytest
from bundles import cut
from messages import Decision, image_message, is_zero
from peer import Peer
from sensor_msgs.msg import CompressedImage, Image


@pytest.mark.parametrize("transport", ["raw", "compressed"])
def test_pictures_become_commands_in_real_time(pair, pictures, transport):
    """With the parameters that ship, but for a camera that is slow where the machine is busy."""
    _, peer = pair(
        use_sim_time=False,
        images__qos="sensor_data",
        max_frame_age=1.0,
        max_silence=1.0,
        images__min_rate=0.0,
        images__transport=transport,
    )
    peer.say("push the button")
    peer.stream(pictures, lambda: not all(map(is_zero, peer.twists)), "a twist that moves")


def as_encoding(picture: np.ndarray, encoding: str) -> np.ndarray:
    """The same grey picture in another byte order."""
    if encoding == "mono8":
        return picture[..., :1]
    ordered = picture[..., ::-1] if encoding.startswith("bgr") else picture
    return np.concatenate([ordered, np.full_like(picture[..., :1], 255)], axis=-1) if "a8" in encoding else ordered


@pytest.mark.parametrize("grey", [False, True])
def test_every_encoding_and_row_padding_gives_the_same_action(pair, pictures, grey):
    _, peer = pair()
    if grey:
        pictures = tuple(np.repeat(picture[..., :1], 3, axis=-1) for picture in pictures)
    expected = peer.begin("push the button", pictures)["arm"]
    for encoding in ["mono8", "rgb8"] if grey else ["rgb8", "bgr8", "rgba8", "bgra8"]:
        assert peer.trigger("reset").success
        stamp, heard = peer.tick(), len(peer.decisions)
        for publisher, picture in zip((peer.static, peer.gripper), pictures, strict=True):
            publisher.publish(image_message(as_encoding(picture, encoding), stamp, encoding, padding=7))
        decision = peer.until(lambda: peer.decisions[heard:], f"a decision about {encoding}")[0]  # noqa: B023
        assert decision["arm"] == expected, encoding


def one_pixel(peer: Peer) -> Image:
    return image_message(np.zeros((1, 1, 3), np.uint8), peer.tick())


def unknown_encoding(peer: Peer) -> Image:
    return image_message(np.zeros((200, 200, 2), np.uint8), peer.tick(), "bayer_rggb16")


def truncated(peer: Peer) -> Image:
    message = image_message(np.zeros((200, 200, 3), np.uint8), peer.tick())
    message.data = message.data[:-1]
    return message


def hundred_megabytes(peer: Peer) -> Image:
    return image_message(np.zeros((5000, 6700, 3), np.uint8), peer.tick())


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (one_pixel, ["static", "1x1"]),
        (unknown_encoding, ["static", "bayer_rggb16"]),
        (truncated, ["static", "119999", "120000"]),
        (hundred_megabytes, ["static", "6700x5000"]),
    ],
)
def test_an_unreadable_image_is_refused_and_the_next_good_one_is_used(pair, pictures, bad, words):
    node, peer = pair()
    peer.begin("push the button", pictures)
    peer.static.publish(bad(peer))
    peer.until_reported(words)
    node.check()
    decision, twist = peer.step(pictures)
    assert decision.acts and not is_zero(twist)


def test_a_broken_jpeg_is_refused_and_the_next_good_one_is_used(pair, pictures):
    node, peer = pair(images__transport="compressed")
    peer.begin("push the button", pictures)
    broken = CompressedImage(format="jpeg", data=b"\xff\xd8\xff\xe0 and no more")
    broken.header.stamp.sec = peer.tick() // 10**9
    peer.static.publish(broken)
    peer.until_reported(["static", "jpeg"])
    node.check()
    assert peer.decide(pictures).acts


def test_pictures_taken_together_are_answered_together(pair, pictures):
    """Also after one of them was lost: what is left of that pair must not wait for a partner from the next."""
    _, peer = pair()
    peer.begin("push the button", pictures)
    heard = len(peer.decisions)
    for lonely, picture in ((peer.gripper, pictures[1]), (peer.static, pictures[0])):
        lonely.publish(peer.image(picture, peer.tick()))
        for _ in range(3):
            assert peer.decide(pictures).acts
    stamps = acted_on(peer.decisions[heard:])
    assert len(stamps) == 6 and all(static == gripper for static, gripper in stamps)


def acted_on(decisions: list[Decision]) -> list[tuple[int, int]]:
    return [decision.stamps for decision in decisions if decision.acts]


def test_the_newest_picture_wins(pair, pictures):
    """However many frames come at once, the last is answered, and none twice or out of order."""
    _, peer = pair()
    peer.begin("push the button", pictures)
    heard = len(peer.decisions)
    for _ in range(90):
        last = peer.tick()
        peer.show(pictures, last)
    # A burst may part the cameras: then the answer to the last frame is a hold.
    peer.until(lambda: any(last in decision.stamps for decision in peer.decisions[heard:]), "an answer to the last")
    newest = [max(stamps) for stamps in acted_on(peer.decisions[heard:])]
    assert newest == sorted(set(newest))


def test_pictures_are_read_as_is_said_of_their_camera(pair, pictures):
    """8UC3 does not say which channel is red, and a policy that learned from cut pictures must see them cut."""
    node, peer = pair()
    expected = peer.begin("push the button", (pictures[0][:32, :32], pictures[1]))["arm"]
    assert node.stop() == 0
    _, peer = pair(images__encoding=["static=bgr8"], images__crop='["static=0,0,32,32"]')
    peer.begin("push the button", pictures)
    assert peer.trigger("reset").success
    stamp, heard = peer.tick(), len(peer.decisions)
    peer.static.publish(image_message(pictures[0][..., ::-1], stamp, "8UC3"))
    peer.gripper.publish(image_message(pictures[1], stamp))
    assert peer.until(lambda: peer.decisions[heard:], "a decision about 8UC3")[0]["arm"] == expected


def test_pictures_are_cut_as_the_policy_learned_them(pair, pictures, tmp_path):
    """And a camera of another size moves nothing until somebody says what to cut."""
    node, peer = pair()
    expected = peer.begin("push the button", (pictures[0][:16, :16], pictures[1]))["arm"]
    assert node.stop() == 0
    bundle = str(cut(tmp_path / "cut", 32, [0, 0, 16, 16]))  # of such pictures as a peer meets a node with
    node, peer = pair(bundle=bundle)
    assert peer.begin("push the button", (pictures[0][:32, :32], pictures[1]))["arm"] == expected
    peer.static.publish(peer.image(pictures[0], peer.tick()))
    peer.until_reported(["static", "of 32x32 pictures, and this one has 200x200 pixels", "images.crop"])
    assert node.stop() == 0
    _, peer = pair(bundle=bundle, images__crop='["static=0,0,16,16"]')
    assert peer.begin("push the button", pictures)["arm"] == expected


def test_a_format_that_contradicts_the_data_is_told_once(pair, pictures):
    node, peer = pair(images__transport="compressed")
    peer.begin("push the button", pictures)
    for _ in range(2):
        stamp = peer.tick()
        for publisher, picture in zip((peer.static, peer.gripper), pictures, strict=True):
            message = peer.image(picture, stamp)
            message.format = "rgb8; jpeg compressed rgb8"
            publisher.publish(message)
        peer.until(lambda: peer.decisions[-1].acts and stamp in peer.decisions[-1].stamps, "an action")  # noqa: B023
    assert [role for role in ("static", "gripper") if node.said().count(f"{role}/image: the format") == 1] == [
        "static",
        "gripper",
    ]

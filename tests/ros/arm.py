"""A real arm's side of the stream: what a controller that holds the last command would have done."""

import itertools
from collections.abc import Sequence

from geometry_msgs.msg import TwistStamped
from messages import SECOND, is_zero, nanoseconds_of, numbers_of


def stamps_of(twists: Sequence[TwistStamped]) -> list[int]:
    return [nanoseconds_of(twist.header.stamp) for twist in twists]


def moved(twists: Sequence[TwistStamped]) -> list[float]:
    """Metres and radians that the arm has gone along each axis: each command until the next, by their stamps."""
    total = [0.0] * 6
    for before, after in itertools.pairwise(twists):
        seconds = (nanoseconds_of(after.header.stamp) - nanoseconds_of(before.header.stamp)) / SECOND
        total = [sum_ + value * seconds for sum_, value in zip(total, numbers_of(before), strict=True)]
    return total


def last_zeros(twists: Sequence[TwistStamped], since: int) -> list[int]:
    """Stamps of the zeros, from `since` on, after which nothing else came: a zero between two motions is no halt."""
    zeros = []
    for twist in reversed(twists):
        stamp = nanoseconds_of(twist.header.stamp)
        if not is_zero(twist) or stamp < since:
            break
        zeros.insert(0, stamp)
    return zeros

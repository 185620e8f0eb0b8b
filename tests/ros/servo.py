"""MoveIt Servo's documented interface on ROS 2 Humble, played by a peer: it is started by a service, takes twists, and
says how it is with numbers."""

from peer import RELIABLE, Peer
from std_msgs.msg import Int8
from std_srvs.srv import Trigger

NO_WARNING, INVALID, HALT_FOR_SINGULARITY, SLOW_FOR_COLLISION, HALT_FOR_COLLISION, JOINT_BOUND = 0, -1, 2, 3, 4, 5


class Servo:
    """`accepts`: whether it lets itself be started."""

    def __init__(self, peer: Peer, name: str = "servo_node", *, accepts: bool = True):
        self.peer = peer
        self.accepts = accepts
        self.starts = 0
        self.status = peer.node.create_publisher(Int8, f"/{name}/status", RELIABLE)
        peer.node.create_service(Trigger, f"/{name}/start_servo", self._start)

    def _start(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.starts += self.accepts
        response.success, response.message = self.accepts, "" if self.accepts else "no robot state"
        return response

    def say(self, code: int) -> None:
        self.status.publish(Int8(data=code))

    def leave(self) -> None:
        """As a process that was killed does."""
        self.peer.node.destroy_publisher(self.status)

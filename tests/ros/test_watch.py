"""The terminal view of a running node."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios

from programs import built

WIDE = struct.pack("HHHH", 30, 110, 0, 0)  # rows, columns, and two numbers that nobody reads
CONTROL = re.compile(rb"\x1b\[[0-9;?]*[a-zA-Z]")


class View:
    """`deer_vla watch` on a terminal of its own, and every letter that it has drawn."""

    def __init__(self, domain: int, *arguments: str):
        self.terminal, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, WIDE)
        environment = os.environ | {"ROS_DOMAIN_ID": str(domain), "TERM": "xterm-256color"}
        command = [built("deer_vla"), "watch", *arguments]
        self.process = subprocess.Popen(command, stdin=other, stdout=other, stderr=subprocess.PIPE, env=environment)
        os.close(other)
        self.drawn = b""

    def shows(self, *words: str) -> bool:
        """Whether all of these were drawn; blanks are not, where the screen was empty."""
        while select.select([self.terminal], [], [], 0.0)[0]:
            self.drawn += os.read(self.terminal, 65536)
        letters = CONTROL.sub(b"", self.drawn).decode(errors="ignore")
        return all(word in letters for word in words)

    def press(self, key: str) -> int:
        os.write(self.terminal, key.encode())
        return self.process.wait(timeout=20)


def test_watch_shows_what_a_node_does_and_leaves_it_alone(pair, domain, pictures, other_pictures):
    _, peer = pair()
    peer.begin("push the button", pictures)
    view = View(domain)
    shown = [pictures, other_pictures]

    def sees() -> bool:
        shown.reverse()
        peer.decide(shown[0])
        return view.shows("/deer_vla", "active", "push", "button", "exit", "delta", "static", "gripper", "Hz", "33.3")

    peer.until(sees, "the node to be shown", patience=60)
    assert view.press("q") == 0
    assert peer.decide(pictures).acts, "the node goes on"


def test_watch_says_that_nothing_is_heard_of_a_node_that_is_not_there(domain):
    view = View(domain, "--node", "/left/deer_vla")
    while not view.shows("/left/deer_vla", "nothing", "heard"):
        assert view.process.poll() is None
        select.select([view.terminal], [], [], 0.2)
    assert view.press("\x03") == 0, "Ctrl-C ends it as q does"


def test_watch_without_a_terminal_is_one_sentence(domain):
    command = [built("deer_vla"), "watch"]
    environment = os.environ | {"ROS_DOMAIN_ID": str(domain)}
    run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment, timeout=60)
    assert run.returncode == 1 and "no terminal to draw on" in run.stderr and len(run.stderr.splitlines()) == 1

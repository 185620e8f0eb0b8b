"""What is said for each of CALVIN's tasks.

`validation` is what CALVIN's evaluation says: CALVIN holds these out of training, so do we. `train` are sentences of
templates and of nine writers (said.json), `test` those of a tenth, who saw none of them: what `train` has not too.
"""

import itertools
import json
import random
import re
from collections.abc import Mapping
from pathlib import Path

from deer_lab.worlds.calvin.tasks import COLOURS, NAMES
from deer_lab.worlds.world import Phrasings

WRITTEN = Path(__file__).parent / "said.json"
MOST_WAYS = 24  # of a template, else the long ones would be nearly all that is said
MORE_WORDS = (  # before and after a template's order, in how many of them
    (("please", "could you", "can you", "would you", "i want you to", "i need you to", "now", "robot"), 0.4),
    (("please", "for me", "now", "if you can", "quickly"), 0.15),
)

LEFT = "(left|to the left|to the left side|towards the left|leftwards|over to the left)"
GRASP = "(grasp|grab|take|hold)"
BLOCK = "(block|cube)"
LIFT = "(lift|raise|pick up|take|grasp|get|fetch)"
HELD = "(the|the grasped|the held|your) (block|object|cube)"
WHAT_IS_HELD = "(it|what you hold|the thing you are holding|the block in your hand|the block in the gripper)"
PUT = "(put|place|lay|set|drop|leave|store)"
SHELF = "(cabinet|sliding cabinet|slider)"
ANOTHER = "(another block|another one|another|the other block|one of the other blocks|a block)"
LED = "(led|green light|green lamp|led lamp|small green light)"
BULB = "(bulb|light bulb|yellow light|yellow lamp)"
BUTTON = "(push|press|hit|push down|press down|toggle|use) the (button|red button)"
SWITCH = "(move|push|toggle|slide|flip) the (switch|light switch)"


def sided(name: str, *templates: str) -> dict[str, tuple[str, ...]]:
    """`templates` that say LEFT, for a task and for the same to the right."""
    other = {"left": "right", "counterclockwise": "clockwise", "anticlockwise": "clockwise"}
    right = tuple(re.sub("|".join(other), lambda found: other[found[0]], template) for template in templates)
    return {name: templates, name.replace("left", "right"): right}


# (a|b) is either, (a|) is a or nothing; {colour} is each of the three.
TEMPLATES = {
    "open_drawer": (
        "(go |)open the (drawer|cabinet drawer|desk drawer)",
        "(pull|slide|draw|drag) (out the drawer|the drawer out|the drawer open|open the drawer)",
        "(pull|drag) the (drawer|handle of the drawer|drawer handle)( towards you| to the front|)",
        (
            "(grasp|grab|take|hold) the (handle of the drawer|drawer handle|handle) (and|then) "
            "(open it|pull it out|pull it open|open the drawer)"
        ),
        "(get|have|make) the drawer (open|opened)",
        "(pull|use) its handle to (open|draw out) the drawer",
    ),
    "close_drawer": (
        "(go |)(close|shut) the (drawer|cabinet drawer|desk drawer)",
        "(push|slide|press|shove) (in the drawer|the drawer in|the drawer shut|the drawer closed|the drawer back in)",
        "(push|press) the (drawer|handle of the drawer|drawer handle)( away| to the back|)",
        (
            "(grasp|grab|take|hold) the (handle of the drawer|drawer handle|handle) (and|then) "
            "(close it|push it in|shut it|close the drawer)"
        ),
        "(get|have|make) the drawer (shut|closed)",
        "(push|use) its handle to (close|shut) the drawer",
    ),
    **sided(
        "move_slider_left",
        f"(move|slide|push|pull|shift|drag|shove|bring) the (door|sliding door|cabinet door|slider) {LEFT}",
        f"(grasp|grab|take) the (handle of the door|door handle)(,| and) (then |)(slide|move|push) the door {LEFT}",
        f"(go and|just) (move|slide|push) the (door|sliding door|cabinet door) {LEFT}",
        "(move|slide|push) the (door|sliding door|cabinet door) (all the way|as far as it goes) (left|to the left)",
        "(slide|move|push) the door to the left(, then| and) let (it go|go)",
    ),
    "turn_on_led": (
        f"(go |)(turn on|switch on|light up|light) the {LED}",
        f"(turn|switch) the {LED} on",
        f"{BUTTON} (to|and|so as to) (turn on|switch on|light) the {LED}",
        f"make the {LED} (shine|light up|glow|go on)",
        f"{BUTTON} so that the {LED} (goes on|shines|lights up)",
    ),
    "turn_off_led": (
        f"(go |)(turn off|switch off|put out|darken) the {LED}",
        f"(turn|switch) the {LED} off",
        f"{BUTTON} (to|and|so as to) (turn off|switch off|put out) the {LED}",
        f"make the {LED} (go dark|go out|go off|stop shining)",
        f"{BUTTON} so that the {LED} (goes off|goes out|goes dark)",
    ),
    "turn_on_lightbulb": (
        f"(go |)(turn on|switch on|light up|light) the {BULB}",
        f"(turn|switch) the {BULB} on",
        f"{SWITCH} (to|and|so as to) (turn on|switch on|light) the {BULB}",
        f"make the {BULB} (shine|light up|glow|go on)",
        f"(use|flip) the light switch to (switch on|light) the {BULB}",
        "(move|push|slide) the (switch|light switch) (up|upwards|away)",
        "(move|push|slide) up the (switch|light switch)",
    ),
    "turn_off_lightbulb": (
        f"(go |)(turn off|switch off|put out|darken) the {BULB}",
        f"(turn|switch) the {BULB} off",
        f"{SWITCH} (to|and|so as to) (turn off|switch off|put out) the {BULB}",
        f"make the {BULB} (go dark|go out|go off|stop shining)",
        f"(use|flip) the light switch to (switch off|put out) the {BULB}",
        "(move|pull|slide) the (switch|light switch) (down|downwards|back)",
        "(move|pull|slide) down the (switch|light switch)",
    ),
    **sided(
        "push_{colour}_block_left",
        f"(push|slide|move|sweep|shove|nudge|shift|drag) the {{colour}} {BLOCK} {LEFT}",
        f"(push|slide) left the {{colour}} {BLOCK}",
        f"(go and|just) (push|slide|move) the {{colour}} {BLOCK} {LEFT}",
        f"(push|slide|move) the {{colour}} {BLOCK} (a bit|some way|further) (left|to the left)",
    ),
    **sided(
        "rotate_{colour}_block_left",
        f"(rotate|turn|twist|spin) the {{colour}} {BLOCK} {LEFT}",
        f"(rotate|turn) left the {{colour}} {BLOCK}",
        f"(rotate|turn|twist|spin) the {{colour}} {BLOCK} (counterclockwise|anticlockwise|90 degrees to the left)",
        f"{GRASP} the {{colour}} {BLOCK}(,| and) (then |)(rotate|turn|twist) it {LEFT}",
        f"{GRASP} the {{colour}} {BLOCK} and (rotate|turn|twist|spin) it (counterclockwise|90 degrees to the left)",
        f"give the {{colour}} {BLOCK} a (turn|quarter turn|twist) (to the left|counterclockwise)",
    ),
    "lift_{colour}_block_table": (
        f"(go |)(lift|raise|pick up|lift up) the {{colour}} {BLOCK}",
        f"(lift|pick) the {{colour}} {BLOCK} up",
        f"{LIFT} the {{colour}} {BLOCK} (from|off) the (table|desk)",
        f"(lift|pick up|raise) the {{colour}} {BLOCK} (on|that lies on|lying on) the (table|desk)",
        f"{GRASP} the {{colour}} {BLOCK}(,| and) (then |)(lift it up|raise it|pick it up|hold it up)",
        f"{GRASP} the {{colour}} {BLOCK} (on|from) the (table|desk)( and lift it| and lift it up|)",
    ),
    "lift_{colour}_block_slider": (
        f"{LIFT} the {{colour}} {BLOCK} (from|off|out of) the (shelf|cabinet|slider)",
        f"{LIFT} the {{colour}} {BLOCK} (in|lying in|inside) the {SHELF}",
        f"{LIFT} the {{colour}} {BLOCK} (on|lying on) the shelf",
        f"(pick up|take|grasp|get|fetch|raise) the {{colour}} {BLOCK} (from|out of) the sliding cabinet",
        f"in the {SHELF} (grasp|pick up|lift|take) the {{colour}} {BLOCK}",
        f"{GRASP} the {{colour}} {BLOCK} (on the shelf|in the cabinet|in the sliding cabinet) and lift it( up|)",
        f"(go|reach) (to|into) the (cabinet|shelf) and (pick up|take|lift) the {{colour}} {BLOCK}",
    ),
    "lift_{colour}_block_drawer": (
        f"{LIFT} the {{colour}} {BLOCK} (out of|from inside) the (drawer|open drawer)",
        f"{LIFT} the {{colour}} {BLOCK} (in|lying in|inside) the drawer",
        f"(lift|raise|pick up|grasp|get|fetch) the {{colour}} {BLOCK} from the drawer",
        f"in the drawer (grasp|pick up|lift|take) the {{colour}} {BLOCK}",
        f"{GRASP} the {{colour}} {BLOCK} in the drawer and lift it( up|)",
        f"(go|reach) (to|into|towards) the drawer and (pick up|take|lift) the {{colour}} {BLOCK}",
        f"go towards the {{colour}} {BLOCK} in the drawer and (lift it|grasp it|pick it up)",
    ),
    "place_in_slider": (
        f"(put|place|lay|set|leave) {HELD} (in|into|inside) the {SHELF}",
        "store the (block|object|held block) (in|inside) the (cabinet|slider)",
        f"{PUT} {HELD} (on|onto) the shelf",
        f"{PUT} {WHAT_IS_HELD} (in the cabinet|in the sliding cabinet|in the slider|on the shelf)",
        (
            "(move|go) to the (cabinet|shelf|slider)(,| and) (then |)(place|put down|store|let go of) "
            "(the block|the object|it)"
        ),
        "(move|bring) (the block|the object|it) (into|to) the (sliding cabinet|cabinet|slider|shelf)",
    ),
    "place_in_drawer": (
        f"(put|place|lay|set|leave|drop) {HELD} (in|into|inside) the (drawer|open drawer)",
        "store the (block|object|held block) (in|inside) the (drawer|open drawer)",
        f"{PUT} {WHAT_IS_HELD} (in|into) the drawer",
        "(move|go) to the drawer(,| and) (then |)(place|put down|store|let go of) (the block|the object|it)",
        "(move|bring|put) (the block|the object|it) (into|to) the drawer",
    ),
    "push_into_drawer": (
        (
            "(push|slide|sweep|shove) (the block|a block|the object|a cube) "
            "(into|over the edge into|off the table into) the (drawer|open drawer)"
        ),
        (
            "(push|sweep|shove|move) (the block|a block|the object|a cube) (so that|until|that) it "
            "(falls|drops) into the drawer"
        ),
        (
            "slide (the block|a block|the object|a cube) "
            "(until it falls|until it drops|so that it drops|to the edge so that it falls) into the drawer"
        ),
        "(make|let) (the block|a block|the object) (fall|drop) into the drawer",
    ),
    "stack_block": (
        f"(stack|place|put|set|lay) {HELD} (on top of|on|onto) {ANOTHER}",
        f"(stack|place|put|set) {WHAT_IS_HELD} (on top of|on|onto) {ANOTHER}",
        "stack (the|your) (block|object|cube|held block|blocks)",
        "(stack|pile) (blocks|the blocks) (on top of each other|up|on each other)",
        "(build|make) a (tower|stack) (of blocks|of two blocks|with the block|with the blocks)",
    ),
    "unstack_block": (
        "(unstack|collapse) the (blocks|block|stacked blocks|tower|stack)",
        "(take off|lift off|take down|lift|pick up) the (stacked|top|upper) block",
        "remove the (top|upper) block",
        (
            "(take|remove|lift|get) (a|the top|the upper|the) block (from|off) the "
            "(stack|tower|other block|other|lower one|lower block)"
        ),
        "(take off|remove|take down) the block (that is |)on top( of the other| of the other one| of the other block|)",
        "(go|reach) to the (tower|stack)( of blocks|) and take off the top (one|block)",
        "take the (stack|tower)( of blocks|) apart",
    ),
}

VALIDATION = {
    "open_drawer": "pull the handle to open the drawer",
    "close_drawer": "push the handle to close the drawer",
    "move_slider_left": "push the sliding door to the left side",
    "move_slider_right": "push the sliding door to the right side",
    "turn_on_led": "press the button to turn on the led light",
    "turn_off_led": "press the button to turn off the led light",
    "turn_on_lightbulb": "use the switch to turn on the light bulb",
    "turn_off_lightbulb": "use the switch to turn off the light bulb",
    "push_{colour}_block_left": "go push the {colour} block left",
    "push_{colour}_block_right": "go push the {colour} block right",
    "rotate_{colour}_block_left": "take the {colour} block and rotate it to the left",
    "rotate_{colour}_block_right": "take the {colour} block and rotate it to the right",
    "lift_{colour}_block_table": "grasp and lift the {colour} block",
    "lift_{colour}_block_slider": "lift the {colour} block from the sliding cabinet",
    "lift_{colour}_block_drawer": "Take the {colour} block from the drawer",
    "place_in_slider": "store the grasped block in the sliding cabinet",
    "place_in_drawer": "store the grasped block in the drawer",
    "push_into_drawer": "slide the block that it falls into the drawer",
    "stack_block": "stack the grasped block",
    "unstack_block": "remove the stacked block",
}


def phrasings() -> Mapping[str, Phrasings]:
    """The sentences of every task, in CALVIN's own order."""
    found, written = {}, json.loads(WRITTEN.read_text())
    for name, first in VALIDATION.items():
        for colour in COLOURS if "{colour}" in name else ("",):
            validation = first.format(colour=colour)
            of_templates = [way for template in TEMPLATES[name] for way in ways(template)]
            said = [sentence.format(colour=colour) for sentence in (*of_templates, *written["train"][name])]
            train = tuple(dict.fromkeys(sentence for sentence in said if sentence != validation.lower()))
            asked = [sentence.format(colour=colour) for sentence in written["test"][name]]
            test = tuple(sentence for sentence in asked if sentence not in train)
            found[name.format(colour=colour)] = Phrasings(validation, train, test)
    return {name: found[name] for name in NAMES}


def ways(template: str) -> list[str]:
    """Sentences of a template: all, or MOST_WAYS of them, some in more words than orders need; always the same."""
    parts = re.split(r"[()]", template)  # what stands between brackets is at the odd places
    choices = [part.split("|") if place % 2 else [part] for place, part in enumerate(parts)]
    every = [" ".join("".join(words).split()) for words in itertools.product(*choices)]
    draw = random.Random(template)
    said = draw.sample(every, min(len(every), MOST_WAYS))
    before, after = ([draw.choice(words) if draw.random() < share else "" for _ in said] for words, share in MORE_WORDS)
    return [" ".join(f"{a} {way} {z}".split()) for a, way, z in zip(before, said, after, strict=True)]

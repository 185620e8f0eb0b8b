"""What is said for each of CALVIN's tasks.

`validation` is what CALVIN's evaluation says: CALVIN holds these out of training, so do we. `train` are many ways to
say the same. `test` was written by somebody who had seen neither; what `train` says too is not asked.
"""

import itertools
import random
import re
from collections.abc import Mapping

from deer_lab.worlds.calvin.tasks import COLOURS, NAMES
from deer_lab.worlds.world import Phrasings

MOST_WAYS = 24  # of a template, else the long ones would be nearly all that is said

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
        "(go |please |)open the (drawer|cabinet drawer|desk drawer)",
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
        "(go |please |)(close|shut) the (drawer|cabinet drawer|desk drawer)",
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
        f"(go|please) (move|slide|push) the (door|sliding door|cabinet door) {LEFT}",
        "(move|slide|push) the (door|sliding door|cabinet door) (all the way|as far as it goes) (left|to the left)",
        "(slide|move|push) the door to the left(, then| and) let (it go|go)",
    ),
    "turn_on_led": (
        f"(go |please |)(turn on|switch on|light up|light) the {LED}",
        f"(turn|switch) the {LED} on",
        f"{BUTTON} (to|and|so as to) (turn on|switch on|light) the {LED}",
        f"make the {LED} (shine|light up|glow|go on)",
        f"{BUTTON} so that the {LED} (goes on|shines|lights up)",
    ),
    "turn_off_led": (
        f"(go |please |)(turn off|switch off|put out|darken) the {LED}",
        f"(turn|switch) the {LED} off",
        f"{BUTTON} (to|and|so as to) (turn off|switch off|put out) the {LED}",
        f"make the {LED} (go dark|go out|go off|stop shining)",
        f"{BUTTON} so that the {LED} (goes off|goes out|goes dark)",
    ),
    "turn_on_lightbulb": (
        f"(go |please |)(turn on|switch on|light up|light) the {BULB}",
        f"(turn|switch) the {BULB} on",
        f"{SWITCH} (to|and|so as to) (turn on|switch on|light) the {BULB}",
        f"make the {BULB} (shine|light up|glow|go on)",
        f"(use|flip) the light switch to (switch on|light) the {BULB}",
        "(move|push|slide) the (switch|light switch) (up|upwards|away)",
        "(move|push|slide) up the (switch|light switch)",
    ),
    "turn_off_lightbulb": (
        f"(go |please |)(turn off|switch off|put out|darken) the {BULB}",
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
        f"(go|please) (push|slide|move) the {{colour}} {BLOCK} {LEFT}",
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
        f"(go |please |)(lift|raise|pick up|lift up) the {{colour}} {BLOCK}",
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

TEST = {
    "open_drawer": (
        "please open the drawer",
        "pull the drawer towards you",
        "grab the drawer handle and pull it out",
        "could you slide the drawer open for me",
        "i need the drawer opened",
    ),
    "close_drawer": (
        "shut the drawer",
        "push the drawer back in",
        "please close the drawer",
        "the drawer is open, can you shut it",
        "slide the drawer closed until it stops",
    ),
    "move_slider_left": (
        "slide the cabinet door to the left",
        "move the sliding door left",
        "take the door handle and push it left",
        "could you shift the cabinet's door over to the left side",
        "i'd like the sliding door moved to the left",
    ),
    "move_slider_right": (
        "push the sliding door to the right",
        "slide the cabinet door over to the right",
        "please move the door of the cabinet right",
        "get hold of the door handle and drag it right",
        "can the sliding door go to the right side",
    ),
    "turn_on_led": (
        "press the button to turn on the green light",
        "switch the green led on",
        "make the green light come on please",
        "could you light up the led",
        "push the button so the led is on",
    ),
    "turn_off_led": (
        "turn off the green light",
        "press the button so the green led goes out",
        "please switch the led off",
        "the green light should be off",
        "can you push the button to kill the led",
    ),
    "turn_on_lightbulb": (
        "turn on the yellow light",
        "flip the switch to light the bulb",
        "please switch the light bulb on",
        "use the lever to make the yellow lamp come on",
        "can you get the yellow bulb glowing",
    ),
    "turn_off_lightbulb": (
        "switch off the yellow bulb",
        "move the lever so the yellow light goes out",
        "please turn the light bulb off",
        "i don't want the yellow lamp on anymore",
        "flip the switch to put out the bulb",
    ),
    "push_{colour}_block_left": (
        "push the {colour} block to the left",
        "nudge the {colour} block left",
        "please slide the {colour} block over to the left",
        "could you shove the {colour} cube a bit to the left",
        "the {colour} block should be pushed further left on the table",
    ),
    "push_{colour}_block_right": (
        "slide the {colour} block to the right",
        "give the {colour} block a push to the right",
        "please nudge the {colour} cube right",
        "can you shove the {colour} block towards the right side",
        "i want the {colour} block pushed rightwards on the table",
    ),
    "rotate_{colour}_block_left": (
        "turn the {colour} block counter-clockwise",
        "grab the {colour} block and twist it to the left",
        "please rotate the {colour} block left",
        "could you spin the {colour} cube anticlockwise",
        "take hold of the {colour} block and turn it left",
    ),
    "rotate_{colour}_block_right": (
        "rotate the {colour} block clockwise",
        "pick hold of the {colour} block and turn it right",
        "please twist the {colour} cube to the right",
        "can you spin the {colour} block clockwise for me",
        "give the {colour} block a turn to the right",
    ),
    "lift_{colour}_block_table": (
        "pick up the {colour} block from the table",
        "lift the {colour} block off the table",
        "please grab the {colour} cube that is on the table",
        "could you raise the {colour} block up from the desk",
        "take the {colour} block lying on the table and hold it up",
    ),
    "lift_{colour}_block_slider": (
        "pick up the {colour} block from the shelf",
        "get the {colour} block out of the cabinet",
        "please lift the {colour} block that's in the sliding cabinet",
        "reach behind the sliding door and grab the {colour} cube",
        "could you fetch the {colour} block off the shelf",
    ),
    "lift_{colour}_block_drawer": (
        "take the {colour} block out of the drawer",
        "pick up the {colour} block inside the drawer",
        "please lift the {colour} cube from the drawer",
        "could you reach in the drawer and get the {colour} block",
        "the {colour} block is in the drawer, grab it",
    ),
    "place_in_slider": (
        "put the block you are holding in the cabinet",
        "set that block down on the shelf",
        "please place what you're holding inside the sliding cabinet",
        "could you leave the block in your hand on the shelf",
        "store the held block behind the sliding door",
    ),
    "place_in_drawer": (
        "put the block you're holding into the drawer",
        "drop what is in your hand in the drawer",
        "please place the held block inside the drawer",
        "could you set that block you have down in the drawer",
        "let go of the block over the drawer so it goes in",
    ),
    "push_into_drawer": (
        "push a block off the table into the drawer",
        "slide the block along until it falls in the drawer",
        "please shove one of the blocks into the open drawer",
        "without picking it up, knock a block into the drawer",
        "could you sweep the block from the table into the drawer",
    ),
    "stack_block": (
        "put the block you're holding on top of another block",
        "stack that block onto another one",
        "please set the held block down on a different block",
        "make a tower with the block in your hand",
        "could you place what you're holding on top of another cube",
    ),
    "unstack_block": (
        "take the top block off the other one",
        "remove the upper block from the stack",
        "please unstack the blocks",
        "could you lift the top cube off the tower",
        "the blocks are stacked, get the upper one off",
    ),
}


def phrasings() -> Mapping[str, Phrasings]:
    """The sentences of every task, in CALVIN's own order."""
    found = {}
    for name, first in VALIDATION.items():
        for colour in COLOURS if "{colour}" in name else ("",):
            validation = first.format(colour=colour)
            said = [way.format(colour=colour) for template in TEMPLATES[name] for way in ways(template)]
            train = tuple(dict.fromkeys(way for way in said if way != validation.lower()))
            test = tuple(asked for sentence in TEST[name] if (asked := sentence.format(colour=colour)) not in train)
            found[name.format(colour=colour)] = Phrasings(validation, train, test)
    return {name: found[name] for name in NAMES}


def ways(template: str) -> list[str]:
    """Sentences of a template: all, or MOST_WAYS of them, always the same."""
    parts = re.split(r"[()]", template)  # what stands between brackets is at the odd places
    choices = [part.split("|") if place % 2 else [part] for place, part in enumerate(parts)]
    every = [" ".join("".join(words).split()) for words in itertools.product(*choices)]
    return random.Random(template).sample(every, min(len(every), MOST_WAYS))

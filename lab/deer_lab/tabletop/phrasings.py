"""What is said for each task. The first sentence is what evaluation says, the last three are never trained on."""

from deer_lab.tabletop.world import Phrasings

TEST_ONLY = 3  # sentences at the end of each list

SENTENCES = {
    "open_drawer": (
        "pull the handle to open the drawer", "open the drawer", "pull the drawer open",
        "grasp the handle and open the drawer", "go open the drawer", "take the handle and pull the drawer out",
        "slide the drawer out", "pull the drawer towards the front", "draw out the drawer by its handle",
        "get the drawer open",
    ),
    "close_drawer": (
        "push the handle to close the drawer", "close the drawer", "push the drawer shut", "shut the drawer",
        "go close the drawer", "push the drawer back in", "slide the drawer in", "press the handle to shut the drawer",
        "make sure that the drawer is closed", "move the drawer back into the desk",
    ),
    "move_slider_left": (
        "push the sliding door to the left side", "move the sliding door to the left", "slide the door to the left",
        "push the door left", "move the door all the way to the left", "slide the cabinet door left",
        "go push the sliding door left", "shift the sliding door leftwards", "bring the door over to the left side",
        "open the right half of the cabinet by moving its door left",
    ),
    "move_slider_right": (
        "push the sliding door to the right side", "move the sliding door to the right", "slide the door to the right",
        "push the door right", "move the door all the way to the right", "slide the cabinet door right",
        "go push the sliding door right", "shift the sliding door rightwards", "bring the door over to the right side",
        "open the left half of the cabinet by moving its door right",
    ),
    "turn_on_led": (
        "press the button to turn on the led light", "turn on the led", "push the button to turn on the led",
        "turn on the green light", "press the red button to switch the green light on", "switch on the led light",
        "push down the button to light the led", "light up the led", "get the small green lamp to shine",
        "hit the button so that the led goes on",
    ),
    "turn_off_led": (
        "press the button to turn off the led light", "turn off the led", "push the button to turn off the led",
        "turn off the green light", "press the red button to switch the green light off", "switch off the led light",
        "push down the button to darken the led", "put out the led", "make the small green lamp go dark",
        "hit the button so that the led goes off",
    ),
    "turn_on_lightbulb": (
        "use the switch to turn on the light bulb", "turn on the light bulb", "turn on the yellow light",
        "move the switch to turn on the yellow light", "push the switch away to turn on the bulb",
        "switch on the light bulb", "slide the switch to light the bulb", "light up the yellow lamp",
        "make the bulb shine with its switch", "give the bulb some power",
    ),
    "turn_off_lightbulb": (
        "use the switch to turn off the light bulb", "turn off the light bulb", "turn off the yellow light",
        "move the switch to turn off the yellow light", "pull the switch back to turn off the bulb",
        "switch off the light bulb", "slide the switch to darken the bulb", "put out the yellow lamp",
        "make the bulb go dark with its switch", "cut the power of the bulb",
    ),
    "push_{colour}_block_left": (
        "go push the {colour} block left", "push the {colour} block to the left", "slide the {colour} block left",
        "push left the {colour} block", "move the {colour} block to the left",
        "slide the {colour} block towards the left side", "push the {colour} block leftwards",
        "shove the {colour} block over to the left", "nudge the {colour} cube to the left", "get the {colour} block further left",
    ),
    "push_{colour}_block_right": (
        "go push the {colour} block right", "push the {colour} block to the right", "slide the {colour} block right",
        "push right the {colour} block", "move the {colour} block to the right",
        "slide the {colour} block towards the right side", "push the {colour} block rightwards",
        "shove the {colour} block over to the right", "nudge the {colour} cube to the right", "get the {colour} block further right",
    ),
    "rotate_{colour}_block_left": (
        "take the {colour} block and rotate it to the left", "rotate the {colour} block to the left",
        "turn the {colour} block left", "grasp the {colour} block and turn it left",
        "rotate the {colour} block towards the left", "take the {colour} block and turn it leftwards",
        "grasp the {colour} block and rotate it counterclockwise", "spin the {colour} block to the left",
        "give the {colour} block a quarter turn counterclockwise", "twist the {colour} cube to the left",
    ),
    "rotate_{colour}_block_right": (
        "take the {colour} block and rotate it to the right", "rotate the {colour} block to the right",
        "turn the {colour} block right", "grasp the {colour} block and turn it right",
        "rotate the {colour} block towards the right", "take the {colour} block and turn it rightwards",
        "grasp the {colour} block and rotate it clockwise", "spin the {colour} block to the right",
        "give the {colour} block a quarter turn clockwise", "twist the {colour} cube to the right",
    ),
    "lift_{colour}_block_table": (
        "grasp and lift the {colour} block", "lift the {colour} block", "pick up the {colour} block",
        "lift the {colour} block up from the table", "grasp the {colour} block on the table and lift it up",
        "pick up the {colour} block from the table", "take the {colour} block off the table", "raise the {colour} block",
        "get hold of the {colour} block and hold it up", "fetch the {colour} cube from the desk",
    ),
    "lift_{colour}_block_slider": (
        "lift the {colour} block from the sliding cabinet", "grasp the {colour} block lying in the cabinet",
        "pick up the {colour} block from the cabinet", "take the {colour} block out of the sliding cabinet",
        "lift the {colour} block lying on the shelf", "pick up the {colour} block from the shelf",
        "grasp the {colour} block on the shelf and lift it", "raise the {colour} block off the shelf",
        "get the {colour} block out of the cabinet", "fetch the {colour} cube from the shelf",
    ),
    "lift_{colour}_block_drawer": (
        "lift the {colour} block from the drawer", "take the {colour} block out of the drawer",
        "pick up the {colour} block from the drawer", "grasp the {colour} block in the drawer and lift it",
        "pick up the {colour} block lying in the drawer", "lift the {colour} block out of the drawer",
        "go towards the drawer and pick up the {colour} block", "raise the {colour} block out of the drawer",
        "get the {colour} block out of the drawer", "fetch the {colour} cube from the drawer",
    ),
    "place_in_slider": (
        "store the grasped block in the sliding cabinet", "place the block in the sliding cabinet",
        "put the block in the cabinet", "put the grasped block on the shelf", "place the block on the shelf",
        "place the grasped block in the cabinet", "move the block into the sliding cabinet",
        "set the held block down in the cabinet", "leave the block on the shelf of the cabinet",
        "stow what you are holding behind the door's track",
    ),
    "place_in_drawer": (
        "store the grasped block in the drawer", "place the block in the drawer", "put the block in the drawer",
        "place the grasped block in the drawer", "put the block you hold into the drawer",
        "move the block into the drawer", "lay the grasped block in the drawer", "set the held block down in the drawer",
        "drop what you are holding into the drawer", "leave the block in the drawer",
    ),
    "push_into_drawer": (
        "slide the block so that it falls into the drawer", "push the block into the drawer",
        "push the block over the edge into the drawer", "slide the block into the open drawer",
        "push the block off the table into the drawer", "move the block to the edge so that it falls into the drawer",
        "shove the block into the drawer", "sweep the block into the drawer",
        "make the block drop into the drawer without lifting it", "push the block forward until it lands in the drawer",
    ),
    "stack_block": (
        "stack the grasped block", "place the block on top of another block", "stack the block on another one",
        "put the grasped block on top of a block", "stack blocks on top of each other",
        "place the grasped block on top of another", "put the block you hold on another block",
        "build a tower with the held block", "set what you are holding onto one of the other blocks",
        "make a stack of two blocks",
    ),
    "unstack_block": (
        "remove the stacked block", "take off the stacked block", "unstack the blocks",
        "take the upper block off the lower one", "remove the block on top", "take down the block on top of the other",
        "lift the top block off the stack", "take the stack apart", "undo the tower of blocks",
        "get the upper block down from the other one",
    ),
}


def phrasings_of(template: str, colour: str = "") -> Phrasings:
    """The sentences of one task; `colour` fills the templates of the tasks that name a block."""
    sentences = [sentence.format(colour=colour) for sentence in SENTENCES[template]]
    return Phrasings(sentences[0], tuple(sentences[1:-TEST_ONLY]), tuple(sentences[-TEST_ONLY:]))

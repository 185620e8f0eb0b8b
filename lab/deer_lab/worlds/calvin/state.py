"""The true state of CALVIN's scene, without any of its objects: what is recorded, judged and shown to the expert."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ROBOT, TABLE = "robot", "table"  # as contacts name them; a part of the table is "table:PART"
# The table's parts and their numbers as CALVIN's oracle knows them; -1 is the table itself.
PARTS = {"base_link": -1, "button_link": 0, "switch_link": 1, "slide_link": 2, "drawer_link": 3}
PARTS |= {"led_link": 4, "light_link": 5, "plank_link": 6}


@dataclass(frozen=True)
class Block:
    """Position [m], quaternion (x, y, z, w), linear and angular velocity [m/s, rad/s], and the names of what it
    touches: "robot", another block, "floor" or a part of the table, such as "table:plank_link"."""

    position: tuple[float, float, float]
    quaternion: tuple[float, float, float, float]
    velocity: tuple[float, ...]
    touching: tuple[str, ...]


@dataclass(frozen=True)
class State:
    """Lengths in metres, angles in radians, poses in the world frame."""

    led: bool
    lightbulb: bool
    slider: float  # 0 right .. 0.28 left
    drawer: float  # 0 closed .. 0.22 open
    button: float
    switch: float  # 0 off .. 0.09 on
    blocks: Mapping[str, Block]  # by "red_block", "blue_block", "pink_block"
    tcp_position: tuple[float, float, float]
    tcp_euler: tuple[float, float, float]  # roll, pitch, yaw
    opening: float  # between the fingers, 0 .. 0.08
    gripper_open: bool  # what the gripper was told last
    joints: tuple[float, ...]  # arm [7] and fingers [2]
    touching: tuple[str, ...]  # what the robot touches

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "State":
        """What dataclasses.asdict gave, JSON or not in between."""
        blocks = {name: Block(**tuples(block)) for name, block in state["blocks"].items()}
        return cls(**{**tuples(state), "blocks": blocks})


def tuples(record: Mapping[str, Any]) -> dict[str, Any]:
    """`record` with its lists, which JSON made of tuples, as tuples again."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in record.items()}


def surface_of(state: State, name: str) -> str:
    """What carries a block: "drawer", "slider", "table", the block below it, or nothing."""
    touching = state.blocks[name].touching
    for part, surface in (("drawer_link", "drawer"), ("plank_link", "slider"), ("base_link", "table")):
        if f"{TABLE}:{part}" in touching:
            return surface
    height = state.blocks[name].position[2]
    return next((other for other in state.blocks if other in touching and state.blocks[other].position[2] < height), "")


def held_block(state: State) -> str | None:
    """The block that the fingers hold off every surface, if any."""
    return next((name for name, b in state.blocks.items() if ROBOT in b.touching and not surface_of(state, name)), None)


def stacked_block(state: State) -> str | None:
    """A block that stands on another block, if any."""
    return next((name for name in state.blocks if surface_of(state, name) in state.blocks), None)


def oracle_info(state: State) -> dict[str, Any]:
    """The state as the info that CALVIN's oracle asks, which reads of each contact only body and link (2 and 4)."""
    names = [ROBOT, "floor", TABLE, *state.blocks]
    bodies = {name: number for number, name in enumerate(names)}

    def contacts(touching: tuple[str, ...]) -> list[tuple[int, ...]]:
        found = [name.partition(":") for name in touching]
        return [(0, 0, bodies[body], 0, PARTS.get(part, -1)) for body, _, part in found]

    movable = {
        f"block_{name.removesuffix('_block')}": {
            "uid": bodies[name],
            "current_pos": block.position,
            "current_orn": block.quaternion,
            "current_lin_vel": block.velocity[:3],
            "current_ang_vel": block.velocity[3:],
            "contacts": contacts(block.touching),
        }
        for name, block in state.blocks.items()
    }
    return {
        "robot_info": {"uid": bodies[ROBOT], "contacts": contacts(state.touching)},
        "scene_info": {
            "movable_objects": movable,
            "fixed_objects": {"table": {"uid": bodies[TABLE], "links": PARTS}},
            "doors": {"base__slide": {"current_state": state.slider}, "base__drawer": {"current_state": state.drawer}},
            "lights": {"lightbulb": {"logical_state": state.lightbulb}, "led": {"logical_state": state.led}},
        },
    }

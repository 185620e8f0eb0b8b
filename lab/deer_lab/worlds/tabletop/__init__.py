"""The tabletop: a desk, an arm and 34 tasks in words."""

from deer_lab.worlds.world import World


def open_world(scene: str = "") -> World:
    """The desk. Raises ValueError for a scene, of which it has one, and where MuJoCo is not installed."""
    if scene:
        raise ValueError(f"the tabletop has no scene {scene!r}: give --world tabletop")
    try:
        from deer_lab.worlds.tabletop.desk import Desk  # only here: recordings can be read without MuJoCo
    except ImportError as error:
        raise ValueError(f"the tabletop cannot run ({error}): pip install -e 'lab[sim]'") from error
    return Desk()

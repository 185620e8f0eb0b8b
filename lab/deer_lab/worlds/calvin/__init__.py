"""CALVIN, the paper's benchmark, in its own simulator, which its user clones: an adapter."""

from deer_lab.worlds.world import World


def open_world(scene: str = "") -> World:
    """Scene A, B, C or D, which is the default, drawn on the CPU, or by OpenGL as in "D:egl".

    Raises ValueError where calvin_env or what it needs is not there."""
    from deer_lab.worlds.calvin.world import Calvin  # only here: recordings can be read without it

    scene, _, renderer = scene.partition(":")
    return Calvin(scene or "D", renderer or "tiny")

"""One episode of demonstrations: the expert does tasks one after the other, disturbed or after a learner that led.

Like the jobs of an evaluation, it is recorded in a process that knows it by this module's name.
"""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from deer_lab.bags import jpeg
from deer_lab.plan import PlanLimits
from deer_lab.worlds.action import ROTATION_SCALE, checked
from deer_lab.worlds.catalog import DEFAULT, own_world
from deer_lab.worlds.judge.demonstration import Demonstration, Frame
from deer_lab.worlds.judge.policies import Policy
from deer_lab.worlds.world import World

MORE_STEPS = 80  # of one task than the expert needs where nothing disturbs it; beyond them the attempt is thrown away
NOISE_LEVELS = (0.0, 0.1, 0.2)  # standard deviation, in units of the action; one level an episode
NOISE_PERIOD = 4  # control periods for which one draw of the noise lasts
LEARNER_STEPS = 120  # a learner leads for fewer steps than these, drawn evenly; where nothing else is said
# A learner's small errors tilt the hand more and more over a chain, and nothing but the pictures tells. So each of its
# tasks begins with a tilt: its standard deviation about x and about y [rad], and in how many control periods it comes.
TILT, TILT_STEPS = 0.08, 6


class Learner(Policy, Protocol):
    """A policy in training. `exits`: how many it has; `stop_at` one of them at every step."""

    exits: int

    def stop_at(self, exit_number: int) -> None:
        """Until further notice."""


def demonstrate(
    world: World,
    task: str,
    *,
    noise: float,
    rng: np.random.Generator,
    learner: Learner | None = None,
    exit_number: int | None = None,
    lead_steps: int = LEARNER_STEPS,
    every: int = 1,
) -> list[Frame] | None:
    """The frames of one task done by the expert with noise, one of `every` so many; None where it was not done.

    A `learner`, which knows its task, leads at first, with a tilted hand; it stops at `exit_number`, or at
    one by chance.
    """
    frames = []
    lead = 0
    tilt = np.zeros(7)
    if learner:
        by_chance = int(rng.integers(learner.exits))  # drawn in any case: all else is the same with an exit and without
        learner.stop_at(by_chance if exit_number is None else exit_number)
        lead = int(rng.integers(lead_steps))
        tilt[3:5] = rng.normal(0, TILT, 2) / (TILT_STEPS * ROTATION_SCALE)
    before = state = world.state()
    disturbance = np.zeros(7)
    for step in range(world.expert_steps + MORE_STEPS):
        if step % NOISE_PERIOD == 0:
            disturbance[:6] = rng.normal(0, noise, 6)
        action = checked(world.expert(task, state))
        led = learner.act(world) if step < lead else action + disturbance
        executed = checked(led + tilt if step < TILT_STEPS else led)
        if step % every == 0:
            jpegs = {camera: jpeg(pixels) for camera, pixels in world.pictures().items()}
            frames.append(Frame(step, jpegs, state, action, executed))
        world.step(executed)
        state = world.state()
        if world.done(task, before, state):
            return frames
    return None


def next_task(world: World, rng: np.random.Generator, used: set[str]) -> str | None:
    """A possible task of a group not used yet, groups equally likely."""
    state = world.state()
    possible: dict[str, list[str]] = {}
    for name in world.tasks:
        if world.group_of(name) not in used and world.possible(name, state):
            possible.setdefault(world.group_of(name), []).append(name)
    if not possible:
        return None
    return str(rng.choice(possible[str(rng.choice(sorted(possible)))]))


@functools.cache
def own_learner(run: Path, assignments: tuple[str, ...]) -> Learner:
    """This process's learner, from a training run's folder; `assignments`: its plan's parameters."""
    from deer_lab.worlds.judge.torch_policy import TorchPolicy  # only here: the expert alone needs no PyTorch

    return TorchPolicy.from_run(run, limits=PlanLimits.of(assignments))


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What an episode follows from beside its number. Raises ValueError where that cannot be.

    `tasks`: at most so many an episode. `every`: one control period in so many is recorded. `run`: of the learner that
    leads, `assignments`: its plan's parameters, `exit_number`: where it stops (None: by chance), `lead_steps`: it leads
    for fewer.
    """

    seed: int
    tasks: int = 5
    every: int = 1
    world: str = DEFAULT
    run: Path | None = None
    assignments: tuple[str, ...] = ()
    exit_number: int | None = None
    lead_steps: int = LEARNER_STEPS

    def __post_init__(self) -> None:
        if self.every != 1 and self.every < 3:
            raise ValueError(
                f"--every {self.every}: give 1, or 3 and more (of two periods apart, frames count as consecutive)"
            )
        if self.lead_steps < 1:
            raise ValueError(f"--lead {self.lead_steps}: give 1 or more")


def record_episode(number: int, *, recipe: Recipe, out: Path) -> dict:
    """Writes episode `number`; returns how many frames and tasks it holds."""
    learner = own_learner(recipe.run, recipe.assignments) if recipe.run else None
    world = own_world(recipe.world)
    rng = np.random.default_rng([recipe.seed, number])
    noise = float(rng.choice(NOISE_LEVELS))
    demonstration = Demonstration(world)
    task: str | None = list(world.tasks)[number % len(world.tasks)]
    world.begin(task, rng)
    done: list[str] = []
    led = {"learner": learner, "exit_number": recipe.exit_number, "lead_steps": recipe.lead_steps}
    while task is not None and len(done) < recipe.tasks:
        instruction = str(rng.choice(world.tasks[task].train))
        if learner:
            learner.begin(task, instruction, [recipe.seed, number])
        frames = demonstrate(world, task, noise=noise, rng=rng, every=recipe.every, **led)
        if frames is None:
            break
        demonstration.add_task(task, instruction, frames)
        done.append(task)
        task = next_task(world, rng, {world.group_of(name) for name in done})
    if done:
        demonstration.write(out / f"episode_{number:06d}")
    return {"episode": number, "frames": demonstration.frames, "noise": noise, "tasks": done}

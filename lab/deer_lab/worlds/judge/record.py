"""Records demonstrations of the scripted expert as rosbags.

    python -m deer_lab.worlds.judge.record --episodes 500 --workers 2 --out out/demonstrations
    python -m deer_lab.worlds.judge.record --episodes 200 --seed 1 --learner out/joint --workers 2 --out out/corrections
    python -m deer_lab.worlds.judge.record --world calvin --episodes 500 --workers 2 --out out/calvin

An episode begins with one of the tasks, all taking turns, from a random state, and goes on with more in the same scene.
Noise is added to what the arm does; what is recorded as wanted is the expert's answer to where the noise brought it
(DART, Laskey et al. 2017). Only tasks that were done are kept. An episode follows from its number and the seed, so
recording goes on where it was stopped and does not depend on the number of workers.

With a learner, a policy that is being trained leads for the first part of each task, and the expert says at every step
what it should have done, then ends the task (DAgger, Ross et al. 2011, with one change of hands). The learner stops at
one exit a task, all exits taking turns by chance, so each exit's own mistakes are corrected. With --parameter it has a
plan, so that what comes of kept cameras and skipped steps is corrected as well.

To draw the pictures costs three times a control period of the world, and the next show nearly the same: with `--every`
only one period in so many is recorded, and the same time shows so many times more scenes. Such recordings are for
windows of one frame.
"""

import argparse
import functools
import json
import sys
from pathlib import Path
from typing import Protocol

import numpy as np
from tqdm import tqdm

from deer_lab.plan import PlanLimits
from deer_lab.worlds.action import ROTATION_SCALE, checked
from deer_lab.worlds.catalog import DEFAULT, add_option, own_world
from deer_lab.worlds.judge.demonstration import Demonstration, Frame, jpeg
from deer_lab.worlds.judge.policies import Policy
from deer_lab.worlds.judge.workers import add_options, run_jobs
from deer_lab.worlds.world import World

MORE_STEPS = 80  # of one task than the expert needs where nothing disturbs it; beyond them the attempt is thrown away
NOISE_LEVELS = (0.0, 0.1, 0.2)  # standard deviation, in units of the action; one level an episode
NOISE_PERIOD = 4  # control periods for which one draw of the noise lasts
LEARNER_STEPS = 120  # a learner leads for fewer steps than these, drawn evenly
# A learner's small errors tilt the hand more and more over a chain, and nothing but the pictures tells. So each of its
# tasks begins with a tilt: its standard deviation about x and about y [rad], and in how many control periods it comes.
TILT, TILT_STEPS = 0.08, 6


class Learner(Policy, Protocol):
    """A policy in training. `exits`: how many it has; `stop_at` one of them at every step."""

    exits: int

    def stop_at(self, exit_number: int) -> None:
        """Until further notice."""


def demonstrate(
    world: World, task: str, *, noise: float, rng: np.random.Generator, learner: Learner | None = None, every: int = 1
) -> list[Frame] | None:
    """The frames of one task done by the expert with noise, one of `every` so many; None where it was not done.

    A `learner`, which knows its task, leads at first, with a tilted hand.
    """
    frames = []
    lead = 0
    tilt = np.zeros(7)
    if learner:
        learner.stop_at(int(rng.integers(learner.exits)))
        lead = int(rng.integers(LEARNER_STEPS))
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


def record_episode(
    number: int,
    *,
    seed: int,
    tasks: int,
    out: Path,
    run: Path | None = None,
    assignments: tuple[str, ...] = (),
    every: int = 1,
    world_name: str = DEFAULT,
) -> dict:
    """Writes episode `number` of up to `tasks` tasks; returns how many frames and tasks it holds."""
    learner = own_learner(run, assignments) if run else None
    world = own_world(world_name)
    rng = np.random.default_rng([seed, number])
    noise = float(rng.choice(NOISE_LEVELS))
    demonstration = Demonstration(world)
    task: str | None = list(world.tasks)[number % len(world.tasks)]
    world.begin(task, rng)
    done: list[str] = []
    while task is not None and len(done) < tasks:
        phrasings = world.tasks[task]
        instruction = str(rng.choice([phrasings.validation, *phrasings.train]))
        if learner:
            learner.begin(task, instruction, [seed, number])
        frames = demonstrate(world, task, noise=noise, rng=rng, learner=learner, every=every)
        if frames is None:
            break
        demonstration.add_task(task, instruction, frames)
        done.append(task)
        task = next_task(world, rng, {world.group_of(name) for name in done})
    if done:
        demonstration.write(out / f"episode_{number:06d}")
    return {"episode": number, "frames": demonstration.frames, "noise": noise, "tasks": done}


def record(
    *,
    episodes: int,
    seed: int,
    workers: int,
    out: Path,
    tasks: int = 5,
    run: Path | None = None,
    assignments: tuple[str, ...] = (),
    every: int = 1,
    world_name: str = DEFAULT,
    cluster: str | None = None,
) -> list[dict]:
    """Records what is not there yet; returns an entry per episode.

    Raises ValueError where `out` holds episodes made otherwise, or where frames would look consecutive that are not.
    """
    if every != 1 and every < 3:
        raise ValueError(f"--every {every}: give 1, or 3 and more (of two periods apart, frames count as consecutive)")
    out.mkdir(parents=True, exist_ok=True)
    log = out / "episodes.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    made_with = {"seed": seed, "tasks": tasks, "every": every}
    made_with |= {} if world_name == DEFAULT else {"world": world_name}
    made_with |= {"parameters": list(assignments)} if assignments else {}
    if lines and lines[0] != made_with:
        raise ValueError(f"{log} says {lines[0]}, not {made_with}: name another folder")
    if not lines:
        log.write_text(json.dumps(made_with) + "\n")
    entries = {entry["episode"]: entry for entry in lines[1:] if entry["episode"] < episodes}
    todo = [number for number in range(episodes) if number not in entries]
    frames = 0
    how = {"seed": seed, "tasks": tasks, "every": every, "world_name": world_name, "assignments": assignments}
    places = {"out": out.absolute(), "run": run and run.absolute()}  # the same for other machines
    job = functools.partial(record_episode, **how, **places)
    with log.open("a") as file, tqdm(total=episodes, initial=len(entries), unit="episode", dynamic_ncols=True) as bar:
        for number, entry in run_jobs(job, todo, workers, cluster):
            if entry["frames"] and not (out / f"episode_{number:06d}").exists():
                raise ValueError(f"episode {number} is not in {out}: give a folder that all nodes of the cluster share")
            entries[number] = entry
            print(json.dumps(entry), file=file, flush=True)
            frames += entry["frames"]
            bar.set_postfix_str(f"{frames / max(bar.format_dict['elapsed'], 1e-9):.0f} frames/s")
            bar.update()
    return [entries[number] for number in sorted(entries)]


def main() -> int:
    """Exit codes: 0 done, 2 wrong arguments, 130 stopped by Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_option(parser)
    parser.add_argument("--episodes", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--tasks", type=int, default=5, help="most tasks an episode; with few, all are equally frequent"
    )
    add_options(parser)
    parser.add_argument("--learner", type=Path, help="folder of a training run whose policy leads at first")
    parser.add_argument(
        "--parameter", action="append", default=[], metavar="NAME:=VALUE", help="of the learner's plan (plan.*)"
    )
    parser.add_argument("--every", type=int, default=1, help="record one control period in so many: 1, or 3 and more")
    parser.add_argument("--out", type=Path, required=True, help="folder of the bags, one folder an episode")
    args = parser.parse_args()
    try:
        PlanLimits.of(args.parameter)
        own_world(args.world)  # what it lacks is better said once, and before anything begins
        entries = record(
            episodes=args.episodes,
            seed=args.seed,
            workers=args.workers,
            cluster=args.ray,
            out=args.out,
            tasks=args.tasks,
            run=args.learner,
            assignments=tuple(args.parameter),
            every=args.every,
            world_name=args.world,
        )
    except ValueError as error:
        print(f"record: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("record: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    done = [task for entry in entries for task in entry["tasks"]]
    print(
        f"{sum(entry['frames'] for entry in entries)} frames, {len(done)} tasks, {len(entries)} episodes in {args.out}"
    )
    for name in own_world(args.world).tasks:
        print(f"{name:26s} {done.count(name)}")
    return 0


if __name__ == "__main__":
    from deer_lab.worlds.judge import record as itself  # so that a cluster finds its jobs by their name

    sys.exit(itself.main())

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
one exit a task, all exits taking turns by chance, so each exit's own mistakes are corrected. With --exit it is always
the same, and with --lead it leads for longer, so that more is seen of where that one's mistakes lead. With --parameter
it has a plan, so that what comes of kept cameras and skipped steps is corrected as well.

To draw the pictures costs three times a control period of the world, and the next show nearly the same: with `--every`
only one period in so many is recorded, and the same time shows so many times more scenes. Such recordings are for
windows of one frame.
"""

import argparse
import functools
import json
import sys
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from deer_lab.plan import PlanLimits
from deer_lab.worlds.catalog import DEFAULT, add_option, own_world
from deer_lab.worlds.judge.episode import LEARNER_STEPS, Recipe, record_episode
from deer_lab.worlds.judge.log import resumed
from deer_lab.worlds.judge.workers import add_options, run_jobs


def record(recipe: Recipe, *, episodes: int, workers: int, out: Path, cluster: str | None = None) -> list[dict]:
    """Records what is not there yet; returns an entry per episode.

    Raises ValueError where `out` holds episodes made otherwise.
    """
    out.mkdir(parents=True, exist_ok=True)
    log = out / "episodes.jsonl"
    made_with = {"seed": recipe.seed, "tasks": recipe.tasks, "every": recipe.every}
    made_with |= {} if recipe.world == DEFAULT else {"world": recipe.world}
    made_with |= {"parameters": list(recipe.assignments)} if recipe.assignments else {}
    made_with |= {"exit": recipe.exit_number} if recipe.exit_number is not None else {}
    made_with |= {"lead": recipe.lead_steps} if recipe.lead_steps != LEARNER_STEPS else {}
    if recipe.run:
        from deer_lab.runs import digest  # only here: the expert alone needs no PyTorch

        made_with["learner"] = digest(recipe.run)
    entries = {entry["episode"]: entry for entry in resumed(log, made_with) if entry["episode"] < episodes}
    todo = [number for number in range(episodes) if number not in entries]
    frames = 0
    recipe = replace(recipe, run=recipe.run and recipe.run.absolute())  # the same for other machines, as is `out`
    job = functools.partial(record_episode, recipe=recipe, out=out.absolute())
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
    parser.add_argument("--exit", type=int, metavar="K", help="where the learner stops; else by chance")
    parser.add_argument(
        "--lead",
        type=int,
        default=LEARNER_STEPS,
        metavar="STEPS",
        help=f"the learner leads a task for fewer control periods, by chance ({LEARNER_STEPS})",
    )
    parser.add_argument("--every", type=int, default=1, help="record one control period in so many: 1, or 3 and more")
    parser.add_argument("--out", type=Path, required=True, help="folder of the bags, one folder an episode")
    args = parser.parse_args()
    try:
        PlanLimits.of(args.parameter)
        own_world(args.world)  # what it lacks is better said once, and before anything begins
        recipe = Recipe(
            seed=args.seed,
            tasks=args.tasks,
            every=args.every,
            world=args.world,
            run=args.learner,
            assignments=tuple(args.parameter),
            exit_number=args.exit,
            lead_steps=args.lead,
        )
        entries = record(recipe, episodes=args.episodes, workers=args.workers, out=args.out, cluster=args.ray)
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
    sys.exit(main())

"""Judges a policy on the fixed chains, or the expert task by task, and writes results.json.

    python -m deer_lab.worlds.judge.evaluate --bundle models/toy --chains 200 --workers 2 --out out/toy
    python -m deer_lab.worlds.judge.evaluate --bundle models/toy --exit 0 --chains 200 --out out/toy_exit_0
    python -m deer_lab.worlds.judge.evaluate --run out/joint --chains 50 --out out/joint_judged
    python -m deer_lab.worlds.judge.evaluate --policy expert --chains 200 --workers 2 --out out/expert
    python -m deer_lab.worlds.judge.evaluate --policy expert --single 100 --out out/expert_single
    python -m deer_lab.worlds.judge.evaluate --policy expert --video 3 --out out/expert

A task counts as done when the world's oracle says so within 360 steps; a chain ends at its first failure. The policy
forgets everything at each task; the arm is brought home only where a chain begins. Finished chains stay in
progress.jsonl: the same command goes on where it was stopped. A chain's result depends on its number and the seed
alone, not on how many workers there are.

A bundle is judged through deer_vla_node: each worker starts one in a ROS domain of its own and moves in lock step with
it (node_policy.py). A training run is judged in process, without ROS: as the bundle that was made of it into
RUN/bundle, which says what its exits cost, or else in PyTorch (torch_policy.py).
"""

import argparse
import functools
import json
import os
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from deer_lab.plan import PlanLimits
from deer_lab.worlds.catalog import add_option, own_world
from deer_lab.worlds.film import Film
from deer_lab.worlds.judge import protocol
from deer_lab.worlds.judge.jobs import SENTENCES, Judged, chain_job, fixed_chains, own_policy, run_chain, single_job
from deer_lab.worlds.judge.log import resumed
from deer_lab.worlds.judge.policies import POLICIES
from deer_lab.worlds.judge.results import compute_of, print_table, task_table
from deer_lab.worlds.judge.workers import add_options, run_jobs

NEVER, ALWAYS = -1.0, 1e9  # thresholds of an exit that is never taken and of one that always is


def evaluate(
    *,
    judged: Judged,
    mode: str,
    count: int,
    seed: int,
    workers: int,
    out: Path,
    first: int = 0,
    cluster: str | None = None,
) -> dict:
    """Runs what is not done yet of `count` from `first` on, writes `out`/results.json. mode: "chains" or "single".

    Raises ValueError where `out` holds another evaluation, and where there is no such `cluster`.
    """
    out.mkdir(parents=True, exist_ok=True)
    header = {"world": judged.world, "protocol": mode, "policy": judged.identity(), "seed": seed}
    log = out / "progress.jsonl"
    wanted = range(first, first + count)
    entries = [entry for entry in resumed(log, header) if entry["chain"] in wanted]
    todo = sorted(set(wanted) - {entry["chain"] for entry in entries})
    job = functools.partial({"chains": chain_job, "single": single_job}[mode], judged, seed=seed)
    with log.open("a") as file, tqdm(total=count, initial=len(entries), unit="chain", dynamic_ncols=True) as bar:
        for _, entry in run_jobs(job, todo, workers, cluster):
            entries.append(entry)
            print(json.dumps(entry), file=file, flush=True)
            bar.set_postfix_str(f"average {np.mean([e['succeeded'] for e in entries]):.2f}")
            bar.update()
    entries.sort(key=lambda entry: entry["chain"])
    results = header | {
        "max_steps": protocol.MAX_STEPS if mode == "chains" else own_world(judged.world).expert_steps,
        "summary": protocol.summary([entry["succeeded"] for entry in entries]),
        "tasks": task_table(own_world(judged.world).tasks, entries),
        "compute": compute_of(judged, entries),
        "chains": entries,
    }
    (out / "results.json").write_text(json.dumps(results, indent=1))
    return results


def film_chain(judged: Judged, number: int, seed: int, out: Path) -> list[Path]:
    """Runs one chain and leaves a film and its contact sheet in `out`."""
    world = own_world(judged.world)
    film = Film(out / f"chain_{number}.gif", world.control_hz)
    run_chain(
        world,
        own_policy(judged),
        fixed_chains(judged.world)[number],
        seed=[seed, number],
        sentences=judged.sentences,
        watch=lambda: film.add(world.pictures()),
    )
    return film.close()


def find_node() -> Path | None:
    """The installed deer_vla_node, or the one built in this repository; None where there is neither."""
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(":")
    built = Path(__file__).parents[4] / "target" / "release" / "deer_vla_node"
    candidates = [*(Path(prefix) / "lib" / "deer_vla" / "deer_vla_node" for prefix in prefixes), built]
    return next((path for path in candidates if path.is_file()), None)


def exits_of(args: argparse.Namespace) -> int:
    """How many exits the bundle or the run has."""
    if args.bundle:
        return len(json.loads((args.bundle / "manifest.json").read_text())["exits"])
    from deer_lab.worlds.judge.torch_policy import TorchPolicy

    return TorchPolicy.from_run(args.run).exits


def chosen_thresholds(args: argparse.Namespace) -> tuple[tuple[float, ...] | None, str]:
    """Of --thresholds or --exit, and what they limit; None for the bundle's own. Raises ValueError."""
    if args.thresholds:
        file = json.loads(args.thresholds.read_text())
        metric = file.get("metric", "rms")
        if args.run and metric != "rms":
            raise ValueError(f"{args.thresholds} limits {metric}; a run in process knows rms alone: judge its bundle")
        return tuple(file["thresholds"][:-1]), metric
    if args.exit is None:
        return None, "rms"
    exits = exits_of(args)
    if not 0 <= args.exit < exits:
        raise ValueError(f"--exit is {args.exit}; there are exits 0 to {exits - 1}")
    return tuple(NEVER if k < args.exit else ALWAYS for k in range(exits - 1)), "rms"


def chosen_parameters(args: argparse.Namespace) -> tuple[str, ...]:
    """Of --parameter, and before them the plan's limits of --thresholds: those of the bundle's own file go with its
    thresholds. What a user gives takes their place one by one."""
    plan = json.loads(args.thresholds.read_text()).get("plan") if args.thresholds else None
    given = {assignment.partition(":=")[0] for assignment in args.parameter}
    solved = {f"plan.{name}": value for name, value in (plan or {}).items()}
    return (*(f"{name}:={value}" for name, value in solved.items() if name not in given), *args.parameter)


def main() -> int:
    """Exit codes: 0 done, 2 wrong arguments, 130 stopped by Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_option(parser)
    who = parser.add_mutually_exclusive_group(required=True)
    who.add_argument("--policy", choices=sorted(POLICIES))
    who.add_argument("--bundle", type=Path, help="folder of a model bundle, judged through the node")
    parser.add_argument("--node", type=Path, help="deer_vla_node, where it is neither installed nor built here")
    who.add_argument("--run", type=Path, help="folder of a training run, judged in process")
    parser.add_argument(
        "--thresholds", type=Path, help="a thresholds.json that takes the place of the bundle's, its plan included"
    )
    parser.add_argument("--exit", type=int, metavar="K", help="stop every step at exit K")
    parser.add_argument(
        "--parameter",
        action="append",
        default=[],
        metavar="NAME:=VALUE",
        help="of the node, such as budget.hold:=true, which makes a chain depend on those before it",
    )
    parser.add_argument(
        "--sentences", choices=SENTENCES, default="validation", help="what is said: test are those never trained on"
    )
    parser.add_argument("--first", type=int, default=0, metavar="CHAIN", help="the chain to begin with")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--chains", type=int, metavar="N", help="the first N of the world's fixed chains")
    what.add_argument("--single", type=int, metavar="N", help="N attempts at each task, from random states")
    what.add_argument("--video", type=int, metavar="CHAIN", help="film one chain")
    parser.add_argument("--seed", type=int, default=0)
    add_options(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder for results.json, or for the film")
    parser.add_argument("--json", action="store_true", help="print the results themselves, as deer_vla tune reads them")
    args = parser.parse_args()
    try:
        world = own_world(args.world)
    except ValueError as error:
        parser.error(str(error))
    last, count = args.first + (args.chains or 0), len(world.chains())
    if not (0 <= args.first <= last <= count and 0 <= (args.video or 0) < count) or args.workers < 1:
        parser.error(f"chains are numbered 0 to {count - 1}, and there must be a worker")
    if args.sentences == "test" and not all(said.test for said in world.tasks.values()):
        parser.error(f"{args.world} has no sentences that nothing is trained on")
    if args.bundle and not (args.bundle / "manifest.json").is_file():
        parser.error(f"{args.bundle} is no model bundle: it has no manifest.json")
    if args.parameter and not args.bundle:
        if not args.run:
            parser.error("--parameter is the node's, which only a --bundle has, or of a --run's plan")
        try:
            PlanLimits.of(args.parameter)
        except ValueError as error:
            parser.error(f"--parameter {error}")
    node = args.node or find_node()
    if args.bundle and not node:
        parser.error("no deer_vla_node: build it (cargo build --release --features ros) or name it with --node")
    try:
        places = [place and place.absolute() for place in (args.bundle, node, args.run)]  # for other machines
        judged = Judged(
            args.policy, *places, *chosen_thresholds(args), chosen_parameters(args), args.world, args.sentences
        )
    except (OSError, ValueError, KeyError) as error:
        parser.error(f"no thresholds: {error}")
    if args.video is not None:
        print(*film_chain(judged, args.video, args.seed, args.out), sep="\n")
        return 0
    mode, count = ("chains", args.chains) if args.single is None else ("single", args.single * len(world.tasks))
    try:
        results = evaluate(
            judged=judged,
            mode=mode,
            count=count,
            seed=args.seed,
            workers=args.workers,
            cluster=args.ray,
            out=args.out,
            first=args.first,
        )
    except ValueError as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("evaluate: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    print(json.dumps(results)) if args.json else print_table(results)
    return 0


if __name__ == "__main__":
    sys.exit(main())

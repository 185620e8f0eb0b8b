"""Writes the tables of a bundle's README from result files.

    python -m deer_lab.worlds.judge.tables --keep full=out/full/results.json   # keep a result, without its single steps
    python -m deer_lab.worlds.judge.tables                                     # only write the tables anew

A table stands in the README between `<!-- rows: NAME NAME … -->` (a row per result), `<!-- judged: NAME NAME … -->`
(likewise without milliseconds, for runs judged in process), `<!-- exits: NAME NAME … -->` (average lengths, a column
per exit, of NAME_exit_0, … and NAME), `<!-- errors: NAME NAME … -->` (arm errors from `deer_lab.errors`,
likewise), `<!-- tasks: NAME -->` (a row per task) or `<!-- benched: NAME NAME … -->` (a row
per bundle that was benched) and `<!-- end -->`; NAME is a file in lab/results/tabletop. Of a name with a `?` behind it
nothing is shown until its result is kept.
"""

import argparse
import json
import re
import sys
from pathlib import Path
from statistics import median

from deer_lab.worlds.judge.protocol import proportion

LAB = Path(__file__).parents[3]
RESULTS = LAB / "results" / "tabletop"
README = LAB.parent / "models" / "tabletop" / "README.md"
COSTS = {
    "LLM MMAC": ("llm_gmac", 1e3),
    "whole MMAC": ("whole_gmac", 1e3),
    "LLM ms": ("llm_ms", 1),
    "step ms": ("step_ms", 1),
}


def keep(name: str, path: Path, results: Path) -> None:
    """Leaves `path` as results/NAME.json, without what each single step and chain did."""
    whole = json.loads(path.read_text())
    results.mkdir(parents=True, exist_ok=True)
    without = {key: value for key, value in whole.items() if key != "chains"}
    (results / f"{name}.json").write_text(json.dumps(without, indent=1) + "\n")


def keep_bench(name: str, paths: list[Path], results: Path) -> None:
    """Leaves as results/NAME.json the medians over several outputs of `deer_vla bench --json`."""
    runs = [json.loads(path.read_text()) for path in paths]
    whole = [run["caps"][-1] for run in runs]
    found = {
        "weights_mb": whole[0]["weights_mb"],
        "resident_mb": median(cap["resident_mb"] for cap in whole),
        "first_exit_ms": median(run["first_exit_step_ms"]["median"] for run in runs),
        "full_depth_ms": median(run["full_step_ms"]["median"] for run in runs),
        "benches": len(runs),
    }
    results.mkdir(parents=True, exist_ok=True)
    (results / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")


def kept(results: Path, name: str) -> dict:
    """A result that was kept. Raises FileNotFoundError."""
    return json.loads((results / f"{name}.json").read_text())


def spoken(name: str) -> str:
    """A result's name in words."""
    return name.replace("_", " ")


def with_interval(value: float, interval: list[float], form: str) -> str:
    """A figure and its 95 % interval."""
    low, high = interval
    return f"{value:{form}} [{low:{form}}, {high:{form}}]"


def average(result: dict) -> str:
    """Length of a chain and its interval."""
    return with_interval(result["summary"]["average_length"], result["summary"]["interval"], ".2f")


def markdown(head: list[str], body: list[list[str]]) -> str:
    """A table."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *body))


def judged(names: list[str], results: Path, columns: tuple[str, ...] = ("LLM MMAC", "whole MMAC")) -> str:
    """A row per result: chains, successes in a row, average length, what a step costs over all of them."""
    body = []
    for name in names:
        result = kept(results, name)
        rates = [f"{row['rate']:.0%}" for row in result["summary"]["rates"]]
        cost = (result["compute"] or {}).get("all_steps")
        costs = [f"{scale * cost[key]:.1f}" if cost else "" for key, scale in (COSTS[column] for column in columns)]
        body.append([spoken(name), str(result["summary"]["chains"]), *rates, average(result), *costs])
    return markdown(["", "chains", "1", "2", "3", "4", "5 in a row", "average length", *columns], body)


def rows(names: list[str], results: Path) -> str:
    """Likewise, with milliseconds."""
    return judged(names, results, tuple(COSTS))


def exits(names: list[str], results: Path) -> str:
    """A row per network: average length when every step stops at an exit, the last one being NAME's own result."""
    body = []
    for name in names:
        earlier = sorted(results.glob(f"{name}_exit_*.json"))
        found = [kept(results, each) for each in (*(path.stem for path in earlier), name)]
        body.append([spoken(name), *map(average, found)])
    return markdown(["", *(f"exit {k}" for k in range(max(map(len, body)) - 1))], body)


def errors(names: list[str], results: Path) -> str:
    """A row per network: mean absolute arm error at each exit; what has one exit has it last."""
    found = {name: kept(results, f"{name}_errors")["arm"] for name in names}
    most = max(map(len, found.values()))
    body = [[spoken(name), *[""] * (most - len(arm)), *(f"{e:.4f}" for e in arm)] for name, arm in found.items()]
    return markdown(["", *(f"exit {k}" for k in range(most))], body)


def tasks(names: list[str], results: Path) -> str:
    """A row per task of one result."""
    body = []
    for task, row in kept(results, *names)["tasks"].items():
        steps = "" if row["mean_steps"] is None else f"{row['mean_steps']:.0f}"
        rate = with_interval(row["rate"], proportion(row["successes"], row["attempts"]), ".0%")
        body.append([f"`{task}`", f"{row['successes']} of {row['attempts']}", rate, steps])
    return markdown(["task", "done", "rate", "mean steps"], body)


def benched(names: list[str], results: Path) -> str:
    """A row per bundle: size of its weights, memory with all of them loaded, milliseconds of a step."""
    columns = {
        "weights MB": "weights_mb",
        "resident MB": "resident_mb",
        "step to exit 0, ms": "first_exit_ms",
        "full-depth step, ms": "full_depth_ms",
    }
    found = {name: kept(results, name) for name in names}
    body = [[spoken(name), *(f"{bench[key]:.1f}" for key in columns.values())] for name, bench in found.items()]
    return markdown(["", *columns], body)


def written(text: str, results: Path) -> str:
    """`text` with its tables made anew. Raises FileNotFoundError for a result that is not kept."""

    def there(name: str) -> bool:
        return not name.endswith("?") or (results / f"{name[:-1]}.json").is_file()

    def made(found: re.Match) -> str:
        names = [name.removesuffix("?") for name in found[3].split() if there(name)]
        return f"{found[1]}{TABLES[found[2]](names, results)}\n{found[4]}"

    return BLOCK.sub(made, text)


TABLES = {table.__name__: table for table in (rows, judged, exits, errors, tasks, benched)}
BLOCK = re.compile(rf"(<!-- ({'|'.join(TABLES)}): ([^>]+?) -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> int:
    """Exit codes: 0 done, 2 a result is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", action="append", default=[], metavar="NAME=results.json")
    parser.add_argument("--errors", action="append", default=[], metavar="NAME=errors.json")
    parser.add_argument("--bench", action="append", default=[], metavar="NAME=bench.json", help="several for one NAME")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--readme", type=Path, default=README)
    args = parser.parse_args()
    try:
        for entry in args.keep:
            name, _, path = entry.partition("=")
            keep(name, Path(path), args.results)
        for entry in args.errors:
            name, _, path = entry.partition("=")
            keep(f"{name}_errors", Path(path), args.results)
        benches: dict[str, list[Path]] = {}
        for entry in args.bench:
            name, _, path = entry.partition("=")
            benches.setdefault(name, []).append(Path(path))
        for name, paths in benches.items():
            keep_bench(name, paths, args.results)
        args.readme.write_text(written(args.readme.read_text(), args.results))
    except FileNotFoundError as error:
        print(f"tables: {error.filename} is not there; keep it with --keep NAME=results.json", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Writes the tables of a bundle's README from result files.

    python -m deer_lab.tabletop.tables --keep full=out/full/results.json   # keep a result, without its single steps
    python -m deer_lab.tabletop.tables                                     # only write the tables anew

A table stands in the README between `<!-- rows: NAME NAME … -->` (a row per result) or `<!-- tasks: NAME -->` (a row
per task) and `<!-- end -->`; NAME is a file in lab/results/tabletop.
"""

import argparse
import json
import re
import sys
from pathlib import Path

LAB = Path(__file__).parents[2]
RESULTS = LAB / "results" / "tabletop"
README = LAB.parent / "models" / "tabletop" / "README.md"
BLOCK = re.compile(r"(<!-- (rows|tasks): ([^>]+?) -->\n).*?(<!-- end -->)", re.DOTALL)


def keep(name: str, path: Path, results: Path) -> None:
    """Leaves `path` as results/NAME.json, without what each single step and chain did."""
    kept = {key: value for key, value in json.loads(path.read_text()).items() if key != "chains"}
    results.mkdir(parents=True, exist_ok=True)
    (results / f"{name}.json").write_text(json.dumps(kept, indent=1) + "\n")


def with_interval(value: float, interval: list[float], form: str) -> str:
    """A figure and its 95 % interval."""
    low, high = interval
    return f"{value:{form}} [{low:{form}}, {high:{form}}]"


def rows(named: dict[str, dict]) -> str:
    """A row per result: chains, successes in a row, average length, compute of all steps."""
    lines = [
        "| | chains | 1 | 2 | 3 | 4 | 5 in a row | average length | LLM MMAC | whole MMAC | LLM ms | step ms |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, result in named.items():
        summary = result["summary"]
        rates = [f"{row['rate']:.0%}" for row in summary["rates"]]
        average = with_interval(summary["average_length"], summary["interval"], ".2f")
        cost = (result["compute"] or {}).get("all_steps") or {}
        macs = [f"{1e3 * cost[key]:.1f}" if cost else "" for key in ("llm_gmac", "whole_gmac")]
        times = [f"{cost[key]:.1f}" if cost else "" for key in ("llm_ms", "step_ms")]
        cells = [name.replace("_", " "), str(summary["chains"]), *rates, average, *macs, *times]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def tasks(named: dict[str, dict]) -> str:
    """A row per task of one result."""
    (result,) = named.values()
    lines = ["| task | done | rate | mean steps |", "|---|---|---|---|"]
    for task, row in result["tasks"].items():
        steps = "" if row["mean_steps"] is None else f"{row['mean_steps']:.0f}"
        rate = with_interval(row["rate"], row["interval"], ".0%")
        lines.append(f"| `{task}` | {row['successes']} of {row['attempts']} | {rate} | {steps} |")
    return "\n".join(lines)


def written(text: str, results: Path) -> str:
    """`text` with its tables made anew. Raises FileNotFoundError for a result that is not kept."""

    def table(match: re.Match) -> str:
        named = {name: json.loads((results / f"{name}.json").read_text()) for name in match[3].split()}
        return f"{match[1]}{ {'rows': rows, 'tasks': tasks}[match[2]](named) }\n{match[4]}"

    return BLOCK.sub(table, text)


def main() -> int:
    """Exit codes: 0 done, 2 a result is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", action="append", default=[], metavar="NAME=results.json")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--readme", type=Path, default=README)
    args = parser.parse_args()
    try:
        for entry in args.keep:
            name, _, path = entry.partition("=")
            keep(name, Path(path), args.results)
        args.readme.write_text(written(args.readme.read_text(), args.results))
    except FileNotFoundError as error:
        print(f"tables: {error.filename} is not there; keep it with --keep NAME=results.json", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The README's tables follow from result files."""

import json
import sys

import pytest

from deer_lab.worlds.judge import protocol, tables

COST = {"llm_gmac": 0.0123, "whole_gmac": 0.0456, "llm_ms": 3.21, "step_ms": 7.0}


@pytest.fixture
def results(tmp_path):
    (tmp_path / "results.json").write_text(
        json.dumps(
            {
                "summary": protocol.summary([5, 0, 5, 2]),
                "tasks": {
                    "open_drawer": {
                        "attempts": 4,
                        "successes": 3,
                        "rate": 0.75,
                        "interval": [0.25, 1.0],
                        "mean_steps": 41.5,
                    }
                },
                "compute": {"all_steps": COST},
                "chains": [{"succeeded": 5}],
            }
        )
    )
    tables.keep("full_depth", tmp_path / "results.json", tmp_path / "kept")
    return tmp_path / "kept"


def test_a_result_is_kept_without_its_steps(results):
    assert "chains" not in json.loads((results / "full_depth.json").read_text())


def test_a_row_says_chains_rates_length_and_cost(results):
    text = tables.written("before\n<!-- rows: full_depth -->\nold\n<!-- end -->\nafter", results)
    assert "old" not in text
    assert text.startswith("before\n<!-- rows: full_depth -->\n|  | chains |")
    assert "| full depth | 4 | 75% | 75% | 50% | 50% | 50% | 3.00 [" in text
    assert "] | 12.3 | 45.6 | 3.2 | 7.0 |\n<!-- end -->\nafter" in text
    assert tables.written(text, results) == text


def test_a_result_that_may_be_missing_has_a_row_once_it_is_kept(results, tmp_path):
    block = "<!-- judged: full_depth exit_0? -->\n<!-- end -->"
    assert "exit 0" not in tables.written(block, results)
    tables.keep("exit_0", tmp_path / "results.json", results)
    assert "| exit 0 | 4 | 75% |" in tables.written(block, results)


def test_a_run_judged_in_process_has_a_row_without_milliseconds(results):
    text = tables.written("<!-- judged: full_depth -->\n<!-- end -->", results)
    assert "] | 12.3 | 45.6 |\n<!-- end -->" in text


def test_a_network_has_a_row_of_its_exits_the_last_being_full_depth(results, tmp_path):
    tables.keep("full_depth_exit_0", tmp_path / "results.json", results)
    head, _, row = tables.exits(["full_depth"], results).splitlines()
    assert head == "|  | exit 0 | exit 1 |"
    assert row.startswith("| full depth | 3.00 [") and row.count("3.00 [") == 2


def test_a_network_has_a_row_of_its_errors_one_exit_standing_last(tmp_path):
    for name, arm in (("multi", [0.3, 0.2]), ("single", [0.25])):
        (tmp_path / "errors.json").write_text(json.dumps({"arm": arm, "gripper": arm}))
        tables.keep(f"{name}_errors", tmp_path / "errors.json", tmp_path)
    _, _, *rows = tables.errors(["multi", "single"], tmp_path).splitlines()
    assert rows == ["| multi | 0.3000 | 0.2000 |", "| single |  | 0.2500 |"]


def test_a_task_has_a_row_with_its_interval(results):
    text = tables.written("<!-- tasks: full_depth -->\n<!-- end -->", results)
    assert "| `open_drawer` | 3 of 4 | 75% [30%, 95%] | 42 |" in text


def test_a_bundle_that_was_benched_has_the_medians_of_its_benches(tmp_path, monkeypatch):
    given = ["tables", "--results", str(tmp_path), "--readme", str(tmp_path / "README.md")]
    for number, milliseconds in enumerate((3.0, 9.0, 4.0)):
        caps = [{"weights_mb": 5.8, "resident_mb": 60}, {"weights_mb": 14.84, "resident_mb": 80 + number}]
        steps = {"first_exit_step_ms": {"median": milliseconds}, "full_step_ms": {"median": 2 * milliseconds}}
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps({"caps": caps} | steps))
        given += ["--bench", f"small={path}"]
    (tmp_path / "README.md").write_text("<!-- benched: small -->\n<!-- end -->")
    monkeypatch.setattr(sys, "argv", given)
    assert tables.main() == 0
    assert "| small | 14.8 | 81.0 | 4.0 | 8.0 |" in (tmp_path / "README.md").read_text()


def test_a_result_that_is_missing_is_named(results, monkeypatch, capsys, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("<!-- rows: nobody -->\n<!-- end -->")
    monkeypatch.setattr(sys, "argv", ["tables", "--results", str(results), "--readme", str(readme)])
    assert tables.main() == 2
    assert "nobody.json is not there; keep it with --keep" in capsys.readouterr().err


CALVIN = tables.RESULTS.parent / "calvin"


@pytest.mark.parametrize(("readme", "kept"), [(tables.README, tables.RESULTS), (CALVIN / "README.md", CALVIN)])
def test_committed_tables_are_those_of_the_committed_results(readme, kept):
    assert tables.written(readme.read_text(), kept) == readme.read_text()

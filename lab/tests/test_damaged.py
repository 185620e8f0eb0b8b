"""Bad input: every command says in one sentence what is wrong and where, or uses it. Nothing ends in a traceback."""

import re
import sys
from pathlib import Path

import damaged
import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import save_file

from deer_lab import bundle, convert, errors, train
from deer_lab.config import CONFIGS
from deer_lab.model import Policy
from deer_lab.program import find_program
from deer_lab.tokenizer import make_tokenizer


def named(value: object) -> str | None:
    """Of a test's parameter, for its name."""
    return value if isinstance(value, str) else getattr(value, "__name__", "").split(".")[-1]


DEMONSTRATIONS = [(damaged.calvin, name, *case) for name, case in damaged.SPLITS.items()]
DEMONSTRATIONS += [(damaged.lerobot, name, *case) for name, case in damaged.SETS.items()]
if find_program():
    DEMONSTRATIONS += [(damaged.bag, name, *case) for name, case in damaged.BAGS.items()]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A training run, as much of it as its readers need."""
    folder = tmp_path_factory.mktemp("run")
    save_file(Policy(CONFIGS["toy"]).state_dict(), folder / "policy.safetensors", {"config": "toy"})
    make_tokenizer(CONFIGS["toy"].vocabulary, [damaged.SENTENCE]).save(str(folder / "tokenizer.json"))
    return folder


def call(command, arguments: list[object], monkeypatch, capsys) -> tuple[int, str]:
    """The exit code, and what it said at its end."""
    monkeypatch.setattr(sys, "argv", [command.__name__, *map(str, arguments)])
    try:
        code = command.main()
    except SystemExit as exit:  # argparse
        code = exit.code
    said = capsys.readouterr().err.replace("\r", "\n").strip().splitlines()
    return code, said[-1] if said else ""


def arguments_of(command, place: Path, run: Path, out: Path) -> list[object]:
    cache = ["--cache", out / "cache"]
    if command is train:
        return ["--config", "toy", "--stage", "joint", "--steps", 0, "--data", place, "--out", out / "run", *cache]
    if command is errors:
        return [run, "--data", place, *cache]
    return [place, "--to", "bag", out / "bags"]


@pytest.mark.parametrize("command", [convert, train, errors], ids=named)
@pytest.mark.parametrize(
    ("make", "name", "damage", "said"), DEMONSTRATIONS, ids=lambda x: x if isinstance(x, str) else ""
)
def test_demonstrations_are_used_or_refused_in_a_sentence(
    command, make, name, damage, said, run, tmp_path, monkeypatch, capsys
):
    place = make(tmp_path)
    damage(place)
    code, last = call(command, arguments_of(command, place, run, tmp_path / "out"), monkeypatch, capsys)
    if said is None:
        assert code == 0, last
    else:
        assert code == 2
        assert re.search(said, last), last
        assert last.startswith(f"{command.__name__.split('.')[-1]}: "), "the command names itself"
        assert not list((tmp_path / "out").rglob("*.safetensors")), "nothing half made is left"


PLACES = {
    "nothing there": lambda folder: folder / "nowhere",
    "an empty folder": lambda folder: folder,
    "a file": lambda folder: Path(__file__),
}


@pytest.mark.parametrize("command", [convert, train, errors], ids=named)
@pytest.mark.parametrize("name", PLACES)
def test_a_place_without_demonstrations_is_named(command, name, run, tmp_path, monkeypatch, capsys):
    place = PLACES[name](tmp_path)
    code, last = call(command, arguments_of(command, place, run, tmp_path / "out"), monkeypatch, capsys)
    assert code == 2
    assert str(place) in last


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


RUNS = {
    "no weights": lambda run: (run / "policy.safetensors").unlink(),
    "cut weights": lambda run: cut(run / "policy.safetensors"),
    "weights of no configuration": lambda run: save_file({"x": torch.zeros(1)}, run / "policy.safetensors"),
    "weights that lack a tensor": lambda run: save_file({}, run / "policy.safetensors", {"config": "toy"}),
    "no tokenizer": lambda run: (run / "tokenizer.json").unlink(),
    "a cut tokenizer": lambda run: cut(run / "tokenizer.json"),
    "an embodiment that is no JSON": lambda run: (run / "embodiment.json").write_text("{"),
    "an embodiment of five axes": lambda run: (run / "embodiment.json").write_text('{"control_hz": 10, "arm": []}'),
}


@pytest.mark.parametrize("command", [bundle, train, errors], ids=named)
@pytest.mark.parametrize("name", RUNS)
def test_a_run_that_cannot_be_used_is_named(command, name, run, tmp_path, monkeypatch, capsys):
    copy = tmp_path / "copied"
    copy.mkdir()
    for file in run.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    RUNS[name](copy)
    demonstrations = damaged.calvin(tmp_path)
    given = arguments_of(command, demonstrations, copy, tmp_path / "out")
    if command is bundle:
        given = [copy, "--out", tmp_path / "bundle"]
    if command is train:
        given += ["--init", copy]
    code, last = call(command, given, monkeypatch, capsys)
    if command is train and name == "weights that lack a tensor":
        assert code == 0, "they start anew"
    elif command is train and name == "weights of no configuration":
        assert (code, last) == (2, f"train: {copy} is of another configuration: it has x, toy has not")
    else:
        assert code in (1, 2)
        assert str(copy) in last

"""Every `python -m deer_lab.…` in the documents is a command that there is, with options that it takes."""

import argparse
import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("deer_lab.worlds.tabletop.desk")

from deer_lab.program import ROOT

DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "lab" / "README.md",
    ROOT / "models" / "README.md",
    *(ROOT / "docs").glob("*.md"),
]
ROS = "deer_lab.worlds.ros_node"  # needs a sourced ROS 2, and takes its arguments


def commands(document: Path) -> list[str]:
    """A document's commands: lines that stand alone, and code in a sentence with more than a name; but what leaves
    something out (…).
    """
    blocks = document.read_text().replace("\\\n", " ").split("```")
    lines = [line.split(" #")[0] for block in blocks[1::2] for line in block.splitlines()]
    lines += [span.replace("\n", " ") for text in blocks[::2] for span in text.split("`")[1::2]]
    found = [re.search(r"-m (deer_lab\..+)|^(deer_lab\.\S+ .+)", line.strip()) for line in lines]
    found = [match[1] or match[2] for match in found if match]
    found = [words for words in found if not words.startswith(ROS)]
    return [words for words in found if " " in words and not re.search("[…|{]", words)]


CASES = [(document.name, words) for document in DOCUMENTS for words in commands(document)]


class Parsed(Exception):
    """The arguments are read; nothing is to be done."""


@pytest.mark.parametrize(("document", "words"), CASES, ids=[f"{name}: {words}" for name, words in CASES])
def test_a_command_in_the_documents_is_one(document, words, monkeypatch):
    def parse_and_stop(parser, args=None, namespace=None):
        parse(parser, args, namespace)
        raise Parsed

    parse = argparse.ArgumentParser.parse_args
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_and_stop)
    module, *arguments = shlex.split(words)
    monkeypatch.setattr(sys, "argv", [module, *arguments])
    with pytest.raises(Parsed):
        runpy.run_module(module, run_name="__main__")


def test_there_are_commands_to_look_at():
    assert len(CASES) > 20

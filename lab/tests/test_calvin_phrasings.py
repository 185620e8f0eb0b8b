"""What is said for CALVIN's tasks; neither its simulator nor its data is needed."""

import re

from deer_lab.worlds.calvin.phrasings import phrasings
from deer_lab.worlds.calvin.tasks import NAMES


def test_every_task_can_be_said_in_many_ways():
    found = phrasings()
    assert tuple(found) == NAMES
    assert all(140 <= len(said.train) == len(set(said.train)) for said in found.values())
    assert all(re.fullmatch(r"[a-z0-9,:' -]{6,90}", sentence) for said in found.values() for sentence in said.train)


def test_what_evaluation_says_is_in_no_training():
    trained = {sentence.lower() for said in phrasings().values() for sentence in said.train}
    asked = {sentence.lower() for said in phrasings().values() for sentence in (said.validation, *said.test)}
    assert len(asked) > 160 and not trained & asked


def test_no_sentence_belongs_to_two_of_calvins_tasks():
    owners = {}
    for name, said in phrasings().items():
        assert all(owners.setdefault(sentence, name) == name for sentence in said)


def test_no_task_is_said_with_the_side_of_its_opposite():
    for name, said in phrasings().items():
        for side, other in (("left", "right"), ("right", "left")):
            if name.endswith(side):
                assert not [sentence for sentence in said.train if other in sentence], name

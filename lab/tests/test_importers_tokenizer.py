"""The published tokenizer, with the tokens that the network adds to it."""

import pytest

torch = pytest.importorskip("torch")

from tokenizers import Tokenizer

from deer_lab.importers.archives import CheckpointError
from deer_lab.importers.prompts import published_tokenizer
from deer_lab.importers.synthetic import make_published_tokenizer


def test_three_tokens_are_added_in_the_published_order(small_3b):
    tokenizer = published_tokenizer(small_3b.folder / "gpt-neox-20b", 420)
    assert [tokenizer.token_to_id(t) for t in ("<|endofchunk|>", "<image>", "<PAD>")] == [417, 418, 419]
    ids = tokenizer.encode("<image>open the drawer<|endofchunk|><|endoftext|>", add_special_tokens=False).ids
    plain = make_published_tokenizer(417).encode("open the drawer").ids
    assert ids == [418, *plain, 417, 0]


def test_the_full_vocabulary_has_the_published_ids(tmp_path):
    make_published_tokenizer(50277).save(str(tmp_path / "tokenizer.json"))
    tokenizer = published_tokenizer(tmp_path, 50280)
    assert tokenizer.encode("<|endofchunk|><image><PAD><|endoftext|>").ids == [50277, 50278, 50279, 0]


def test_another_tokenizer_is_refused(small_3b, tmp_path):
    Tokenizer.from_file(str(small_3b.folder / "gpt-neox-20b" / "tokenizer.json"))
    make_published_tokenizer(400).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(CheckpointError, match=r"has 400 tokens; the checkpoint embeds 420, which is 417"):
        published_tokenizer(tmp_path, 420)
    published_tokenizer(small_3b.folder / "gpt-neox-20b", 420).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(CheckpointError, match=r"<\|endofchunk\|> among them"):
        published_tokenizer(tmp_path, 420)

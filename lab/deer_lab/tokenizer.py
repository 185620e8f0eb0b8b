"""A small tokenizer for a small model."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers


def make_tokenizer(vocabulary: int, sentences: Iterable[str], forgiving: bool = False) -> Tokenizer:
    """Byte-level BPE of at most `vocabulary` tokens learned from `sentences`, so that any text has ids.

    `forgiving`: capitals and the marks that end a sentence make no difference.
    """
    tokenizer = Tokenizer(models.BPE())
    if forgiving:
        unmarked = [normalizers.Replace(mark, "") for mark in ".!?"]
        tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *unmarked])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<|endoftext|>", "<|endofchunk|>", "<image>", "<PAD>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(sentences, trainer)
    return tokenizer

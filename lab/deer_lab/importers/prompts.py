"""The published tokenizer with the three tokens that OpenFlamingo and DeeR add to it."""

from __future__ import annotations

from pathlib import Path

from tokenizers import AddedToken, Tokenizer

from deer_lab.importers.archives import CheckpointError

ADDED = ("<|endofchunk|>", "<image>", "<PAD>")  # in the published order: their ids depend on it
END = "<|endoftext|>"


def published_tokenizer(folder: Path, vocabulary: int) -> Tokenizer:
    """Of the folder's tokenizer.json, or of that file. Raises CheckpointError where it is not the checkpoint's."""
    path = folder / "tokenizer.json" if folder.is_dir() else folder
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exceptions
        raise CheckpointError(f"{path} is no tokenizer: {error}") from error
    size = tokenizer.get_vocab_size()
    there = [token for token in ADDED if tokenizer.token_to_id(token) is not None]
    if there or size + len(ADDED) != vocabulary or tokenizer.token_to_id(END) is None:
        raise CheckpointError(
            f"{path} has {size} tokens{f', {there[0]} among them' if there else ''}; the checkpoint embeds "
            f"{vocabulary}, which is {vocabulary - len(ADDED)} ({END} among them) and {', '.join(ADDED)} added. "
            "Name the folder of EleutherAI/gpt-neox-20b"
        )
    for token in ADDED:
        tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True)])
    found = [tokenizer.token_to_id(token) for token in ADDED]
    if found != list(range(size, vocabulary)):
        raise CheckpointError(f"{path}: the added tokens became {found}, not the last of {vocabulary}")
    return tokenizer

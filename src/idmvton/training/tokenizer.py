"""A small CLIP tokenizer, learned from captions, in the form that ``CLIPTokenizer`` reads.

It has CLIP's alphabet of bytes, so that any text can be encoded; what occurs often gets one token.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import tokenizers
import transformers

START, END = "<|startoftext|>", "<|endoftext|>"
_WORD_END = "</w>"
_WORDS = r"""<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"""


def train_tokenizer(texts: Iterable[str], vocabulary: int, num_tokens: int) -> transformers.CLIPTokenizer:
    """Learns which parts of words occur often.

    Args:
        texts: as the text encoders will read them.
        vocabulary: tokens at most; 514 is the alphabet with start and end.
        num_tokens: of a text at most, start and end included.
    """
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    learner = tokenizers.Tokenizer(tokenizers.models.BPE(end_of_word_suffix=_WORD_END))
    learner.normalizer = tokenizers.normalizers.Sequence(
        [tokenizers.normalizers.NFC(), tokenizers.normalizers.Lowercase()]
    )
    learner.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [
            tokenizers.pre_tokenizers.Split(tokenizers.Regex(_WORDS), behavior="removed", invert=True),
            tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocabulary, end_of_word_suffix=_WORD_END, initial_alphabet=alphabet, show_progress=False
    )
    learner.train_from_iterator(texts, trainer)

    base = [*alphabet, *(letter + _WORD_END for letter in alphabet)]
    merges = _merges(learner)[: vocabulary - len(base) - 2]
    words = [*base, *dict.fromkeys(left + right for left, right in merges), START, END]
    return transformers.CLIPTokenizer(
        vocab={word: number for number, word in enumerate(words)},
        merges=merges,
        model_max_length=num_tokens,
        bos_token=START,
        eos_token=END,
        unk_token=END,
        pad_token=END,
    )


def _merges(learner: tokenizers.Tokenizer) -> list[tuple[str, str]]:
    """The learned merges, the most frequent first."""
    return [(left, right) for left, right in json.loads(learner.to_str())["model"]["merges"]]

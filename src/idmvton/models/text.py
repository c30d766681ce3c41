"""The two text encoders of SDXL: penultimate states side by side, pooled embedding from the second."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor


class PromptEmbeds(NamedTuple):
    """Embeddings of P prompts.

    Attributes:
        tokens: float (P, T, C1 + C2).
        pooled: float (P, projection width).
    """

    tokens: Tensor
    pooled: Tensor


def encode_prompts(
    prompts: Sequence[str], tokenizers: Sequence[Any], encoders: Sequence[Any], device: torch.device
) -> PromptEmbeds:
    """Encodes prompts as SDXL does.

    Args:
        prompts: P texts.
        tokenizers: the CLIP tokenizers of both encoders.
        encoders: ``CLIPTextModel`` and ``CLIPTextModelWithProjection``.
        device: where they compute.

    A prompt that is too long is cut; :func:`unread_notes` tells which.
    """
    penultimate = []
    for tokenizer, encoder in zip(tokenizers, encoders, strict=True):
        tokens = tokenizer(
            list(prompts),
            padding="max_length",
            max_length=tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
        )
        output = encoder(tokens.input_ids.to(device), output_hidden_states=True)
        penultimate.append(output.hidden_states[-2])
    return PromptEmbeds(torch.cat(penultimate, dim=-1), output.text_embeds)


def unread_notes(prompts: Sequence[str], tokenizers: Sequence[Any]) -> tuple[str, ...]:
    """A note about each prompt that is longer than the encoders read, with the words that are not read."""
    unread = {}
    for tokenizer in tokenizers:
        room = tokenizer.model_max_length - 2  # the start and end tokens
        for prompt in prompts:
            ids = tokenizer(prompt, add_special_tokens=False, verbose=False).input_ids
            if len(ids) > room:
                unread[prompt] = tokenizer.decode(ids[room:], clean_up_tokenization_spaces=False).strip()
    return tuple(
        f"the prompt {prompt!r} is longer than the text encoders read; not read: {words!r}"
        for prompt, words in unread.items()
    )

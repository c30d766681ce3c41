# mypy: disable-error-code="import-not-found, import-untyped, no-untyped-def, untyped-decorator"
"""Kernels for GPUs, in Triton: what surrounds the products of the two UNets, each in one pass over memory.

PyTorch runs these as several kernels with a round trip through memory between them. Sums are in float32; results are
rounded once, to the tensors' own dtype. :mod:`idmvton.models.fused` calls them, and says what each computes.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def geglu(source, target, channels, BLOCK: tl.constexpr):
    """Source (rows, 2 channels) -> target (rows, channels)."""
    row = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = column < channels
    value = tl.load(source + row * 2 * channels + column, mask=inside, other=0.0).to(tl.float32)
    gate = tl.load(source + row * 2 * channels + channels + column, mask=inside, other=0.0).to(tl.float32)
    gated = value * (0.5 * gate * (1.0 + tl.erf(gate * 0.7071067811865476)))
    tl.store(target + row * channels + column, gated.to(target.dtype.element_ty), mask=inside)


@triton.jit
def add_layer_norm(tokens, change, weight, bias, total, normed, channels, eps, BLOCK: tl.constexpr):
    """Tokens + change -> total; its layer norm -> normed; one program a row."""
    row = tl.program_id(0).to(tl.int64)
    column = tl.arange(0, BLOCK)
    inside = column < channels
    offset = row * channels + column
    summed = tl.load(tokens + offset, mask=inside, other=0.0).to(tl.float32)
    summed += tl.load(change + offset, mask=inside, other=0.0).to(tl.float32)
    rounded = summed.to(total.dtype.element_ty)
    tl.store(total + offset, rounded, mask=inside)
    summed = rounded.to(tl.float32)
    mean = tl.sum(summed, axis=0) / channels
    centred = tl.where(inside, summed - mean, 0.0)
    scale = 1.0 / tl.sqrt(tl.sum(centred * centred, axis=0) / channels + eps)
    by = tl.load(weight + column, mask=inside, other=0.0).to(tl.float32)
    to = tl.load(bias + column, mask=inside, other=0.0).to(tl.float32)
    tl.store(normed + offset, (centred * scale * by + to).to(normed.dtype.element_ty), mask=inside)


@triton.jit
def group_sums(
    source, added, sums, pixels, channels,
    HAS_ADDED: tl.constexpr, STEPS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Source (B, pixels, channels) [+ added (B, channels)] -> sums (B, chunks, 2, channels) of values and squares."""
    sample, part = tl.program_id(0), tl.program_id(1)
    column = tl.program_id(2) * COLUMNS + tl.arange(0, COLUMNS)
    inside = column < channels
    total = tl.zeros([COLUMNS], dtype=tl.float32)
    squares = tl.zeros([COLUMNS], dtype=tl.float32)
    extra = tl.zeros([COLUMNS], dtype=tl.float32)
    if HAS_ADDED:
        extra = tl.load(added + sample * channels + column, mask=inside, other=0.0).to(tl.float32)
    start = sample.to(tl.int64) * pixels * channels
    for step in range(STEPS):
        row = (part * STEPS + step) * ROWS + tl.arange(0, ROWS)
        known = (row < pixels)[:, None] & inside[None, :]
        values = tl.load(source + start + row[:, None] * channels + column[None, :], mask=known, other=0.0)
        values = tl.where(known, values.to(tl.float32) + extra[None, :], 0.0)
        total += tl.sum(values, axis=0)
        squares += tl.sum(values * values, axis=0)
    place = sums + (sample * tl.num_programs(1) + part) * 2 * channels + column
    tl.store(place, total, mask=inside)
    tl.store(place + channels, squares, mask=inside)


@triton.jit
def group_scales(
    sums, weight, bias, added, scales, groups, chunks, pixels, channels, eps,
    HAS_ADDED: tl.constexpr, CHUNKS: tl.constexpr, SIZE: tl.constexpr,
):  # fmt: skip
    """Sums of :func:`group_sums` -> scales (B, 2, channels): normed = value * scale + shift; one program a group."""
    sample, group = tl.program_id(0) // groups, tl.program_id(0) % groups
    size = channels // groups
    part, member = tl.arange(0, CHUNKS), tl.arange(0, SIZE)
    channel = group * size + member
    inside = member < size
    place = sums + (sample * chunks + part[:, None]) * 2 * channels + channel[None, :]
    known = (part < chunks)[:, None] & inside[None, :]
    total = tl.sum(tl.sum(tl.load(place, mask=known, other=0.0), axis=1), axis=0)
    squares = tl.sum(tl.sum(tl.load(place + channels, mask=known, other=0.0), axis=1), axis=0)
    count = size * pixels
    mean = total / count
    variance = squares / count - mean * mean
    by = tl.load(weight + channel, mask=inside, other=0.0).to(tl.float32) / tl.sqrt(tl.maximum(variance, 0.0) + eps)
    shift = tl.load(bias + channel, mask=inside, other=0.0).to(tl.float32) - mean * by
    if HAS_ADDED:
        shift += by * tl.load(added + sample * channels + channel, mask=inside, other=0.0).to(tl.float32)
    tl.store(scales + sample * 2 * channels + channel, by, mask=inside)
    tl.store(scales + (sample * 2 + 1) * channels + channel, shift, mask=inside)


@triton.jit
def apply_scales(
    source, scales, target, pixels, channels, SILU: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr
):
    """Source (B, pixels, channels) -> target, scaled and shifted by channel, then SiLU where asked for."""
    sample = tl.program_id(0)
    row = tl.program_id(1) * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(2) * COLUMNS + tl.arange(0, COLUMNS)
    inside = column < channels
    by = tl.load(scales + sample * 2 * channels + column, mask=inside, other=0.0)
    to = tl.load(scales + (sample * 2 + 1) * channels + column, mask=inside, other=0.0)
    known = (row < pixels)[:, None] & inside[None, :]
    offset = sample.to(tl.int64) * pixels * channels + row[:, None] * channels + column[None, :]
    values = tl.load(source + offset, mask=known, other=0.0).to(tl.float32) * by[None, :] + to[None, :]
    if SILU:
        values = values * tl.sigmoid(values)
    tl.store(target + offset, values.to(target.dtype.element_ty), mask=known)


@triton.jit
def merge_parts(
    attended, logsumexp, of_garment, of_garment_logsumexp, zero_rows, log_zeros, tokens, heads,
    SIZE: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """Attended (R, tokens, heads, SIZE) over the person's keys, made that over all keys, in place.

    The first ``zero_rows`` rows have exp(log_zeros) more keys of score and value 0; the others the garment's.
    """
    row = tl.program_id(0)
    token = tl.program_id(1) * ROWS + tl.arange(0, ROWS)
    head = tl.program_id(2)
    known = token < tokens
    member = tl.arange(0, SIZE)
    own = tl.load(logsumexp + (row * heads + head) * tokens + token, mask=known, other=0.0)
    place = ((row.to(tl.int64) * tokens + token) * heads + head)[:, None] * SIZE + member[None, :]
    values = tl.load(attended + place, mask=known[:, None], other=0.0).to(tl.float32)
    if row < zero_rows:
        values = values * tl.sigmoid(own - log_zeros)[:, None]
    else:
        worn = row - zero_rows
        other = tl.load(of_garment_logsumexp + (worn * heads + head) * tokens + token, mask=known, other=0.0)
        other_place = ((worn.to(tl.int64) * tokens + token) * heads + head)[:, None] * SIZE + member[None, :]
        others = tl.load(of_garment + other_place, mask=known[:, None], other=0.0).to(tl.float32)
        values += (others - values) * tl.sigmoid(other - own)[:, None]
    tl.store(attended + place, values.to(attended.dtype.element_ty), mask=known[:, None])

"""Our attention against the plain form: concatenate, attend with everything, keep the person's half."""

import math

import pytest
import torch
from diffusers.models.attention_processor import Attention

from idmvton.errors import ConfigError
from idmvton.models.attention import (
    AttentionContext,
    GarmentSelfAttention,
    KeysValues,
    RecordingContext,
    RecordingSelfAttention,
    attend_with_zero_garment,
    count_biases,
    project,
)
from plain_form import PlainSelfAttention


@pytest.fixture
def attn() -> Attention:
    torch.manual_seed(0)
    return Attention(query_dim=24, heads=3, dim_head=8)


def ours(attn, person, garment, **context):
    return GarmentSelfAttention("layer")(attn, person, garment=AttentionContext({"layer": garment}, **context))


def plain(attn, person, garment):
    return PlainSelfAttention("layer")(attn, person, garment={"tokens": {"layer": garment}})


def test_equals_the_plain_form_forward_and_backward(attn):
    person = torch.randn(2, 10, 24, requires_grad=True)
    garment = torch.randn(2, 7, 24, requires_grad=True)
    results = []
    for form in (ours, plain):
        output = form(attn, person, garment)
        parameters = [person, garment, *attn.parameters()]
        results.append((output, torch.autograd.grad(output.square().sum(), parameters)))
    (our_output, our_gradients), (plain_output, plain_gradients) = results
    torch.testing.assert_close(our_output, plain_output, atol=1e-6, rtol=1e-5)
    for ours_each, plain_each in zip(our_gradients, plain_gradients, strict=True):
        torch.testing.assert_close(ours_each, plain_each, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("num_tokens", [1, 7, 48, 3072])
def test_unconditional_rows_equal_zero_tensors(attn, num_tokens):
    person, garment = torch.randn(4, 10, 24), torch.randn(2, num_tokens, 24)
    output = ours(attn, person, garment, num_zero_garment=2)
    expected = plain(attn, person, torch.cat([torch.zeros_like(garment), garment]))
    torch.testing.assert_close(output, expected, atol=1e-6, rtol=1e-5)
    assert (output[:2] - attn.to_out[0](ours_alone(attn, person[:2]))).abs().max() > 1e-3, "zeros take softmax mass"


def ours_alone(attn, person):
    """Self-attention without any garment token: what zero tensors are not."""
    query, (keys, values) = attn.to_q(person), project(attn, person)
    query = query.unflatten(-1, (attn.heads, -1)).transpose(1, 2)
    return torch.nn.functional.scaled_dot_product_attention(query, keys, values).transpose(1, 2).flatten(2)


def test_zero_garment_with_biased_projections():
    torch.manual_seed(0)
    attn = Attention(query_dim=24, heads=3, dim_head=8, bias=True)
    person = torch.randn(2, 10, 24)
    expected = plain(attn, person, torch.zeros(2, 5, 24))
    torch.testing.assert_close(ours(attn, person, torch.randn(1, 5, 24), num_zero_garment=2), expected)


def test_zero_garment_is_exact_in_bfloat16(attn):
    """One bfloat16 number cannot hold log(3072); the error of the spelled-out form is that of bfloat16 itself."""
    person = torch.randn(1, 64, 24)
    exact = attn.to_out[0](attend(attn, person, 3072))
    attn.bfloat16()
    rounded = attn.to_out[0](attend(attn, person.bfloat16(), 3072)).float()
    materialised = plain(attn, person.bfloat16(), torch.zeros(1, 3072, 24).bfloat16()).float()
    assert (rounded - exact).abs().max() <= 1.5 * (materialised - exact).abs().max() + 1e-4


def attend(attn, person, num_tokens):
    query = attn.to_q(person).unflatten(-1, (attn.heads, -1)).transpose(1, 2)
    heads = attend_with_zero_garment(attn, query, project(attn, person), num_tokens)
    return heads.transpose(1, 2).flatten(2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("count", [1, 12, 48, 768, 3072, 12288])
def test_count_biases_sum_to_the_count(count, dtype):
    biases = count_biases(count, dtype)
    assert all(torch.tensor(bias, dtype=dtype).item() == bias for bias in biases), "exact in the dtype"
    assert math.isclose(sum(map(math.exp, biases)), count, rel_tol=1e-6)


def test_one_garment_for_all_and_rows_by_index(attn):
    person, garments = torch.randn(3, 10, 24), torch.randn(2, 7, 24)
    shared = ours(attn, person, garments[:1])
    torch.testing.assert_close(shared, plain(attn, person, garments[:1].expand(3, -1, -1)), atol=1e-6, rtol=1e-5)
    rows = torch.tensor([1, 0, 1])
    picked = ours(attn, person, garments, garment_rows=rows)
    torch.testing.assert_close(picked, plain(attn, person, garments[rows]), atol=1e-6, rtol=1e-5)


def test_projected_garments_equal_tokens(attn):
    person, garment = torch.randn(2, 10, 24), torch.randn(2, 7, 24)
    projected = project(attn, garment)
    assert isinstance(projected, KeysValues)
    torch.testing.assert_close(ours(attn, person, projected), ours(attn, person, garment))


def test_a_missing_feature_or_context_fails_loudly(attn):
    person = torch.randn(1, 10, 24)
    with pytest.raises(ConfigError, match="no garment feature for self-attention 'layer'"):
        GarmentSelfAttention("layer")(attn, person, garment=AttentionContext({"other": torch.randn(1, 7, 24)}))
    with pytest.raises(ConfigError, match="without its context"):
        GarmentSelfAttention("layer")(attn, person)


def test_in_place_a_token_sees_itself_and_the_garment_there(attn):
    """Each token alone, as a sequence of one, in the plain form; the first rows with a zero garment."""
    name, person, garment = "layer", torch.randn(3, 10, 24), torch.randn(2, 10, 24)
    context = AttentionContext({name: garment}, num_zero_garment=1)
    output = GarmentSelfAttention(name, in_place=True)(attn, person, garment=context)
    apart = [each.reshape(-1, 1, 24) for each in (person, torch.cat([torch.zeros_like(garment[:1]), garment]))]
    torch.testing.assert_close(output, plain(attn, *apart).reshape(3, 10, 24), atol=1e-6, rtol=1e-5)
    recording = RecordingContext({})
    alone = RecordingSelfAttention(name, in_place=True)(attn, garment, garment=recording)
    torch.testing.assert_close(alone, attn.to_out[0](attn.to_v(garment)))  # the softmax of one token is 1
    assert recording.tokens[name] is garment


def test_in_place_there_must_be_as_many_tokens(attn):
    name = "layer"
    with pytest.raises(ConfigError, match="do not lie"):
        GarmentSelfAttention(name, in_place=True)(
            attn, torch.randn(1, 10, 24), garment=AttentionContext({name: torch.randn(1, 7, 24)})
        )

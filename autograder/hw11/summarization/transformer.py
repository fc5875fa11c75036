"""The Transformer that question 1 asks for, for judges: plain numbers, bounded ones, or complex ones.

Post-norm, after Vaswani et al. 2017, section 3. Weights are a mapping by torch's names within a layer,
"self_attn.q_proj.weight" (out, in) and so on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from autograder.core import Array
from autograder.judging.rounding import (
    Bounded,
    Number,
    add,
    exact,
    layer_norm,
    matmul,
    move,
    relu,
    scaled_matmul,
    softmax,
)

Weights = Mapping[str, Array]
Activation = Callable[[Number], Number]
Sublayer = Callable[[Number], Number]
Block = Callable[[Number, Sublayer, Weights, str], Number]


def layer(
    x: Number,
    weights: Weights,
    heads: int,
    *,
    padding: Array | None = None,
    causal: bool = False,
    past: Number | None = None,
    memory: Number | None = None,
    memory_padding: Array | None = None,
    hidden: Array | None = None,
    memory_hidden: Array | None = None,
    activation: Activation = relu,
    block: Block | None = None,
    from_input: Collection[str] = (),
) -> Number:
    """One layer without a cache: x (batch, n, d), padding (batch, n) with 1 at padding. Returns (batch, n, d).

    With `memory` (batch, m, d), the encoder's output, it is a decoder's layer. With `past` (batch, k, d) that is what
    keys and values of the self-attention are made of, x being queries alone; then `hidden` (n, k) says what
    is hidden from each. Otherwise the last five are for known mistakes: `hidden` (n, n) in place of what `causal` hides
    from each query, `memory_hidden` (n, m) the same in the cross-attention, another activation, another way to add a
    sublayer's change, and the norms of those blocks that add theirs to the layer's input in place of their own.
    """
    block = block or add_and_norm
    if hidden is None:
        hidden = np.triu(np.ones((_shape(x)[1],) * 2, bool), 1 if causal else _shape(x)[1])

    cross_hidden = np.zeros((1, 1), bool) if memory_hidden is None else memory_hidden

    handed = None if past is None else _handed(past, block, weights)

    def sees_itself(x: Number) -> Number:
        return _attention(x, x if handed is None else handed, weights, "self_attn", heads, padding, hidden)

    def sees_memory(x: Number) -> Number:
        assert memory is not None
        return _attention(x, memory, weights, "cross_attn", heads, memory_padding, cross_hidden)

    def feeds_forward(x: Number) -> Number:
        return _linear(activation(_linear(x, weights, "fc1")), weights, "fc2")

    entry = x

    def through(x: Number, change: Sublayer, norm: str) -> Number:
        return (
            block(entry, lambda _: change(x), weights, norm) if norm in from_input else block(x, change, weights, norm)
        )

    x = through(x, sees_itself, "self_attn_ln")
    if memory is not None:
        x = through(x, sees_memory, "cross_attn_ln")
    return through(x, feeds_forward, "ffn_ln")


def _handed(x: Number, block: Block, weights: Weights) -> Number:
    """What a block hands to the self-attention where x comes in: x itself, or the normalised x of pre-norm."""
    seen = [x]

    def sees(x: Number) -> Number:
        seen.append(x)
        return x

    block(x, sees, weights, "self_attn_ln")
    return seen[-1]


def add_and_norm(x: Number, change: Sublayer, weights: Weights, norm: str) -> Number:
    """The sublayer's change of x, added to x, then normalised: post-norm, ibid., section 3.1."""
    return normed(add(x, change(x)), weights, norm)


def normed(x: Number, weights: Weights, norm: str) -> Number:
    return layer_norm(x, weights[f"{norm}.weight"], weights[f"{norm}.bias"])


def embed(ids: Array, weights: Weights, u: float) -> Bounded:
    """The normalised sum of the embeddings of the ids (batch, n) and of their positions; (batch, n, d)."""
    positions = np.broadcast_to(
        weights["emb_pos.weight"][np.arange(ids.shape[1])], (*ids.shape, weights["emb_pos.weight"].shape[1])
    )
    both = add(exact(weights["emb_word.weight"][ids], u), exact(positions, u))
    normal = layer_norm(both, weights["emb_ln.weight"], weights["emb_ln.bias"])
    assert isinstance(normal, Bounded)
    return normal


def stack(x: Number, layers: Sequence[Weights], heads: int, **named: Array | bool | Number | None) -> Number:
    """Layer after layer; the named arguments are those of `layer`."""
    for weights in layers:
        x = layer(x, weights, heads, **named)  # type: ignore[arg-type]
    return x


def _linear(x: Number, weights: Weights, name: str) -> Number:
    product = matmul(x, weights[f"{name}.weight"].T)
    bias = weights[f"{name}.bias"]
    return add(product, np.broadcast_to(bias, _shape(product)))


def _attention(
    of: Number, to: Number, weights: Weights, name: str, heads: int, padding: Array | None, hidden: Array
) -> Number:
    """Every query of `of` (batch, n, d) sees the positions of `to` (batch, m, d) that are not padding."""

    def split(x: Array) -> Array:
        return x.reshape(*x.shape[:2], heads, -1).swapaxes(1, 2)  # (batch, heads, length, d / heads)

    q, k, v = (move(_linear(x, weights, f"{name}.{part}_proj"), split) for x, part in ((of, "q"), (to, "k"), (to, "v")))
    width = _shape(q)[-1]
    scores = scaled_matmul(q, move(k, lambda x: x.swapaxes(-1, -2)), 1 / np.sqrt(width))
    n = _shape(scores)[-2]
    if padding is not None:
        hidden = hidden | padding[:, None, None, :].astype(bool)
    seen = matmul(softmax(scores, hidden), v)
    return _linear(move(seen, lambda x: x.swapaxes(1, 2).reshape(len(x), n, -1)), weights, f"{name}.o_proj")


def _shape(x: Number) -> tuple[int, ...]:
    return x.shape if isinstance(x, np.ndarray) else x.value.shape

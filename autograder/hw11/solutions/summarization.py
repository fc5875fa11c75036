"""Wrong, right and half-right solutions for question 1: a cached Transformer, greedy decoding and beam search."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from autograder.audit.variants import Variant, written

# A layer whose values are wrong with and without the cache has wrong gradients, too; what it keeps is still right.
EVERY_VALUE_OF_THE_LAYER = (
    "summarization.layer",
    "summarization.layer_cached",
    "summarization.layer_training",
)
LAYER_WITHOUT_CACHE = ("summarization.layer", "summarization.layer_training")
LAYER_WITH_CACHE = ("summarization.layer_cached",)
WHAT_THE_LAYER_KEEPS = ("summarization.layer_cached", "summarization.layer_cache")
# The cached path stops with an exception.
NO_CACHED_LAYER = ("summarization.layer_cached", "summarization.layer_cache", "summarization.layer_work")
# A stack's checks run with a right layer, those of the decoding with a right model.
EVERY_VALUE_OF_THE_STACK = ("summarization.stack", "summarization.stack_cached")
WHAT_THE_STACK_KEEPS = ("summarization.stack_cached", "summarization.stack_cache")


_sum = partial(written, "sum", "summarization.ipynb")


def _like(
    others: Sequence[Variant],
    other: str,
    id: str,
    about: str,
    *swaps: tuple[str, str],
    caught_by: tuple[str, ...] = (),
    diagnosis: str = "",
) -> Variant:
    """Another solution of these with a few words exchanged."""
    found = next(variant for variant in others if variant.id == f"sum-{other}")
    source = found.source
    for old, new in swaps:
        assert source.count(old) == 1, (id, old)
        source = source.replace(old, new)
    return replace(found, id=f"sum-{id}", about=about, source=source, caught_by=caught_by, diagnosis=diagnosis)


# TransformerLayer.forward(self, x, padding_mask, encoder_out, encoder_padding_mask, use_cache, past_kv)
# TransformerStack.forward(self, input_ids, encoder_hidden_states, encoder_padding_mask, use_cache, past_key_values)
# greedy_decode(model, input_ids, max_length), beam_search(model, input_ids, num_beams, max_length, length_penalty)

# ----------------------------------------------------------------------------------------------------
# Wrong layers
# ----------------------------------------------------------------------------------------------------

_WRONG_LAYERS = (
    _sum(
        "attention-in-half-precision",
        "What the self-attention of a step gives is rounded to half precision.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    past_kv = x if past_kv is None else torch.cat([past_kv, x], dim=1)
                    h = self.self_attn(x, past_kv, past_kv).half()
                else:
                    h = self.self_attn(x, x, x, padding_mask, causal=self.is_decoder)
                x = self.self_attn_ln(x + self.self_attn_drop(h))
                if self.is_decoder:
                    h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(h))
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                return (x, past_kv) if use_cache else x
        """,
        caught_by=("summarization.layer_cached",),
    ),
    _sum(
        "dropout-once",
        "Dropout is there behind the feed-forward alone.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    past_kv = x if past_kv is None else torch.cat([past_kv, x], dim=1)
                    h = self.self_attn(x, past_kv, past_kv)
                else:
                    h = self.self_attn(x, x, x, padding_mask, causal=self.is_decoder)
                x = self.self_attn_ln(x + h)
                if self.is_decoder:
                    h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + h)
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                return (x, past_kv) if use_cache else x
        """,
        caught_by=("summarization.layer_training",),
        diagnosis="sum_no_dropout",
    ),
    _sum(
        "dropout-forgotten-in-ffn",
        "Dropout is there behind both attentions, but not behind the feed-forward.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    past_kv = x if past_kv is None else torch.cat([past_kv, x], dim=1)
                    h = self.self_attn(x, past_kv, past_kv)
                else:
                    h = self.self_attn(x, x, x, padding_mask, causal=self.is_decoder)
                x = self.self_attn_ln(x + self.self_attn_drop(h))
                if self.is_decoder:
                    h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(h))
                x = self.ffn_ln(x + self.fc2(F.relu(self.fc1(x))))
                return (x, past_kv) if use_cache else x
        """,
        caught_by=("summarization.layer_training",),
        diagnosis="sum_no_dropout",
    ),
    # The newest position does not see all positions up to its own.
    _sum(
        "causal-in-cache",
        "The causal mask is applied to the single cached query, which then sees key 0 alone.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    keys = x if past_kv is None else torch.cat((past_kv, x), dim=1)
                    h = self.self_attn(x, keys, keys, causal=self.is_decoder)
                else:
                    keys = None
                    h = self.self_attn(x, x, x, key_padding_mask=padding_mask, causal=self.is_decoder)
                x = self.self_attn_ln(x + self.self_attn_drop(h))
                if self.is_decoder:
                    h = self.cross_attn(x, encoder_out, encoder_out, key_padding_mask=encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(h))
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                if use_cache:
                    return x, keys
                return x
        """,
        caught_by=LAYER_WITH_CACHE,
        diagnosis="sum_causal_in_cache",
    ),
    _sum(
        "tril-in-cache",
        "The causal mask is the lower triangle of a (1, i) table, and the cached path asks for it.",
        """
        def scaled_dot_product_attention(q, k, v, key_padding_mask=None, causal=False):
            scores = torch.matmul(q, k.transpose(2, 3)) / q.size(-1) ** 0.5
            if key_padding_mask is not None:
                scores = scores.masked_fill(key_padding_mask.bool()[:, None, None], -1e9)
            if causal:
                mask = torch.tril(torch.ones(q.size(2), k.size(2), device=q.device))
                scores = scores.masked_fill(mask == 0, -1e9)
            return torch.matmul(torch.softmax(scores, dim=-1), v)

        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                kv = x
                if use_cache:
                    padding_mask = None
                    if past_kv is not None:
                        kv = torch.cat([past_kv, x], dim=1)
                residual = x
                x = self.self_attn(x, kv, kv, padding_mask, self.is_decoder)
                x = self.self_attn_ln(residual + self.self_attn_drop(x))
                if self.is_decoder:
                    residual = x
                    x = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(residual + self.cross_attn_drop(x))
                residual = x
                x = self.fc2(torch.relu(self.fc1(x)))
                x = self.ffn_ln(residual + self.ffn_drop(x))
                return (x, kv) if use_cache else x
        """,
        caught_by=LAYER_WITH_CACHE,
        diagnosis="sum_causal_in_cache",
    ),
    _sum(
        "is-causal-in-cache",
        "torch's `is_causal` counts queries and keys from the same end, so that one query sees one key.",
        """
        class MultiheadAttention:
            def forward(self, q, k, v, key_padding_mask=None, causal=False):
                q, k, v = self.split(self.q_proj(q)), self.split(self.k_proj(k)), self.split(self.v_proj(v))
                if causal:
                    seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
                else:
                    seen = scaled_dot_product_attention(q, k, v, key_padding_mask)
                return self.o_proj(seen.transpose(1, 2).flatten(2))

        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                past = x if past_kv is None else torch.cat([past_kv, x], dim=1)
                seen = self.self_attn(x, past, past, padding_mask, causal=self.is_decoder)
                x = self.self_attn_ln(x + self.self_attn_drop(seen))
                if self.is_decoder:
                    seen = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(seen))
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                return (x, past) if use_cache else x
        """,
        caught_by=LAYER_WITH_CACHE,
        diagnosis="sum_causal_in_cache",
    ),
    _sum(
        "newest-left-out",
        "The newest position attends to the cache as it came, without itself.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if not use_cache:
                    h = self.self_attn(x, x, x, padding_mask, self.is_decoder)
                elif past_kv is None:
                    h, past_kv = self.self_attn(x, x, x), x
                else:
                    h = self.self_attn(x, past_kv, past_kv)
                    past_kv = torch.cat([past_kv, x], dim=1)
                x = self.self_attn_ln(x + self.self_attn_drop(h))
                if self.is_decoder:
                    h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(h))
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                return (x, past_kv) if use_cache else x
        """,
        caught_by=LAYER_WITH_CACHE,
        diagnosis="sum_newest_left_out",
    ),
    _sum(
        "cache-never-read",
        "The cache is kept and returned, but the newest position attends to itself alone.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    past_kv = torch.cat([past_kv, x], dim=1) if past_kv is not None else x
                    padding_mask = None
                h = self.self_attn(x, x, x, key_padding_mask=padding_mask, causal=self.is_decoder)
                x = self.self_attn_ln(x + self.self_attn_drop(h))
                if self.is_decoder:
                    h = self.cross_attn(x, encoder_out, encoder_out, key_padding_mask=encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(h))
                h = self.fc2(F.relu(self.fc1(x)))
                x = self.ffn_ln(x + self.ffn_drop(h))
                return (x, past_kv) if use_cache else x
        """,
        caught_by=LAYER_WITH_CACHE,
        diagnosis="sum_cache_lost",
    ),
    # What else goes wrong with the cache alone.
    _sum(
        "cross-from-cache",
        "With a cache the cross-attention's keys and values are the cache, not the encoder's output.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    kv = x if past_kv is None else torch.cat([past_kv, x], dim=1)
                    x = self.self_attn_ln(x + self.self_attn_drop(self.self_attn(x, kv, kv)))
                    x = self.cross_attn_ln(x + self.cross_attn_drop(self.cross_attn(x, kv, kv)))
                    x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                    return x, kv
                x = self.self_attn_ln(
                    x + self.self_attn_drop(self.self_attn(x, x, x, padding_mask, causal=self.is_decoder))
                )
                if self.is_decoder:
                    h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(h))
                return self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
        """,
        caught_by=LAYER_WITH_CACHE,
        diagnosis="sum_cross_from_cache",
    ),
    _sum(
        "cached-cross-unmasked",
        "The cached path's cross-attention also sees the encoder's padding.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    past_kv = torch.cat([past_kv, x], dim=1) if past_kv is not None else x
                    attn = self.self_attn(x, past_kv, past_kv)
                    x = self.self_attn_ln(x + self.self_attn_drop(attn))
                    attn = self.cross_attn(x, encoder_out, encoder_out)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(attn))
                    x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                    return x, past_kv
                attn = self.self_attn(x, x, x, padding_mask, self.is_decoder)
                x = self.self_attn_ln(x + self.self_attn_drop(attn))
                if self.is_decoder:
                    attn = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(attn))
                return self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
        """,
        caught_by=LAYER_WITH_CACHE,
        diagnosis="sum_padding_ignored",
    ),
    _sum(
        "cached-residual-lost",
        "In the cached branch the attention's result is normalised without the input added to it.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    past_kv = x if past_kv is None else torch.cat([past_kv, x], 1)
                    x = self.self_attn_ln(self.self_attn_drop(self.self_attn(x, past_kv, past_kv)))
                else:
                    x = self.self_attn_ln(
                        x + self.self_attn_drop(self.self_attn(x, x, x, padding_mask, self.is_decoder))
                    )
                if self.is_decoder:
                    h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(h))
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                return (x, past_kv) if use_cache else x
        """,
        caught_by=LAYER_WITH_CACHE,
        diagnosis="sum_residual_lost",
    ),
    _sum(
        "cached-norm-lost",
        "In the cached branch the cross-attention's sum is not normalised.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    kv = torch.cat([past_kv, x], dim=1) if past_kv is not None else x
                    x = self.self_attn_ln(x + self.self_attn_drop(self.self_attn(x, kv, kv)))
                    h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = x + self.cross_attn_drop(h)
                    x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                    return x, kv
                x = self.self_attn_ln(x + self.self_attn_drop(self.self_attn(x, x, x, padding_mask, self.is_decoder)))
                if self.is_decoder:
                    h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(h))
                return self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
        """,
        caught_by=LAYER_WITH_CACHE,
        diagnosis="sum_norm_lost",
    ),
    _sum(
        "cached-without-ffn",
        "The cached branch returns before the feed-forward block.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    past_kv = x if past_kv is None else torch.cat([past_kv, x], dim=1)
                    x = self.self_attn_ln(x + self.self_attn_drop(self.self_attn(x, past_kv, past_kv)))
                    h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    return self.cross_attn_ln(x + self.cross_attn_drop(h)), past_kv
                x = self.self_attn_ln(x + self.self_attn_drop(self.self_attn(x, x, x, padding_mask, self.is_decoder)))
                if self.is_decoder:
                    h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(h))
                return self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
        """,
        caught_by=LAYER_WITH_CACHE,
        diagnosis="sum_ffn_skipped",
    ),
    _sum(
        "cached-residual-of-all",
        "The residual is the whole cache, so that the output has a row for every position, not the newest alone.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                residual = x
                if use_cache:
                    residual = past_kv = x if past_kv is None else torch.cat([past_kv, x], dim=1)
                    h = self.self_attn(x, past_kv, past_kv)
                else:
                    h = self.self_attn(x, x, x, padding_mask, causal=self.is_decoder)
                x = self.self_attn_ln(residual + self.self_attn_drop(h))
                if self.is_decoder:
                    h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(h))
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                return (x, past_kv) if use_cache else x
        """,
        caught_by=(*LAYER_WITH_CACHE, "summarization.layer_work"),
    ),
    # The wrong thing is kept.
    _sum(
        "cache-of-outputs",
        "The layer's output is appended to the cache, where its input belongs.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    kv = x if past_kv is None else torch.cat([past_kv, x], dim=1)
                    h = self.self_attn(x, kv, kv)
                else:
                    h = self.self_attn(x, x, x, padding_mask, causal=self.is_decoder)
                x = self.self_attn_ln(x + self.self_attn_drop(h))
                if self.is_decoder:
                    h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(h))
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                if use_cache:
                    past_kv = x if past_kv is None else torch.cat([past_kv, x], dim=1)
                    return x, past_kv
                return x
        """,
        caught_by=WHAT_THE_LAYER_KEEPS,
        diagnosis="sum_cache_of_outputs",
    ),
    _sum(
        "cache-of-normalised-states",
        "What is kept is the state behind the self-attention's normalisation.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    kv = x if past_kv is None else torch.cat([past_kv, x], dim=1)
                    x = self.self_attn_ln(x + self.self_attn_drop(self.self_attn(x, kv, kv)))
                    past_kv = x if past_kv is None else torch.cat([past_kv, x], dim=1)
                else:
                    h = self.self_attn(x, x, x, padding_mask, causal=self.is_decoder)
                    x = self.self_attn_ln(x + self.self_attn_drop(h))
                if self.is_decoder:
                    h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(h))
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                return (x, past_kv) if use_cache else x
        """,
        caught_by=WHAT_THE_LAYER_KEEPS,
    ),
    _sum(
        "cache-newest-only",
        "What is returned as the cache is the newest input alone.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                newest = x
                if use_cache:
                    kv = x if past_kv is None else torch.cat([past_kv, x], dim=1)
                    h = self.self_attn(x, kv, kv)
                else:
                    h = self.self_attn(x, x, x, padding_mask, causal=self.is_decoder)
                x = self.self_attn_ln(x + self.self_attn_drop(h))
                if self.is_decoder:
                    h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(h))
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                return (x, newest) if use_cache else x
        """,
        caught_by=WHAT_THE_LAYER_KEEPS,
        diagnosis="sum_cache_lost",
    ),
    _sum(
        "cache-none-at-first",
        "At the first step there is nothing to join, and None is returned as the cache.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache and past_kv is not None:
                    past_kv = torch.cat([past_kv, x], dim=1)
                    seen = self.self_attn(x, past_kv, past_kv)
                else:
                    seen = self.self_attn(x, x, x, padding_mask, causal=self.is_decoder)
                x = self.self_attn_ln(x + self.self_attn_drop(seen))
                if self.is_decoder:
                    seen = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(seen))
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                return (x, past_kv) if use_cache else x
        """,
        caught_by=WHAT_THE_LAYER_KEEPS,
        diagnosis="sum_cache_lost",
    ),
    _sum(
        "cache-not-returned-at-first",
        "With past_kv None the layer takes the path without a cache, and returns its output alone.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                cached = past_kv is not None
                if cached:
                    past_kv = torch.cat([past_kv, x], dim=1)
                    seen = self.self_attn(x, past_kv, past_kv)
                else:
                    seen = self.self_attn(x, x, x, padding_mask, causal=self.is_decoder)
                x = self.self_attn_ln(x + self.self_attn_drop(seen))
                if self.is_decoder:
                    seen = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(seen))
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                return (x, past_kv) if cached else x
        """,
        caught_by=WHAT_THE_LAYER_KEEPS,
        diagnosis="sum_cache_lost",
    ),
    _sum(
        "cache-overwritten",
        "The newest input takes the place of the one before it, in the cache that was handed in.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    if past_kv is None:
                        past_kv = x.clone()
                    else:
                        past_kv[:, -1:] = x
                    h = self.self_attn(x, past_kv, past_kv)
                else:
                    h = self.self_attn(x, x, x, padding_mask, causal=self.is_decoder)
                x = self.self_attn_ln(x + self.self_attn_drop(h))
                if self.is_decoder:
                    h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(h))
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                return (x, past_kv) if use_cache else x
        """,
        caught_by=(*WHAT_THE_LAYER_KEEPS, "summarization.layer_work"),
        diagnosis="sum_in_place",
    ),
    _sum(
        "cache-joined-along-batch",
        "Cache and newest input are joined along the batch.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    past_kv = torch.cat([past_kv, x]) if past_kv is not None else x
                    seen = self.self_attn(x, past_kv, past_kv)
                else:
                    seen = self.self_attn(x, x, x, padding_mask, causal=self.is_decoder)
                x = self.self_attn_ln(x + self.self_attn_drop(seen))
                if self.is_decoder:
                    seen = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(seen))
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                return (x, past_kv) if use_cache else x
        """,
        caught_by=NO_CACHED_LAYER,
    ),
    _sum(
        "cache-joined-along-features",
        "Cache and newest input are joined along the features.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    past_kv = torch.cat([past_kv, x], dim=-1) if past_kv is not None else x
                    seen = self.self_attn(x, past_kv, past_kv)
                else:
                    seen = self.self_attn(x, x, x, padding_mask, causal=self.is_decoder)
                x = self.self_attn_ln(x + self.self_attn_drop(seen))
                if self.is_decoder:
                    seen = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(seen))
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                return (x, past_kv) if use_cache else x
        """,
        caught_by=NO_CACHED_LAYER,
    ),
    _sum(
        "cache-newest-first",
        "The newest input is put before the older ones, which attention cannot notice, but who reads the cache can.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    past_kv = torch.cat([x, past_kv], dim=1) if past_kv is not None else x
                    seen = self.self_attn(x, past_kv, past_kv)
                else:
                    seen = self.self_attn(x, x, x, padding_mask, causal=self.is_decoder)
                x = self.self_attn_ln(x + self.self_attn_drop(seen))
                if self.is_decoder:
                    seen = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(seen))
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                return (x, past_kv) if use_cache else x
        """,
        caught_by=("summarization.layer_cache",),
    ),
    # Something of the caller's is changed.
    _sum(
        "input-changed-with-cache",
        "The cache is a copy, but the residual is added into the caller's x.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    past_kv = x.clone() if past_kv is None else torch.cat([past_kv, x], dim=1)
                    x += self.self_attn_drop(self.self_attn(x, past_kv, past_kv))
                else:
                    x = x + self.self_attn_drop(self.self_attn(x, x, x, padding_mask, causal=self.is_decoder))
                x = self.self_attn_ln(x)
                if self.is_decoder:
                    x = x + self.cross_attn_drop(self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask))
                    x = self.cross_attn_ln(x)
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                return (x, past_kv) if use_cache else x
        """,
        caught_by=("summarization.layer_cache",),
        diagnosis="sum_in_place",
    ),
    _sum(
        "old-cache-changed",
        "The old cache's tensor is made to hold the new one, so that nobody can go back to it.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    if past_kv is None:
                        past_kv = x.clone()
                    else:
                        past_kv.data = torch.cat([past_kv.data, x.data], dim=1)
                    seen = self.self_attn(x, past_kv, past_kv)
                else:
                    seen = self.self_attn(x, x, x, padding_mask, causal=self.is_decoder)
                x = self.self_attn_ln(x + self.self_attn_drop(seen))
                if self.is_decoder:
                    seen = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(seen))
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                return (x, past_kv) if use_cache else x
        """,
        caught_by=("summarization.layer_cache",),
        diagnosis="sum_in_place",
    ),
    _sum(
        "residuals-added-in-place",
        "Every residual is added in place, the first into the caller's x, which is the first cache, too.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    past_kv = x if past_kv is None else torch.cat([past_kv, x], dim=1)
                    seen = self.self_attn(x, past_kv, past_kv)
                else:
                    seen = self.self_attn(x, x, x, padding_mask, causal=self.is_decoder)
                x += self.self_attn_drop(seen)
                x = self.self_attn_ln(x)
                if self.is_decoder:
                    x += self.cross_attn_drop(self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask))
                    x = self.cross_attn_ln(x)
                x += self.ffn_drop(self.fc2(F.relu(self.fc1(x))))
                x = self.ffn_ln(x)
                return (x, past_kv) if use_cache else x
        """,
        caught_by=(*WHAT_THE_LAYER_KEEPS, "summarization.layer_training"),
        diagnosis="sum_in_place",
    ),
    # With and without the cache the block is another.
    _sum(
        "pre-norm",
        "Every block normalises what goes in, not what comes out.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                norm = self.self_attn_ln
                if use_cache:
                    past_kv = x if past_kv is None else torch.cat([past_kv, x], dim=1)
                    h = self.self_attn(norm(x), norm(past_kv), norm(past_kv))
                else:
                    h = self.self_attn(norm(x), norm(x), norm(x), padding_mask, causal=self.is_decoder)
                x = x + self.self_attn_drop(h)
                if self.is_decoder:
                    h = self.cross_attn(self.cross_attn_ln(x), encoder_out, encoder_out, encoder_padding_mask)
                    x = x + self.cross_attn_drop(h)
                x = x + self.ffn_drop(self.fc2(F.relu(self.fc1(self.ffn_ln(x)))))
                return (x, past_kv) if use_cache else x
        """,
        caught_by=("summarization.layer",),
        diagnosis="sum_pre_norm",
    ),
    _sum(
        "gelu",
        "The feed-forward block has GELU where ReLU is asked for.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    past_kv = x if past_kv is None else torch.cat([past_kv, x], dim=1)
                    h = self.self_attn(x, past_kv, past_kv)
                else:
                    h = self.self_attn(x, x, x, padding_mask, causal=self.is_decoder)
                x = self.self_attn_ln(x + self.self_attn_drop(h))
                if self.is_decoder:
                    h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(h))
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.gelu(self.fc1(x)))))
                return (x, past_kv) if use_cache else x
        """,
        caught_by=("summarization.layer",),
        diagnosis="sum_activation",
    ),
    _sum(
        "no-activation",
        "The feed-forward block is two linear maps with nothing between them.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    past_kv = x if past_kv is None else torch.cat([past_kv, x], dim=1)
                    h = self.self_attn(x, past_kv, past_kv)
                else:
                    h = self.self_attn(x, x, x, padding_mask, causal=self.is_decoder)
                x = self.self_attn_ln(x + self.self_attn_drop(h))
                if self.is_decoder:
                    h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(h))
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(self.fc1(x))))
                return (x, past_kv) if use_cache else x
        """,
        caught_by=("summarization.layer",),
        diagnosis="sum_activation",
    ),
    _sum(
        "ffn-residual-lost",
        "The feed-forward block's result is normalised without its input added to it.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    past_kv = x if past_kv is None else torch.cat([past_kv, x], dim=1)
                    h = self.self_attn(x, past_kv, past_kv)
                else:
                    h = self.self_attn(x, x, x, padding_mask, causal=self.is_decoder)
                x = self.self_attn_ln(x + self.self_attn_drop(h))
                if self.is_decoder:
                    h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(h))
                x = self.ffn_ln(self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                return (x, past_kv) if use_cache else x
        """,
        caught_by=("summarization.layer",),
        diagnosis="sum_residual_lost",
    ),
    _sum(
        "residual-of-the-layer",
        "The feed-forward block's residual is the layer's input, not the block's.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                residual = x
                if use_cache:
                    past_kv = x if past_kv is None else torch.cat([past_kv, x], dim=1)
                    h = self.self_attn(x, past_kv, past_kv)
                else:
                    h = self.self_attn(x, x, x, padding_mask, causal=self.is_decoder)
                x = self.self_attn_ln(x + self.self_attn_drop(h))
                if self.is_decoder:
                    h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(h))
                x = self.ffn_ln(residual + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                return (x, past_kv) if use_cache else x
        """,
        caught_by=(*EVERY_VALUE_OF_THE_LAYER, "summarization.layer_work"),
    ),
    _sum(
        "self-norm-lost",
        "The self-attention's sum goes on without its normalisation.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    past_kv = x if past_kv is None else torch.cat([past_kv, x], dim=1)
                    h = self.self_attn(x, past_kv, past_kv)
                else:
                    h = self.self_attn(x, x, x, padding_mask, causal=self.is_decoder)
                x = x + self.self_attn_drop(h)
                if self.is_decoder:
                    h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(h))
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                return (x, past_kv) if use_cache else x
        """,
        caught_by=("summarization.layer",),
        diagnosis="sum_norm_lost",
    ),
    _sum(
        "one-norm-for-all",
        "The first block's normalisation stands in all three blocks, as it was copied.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    past_kv = x if past_kv is None else torch.cat([past_kv, x], dim=1)
                    h = self.self_attn(x, past_kv, past_kv)
                else:
                    h = self.self_attn(x, x, x, padding_mask, causal=self.is_decoder)
                x = self.self_attn_ln(x + self.self_attn_drop(h))
                if self.is_decoder:
                    h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.self_attn_ln(x + self.cross_attn_drop(h))
                x = self.self_attn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                return (x, past_kv) if use_cache else x
        """,
        caught_by=(*EVERY_VALUE_OF_THE_LAYER, "summarization.layer_work"),
    ),
    _sum(
        "dropout-always",
        "Dropout is called as a function, which is not told that the layer is being evaluated.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    past_kv = x if past_kv is None else torch.cat([past_kv, x], dim=1)
                    h = self.self_attn(x, past_kv, past_kv)
                else:
                    h = self.self_attn(x, x, x, padding_mask, causal=self.is_decoder)
                x = self.self_attn_ln(x + F.dropout(h, 0.1))
                if self.is_decoder:
                    h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + F.dropout(h, 0.1))
                x = self.ffn_ln(x + F.dropout(self.fc2(F.relu(self.fc1(x))), 0.1))
                return (x, past_kv) if use_cache else x
        """,
        caught_by=(*EVERY_VALUE_OF_THE_LAYER, "summarization.layer_work"),
    ),
    _sum(
        "cross-mask-inverted",
        "The encoder's mask is inverted, so that the cross-attention sees its padding alone.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    past_kv = x if past_kv is None else torch.cat([past_kv, x], dim=1)
                    h = self.self_attn(x, past_kv, past_kv)
                else:
                    h = self.self_attn(x, x, x, padding_mask, causal=self.is_decoder)
                x = self.self_attn_ln(x + self.self_attn_drop(h))
                if self.is_decoder:
                    h = self.cross_attn(x, encoder_out, encoder_out, 1 - encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(h))
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                return (x, past_kv) if use_cache else x
        """,
        caught_by=("summarization.layer",),
        diagnosis="sum_padding_inverted",
    ),
    _sum(
        "cross-mask-ignored",
        "The cross-attention is not told which of the encoder's positions are padding.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    past_kv = x if past_kv is None else torch.cat([past_kv, x], dim=1)
                    h = self.self_attn(x, past_kv, past_kv)
                else:
                    h = self.self_attn(x, x, x, padding_mask, causal=self.is_decoder)
                x = self.self_attn_ln(x + self.self_attn_drop(h))
                if self.is_decoder:
                    h = self.cross_attn(x, encoder_out, encoder_out)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(h))
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                return (x, past_kv) if use_cache else x
        """,
        caught_by=("summarization.layer",),
        diagnosis="sum_padding_ignored",
    ),
    _sum(
        "mask-after-softmax",
        "The weights of padding are set to zero behind the softmax, and the rest no longer sums to one.",
        """
        def scaled_dot_product_attention(q, k, v, key_padding_mask=None, causal=False):
            scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
            if causal:
                later = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool, device=q.device).triu(1)
                scores = scores.masked_fill(later, -1e9)
            weights = scores.softmax(-1)
            if key_padding_mask is not None:
                weights = weights * (1 - key_padding_mask[:, None, None, :])
            return weights @ v
        """,
        caught_by=EVERY_VALUE_OF_THE_LAYER,
    ),
    _sum(
        "mask-of-zeros",
        "Padding gets a score of zero, which is as likely as any other.",
        """
        def scaled_dot_product_attention(q, k, v, key_padding_mask=None, causal=False):
            scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
            if key_padding_mask is not None:
                scores = scores.masked_fill(key_padding_mask[:, None, None, :].bool(), 0.0)
            if causal:
                later = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool, device=q.device).triu(1)
                scores = scores.masked_fill(later, -1e9)
            return scores.softmax(-1) @ v
        """,
        caught_by=EVERY_VALUE_OF_THE_LAYER,
    ),
    _sum(
        "masks-queries",
        "The mask lies along the queries in place of the keys.",
        """
        def scaled_dot_product_attention(q, k, v, key_padding_mask=None, causal=False):
            scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
            if key_padding_mask is not None:
                scores = scores.masked_fill(key_padding_mask[:, None, :, None].bool(), -1e9)
            if causal:
                later = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool, device=q.device).triu(1)
                scores = scores.masked_fill(later, -1e9)
            return scores.softmax(-1) @ v
        """,
        caught_by=(*EVERY_VALUE_OF_THE_LAYER, "summarization.layer_work"),
    ),
    _sum(
        "scale-of-model",
        "The scores are divided by the root of all features, not of one head's.",
        """
        def scaled_dot_product_attention(q, k, v, key_padding_mask=None, causal=False):
            scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[1] * q.shape[-1])
            if key_padding_mask is not None:
                scores = scores.masked_fill(key_padding_mask[:, None, None, :].bool(), -1e9)
            if causal:
                later = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool, device=q.device).triu(1)
                scores = scores.masked_fill(later, -1e9)
            return scores.softmax(-1) @ v
        """,
        caught_by=EVERY_VALUE_OF_THE_LAYER,
    ),
    # Without the cache alone.
    _sum(
        "never-causal",
        "The layer never asks for the causal mask.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    past_kv = x if past_kv is None else torch.cat([past_kv, x], dim=1)
                    h = self.self_attn(x, past_kv, past_kv)
                else:
                    h = self.self_attn(x, x, x, key_padding_mask=padding_mask)
                x = self.self_attn_ln(x + self.self_attn_drop(h))
                if self.is_decoder:
                    h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(h))
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                return (x, past_kv) if use_cache else x
        """,
        caught_by=("summarization.layer",),
        diagnosis="sum_not_causal",
    ),
    _sum(
        "causal-without-itself",
        "The causal mask hides a position from itself, too.",
        """
        def scaled_dot_product_attention(q, k, v, key_padding_mask=None, causal=False):
            scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
            if key_padding_mask is not None:
                scores = scores.masked_fill(key_padding_mask[:, None, None, :].bool(), -1e9)
            if causal:
                later = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool, device=q.device).triu(0)
                scores = scores.masked_fill(later, -1e9)
            return scores.softmax(-1) @ v
        """,
        caught_by=LAYER_WITHOUT_CACHE,
    ),
    _sum(
        "causal-turned-round",
        "The causal mask hides the past and shows the future.",
        """
        def scaled_dot_product_attention(q, k, v, key_padding_mask=None, causal=False):
            scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
            if key_padding_mask is not None:
                scores = scores.masked_fill(key_padding_mask[:, None, None, :].bool(), -1e9)
            if causal:
                later = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool, device=q.device).tril(-1)
                scores = scores.masked_fill(later, -1e9)
            return scores.softmax(-1) @ v
        """,
        caught_by=("summarization.layer",),
    ),
    _sum(
        "self-mask-inverted",
        "The self-attention's mask is inverted, as if 1 stood for a token.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    past_kv = x if past_kv is None else torch.cat([past_kv, x], dim=1)
                    h = self.self_attn(x, past_kv, past_kv)
                else:
                    h = self.self_attn(x, x, x, 1 - padding_mask, causal=self.is_decoder)
                x = self.self_attn_ln(x + self.self_attn_drop(h))
                if self.is_decoder:
                    h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(h))
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                return (x, past_kv) if use_cache else x
        """,
        caught_by=("summarization.layer",),
        diagnosis="sum_padding_inverted",
    ),
    _sum(
        "self-masked-by-encoder",
        "A decoder's self-attention is given the encoder's mask.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                mask = encoder_padding_mask if self.is_decoder else padding_mask
                if use_cache:
                    past_kv = x if past_kv is None else torch.cat([past_kv, x], dim=1)
                    h = self.self_attn(x, past_kv, past_kv)
                else:
                    h = self.self_attn(x, x, x, mask, causal=self.is_decoder)
                x = self.self_attn_ln(x + self.self_attn_drop(h))
                if self.is_decoder:
                    h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(h))
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                return (x, past_kv) if use_cache else x
        """,
        caught_by=LAYER_WITHOUT_CACHE,
    ),
    _sum(
        "encoder-causal",
        "The causal mask is on in the encoder as well.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    past_kv = x if past_kv is None else torch.cat([past_kv, x], dim=1)
                    h = self.self_attn(x, past_kv, past_kv)
                else:
                    h = self.self_attn(x, x, x, padding_mask, causal=True)
                x = self.self_attn_ln(x + self.self_attn_drop(h))
                if self.is_decoder:
                    h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(h))
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                return (x, past_kv) if use_cache else x
        """,
        caught_by=("summarization.layer",),
    ),
    _sum(
        "encoder-mask-ignored",
        "Only a decoder's self-attention is told what is padding.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if not self.is_decoder:
                    padding_mask = None
                if use_cache:
                    past_kv = x if past_kv is None else torch.cat([past_kv, x], dim=1)
                    h = self.self_attn(x, past_kv, past_kv)
                else:
                    h = self.self_attn(x, x, x, padding_mask, causal=self.is_decoder)
                x = self.self_attn_ln(x + self.self_attn_drop(h))
                if self.is_decoder:
                    h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(h))
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                return (x, past_kv) if use_cache else x
        """,
        caught_by=("summarization.layer",),
        diagnosis="sum_padding_ignored",
    ),
    # The values are right, what training needs is not.
    _sum(
        "no-dropout",
        "The dropout modules are never called.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    past_kv = x if past_kv is None else torch.cat([past_kv, x], dim=1)
                    h = self.self_attn(x, past_kv, past_kv)
                else:
                    h = self.self_attn(x, x, x, padding_mask, causal=self.is_decoder)
                x = self.self_attn_ln(x + h)
                if self.is_decoder:
                    h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + h)
                x = self.ffn_ln(x + self.fc2(F.relu(self.fc1(x))))
                return (x, past_kv) if use_cache else x
        """,
        caught_by=("summarization.layer_training",),
    ),
    _sum(
        "forward-without-gradient",
        "The layer's forward has the decorator that belongs to the decoding.",
        """
        class TransformerLayer:
            @torch.no_grad()
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    past_kv = x if past_kv is None else torch.cat([past_kv, x], dim=1)
                    h = self.self_attn(x, past_kv, past_kv)
                else:
                    h = self.self_attn(x, x, x, padding_mask, causal=self.is_decoder)
                x = self.self_attn_ln(x + self.self_attn_drop(h))
                if self.is_decoder:
                    h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(h))
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                return (x, past_kv) if use_cache else x
        """,
        caught_by=("summarization.layer_training",),
        diagnosis="sum_detached",
    ),
    _sum(
        "encoder-detached",
        "The encoder's output is detached, so that the encoder does not learn.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    past_kv = x if past_kv is None else torch.cat([past_kv, x], dim=1)
                    h = self.self_attn(x, past_kv, past_kv)
                else:
                    h = self.self_attn(x, x, x, padding_mask, causal=self.is_decoder)
                x = self.self_attn_ln(x + self.self_attn_drop(h))
                if self.is_decoder:
                    memory = encoder_out.detach()
                    h = self.cross_attn(x, memory, memory, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(h))
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                return (x, past_kv) if use_cache else x
        """,
        caught_by=("summarization.layer_training",),
        diagnosis="sum_detached",
    ),
    _sum(
        "keys-detached",
        "Keys and values are made of detached states with and without a cache.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                past = [] if past_kv is None else [past_kv]
                kv = torch.cat([*past, x], dim=1).detach()
                mask = None if use_cache else padding_mask
                h = self.self_attn(x, kv, kv, mask, causal=self.is_decoder and not use_cache)
                x = self.self_attn_ln(x + self.self_attn_drop(h))
                if self.is_decoder:
                    h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(h))
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                return (x, kv) if use_cache else x
        """,
        caught_by=("summarization.layer_training",),
        diagnosis="sum_detached",
    ),
    _sum(
        "residual-of-data",
        "The residual is the tensor's data, which carries no gradient.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    past_kv = x if past_kv is None else torch.cat([past_kv, x], dim=1)
                    h = self.self_attn(x, past_kv, past_kv)
                else:
                    h = self.self_attn(x, x, x, padding_mask, causal=self.is_decoder)
                x = self.self_attn_ln(x.data + self.self_attn_drop(h))
                if self.is_decoder:
                    h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(h))
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                return (x, past_kv) if use_cache else x
        """,
        caught_by=("summarization.layer_training",),
        diagnosis="sum_detached",
    ),
    # The values are right, the work is not.
    _sum(
        "layer-recomputed",
        "The cache is there, but the layer runs over all of it at every step, and the last row is returned.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    everything = x if past_kv is None else torch.cat([past_kv, x], dim=1)  # (batch, i, d_model)
                    nothing = torch.zeros(everything.shape[:2], dtype=torch.long, device=x.device)
                    x = self.forward(everything, nothing, encoder_out, encoder_padding_mask)
                    return x[:, -1:], everything
                h = self.self_attn(x, x, x, padding_mask, causal=self.is_decoder)
                x = self.self_attn_ln(x + self.self_attn_drop(h))
                if self.is_decoder:
                    h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(h))
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                return x
        """,
        caught_by=("summarization.layer_work",),
        diagnosis="sum_recomputed",
    ),
    _sum(
        "all-queries",
        "All cached positions are queries as well as keys, and all results but the last are thrown away.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    past_kv = x if past_kv is None else torch.cat([past_kv, x], dim=1)
                    h = self.self_attn(past_kv, past_kv, past_kv, causal=True)[:, -1:]
                else:
                    h = self.self_attn(x, x, x, padding_mask, causal=self.is_decoder)
                x = self.self_attn_ln(x + self.self_attn_drop(h))
                if self.is_decoder:
                    h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(h))
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                return (x, past_kv) if use_cache else x
        """,
        caught_by=("summarization.layer_work",),
        diagnosis="sum_recomputed",
    ),
)

# ----------------------------------------------------------------------------------------------------
# Wrong stacks
# ----------------------------------------------------------------------------------------------------

_WRONG_STACKS = (
    _sum(
        "stack-embeddings-detached",
        "The embeddings are detached, so that they are never trained.",
        """
        class TransformerStack:
            def forward(
                self,
                input_ids,
                encoder_hidden_states=None,
                encoder_padding_mask=None,
                use_cache=None,
                past_key_values=None,
                **kwargs,
            ):
                padding_mask = (input_ids == self.config.pad_token_id).long()
                past = 0 if past_key_values is None else past_key_values[0].shape[1]
                positions = torch.arange(past, past + input_ids.shape[1], device=input_ids.device)
                x = self.emb_drop(self.emb_ln(self.emb_word(input_ids) + self.emb_pos(positions))).detach()
                caches = []
                for i, layer in enumerate(self.layers):
                    if use_cache:
                        past_kv = None if past_key_values is None else past_key_values[i]
                        x, kv = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask, True, past_kv)
                        caches.append(kv)
                    else:
                        x = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask)
                return x, padding_mask, tuple(caches) if use_cache else None
        """,
        caught_by=("summarization.stack",),
        diagnosis="sum_detached",
    ),
    _sum(
        "stack-layers-detached",
        "Each layer gets a detached state, so that only the last one learns.",
        """
        class TransformerStack:
            def forward(
                self,
                input_ids,
                encoder_hidden_states=None,
                encoder_padding_mask=None,
                use_cache=None,
                past_key_values=None,
                **kwargs,
            ):
                padding_mask = (input_ids == self.config.pad_token_id).long()
                past = 0 if past_key_values is None else past_key_values[0].shape[1]
                positions = torch.arange(past, past + input_ids.shape[1], device=input_ids.device)
                x = self.emb_drop(self.emb_ln(self.emb_word(input_ids) + self.emb_pos(positions)))
                caches = []
                for i, layer in enumerate(self.layers):
                    if use_cache:
                        past_kv = None if past_key_values is None else past_key_values[i]
                        x, kv = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask, True, past_kv)
                        caches.append(kv)
                    else:
                        x = layer(x.detach(), padding_mask, encoder_hidden_states, encoder_padding_mask)
                return x, padding_mask, tuple(caches) if use_cache else None
        """,
        caught_by=("summarization.stack",),
        diagnosis="sum_detached",
    ),
    _sum(
        "stack-no-dropout",
        "emb_drop is never called.",
        """
        class TransformerStack:
            def forward(
                self,
                input_ids,
                encoder_hidden_states=None,
                encoder_padding_mask=None,
                use_cache=None,
                past_key_values=None,
                **kwargs,
            ):
                padding_mask = (input_ids == self.config.pad_token_id).long()
                past = 0 if past_key_values is None else past_key_values[0].shape[1]
                positions = torch.arange(past, past + input_ids.shape[1], device=input_ids.device)
                x = self.emb_ln(self.emb_word(input_ids) + self.emb_pos(positions))
                caches = []
                for i, layer in enumerate(self.layers):
                    if use_cache:
                        past_kv = None if past_key_values is None else past_key_values[i]
                        x, kv = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask, True, past_kv)
                        caches.append(kv)
                    else:
                        x = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask)
                return x, padding_mask, tuple(caches) if use_cache else None
        """,
        caught_by=("summarization.stack",),
        diagnosis="sum_no_dropout",
    ),
    _sum(
        "stack-double",
        "Without a cache the state is returned in float64.",
        """
        class TransformerStack:
            def forward(
                self,
                input_ids,
                encoder_hidden_states=None,
                encoder_padding_mask=None,
                use_cache=None,
                past_key_values=None,
                **kwargs,
            ):
                padding_mask = (input_ids == self.config.pad_token_id).long()
                past = 0 if past_key_values is None else past_key_values[0].shape[1]
                positions = torch.arange(past, past + input_ids.shape[1], device=input_ids.device)
                x = self.emb_drop(self.emb_ln(self.emb_word(input_ids) + self.emb_pos(positions)))
                caches = []
                for i, layer in enumerate(self.layers):
                    if use_cache:
                        past_kv = None if past_key_values is None else past_key_values[i]
                        x, kv = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask, True, past_kv)
                        caches.append(kv)
                    else:
                        x = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask)
                return (x, padding_mask, tuple(caches)) if use_cache else (x.double(), padding_mask, None)
        """,
        caught_by=("summarization.stack",),
        diagnosis="dtype",
    ),
    # Positions with a cache.
    _sum(
        "positions-restart",
        "Every token that comes alone is put at position 0.",
        """
        class TransformerStack:
            def forward(
                self,
                input_ids,
                encoder_hidden_states=None,
                encoder_padding_mask=None,
                use_cache=None,
                past_key_values=None,
                **kwargs,
            ):
                padding_mask = (input_ids == self.config.pad_token_id).long()
                positions = torch.arange(input_ids.shape[1], device=input_ids.device)
                x = self.emb_drop(self.emb_ln(self.emb_word(input_ids) + self.emb_pos(positions)))
                caches = []
                for i, layer in enumerate(self.layers):
                    if use_cache:
                        past_kv = None if past_key_values is None else past_key_values[i]
                        x, kv = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask, True, past_kv)
                        caches.append(kv)
                    else:
                        x = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask)
                return x, padding_mask, tuple(caches) if use_cache else None
        """,
        caught_by=("summarization.stack_cached",),
        diagnosis="sum_positions_restart",
    ),
    _sum(
        "positions-one-behind",
        "The newest token gets the position of the one before it.",
        """
        class TransformerStack:
            def forward(
                self,
                input_ids,
                encoder_hidden_states=None,
                encoder_padding_mask=None,
                use_cache=None,
                past_key_values=None,
                **kwargs,
            ):
                padding_mask = (input_ids == self.config.pad_token_id).long()
                past = 0 if past_key_values is None else past_key_values[0].shape[1] - 1
                positions = torch.arange(past, past + input_ids.shape[1], device=input_ids.device)
                x = self.emb_drop(self.emb_ln(self.emb_word(input_ids) + self.emb_pos(positions)))
                caches = []
                for i, layer in enumerate(self.layers):
                    if use_cache:
                        past_kv = None if past_key_values is None else past_key_values[i]
                        x, kv = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask, True, past_kv)
                        caches.append(kv)
                    else:
                        x = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask)
                return x, padding_mask, tuple(caches) if use_cache else None
        """,
        caught_by=("summarization.stack_cached",),
        diagnosis="sum_positions_off_by_one",
    ),
    _sum(
        "positions-one-ahead",
        "The newest token's position skips one, since the cache is thought to hold it already.",
        """
        class TransformerStack:
            def forward(
                self,
                input_ids,
                encoder_hidden_states=None,
                encoder_padding_mask=None,
                use_cache=None,
                past_key_values=None,
                **kwargs,
            ):
                padding_mask = (input_ids == self.config.pad_token_id).long()
                past = 0 if past_key_values is None else past_key_values[0].shape[1] + 1
                positions = torch.arange(past, past + input_ids.shape[1], device=input_ids.device)
                x = self.emb_drop(self.emb_ln(self.emb_word(input_ids) + self.emb_pos(positions)))
                caches = []
                for i, layer in enumerate(self.layers):
                    if use_cache:
                        past_kv = None if past_key_values is None else past_key_values[i]
                        x, kv = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask, True, past_kv)
                        caches.append(kv)
                    else:
                        x = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask)
                return x, padding_mask, tuple(caches) if use_cache else None
        """,
        caught_by=("summarization.stack_cached",),
        diagnosis="sum_positions_off_by_one",
    ),
    _sum(
        "positions-behind-batch",
        "The offset is the cache's first size, the batch, not its second.",
        """
        class TransformerStack:
            def forward(
                self,
                input_ids,
                encoder_hidden_states=None,
                encoder_padding_mask=None,
                use_cache=None,
                past_key_values=None,
                **kwargs,
            ):
                padding_mask = (input_ids == self.config.pad_token_id).long()
                past = 0 if past_key_values is None else past_key_values[0].shape[0]
                positions = torch.arange(past, past + input_ids.shape[1], device=input_ids.device)
                x = self.emb_drop(self.emb_ln(self.emb_word(input_ids) + self.emb_pos(positions)))
                caches = []
                for i, layer in enumerate(self.layers):
                    if use_cache:
                        past_kv = None if past_key_values is None else past_key_values[i]
                        x, kv = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask, True, past_kv)
                        caches.append(kv)
                    else:
                        x = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask)
                return x, padding_mask, tuple(caches) if use_cache else None
        """,
        caught_by=("summarization.stack_cached",),
    ),
    _sum(
        "positions-behind-layers",
        "The offset is the number of caches, which is the number of layers.",
        """
        class TransformerStack:
            def forward(
                self,
                input_ids,
                encoder_hidden_states=None,
                encoder_padding_mask=None,
                use_cache=None,
                past_key_values=None,
                **kwargs,
            ):
                padding_mask = (input_ids == self.config.pad_token_id).long()
                past = 0 if past_key_values is None else len(past_key_values)
                positions = torch.arange(past, past + input_ids.shape[1], device=input_ids.device)
                x = self.emb_drop(self.emb_ln(self.emb_word(input_ids) + self.emb_pos(positions)))
                caches = []
                for i, layer in enumerate(self.layers):
                    if use_cache:
                        past_kv = None if past_key_values is None else past_key_values[i]
                        x, kv = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask, True, past_kv)
                        caches.append(kv)
                    else:
                        x = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask)
                return x, padding_mask, tuple(caches) if use_cache else None
        """,
        caught_by=("summarization.stack_cached",),
    ),
    _sum(
        "positions-left-out-with-cache",
        "A token that comes alone is not given a position at all.",
        """
        class TransformerStack:
            def forward(
                self,
                input_ids,
                encoder_hidden_states=None,
                encoder_padding_mask=None,
                use_cache=None,
                past_key_values=None,
                **kwargs,
            ):
                padding_mask = (input_ids == self.config.pad_token_id).long()
                x = self.emb_word(input_ids)
                if past_key_values is None:
                    x = x + self.emb_pos(torch.arange(input_ids.shape[1], device=input_ids.device))
                x = self.emb_drop(self.emb_ln(x))
                caches = []
                for i, layer in enumerate(self.layers):
                    if use_cache:
                        past_kv = None if past_key_values is None else past_key_values[i]
                        x, kv = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask, True, past_kv)
                        caches.append(kv)
                    else:
                        x = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask)
                return x, padding_mask, tuple(caches) if use_cache else None
        """,
        caught_by=("summarization.stack_cached",),
    ),
    _sum(
        "cached-without-norm",
        "The cached path's embeddings are not normalised.",
        """
        class TransformerStack:
            def forward(
                self,
                input_ids,
                encoder_hidden_states=None,
                encoder_padding_mask=None,
                use_cache=None,
                past_key_values=None,
                **kwargs,
            ):
                padding_mask = (input_ids == self.config.pad_token_id).long()
                past = 0 if past_key_values is None else past_key_values[0].shape[1]
                positions = torch.arange(past, past + input_ids.shape[1], device=input_ids.device)
                x = self.emb_word(input_ids) + self.emb_pos(positions)
                x = self.emb_drop(x if use_cache else self.emb_ln(x))
                caches = []
                for i, layer in enumerate(self.layers):
                    if use_cache:
                        past_kv = None if past_key_values is None else past_key_values[i]
                        x, kv = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask, True, past_kv)
                        caches.append(kv)
                    else:
                        x = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask)
                return x, padding_mask, tuple(caches) if use_cache else None
        """,
        caught_by=("summarization.stack_cached",),
    ),
    # Caches of the layers.
    _sum(
        "first-cache-for-all",
        "All layers are given the first layer's cache.",
        """
        class TransformerStack:
            def forward(
                self,
                input_ids,
                encoder_hidden_states=None,
                encoder_padding_mask=None,
                use_cache=None,
                past_key_values=None,
                **kwargs,
            ):
                padding_mask = (input_ids == self.config.pad_token_id).long()
                past = 0 if past_key_values is None else past_key_values[0].shape[1]
                positions = torch.arange(past, past + input_ids.shape[1], device=input_ids.device)
                x = self.emb_drop(self.emb_ln(self.emb_word(input_ids) + self.emb_pos(positions)))
                caches = []
                for i, layer in enumerate(self.layers):
                    if use_cache:
                        past_kv = None if past_key_values is None else past_key_values[0]
                        x, kv = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask, True, past_kv)
                        caches.append(kv)
                    else:
                        x = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask)
                return x, padding_mask, tuple(caches) if use_cache else None
        """,
        caught_by=WHAT_THE_STACK_KEEPS,
        diagnosis="sum_cache_shared",
    ),
    _sum(
        "caches-in-reverse",
        "The last layer is given the first layer's cache.",
        """
        class TransformerStack:
            def forward(
                self,
                input_ids,
                encoder_hidden_states=None,
                encoder_padding_mask=None,
                use_cache=None,
                past_key_values=None,
                **kwargs,
            ):
                padding_mask = (input_ids == self.config.pad_token_id).long()
                past = 0 if past_key_values is None else past_key_values[0].shape[1]
                positions = torch.arange(past, past + input_ids.shape[1], device=input_ids.device)
                x = self.emb_drop(self.emb_ln(self.emb_word(input_ids) + self.emb_pos(positions)))
                caches = []
                for i, layer in enumerate(self.layers):
                    if use_cache:
                        past_kv = None if past_key_values is None else past_key_values[-1 - i]
                        x, kv = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask, True, past_kv)
                        caches.append(kv)
                    else:
                        x = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask)
                return x, padding_mask, tuple(caches) if use_cache else None
        """,
        caught_by=WHAT_THE_STACK_KEEPS,
        diagnosis="sum_cache_reversed",
    ),
    _sum(
        "cache-not-handed-on",
        "The layers are told to use a cache, but not given the one that there is.",
        """
        class TransformerStack:
            def forward(
                self,
                input_ids,
                encoder_hidden_states=None,
                encoder_padding_mask=None,
                use_cache=None,
                past_key_values=None,
                **kwargs,
            ):
                padding_mask = (input_ids == self.config.pad_token_id).long()
                past = 0 if past_key_values is None else past_key_values[0].shape[1]
                positions = torch.arange(past, past + input_ids.shape[1], device=input_ids.device)
                x = self.emb_drop(self.emb_ln(self.emb_word(input_ids) + self.emb_pos(positions)))
                caches = []
                for i, layer in enumerate(self.layers):
                    if use_cache:
                        x, kv = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask, use_cache=True)
                        caches.append(kv)
                    else:
                        x = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask)
                return x, padding_mask, tuple(caches) if use_cache else None
        """,
        caught_by=WHAT_THE_STACK_KEEPS,
        diagnosis="sum_cache_lost",
    ),
    _sum(
        "old-caches-returned",
        "What came in is returned, not what the layers made of it.",
        """
        class TransformerStack:
            def forward(
                self,
                input_ids,
                encoder_hidden_states=None,
                encoder_padding_mask=None,
                use_cache=None,
                past_key_values=None,
                **kwargs,
            ):
                padding_mask = (input_ids == self.config.pad_token_id).long()
                past = 0 if past_key_values is None else past_key_values[0].shape[1]
                positions = torch.arange(past, past + input_ids.shape[1], device=input_ids.device)
                x = self.emb_drop(self.emb_ln(self.emb_word(input_ids) + self.emb_pos(positions)))
                caches = []
                for i, layer in enumerate(self.layers):
                    if use_cache:
                        past_kv = None if past_key_values is None else past_key_values[i]
                        x, kv = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask, True, past_kv)
                        caches.append(kv)
                    else:
                        x = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask)
                return x, padding_mask, past_key_values
        """,
        caught_by=WHAT_THE_STACK_KEEPS,
        diagnosis="sum_cache_lost",
    ),
    _sum(
        "last-cache-alone",
        "The loop overwrites one variable, and the last layer's cache alone is returned.",
        """
        class TransformerStack:
            def forward(
                self,
                input_ids,
                encoder_hidden_states=None,
                encoder_padding_mask=None,
                use_cache=None,
                past_key_values=None,
                **kwargs,
            ):
                padding_mask = (input_ids == self.config.pad_token_id).long()
                past = 0 if past_key_values is None else past_key_values[0].shape[1]
                positions = torch.arange(past, past + input_ids.shape[1], device=input_ids.device)
                x = self.emb_drop(self.emb_ln(self.emb_word(input_ids) + self.emb_pos(positions)))
                present = None
                for i, layer in enumerate(self.layers):
                    if not use_cache:
                        x = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask)
                        continue
                    past_kv = past_key_values[i] if past_key_values is not None else None
                    x, present = layer(
                        x, padding_mask, encoder_hidden_states, encoder_padding_mask, use_cache, past_kv
                    )
                return x, padding_mask, present
        """,
        caught_by=WHAT_THE_STACK_KEEPS,
    ),
    _sum(
        "caches-joined",
        "The caches are joined along the positions into one tensor, of which each layer takes a row at the next step.",
        """
        class TransformerStack:
            def forward(
                self,
                input_ids,
                encoder_hidden_states=None,
                encoder_padding_mask=None,
                use_cache=None,
                past_key_values=None,
                **kwargs,
            ):
                padding_mask = (input_ids == self.config.pad_token_id).long()
                past = 0 if past_key_values is None else past_key_values[0].shape[1]
                positions = torch.arange(past, past + input_ids.shape[1], device=input_ids.device)
                x = self.emb_drop(self.emb_ln(self.emb_word(input_ids) + self.emb_pos(positions)))
                caches = []
                for i, layer in enumerate(self.layers):
                    if use_cache:
                        past_kv = None if past_key_values is None else past_key_values[i]
                        x, kv = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask, True, past_kv)
                        caches.append(kv)
                    else:
                        x = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask)
                return x, padding_mask, torch.cat(caches, dim=1) if use_cache else None
        """,
        caught_by=WHAT_THE_STACK_KEEPS,
    ),
    _sum(
        "caches-kept-between-sequences",
        "The caches stay on the module, and a new sequence goes on with the old one's.",
        """
        class TransformerStack:
            def forward(
                self,
                input_ids,
                encoder_hidden_states=None,
                encoder_padding_mask=None,
                use_cache=None,
                past_key_values=None,
                **kwargs,
            ):
                if use_cache and past_key_values is None:
                    past_key_values = getattr(self, "caches", None)
                padding_mask = (input_ids == self.config.pad_token_id).long()
                past = 0 if past_key_values is None else past_key_values[0].shape[1]
                positions = torch.arange(past, past + input_ids.shape[1], device=input_ids.device)
                x = self.emb_drop(self.emb_ln(self.emb_word(input_ids) + self.emb_pos(positions)))
                caches = []
                for i, layer in enumerate(self.layers):
                    if use_cache:
                        past_kv = None if past_key_values is None else past_key_values[i]
                        x, kv = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask, True, past_kv)
                        caches.append(kv)
                    else:
                        x = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask)
                if use_cache:
                    self.caches = tuple(caches)
                    return x, padding_mask, self.caches
                return x, padding_mask, None
        """,
        caught_by=("summarization.stack_cache",),
        diagnosis="sum_cache_leaks",
    ),
    _sum(
        "steps-counted-on-module",
        "The positions come from a counter on the module that no new sequence sets back.",
        """
        class TransformerStack:
            def forward(
                self,
                input_ids,
                encoder_hidden_states=None,
                encoder_padding_mask=None,
                use_cache=None,
                past_key_values=None,
                **kwargs,
            ):
                padding_mask = (input_ids == self.config.pad_token_id).long()
                n = input_ids.shape[1]
                if use_cache:
                    self.steps = getattr(self, "steps", -1) + 1
                    positions = torch.full((n,), self.steps, device=input_ids.device)
                else:
                    positions = torch.arange(n, device=input_ids.device)
                x = self.emb_drop(self.emb_ln(self.emb_word(input_ids) + self.emb_pos(positions)))
                caches = []
                for i, layer in enumerate(self.layers):
                    if use_cache:
                        past_kv = None if past_key_values is None else past_key_values[i]
                        x, kv = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask, True, past_kv)
                        caches.append(kv)
                    else:
                        x = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask)
                return x, padding_mask, tuple(caches) if use_cache else None
        """,
        caught_by=("summarization.stack_cache",),
    ),
    # Masks.
    _sum(
        "encoder-mask-lost-with-cache",
        "With a cache the layers are not told which of the encoder's positions are padding.",
        """
        class TransformerStack:
            def forward(
                self,
                input_ids,
                encoder_hidden_states=None,
                encoder_padding_mask=None,
                use_cache=None,
                past_key_values=None,
                **kwargs,
            ):
                padding_mask = (input_ids == self.config.pad_token_id).long()
                past = 0 if past_key_values is None else past_key_values[0].shape[1]
                positions = torch.arange(past, past + input_ids.shape[1], device=input_ids.device)
                x = self.emb_drop(self.emb_ln(self.emb_word(input_ids) + self.emb_pos(positions)))
                caches = []
                for i, layer in enumerate(self.layers):
                    if use_cache:
                        past_kv = None if past_key_values is None else past_key_values[i]
                        x, kv = layer(x, padding_mask, encoder_hidden_states, use_cache=True, past_kv=past_kv)
                        caches.append(kv)
                    else:
                        x = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask)
                return x, padding_mask, tuple(caches) if use_cache else None
        """,
        caught_by=("summarization.stack_cached",),
        diagnosis="sum_padding_ignored",
    ),
    _sum(
        "encoder-mask-lost-without-cache",
        "Without a cache the layers are not told which of the encoder's positions are padding.",
        """
        class TransformerStack:
            def forward(
                self,
                input_ids,
                encoder_hidden_states=None,
                encoder_padding_mask=None,
                use_cache=None,
                past_key_values=None,
                **kwargs,
            ):
                padding_mask = (input_ids == self.config.pad_token_id).long()
                past = 0 if past_key_values is None else past_key_values[0].shape[1]
                positions = torch.arange(past, past + input_ids.shape[1], device=input_ids.device)
                x = self.emb_drop(self.emb_ln(self.emb_word(input_ids) + self.emb_pos(positions)))
                caches = []
                for i, layer in enumerate(self.layers):
                    if use_cache:
                        past_kv = None if past_key_values is None else past_key_values[i]
                        x, kv = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask, True, past_kv)
                        caches.append(kv)
                    else:
                        x = layer(x, padding_mask, encoder_hidden_states)
                return x, padding_mask, tuple(caches) if use_cache else None
        """,
        caught_by=("summarization.stack",),
        diagnosis="sum_padding_ignored",
    ),
    _sum(
        "own-mask-for-encoder",
        "Without a cache the stack's own mask goes to the layers twice.",
        """
        class TransformerStack:
            def forward(
                self,
                input_ids,
                encoder_hidden_states=None,
                encoder_padding_mask=None,
                use_cache=None,
                past_key_values=None,
                **kwargs,
            ):
                padding_mask = (input_ids == self.config.pad_token_id).long()
                past = 0 if past_key_values is None else past_key_values[0].shape[1]
                positions = torch.arange(past, past + input_ids.shape[1], device=input_ids.device)
                x = self.emb_drop(self.emb_ln(self.emb_word(input_ids) + self.emb_pos(positions)))
                caches = []
                for i, layer in enumerate(self.layers):
                    if use_cache:
                        past_kv = None if past_key_values is None else past_key_values[i]
                        x, kv = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask, True, past_kv)
                        caches.append(kv)
                    else:
                        x = layer(x, padding_mask, encoder_hidden_states, padding_mask)
                return x, padding_mask, tuple(caches) if use_cache else None
        """,
        caught_by=("summarization.stack",),
    ),
    _sum(
        "encoder-mask-returned",
        "The second value is the encoder's mask, not that of input_ids.",
        """
        class TransformerStack:
            def forward(
                self,
                input_ids,
                encoder_hidden_states=None,
                encoder_padding_mask=None,
                use_cache=None,
                past_key_values=None,
                **kwargs,
            ):
                padding_mask = (input_ids == self.config.pad_token_id).long()
                past = 0 if past_key_values is None else past_key_values[0].shape[1]
                positions = torch.arange(past, past + input_ids.shape[1], device=input_ids.device)
                x = self.emb_drop(self.emb_ln(self.emb_word(input_ids) + self.emb_pos(positions)))
                caches = []
                for i, layer in enumerate(self.layers):
                    if use_cache:
                        past_kv = None if past_key_values is None else past_key_values[i]
                        x, kv = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask, True, past_kv)
                        caches.append(kv)
                    else:
                        x = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask)
                if use_cache:
                    return x, padding_mask, tuple(caches)
                return x, encoder_padding_mask, None
        """,
        caught_by=("summarization.stack",),
    ),
    _sum(
        "tokens-marked",
        "Without a cache the mask is 1 at the tokens and 0 at the padding.",
        """
        class TransformerStack:
            def forward(
                self,
                input_ids,
                encoder_hidden_states=None,
                encoder_padding_mask=None,
                use_cache=None,
                past_key_values=None,
                **kwargs,
            ):
                if use_cache:
                    padding_mask = (input_ids == self.config.pad_token_id).long()
                else:
                    padding_mask = (input_ids != self.config.pad_token_id).long()
                past = 0 if past_key_values is None else past_key_values[0].shape[1]
                positions = torch.arange(past, past + input_ids.shape[1], device=input_ids.device)
                x = self.emb_drop(self.emb_ln(self.emb_word(input_ids) + self.emb_pos(positions)))
                caches = []
                for i, layer in enumerate(self.layers):
                    if use_cache:
                        past_kv = None if past_key_values is None else past_key_values[i]
                        x, kv = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask, True, past_kv)
                        caches.append(kv)
                    else:
                        x = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask)
                return x, padding_mask, tuple(caches) if use_cache else None
        """,
        caught_by=("summarization.stack",),
        diagnosis="sum_padding_inverted",
    ),
    _sum(
        "no-caches-returned",
        "Without a cache an empty tuple is returned in place of None.",
        """
        class TransformerStack:
            def forward(
                self,
                input_ids,
                encoder_hidden_states=None,
                encoder_padding_mask=None,
                use_cache=None,
                past_key_values=None,
                **kwargs,
            ):
                padding_mask = (input_ids == self.config.pad_token_id).long()
                past = 0 if past_key_values is None else past_key_values[0].shape[1]
                positions = torch.arange(past, past + input_ids.shape[1], device=input_ids.device)
                x = self.emb_drop(self.emb_ln(self.emb_word(input_ids) + self.emb_pos(positions)))
                caches = []
                for i, layer in enumerate(self.layers):
                    if use_cache:
                        past_kv = None if past_key_values is None else past_key_values[i]
                        x, kv = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask, True, past_kv)
                        caches.append(kv)
                    else:
                        x = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask)
                return x, padding_mask, tuple(caches)
        """,
        caught_by=("summarization.stack",),
    ),
    # The same with and without a cache.
    _sum(
        "positions-from-one",
        "Positions are counted from 1.",
        """
        class TransformerStack:
            def forward(
                self,
                input_ids,
                encoder_hidden_states=None,
                encoder_padding_mask=None,
                use_cache=None,
                past_key_values=None,
                **kwargs,
            ):
                padding_mask = (input_ids == self.config.pad_token_id).long()
                past = 0 if past_key_values is None else past_key_values[0].shape[1]
                positions = torch.arange(past, past + input_ids.shape[1], device=input_ids.device)
                x = self.emb_drop(self.emb_ln(self.emb_word(input_ids) + self.emb_pos(positions + 1)))
                caches = []
                for i, layer in enumerate(self.layers):
                    if use_cache:
                        past_kv = None if past_key_values is None else past_key_values[i]
                        x, kv = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask, True, past_kv)
                        caches.append(kv)
                    else:
                        x = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask)
                return x, padding_mask, tuple(caches) if use_cache else None
        """,
        caught_by=("summarization.stack",),
        diagnosis="sum_positions_from_one",
    ),
    _sum(
        "no-positions",
        "The embeddings of positions are never added.",
        """
        class TransformerStack:
            def forward(
                self,
                input_ids,
                encoder_hidden_states=None,
                encoder_padding_mask=None,
                use_cache=None,
                past_key_values=None,
                **kwargs,
            ):
                padding_mask = (input_ids == self.config.pad_token_id).long()
                x = self.emb_drop(self.emb_ln(self.emb_word(input_ids)))
                caches = []
                for i, layer in enumerate(self.layers):
                    if use_cache:
                        past_kv = None if past_key_values is None else past_key_values[i]
                        x, kv = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask, True, past_kv)
                        caches.append(kv)
                    else:
                        x = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask)
                return x, padding_mask, tuple(caches) if use_cache else None
        """,
        caught_by=EVERY_VALUE_OF_THE_STACK,
    ),
    _sum(
        "no-embedding-norm",
        "The embeddings are not normalised.",
        """
        class TransformerStack:
            def forward(
                self,
                input_ids,
                encoder_hidden_states=None,
                encoder_padding_mask=None,
                use_cache=None,
                past_key_values=None,
                **kwargs,
            ):
                padding_mask = (input_ids == self.config.pad_token_id).long()
                past = 0 if past_key_values is None else past_key_values[0].shape[1]
                positions = torch.arange(past, past + input_ids.shape[1], device=input_ids.device)
                x = self.emb_drop(self.emb_word(input_ids) + self.emb_pos(positions))
                caches = []
                for i, layer in enumerate(self.layers):
                    if use_cache:
                        past_kv = None if past_key_values is None else past_key_values[i]
                        x, kv = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask, True, past_kv)
                        caches.append(kv)
                    else:
                        x = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask)
                return x, padding_mask, tuple(caches) if use_cache else None
        """,
        caught_by=("summarization.stack",),
        diagnosis="sum_norm_lost",
    ),
    _sum(
        "norm-before-positions",
        "The words are normalised, and the positions are added behind that.",
        """
        class TransformerStack:
            def forward(
                self,
                input_ids,
                encoder_hidden_states=None,
                encoder_padding_mask=None,
                use_cache=None,
                past_key_values=None,
                **kwargs,
            ):
                padding_mask = (input_ids == self.config.pad_token_id).long()
                past = 0 if past_key_values is None else past_key_values[0].shape[1]
                positions = torch.arange(past, past + input_ids.shape[1], device=input_ids.device)
                x = self.emb_drop(self.emb_ln(self.emb_word(input_ids)) + self.emb_pos(positions))
                caches = []
                for i, layer in enumerate(self.layers):
                    if use_cache:
                        past_kv = None if past_key_values is None else past_key_values[i]
                        x, kv = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask, True, past_kv)
                        caches.append(kv)
                    else:
                        x = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask)
                return x, padding_mask, tuple(caches) if use_cache else None
        """,
        caught_by=EVERY_VALUE_OF_THE_STACK,
    ),
    _sum(
        "words-scaled",
        "Words are multiplied by the root of d_model, as the first Transformer did.",
        """
        class TransformerStack:
            def forward(
                self,
                input_ids,
                encoder_hidden_states=None,
                encoder_padding_mask=None,
                use_cache=None,
                past_key_values=None,
                **kwargs,
            ):
                padding_mask = (input_ids == self.config.pad_token_id).long()
                past = 0 if past_key_values is None else past_key_values[0].shape[1]
                positions = torch.arange(past, past + input_ids.shape[1], device=input_ids.device)
                words = self.emb_word(input_ids) * math.sqrt(self.config.d_model)
                x = self.emb_drop(self.emb_ln(words + self.emb_pos(positions)))
                caches = []
                for i, layer in enumerate(self.layers):
                    if use_cache:
                        past_kv = None if past_key_values is None else past_key_values[i]
                        x, kv = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask, True, past_kv)
                        caches.append(kv)
                    else:
                        x = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask)
                return x, padding_mask, tuple(caches) if use_cache else None
        """,
        caught_by=EVERY_VALUE_OF_THE_STACK,
    ),
    _sum(
        "one-layer-for-all",
        "The loop calls the first layer again and again.",
        """
        class TransformerStack:
            def forward(
                self,
                input_ids,
                encoder_hidden_states=None,
                encoder_padding_mask=None,
                use_cache=None,
                past_key_values=None,
                **kwargs,
            ):
                padding_mask = (input_ids == self.config.pad_token_id).long()
                past = 0 if past_key_values is None else past_key_values[0].shape[1]
                positions = torch.arange(past, past + input_ids.shape[1], device=input_ids.device)
                x = self.emb_drop(self.emb_ln(self.emb_word(input_ids) + self.emb_pos(positions)))
                caches = []
                for i, layer in enumerate(self.layers):
                    if use_cache:
                        past_kv = None if past_key_values is None else past_key_values[i]
                        x, kv = self.layers[0](
                            x, padding_mask, encoder_hidden_states, encoder_padding_mask, True, past_kv
                        )
                        caches.append(kv)
                    else:
                        x = self.layers[0](x, padding_mask, encoder_hidden_states, encoder_padding_mask)
                return x, padding_mask, tuple(caches) if use_cache else None
        """,
        caught_by=("summarization.stack",),
        diagnosis="sum_layers",
    ),
    _sum(
        "last-layer-skipped",
        "The loop ends one layer early.",
        """
        class TransformerStack:
            def forward(
                self,
                input_ids,
                encoder_hidden_states=None,
                encoder_padding_mask=None,
                use_cache=None,
                past_key_values=None,
                **kwargs,
            ):
                padding_mask = (input_ids == self.config.pad_token_id).long()
                past = 0 if past_key_values is None else past_key_values[0].shape[1]
                positions = torch.arange(past, past + input_ids.shape[1], device=input_ids.device)
                x = self.emb_drop(self.emb_ln(self.emb_word(input_ids) + self.emb_pos(positions)))
                caches = []
                for i, layer in enumerate(self.layers[:-1]):
                    if use_cache:
                        past_kv = None if past_key_values is None else past_key_values[i]
                        x, kv = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask, True, past_kv)
                        caches.append(kv)
                    else:
                        x = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask)
                return x, padding_mask, tuple(caches) if use_cache else None
        """,
        caught_by=(*EVERY_VALUE_OF_THE_STACK, "summarization.stack_cache"),
    ),
    _sum(
        "layers-in-reverse",
        "The last layer comes first.",
        """
        class TransformerStack:
            def forward(
                self,
                input_ids,
                encoder_hidden_states=None,
                encoder_padding_mask=None,
                use_cache=None,
                past_key_values=None,
                **kwargs,
            ):
                padding_mask = (input_ids == self.config.pad_token_id).long()
                past = 0 if past_key_values is None else past_key_values[0].shape[1]
                positions = torch.arange(past, past + input_ids.shape[1], device=input_ids.device)
                x = self.emb_drop(self.emb_ln(self.emb_word(input_ids) + self.emb_pos(positions)))
                caches = []
                for i, layer in enumerate(reversed(self.layers)):
                    if use_cache:
                        past_kv = None if past_key_values is None else past_key_values[i]
                        x, kv = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask, True, past_kv)
                        caches.append(kv)
                    else:
                        x = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask)
                return x, padding_mask, tuple(caches) if use_cache else None
        """,
        caught_by=("summarization.stack",),
        diagnosis="sum_layers",
    ),
    # The values are right, the work is not.
    _sum(
        "stack-recomputed",
        "The embeddings are kept, and all layers run over all of them at every step.",
        """
        class TransformerStack:
            def forward(
                self,
                input_ids,
                encoder_hidden_states=None,
                encoder_padding_mask=None,
                use_cache=None,
                past_key_values=None,
                **kwargs,
            ):
                padding_mask = (input_ids == self.config.pad_token_id).long()
                past = 0 if past_key_values is None else past_key_values[0].shape[1]
                positions = torch.arange(past, past + input_ids.shape[1], device=input_ids.device)
                x = self.emb_drop(self.emb_ln(self.emb_word(input_ids) + self.emb_pos(positions)))
                caches = []
                if past_key_values is not None:
                    x = torch.cat([past_key_values[0], x], dim=1)  # (batch, i, d_model)
                mask = torch.zeros(x.shape[:2], dtype=torch.long, device=x.device) if use_cache else padding_mask
                for layer in self.layers:
                    caches.append(x)
                    x = layer(x, mask, encoder_hidden_states, encoder_padding_mask)
                if use_cache:
                    return x[:, -1:], padding_mask, tuple(caches)
                return x, padding_mask, None
        """,
        caught_by=("summarization.stack_work",),
        diagnosis="sum_recomputed",
    ),
)

# ----------------------------------------------------------------------------------------------------
# Wrong decoding
# ----------------------------------------------------------------------------------------------------

_WRONG_DECODING = (
    _sum(
        "greedy-floats",
        "The ids are collected in a tensor of floats.",
        """
        @torch.no_grad()
        def greedy_decode(model, input_ids, max_length):
            memory, mask = model.encode(input_ids)
            batch, config = len(input_ids), model.config
            found = torch.full((batch, max_length), float(config.pad_token_id))
            newest, past = torch.full((batch, 1), config.bos_token_id), None
            ended = torch.zeros(batch, dtype=torch.bool)
            for step in range(max_length):
                logits, past = model.decode(newest, memory, mask, use_cache=True, past_key_values=past)
                newest = logits[:, -1].argmax(-1).masked_fill(ended, config.pad_token_id)[:, None]
                found[:, step] = newest[:, 0]
                ended = ended | (newest[:, 0] == config.eos_token_id)
                if ended.all():
                    break
            return found[:, : step + 1]
        """,
        caught_by=("summarization.greedy",),
        diagnosis="dtype",
    ),
    # Greedy: where a row ends, and where it begins.
    _sum(
        "greedy-goes-on",
        "Rows that have ended are written on, as long as any row has not.",
        """
        @torch.no_grad()
        def greedy_decode(model, input_ids, max_length):
            config, batch = model.config, input_ids.shape[0]
            encoder_out, mask = model.encode(input_ids)
            token = torch.full((batch, 1), config.bos_token_id, device=input_ids.device)
            done = torch.zeros(batch, 1, dtype=torch.bool, device=input_ids.device)
            past, output = None, []
            for _ in range(max_length):
                logits, past = model.decode(token, encoder_out, mask, use_cache=True, past_key_values=past)
                token = logits[:, -1].argmax(dim=-1, keepdim=True)  # (batch, 1)
                output.append(token)
                done = done | (token == config.eos_token_id)
                if done.all():
                    break
            return torch.cat(output, dim=1)
        """,
        caught_by=("summarization.greedy",),
    ),
    _sum(
        "greedy-first-row-ends-all",
        "The loop ends with the first row that ends.",
        """
        @torch.no_grad()
        def greedy_decode(model, input_ids, max_length):
            config, batch = model.config, input_ids.shape[0]
            encoder_out, mask = model.encode(input_ids)
            token = torch.full((batch, 1), config.bos_token_id, device=input_ids.device)
            done = torch.zeros(batch, 1, dtype=torch.bool, device=input_ids.device)
            past, output = None, []
            for _ in range(max_length):
                logits, past = model.decode(token, encoder_out, mask, use_cache=True, past_key_values=past)
                token = logits[:, -1].argmax(dim=-1, keepdim=True)  # (batch, 1)
                token = token.masked_fill(done, config.pad_token_id)
                output.append(token)
                done = done | (token == config.eos_token_id)
                if done.any():
                    break
            return torch.cat(output, dim=1)
        """,
        caught_by=("summarization.greedy",),
        diagnosis="sum_first_finished",
    ),
    _sum(
        "greedy-one-too-few",
        "The first token counts for max_length, so that one token is missing.",
        """
        @torch.no_grad()
        def greedy_decode(model, input_ids, max_length):
            config, batch = model.config, input_ids.shape[0]
            encoder_out, mask = model.encode(input_ids)
            token = torch.full((batch, 1), config.bos_token_id, device=input_ids.device)
            done = torch.zeros(batch, 1, dtype=torch.bool, device=input_ids.device)
            past, output = None, []
            for _ in range(1, max_length):
                logits, past = model.decode(token, encoder_out, mask, use_cache=True, past_key_values=past)
                token = logits[:, -1].argmax(dim=-1, keepdim=True)  # (batch, 1)
                token = token.masked_fill(done, config.pad_token_id)
                output.append(token)
                done = done | (token == config.eos_token_id)
                if done.all():
                    break
            return torch.cat(output, dim=1)
        """,
        caught_by=("summarization.greedy",),
        diagnosis="sum_one_too_few",
    ),
    _sum(
        "greedy-one-too-many",
        "The last step is counted from 0, and one token more than max_length is written.",
        """
        @torch.no_grad()
        def greedy_decode(model, input_ids, max_length):
            config, batch = model.config, input_ids.shape[0]
            encoder_out, mask = model.encode(input_ids)
            token = torch.full((batch, 1), config.bos_token_id, device=input_ids.device)
            done = torch.zeros(batch, 1, dtype=torch.bool, device=input_ids.device)
            past, output = None, []
            for _ in range(max_length + 1):
                logits, past = model.decode(token, encoder_out, mask, use_cache=True, past_key_values=past)
                token = logits[:, -1].argmax(dim=-1, keepdim=True)  # (batch, 1)
                token = token.masked_fill(done, config.pad_token_id)
                output.append(token)
                done = done | (token == config.eos_token_id)
                if done.all():
                    break
            return torch.cat(output, dim=1)
        """,
        caught_by=("summarization.greedy",),
    ),
    _sum(
        "greedy-from-pad",
        "Decoding begins with the padding token, as T5 does.",
        """
        @torch.no_grad()
        def greedy_decode(model, input_ids, max_length):
            config, batch = model.config, input_ids.shape[0]
            encoder_out, mask = model.encode(input_ids)
            token = torch.full((batch, 1), config.pad_token_id, device=input_ids.device)
            done = torch.zeros(batch, 1, dtype=torch.bool, device=input_ids.device)
            past, output = None, []
            for _ in range(max_length):
                logits, past = model.decode(token, encoder_out, mask, use_cache=True, past_key_values=past)
                token = logits[:, -1].argmax(dim=-1, keepdim=True)  # (batch, 1)
                token = token.masked_fill(done, config.pad_token_id)
                output.append(token)
                done = done | (token == config.eos_token_id)
                if done.all():
                    break
            return torch.cat(output, dim=1)
        """,
        caught_by=("summarization.greedy",),
        diagnosis="sum_wrong_start",
    ),
    _sum(
        "greedy-from-eos",
        "Decoding begins with the end token, as BART does.",
        """
        @torch.no_grad()
        def greedy_decode(model, input_ids, max_length):
            config, batch = model.config, input_ids.shape[0]
            encoder_out, mask = model.encode(input_ids)
            token = torch.full((batch, 1), config.eos_token_id, device=input_ids.device)
            done = torch.zeros(batch, 1, dtype=torch.bool, device=input_ids.device)
            past, output = None, []
            for _ in range(max_length):
                logits, past = model.decode(token, encoder_out, mask, use_cache=True, past_key_values=past)
                token = logits[:, -1].argmax(dim=-1, keepdim=True)  # (batch, 1)
                token = token.masked_fill(done, config.pad_token_id)
                output.append(token)
                done = done | (token == config.eos_token_id)
                if done.all():
                    break
            return torch.cat(output, dim=1)
        """,
        caught_by=("summarization.greedy",),
        diagnosis="sum_wrong_start",
    ),
    _sum(
        "greedy-from-source",
        "Decoding begins with the source's first token.",
        """
        @torch.no_grad()
        def greedy_decode(model, input_ids, max_length):
            config, batch = model.config, input_ids.shape[0]
            encoder_out, mask = model.encode(input_ids)
            token = input_ids[:, :1]
            done = torch.zeros(batch, 1, dtype=torch.bool, device=input_ids.device)
            past, output = None, []
            for _ in range(max_length):
                logits, past = model.decode(token, encoder_out, mask, use_cache=True, past_key_values=past)
                token = logits[:, -1].argmax(dim=-1, keepdim=True)  # (batch, 1)
                token = token.masked_fill(done, config.pad_token_id)
                output.append(token)
                done = done | (token == config.eos_token_id)
                if done.all():
                    break
            return torch.cat(output, dim=1)
        """,
        caught_by=("summarization.greedy",),
    ),
    # Greedy: which token comes next.
    _sum(
        "greedy-samples",
        "The next token is drawn from the model's distribution.",
        """
        @torch.no_grad()
        def greedy_decode(model, input_ids, max_length):
            config, batch = model.config, input_ids.shape[0]
            encoder_out, mask = model.encode(input_ids)
            token = torch.full((batch, 1), config.bos_token_id, device=input_ids.device)
            done = torch.zeros(batch, 1, dtype=torch.bool, device=input_ids.device)
            past, output = None, []
            for _ in range(max_length):
                logits, past = model.decode(token, encoder_out, mask, use_cache=True, past_key_values=past)
                token = torch.multinomial(logits[:, -1].softmax(dim=-1), 1)  # (batch, 1)
                token = token.masked_fill(done, config.pad_token_id)
                output.append(token)
                done = done | (token == config.eos_token_id)
                if done.all():
                    break
            return torch.cat(output, dim=1)
        """,
        caught_by=("summarization.greedy",),
    ),
    _sum(
        "greedy-second-likeliest",
        "The token of rank 1 is taken, counted from 0.",
        """
        @torch.no_grad()
        def greedy_decode(model, input_ids, max_length):
            config, batch = model.config, input_ids.shape[0]
            encoder_out, mask = model.encode(input_ids)
            token = torch.full((batch, 1), config.bos_token_id, device=input_ids.device)
            done = torch.zeros(batch, 1, dtype=torch.bool, device=input_ids.device)
            past, output = None, []
            for _ in range(max_length):
                logits, past = model.decode(token, encoder_out, mask, use_cache=True, past_key_values=past)
                token = logits[:, -1].sort(dim=-1, descending=True).indices[:, 1:2]  # (batch, 1)
                token = token.masked_fill(done, config.pad_token_id)
                output.append(token)
                done = done | (token == config.eos_token_id)
                if done.all():
                    break
            return torch.cat(output, dim=1)
        """,
        caught_by=("summarization.greedy",),
    ),
    _sum(
        "greedy-one-for-all",
        "The likeliest token of the whole batch is given to every row.",
        """
        @torch.no_grad()
        def greedy_decode(model, input_ids, max_length):
            config, batch = model.config, input_ids.shape[0]
            encoder_out, mask = model.encode(input_ids)
            token = torch.full((batch, 1), config.bos_token_id, device=input_ids.device)
            done = torch.zeros(batch, 1, dtype=torch.bool, device=input_ids.device)
            past, output = None, []
            for _ in range(max_length):
                logits, past = model.decode(token, encoder_out, mask, use_cache=True, past_key_values=past)
                token = (logits[:, -1].argmax() % logits.shape[-1]).expand(batch, 1)  # (batch, 1)
                token = token.masked_fill(done, config.pad_token_id)
                output.append(token)
                done = done | (token == config.eos_token_id)
                if done.all():
                    break
            return torch.cat(output, dim=1)
        """,
        caught_by=("summarization.greedy",),
    ),
    _sum(
        "greedy-cache-lost",
        "What the model returned as its cache is never handed back.",
        """
        @torch.no_grad()
        def greedy_decode(model, input_ids, max_length):
            config, batch = model.config, input_ids.shape[0]
            encoder_out, mask = model.encode(input_ids)
            token = torch.full((batch, 1), config.bos_token_id, device=input_ids.device)
            done = torch.zeros(batch, 1, dtype=torch.bool, device=input_ids.device)
            past, output = None, []
            for _ in range(max_length):
                logits, _ = model.decode(token, encoder_out, mask, use_cache=True, past_key_values=past)
                token = logits[:, -1].argmax(dim=-1, keepdim=True)  # (batch, 1)
                token = token.masked_fill(done, config.pad_token_id)
                output.append(token)
                done = done | (token == config.eos_token_id)
                if done.all():
                    break
            return torch.cat(output, dim=1)
        """,
        caught_by=("summarization.greedy", "summarization.greedy_work"),
        diagnosis="sum_cache_lost",
    ),
    _sum(
        "greedy-cache-of-first-step",
        "The first step's cache is handed in at all later steps.",
        """
        @torch.no_grad()
        def greedy_decode(model, input_ids, max_length):
            config, batch = model.config, input_ids.shape[0]
            encoder_out, mask = model.encode(input_ids)
            token = torch.full((batch, 1), config.bos_token_id, device=input_ids.device)
            done = torch.zeros(batch, 1, dtype=torch.bool, device=input_ids.device)
            past, output = None, []
            for _ in range(max_length):
                logits, new = model.decode(token, encoder_out, mask, use_cache=True, past_key_values=past)
                past = new if past is None else past
                token = logits[:, -1].argmax(dim=-1, keepdim=True)  # (batch, 1)
                token = token.masked_fill(done, config.pad_token_id)
                output.append(token)
                done = done | (token == config.eos_token_id)
                if done.all():
                    break
            return torch.cat(output, dim=1)
        """,
        caught_by=("summarization.greedy", "summarization.greedy_work"),
        diagnosis="sum_recomputed",
    ),
    # Greedy: work that need not be done.
    _sum(
        "greedy-recomputed",
        "There is no cache: the whole prefix goes through the decoder at every step.",
        """
        @torch.no_grad()
        def greedy_decode(model, input_ids, max_length):
            config, batch = model.config, input_ids.shape[0]
            encoder_out, encoder_padding_mask = model.encode(input_ids)
            ids = torch.full((batch, 1), config.bos_token_id, device=input_ids.device)
            done = torch.zeros(batch, dtype=torch.bool, device=input_ids.device)
            for _ in range(max_length):
                logits, _ = model.decode(ids, encoder_out, encoder_padding_mask)
                newest = logits[:, -1].argmax(dim=-1).masked_fill(done, config.pad_token_id)
                ids = torch.cat([ids, newest[:, None]], dim=1)
                done |= newest == config.eos_token_id
                if done.all():
                    break
            return ids[:, 1:]
        """,
        caught_by=("summarization.greedy_work",),
        diagnosis="sum_recomputed",
    ),
    _sum(
        "greedy-prefix-and-cache",
        "The cache is handed on, and the whole prefix with it.",
        """
        @torch.no_grad()
        def greedy_decode(model, input_ids, max_length):
            config, batch = model.config, input_ids.shape[0]
            encoder_out, encoder_padding_mask = model.encode(input_ids)
            ids = torch.full((batch, 1), config.bos_token_id, device=input_ids.device)
            done = torch.zeros(batch, dtype=torch.bool, device=input_ids.device)
            past = None
            for _ in range(max_length):
                logits, past = model.decode(ids, encoder_out, encoder_padding_mask, True, past)
                newest = logits[:, -1].argmax(dim=-1).masked_fill(done, config.pad_token_id)
                ids = torch.cat([ids, newest[:, None]], dim=1)
                done |= newest == config.eos_token_id
                if done.all():
                    break
            return ids[:, 1:]
        """,
        caught_by=("summarization.greedy", "summarization.greedy_work"),
        diagnosis="sum_recomputed",
    ),
    _sum(
        "greedy-first-logits",
        "Of the whole prefix's logits the first position's are read, at every step.",
        """
        @torch.no_grad()
        def greedy_decode(model, input_ids, max_length):
            config, batch = model.config, input_ids.shape[0]
            encoder_out, encoder_padding_mask = model.encode(input_ids)
            ids = torch.full((batch, 1), config.bos_token_id, device=input_ids.device)
            done = torch.zeros(batch, dtype=torch.bool, device=input_ids.device)
            for _ in range(max_length):
                logits, _ = model.decode(ids, encoder_out, encoder_padding_mask)
                newest = logits[:, 0].argmax(dim=-1).masked_fill(done, config.pad_token_id)
                ids = torch.cat([ids, newest[:, None]], dim=1)
                done |= newest == config.eos_token_id
                if done.all():
                    break
            return ids[:, 1:]
        """,
        caught_by=("summarization.greedy", "summarization.greedy_work"),
        diagnosis="sum_recomputed",
    ),
    _sum(
        "greedy-encodes-each-step",
        "The encoder runs anew before every token.",
        """
        @torch.no_grad()
        def greedy_decode(model, input_ids, max_length):
            config, batch = model.config, input_ids.shape[0]
            token = torch.full((batch, 1), config.bos_token_id, device=input_ids.device)
            done = torch.zeros(batch, 1, dtype=torch.bool, device=input_ids.device)
            past, output = None, []
            for _ in range(max_length):
                encoder_out, mask = model.encode(input_ids)
                logits, past = model.decode(token, encoder_out, mask, use_cache=True, past_key_values=past)
                token = logits[:, -1].argmax(dim=-1, keepdim=True)  # (batch, 1)
                token = token.masked_fill(done, config.pad_token_id)
                output.append(token)
                done = done | (token == config.eos_token_id)
                if done.all():
                    break
            return torch.cat(output, dim=1)
        """,
        caught_by=("summarization.greedy_work",),
    ),
    # Beams: what goes along with a beam.
    _sum(
        "beam-cache-not-reordered",
        "The beams are sorted anew at each step, their caches stay where they are.",
        """
        @torch.no_grad()
        def beam_search(model, input_ids, num_beams, max_length, length_penalty):
            config, batch, device = model.config, input_ids.shape[0], input_ids.device
            encoder_out, encoder_padding_mask = model.encode(input_ids)
            encoder_out = encoder_out.repeat_interleave(num_beams, dim=0)
            encoder_padding_mask = encoder_padding_mask.repeat_interleave(num_beams, dim=0)
            ids = torch.full((batch * num_beams, 1), config.bos_token_id, device=device)
            scores = torch.full((batch, num_beams), float("-inf"), device=device)
            scores[:, 0] = 0
            done = torch.zeros(batch * num_beams, dtype=torch.bool, device=device)
            lengths = torch.zeros(batch * num_beams, device=device)
            first = torch.arange(batch, device=device)[:, None] * num_beams  # (batch, 1)
            past = None
            for _ in range(max_length):
                logits, past = model.decode(
                    ids[:, -1:], encoder_out, encoder_padding_mask, use_cache=True, past_key_values=past
                )
                logp = logits[:, -1].log_softmax(dim=-1)  # (batch * beams, vocab)
                logp[done] = float("-inf")
                logp[done, config.pad_token_id] = 0
                vocab = logp.shape[-1]
                total = (scores.view(-1, 1) + logp).view(batch, num_beams * vocab)
                scores, chosen = total.topk(num_beams, dim=-1)
                rows = (first + chosen // vocab).view(-1)
                token = (chosen % vocab).view(-1, 1)
                done, lengths = done[rows], lengths[rows]
                ids = torch.cat([ids[rows], token], dim=1)
                lengths = lengths + (~done).float()
                done = done | (token.view(-1) == config.eos_token_id)
                if done.all():
                    break
            best = (scores / lengths.view(batch, num_beams) ** length_penalty).argmax(dim=-1, keepdim=True)
            return ids[(first + best).view(-1), 1:]
        """,
        caught_by=("summarization.beam",),
        diagnosis="sum_not_reordered",
    ),
    _sum(
        "beam-flags-not-reordered",
        "The marks of beams that have ended stay where they are.",
        """
        @torch.no_grad()
        def beam_search(model, input_ids, num_beams, max_length, length_penalty):
            config, batch, device = model.config, input_ids.shape[0], input_ids.device
            encoder_out, encoder_padding_mask = model.encode(input_ids)
            encoder_out = encoder_out.repeat_interleave(num_beams, dim=0)
            encoder_padding_mask = encoder_padding_mask.repeat_interleave(num_beams, dim=0)
            ids = torch.full((batch * num_beams, 1), config.bos_token_id, device=device)
            scores = torch.full((batch, num_beams), float("-inf"), device=device)
            scores[:, 0] = 0
            done = torch.zeros(batch * num_beams, dtype=torch.bool, device=device)
            lengths = torch.zeros(batch * num_beams, device=device)
            first = torch.arange(batch, device=device)[:, None] * num_beams  # (batch, 1)
            past = None
            for _ in range(max_length):
                logits, past = model.decode(
                    ids[:, -1:], encoder_out, encoder_padding_mask, use_cache=True, past_key_values=past
                )
                logp = logits[:, -1].log_softmax(dim=-1)  # (batch * beams, vocab)
                logp[done] = float("-inf")
                logp[done, config.pad_token_id] = 0
                vocab = logp.shape[-1]
                total = (scores.view(-1, 1) + logp).view(batch, num_beams * vocab)
                scores, chosen = total.topk(num_beams, dim=-1)
                rows = (first + chosen // vocab).view(-1)
                token = (chosen % vocab).view(-1, 1)
                past = tuple(cache[rows] for cache in past)
                lengths = lengths[rows]
                ids = torch.cat([ids[rows], token], dim=1)
                lengths = lengths + (~done).float()
                done = done | (token.view(-1) == config.eos_token_id)
                if done.all():
                    break
            best = (scores / lengths.view(batch, num_beams) ** length_penalty).argmax(dim=-1, keepdim=True)
            return ids[(first + best).view(-1), 1:]
        """,
        caught_by=("summarization.beam",),
    ),
    _sum(
        "beam-tokens-not-reordered",
        "The new tokens are put behind the old beams, not behind those that they continue.",
        """
        @torch.no_grad()
        def beam_search(model, input_ids, num_beams, max_length, length_penalty):
            config, batch, device = model.config, input_ids.shape[0], input_ids.device
            encoder_out, encoder_padding_mask = model.encode(input_ids)
            encoder_out = encoder_out.repeat_interleave(num_beams, dim=0)
            encoder_padding_mask = encoder_padding_mask.repeat_interleave(num_beams, dim=0)
            ids = torch.full((batch * num_beams, 1), config.bos_token_id, device=device)
            scores = torch.full((batch, num_beams), float("-inf"), device=device)
            scores[:, 0] = 0
            done = torch.zeros(batch * num_beams, dtype=torch.bool, device=device)
            lengths = torch.zeros(batch * num_beams, device=device)
            first = torch.arange(batch, device=device)[:, None] * num_beams  # (batch, 1)
            past = None
            for _ in range(max_length):
                logits, past = model.decode(
                    ids[:, -1:], encoder_out, encoder_padding_mask, use_cache=True, past_key_values=past
                )
                logp = logits[:, -1].log_softmax(dim=-1)  # (batch * beams, vocab)
                logp[done] = float("-inf")
                logp[done, config.pad_token_id] = 0
                vocab = logp.shape[-1]
                total = (scores.view(-1, 1) + logp).view(batch, num_beams * vocab)
                scores, chosen = total.topk(num_beams, dim=-1)
                rows = (first + chosen // vocab).view(-1)
                token = (chosen % vocab).view(-1, 1)
                past = tuple(cache[rows] for cache in past)
                done, lengths = done[rows], lengths[rows]
                ids = torch.cat([ids, token], dim=1)
                lengths = lengths + (~done).float()
                done = done | (token.view(-1) == config.eos_token_id)
                if done.all():
                    break
            best = (scores / lengths.view(batch, num_beams) ** length_penalty).argmax(dim=-1, keepdim=True)
            return ids[(first + best).view(-1), 1:]
        """,
        caught_by=("summarization.beam",),
    ),
    _sum(
        "beam-rows-without-offset",
        "The caches are picked by the beam's number in its own row, all of them from the first row's.",
        """
        @torch.no_grad()
        def beam_search(model, input_ids, num_beams, max_length, length_penalty):
            config, batch, device = model.config, input_ids.shape[0], input_ids.device
            encoder_out, encoder_padding_mask = model.encode(input_ids)
            encoder_out = encoder_out.repeat_interleave(num_beams, dim=0)
            encoder_padding_mask = encoder_padding_mask.repeat_interleave(num_beams, dim=0)
            ids = torch.full((batch * num_beams, 1), config.bos_token_id, device=device)
            scores = torch.full((batch, num_beams), float("-inf"), device=device)
            scores[:, 0] = 0
            done = torch.zeros(batch * num_beams, dtype=torch.bool, device=device)
            lengths = torch.zeros(batch * num_beams, device=device)
            first = torch.arange(batch, device=device)[:, None] * num_beams  # (batch, 1)
            past = None
            for _ in range(max_length):
                logits, past = model.decode(
                    ids[:, -1:], encoder_out, encoder_padding_mask, use_cache=True, past_key_values=past
                )
                logp = logits[:, -1].log_softmax(dim=-1)  # (batch * beams, vocab)
                logp[done] = float("-inf")
                logp[done, config.pad_token_id] = 0
                vocab = logp.shape[-1]
                total = (scores.view(-1, 1) + logp).view(batch, num_beams * vocab)
                scores, chosen = total.topk(num_beams, dim=-1)
                rows = (first + chosen // vocab).view(-1)
                token = (chosen % vocab).view(-1, 1)
                past = tuple(cache[(chosen // vocab).view(-1)] for cache in past)
                done, lengths = done[rows], lengths[rows]
                ids = torch.cat([ids[rows], token], dim=1)
                lengths = lengths + (~done).float()
                done = done | (token.view(-1) == config.eos_token_id)
                if done.all():
                    break
            best = (scores / lengths.view(batch, num_beams) ** length_penalty).argmax(dim=-1, keepdim=True)
            return ids[(first + best).view(-1), 1:]
        """,
        caught_by=("summarization.beam",),
    ),
    _sum(
        "beam-encoder-repeated",
        "The encoder's outputs are repeated as a whole, the beams lie side by side.",
        """
        @torch.no_grad()
        def beam_search(model, input_ids, num_beams, max_length, length_penalty):
            config, batch, device = model.config, input_ids.shape[0], input_ids.device
            encoder_out, encoder_padding_mask = model.encode(input_ids)
            encoder_out = encoder_out.repeat(num_beams, 1, 1)
            encoder_padding_mask = encoder_padding_mask.repeat(num_beams, 1)
            ids = torch.full((batch * num_beams, 1), config.bos_token_id, device=device)
            scores = torch.full((batch, num_beams), float("-inf"), device=device)
            scores[:, 0] = 0
            done = torch.zeros(batch * num_beams, dtype=torch.bool, device=device)
            lengths = torch.zeros(batch * num_beams, device=device)
            first = torch.arange(batch, device=device)[:, None] * num_beams  # (batch, 1)
            past = None
            for _ in range(max_length):
                logits, past = model.decode(
                    ids[:, -1:], encoder_out, encoder_padding_mask, use_cache=True, past_key_values=past
                )
                logp = logits[:, -1].log_softmax(dim=-1)  # (batch * beams, vocab)
                logp[done] = float("-inf")
                logp[done, config.pad_token_id] = 0
                vocab = logp.shape[-1]
                total = (scores.view(-1, 1) + logp).view(batch, num_beams * vocab)
                scores, chosen = total.topk(num_beams, dim=-1)
                rows = (first + chosen // vocab).view(-1)
                token = (chosen % vocab).view(-1, 1)
                past = tuple(cache[rows] for cache in past)
                done, lengths = done[rows], lengths[rows]
                ids = torch.cat([ids[rows], token], dim=1)
                lengths = lengths + (~done).float()
                done = done | (token.view(-1) == config.eos_token_id)
                if done.all():
                    break
            best = (scores / lengths.view(batch, num_beams) ** length_penalty).argmax(dim=-1, keepdim=True)
            return ids[(first + best).view(-1), 1:]
        """,
        caught_by=("summarization.beam",),
        diagnosis="sum_encoder_order",
    ),
    _sum(
        "beam-divided-by-beams",
        "Beam and token are read from the index with the number of beams in the vocabulary's place.",
        """
        @torch.no_grad()
        def beam_search(model, input_ids, num_beams, max_length, length_penalty):
            config, batch, device = model.config, input_ids.shape[0], input_ids.device
            encoder_out, encoder_padding_mask = model.encode(input_ids)
            encoder_out = encoder_out.repeat_interleave(num_beams, dim=0)
            encoder_padding_mask = encoder_padding_mask.repeat_interleave(num_beams, dim=0)
            ids = torch.full((batch * num_beams, 1), config.bos_token_id, device=device)
            scores = torch.full((batch, num_beams), float("-inf"), device=device)
            scores[:, 0] = 0
            done = torch.zeros(batch * num_beams, dtype=torch.bool, device=device)
            lengths = torch.zeros(batch * num_beams, device=device)
            first = torch.arange(batch, device=device)[:, None] * num_beams  # (batch, 1)
            past = None
            for _ in range(max_length):
                logits, past = model.decode(
                    ids[:, -1:], encoder_out, encoder_padding_mask, use_cache=True, past_key_values=past
                )
                logp = logits[:, -1].log_softmax(dim=-1)  # (batch * beams, vocab)
                logp[done] = float("-inf")
                logp[done, config.pad_token_id] = 0
                vocab = logp.shape[-1]
                total = (scores.view(-1, 1) + logp).view(batch, num_beams * vocab)
                scores, chosen = total.topk(num_beams, dim=-1)
                rows = (first + chosen % num_beams).view(-1)
                token = (chosen // num_beams % vocab).view(-1, 1)
                past = tuple(cache[rows] for cache in past)
                done, lengths = done[rows], lengths[rows]
                ids = torch.cat([ids[rows], token], dim=1)
                lengths = lengths + (~done).float()
                done = done | (token.view(-1) == config.eos_token_id)
                if done.all():
                    break
            best = (scores / lengths.view(batch, num_beams) ** length_penalty).argmax(dim=-1, keepdim=True)
            return ids[(first + best).view(-1), 1:]
        """,
        caught_by=("summarization.beam",),
    ),
    # Beams: how they are scored.
    _sum(
        "beam-penalty-inverted",
        "The log-probability is multiplied by the length's power.",
        """
        @torch.no_grad()
        def beam_search(model, input_ids, num_beams, max_length, length_penalty):
            config, batch, device = model.config, input_ids.shape[0], input_ids.device
            encoder_out, encoder_padding_mask = model.encode(input_ids)
            encoder_out = encoder_out.repeat_interleave(num_beams, dim=0)
            encoder_padding_mask = encoder_padding_mask.repeat_interleave(num_beams, dim=0)
            ids = torch.full((batch * num_beams, 1), config.bos_token_id, device=device)
            scores = torch.full((batch, num_beams), float("-inf"), device=device)
            scores[:, 0] = 0
            done = torch.zeros(batch * num_beams, dtype=torch.bool, device=device)
            lengths = torch.zeros(batch * num_beams, device=device)
            first = torch.arange(batch, device=device)[:, None] * num_beams  # (batch, 1)
            past = None
            for _ in range(max_length):
                logits, past = model.decode(
                    ids[:, -1:], encoder_out, encoder_padding_mask, use_cache=True, past_key_values=past
                )
                logp = logits[:, -1].log_softmax(dim=-1)  # (batch * beams, vocab)
                logp[done] = float("-inf")
                logp[done, config.pad_token_id] = 0
                vocab = logp.shape[-1]
                total = (scores.view(-1, 1) + logp).view(batch, num_beams * vocab)
                scores, chosen = total.topk(num_beams, dim=-1)
                rows = (first + chosen // vocab).view(-1)
                token = (chosen % vocab).view(-1, 1)
                past = tuple(cache[rows] for cache in past)
                done, lengths = done[rows], lengths[rows]
                ids = torch.cat([ids[rows], token], dim=1)
                lengths = lengths + (~done).float()
                done = done | (token.view(-1) == config.eos_token_id)
                if done.all():
                    break
            best = (scores * lengths.view(batch, num_beams) ** length_penalty).argmax(dim=-1, keepdim=True)
            return ids[(first + best).view(-1), 1:]
        """,
        caught_by=("summarization.beam",),
        diagnosis="sum_penalty_inverted",
    ),
    _sum(
        "beam-penalty-ignored",
        "The likeliest beam wins, however short it is.",
        """
        @torch.no_grad()
        def beam_search(model, input_ids, num_beams, max_length, length_penalty):
            config, batch, device = model.config, input_ids.shape[0], input_ids.device
            encoder_out, encoder_padding_mask = model.encode(input_ids)
            encoder_out = encoder_out.repeat_interleave(num_beams, dim=0)
            encoder_padding_mask = encoder_padding_mask.repeat_interleave(num_beams, dim=0)
            ids = torch.full((batch * num_beams, 1), config.bos_token_id, device=device)
            scores = torch.full((batch, num_beams), float("-inf"), device=device)
            scores[:, 0] = 0
            done = torch.zeros(batch * num_beams, dtype=torch.bool, device=device)
            lengths = torch.zeros(batch * num_beams, device=device)
            first = torch.arange(batch, device=device)[:, None] * num_beams  # (batch, 1)
            past = None
            for _ in range(max_length):
                logits, past = model.decode(
                    ids[:, -1:], encoder_out, encoder_padding_mask, use_cache=True, past_key_values=past
                )
                logp = logits[:, -1].log_softmax(dim=-1)  # (batch * beams, vocab)
                logp[done] = float("-inf")
                logp[done, config.pad_token_id] = 0
                vocab = logp.shape[-1]
                total = (scores.view(-1, 1) + logp).view(batch, num_beams * vocab)
                scores, chosen = total.topk(num_beams, dim=-1)
                rows = (first + chosen // vocab).view(-1)
                token = (chosen % vocab).view(-1, 1)
                past = tuple(cache[rows] for cache in past)
                done, lengths = done[rows], lengths[rows]
                ids = torch.cat([ids[rows], token], dim=1)
                lengths = lengths + (~done).float()
                done = done | (token.view(-1) == config.eos_token_id)
                if done.all():
                    break
            best = scores.argmax(dim=-1, keepdim=True)
            return ids[(first + best).view(-1), 1:]
        """,
        caught_by=("summarization.beam",),
        diagnosis="sum_penalty_ignored",
    ),
    _sum(
        "beam-penalty-each-step",
        "The running sum itself is divided by the length's power at every step.",
        """
        @torch.no_grad()
        def beam_search(model, input_ids, num_beams, max_length, length_penalty):
            config, batch, device = model.config, input_ids.shape[0], input_ids.device
            encoder_out, encoder_padding_mask = model.encode(input_ids)
            encoder_out = encoder_out.repeat_interleave(num_beams, dim=0)
            encoder_padding_mask = encoder_padding_mask.repeat_interleave(num_beams, dim=0)
            ids = torch.full((batch * num_beams, 1), config.bos_token_id, device=device)
            scores = torch.full((batch, num_beams), float("-inf"), device=device)
            scores[:, 0] = 0
            done = torch.zeros(batch * num_beams, dtype=torch.bool, device=device)
            lengths = torch.zeros(batch * num_beams, device=device)
            first = torch.arange(batch, device=device)[:, None] * num_beams  # (batch, 1)
            past = None
            for _ in range(max_length):
                logits, past = model.decode(
                    ids[:, -1:], encoder_out, encoder_padding_mask, use_cache=True, past_key_values=past
                )
                logp = logits[:, -1].log_softmax(dim=-1)  # (batch * beams, vocab)
                logp[done] = float("-inf")
                logp[done, config.pad_token_id] = 0
                vocab = logp.shape[-1]
                total = (scores.view(-1, 1) + logp).view(batch, num_beams * vocab)
                scores, chosen = total.topk(num_beams, dim=-1)
                rows = (first + chosen // vocab).view(-1)
                token = (chosen % vocab).view(-1, 1)
                past = tuple(cache[rows] for cache in past)
                done, lengths = done[rows], lengths[rows]
                ids = torch.cat([ids[rows], token], dim=1)
                lengths = lengths + (~done).float()
                done = done | (token.view(-1) == config.eos_token_id)
                scores = scores / lengths.view(batch, num_beams) ** length_penalty
                if done.all():
                    break
            best = scores.argmax(dim=-1, keepdim=True)
            return ids[(first + best).view(-1), 1:]
        """,
        caught_by=("summarization.beam",),
    ),
    _sum(
        "beam-pad-counted",
        "All beams are divided by the length of the longest, padding included.",
        """
        @torch.no_grad()
        def beam_search(model, input_ids, num_beams, max_length, length_penalty):
            config, batch, device = model.config, input_ids.shape[0], input_ids.device
            encoder_out, encoder_padding_mask = model.encode(input_ids)
            encoder_out = encoder_out.repeat_interleave(num_beams, dim=0)
            encoder_padding_mask = encoder_padding_mask.repeat_interleave(num_beams, dim=0)
            ids = torch.full((batch * num_beams, 1), config.bos_token_id, device=device)
            scores = torch.full((batch, num_beams), float("-inf"), device=device)
            scores[:, 0] = 0
            done = torch.zeros(batch * num_beams, dtype=torch.bool, device=device)
            lengths = torch.zeros(batch * num_beams, device=device)
            first = torch.arange(batch, device=device)[:, None] * num_beams  # (batch, 1)
            past = None
            for _ in range(max_length):
                logits, past = model.decode(
                    ids[:, -1:], encoder_out, encoder_padding_mask, use_cache=True, past_key_values=past
                )
                logp = logits[:, -1].log_softmax(dim=-1)  # (batch * beams, vocab)
                logp[done] = float("-inf")
                logp[done, config.pad_token_id] = 0
                vocab = logp.shape[-1]
                total = (scores.view(-1, 1) + logp).view(batch, num_beams * vocab)
                scores, chosen = total.topk(num_beams, dim=-1)
                rows = (first + chosen // vocab).view(-1)
                token = (chosen % vocab).view(-1, 1)
                past = tuple(cache[rows] for cache in past)
                done, lengths = done[rows], lengths[rows]
                ids = torch.cat([ids[rows], token], dim=1)
                lengths = lengths + 1
                done = done | (token.view(-1) == config.eos_token_id)
                if done.all():
                    break
            best = (scores / lengths.view(batch, num_beams) ** length_penalty).argmax(dim=-1, keepdim=True)
            return ids[(first + best).view(-1), 1:]
        """,
        caught_by=("summarization.beam",),
        diagnosis="sum_penalty_ignored",
    ),
    _sum(
        "beam-logits-added",
        "Logits are added up, which nothing has normalised.",
        """
        @torch.no_grad()
        def beam_search(model, input_ids, num_beams, max_length, length_penalty):
            config, batch, device = model.config, input_ids.shape[0], input_ids.device
            encoder_out, encoder_padding_mask = model.encode(input_ids)
            encoder_out = encoder_out.repeat_interleave(num_beams, dim=0)
            encoder_padding_mask = encoder_padding_mask.repeat_interleave(num_beams, dim=0)
            ids = torch.full((batch * num_beams, 1), config.bos_token_id, device=device)
            scores = torch.full((batch, num_beams), float("-inf"), device=device)
            scores[:, 0] = 0
            done = torch.zeros(batch * num_beams, dtype=torch.bool, device=device)
            lengths = torch.zeros(batch * num_beams, device=device)
            first = torch.arange(batch, device=device)[:, None] * num_beams  # (batch, 1)
            past = None
            for _ in range(max_length):
                logits, past = model.decode(
                    ids[:, -1:], encoder_out, encoder_padding_mask, use_cache=True, past_key_values=past
                )
                logp = logits[:, -1].clone()  # (batch * beams, vocab)
                logp[done] = float("-inf")
                logp[done, config.pad_token_id] = 0
                vocab = logp.shape[-1]
                total = (scores.view(-1, 1) + logp).view(batch, num_beams * vocab)
                scores, chosen = total.topk(num_beams, dim=-1)
                rows = (first + chosen // vocab).view(-1)
                token = (chosen % vocab).view(-1, 1)
                past = tuple(cache[rows] for cache in past)
                done, lengths = done[rows], lengths[rows]
                ids = torch.cat([ids[rows], token], dim=1)
                lengths = lengths + (~done).float()
                done = done | (token.view(-1) == config.eos_token_id)
                if done.all():
                    break
            best = (scores / lengths.view(batch, num_beams) ** length_penalty).argmax(dim=-1, keepdim=True)
            return ids[(first + best).view(-1), 1:]
        """,
        caught_by=("summarization.beam",),
    ),
    _sum(
        "beam-probabilities-added",
        "Probabilities are added up in place of their logarithms.",
        """
        @torch.no_grad()
        def beam_search(model, input_ids, num_beams, max_length, length_penalty):
            config, batch, device = model.config, input_ids.shape[0], input_ids.device
            encoder_out, encoder_padding_mask = model.encode(input_ids)
            encoder_out = encoder_out.repeat_interleave(num_beams, dim=0)
            encoder_padding_mask = encoder_padding_mask.repeat_interleave(num_beams, dim=0)
            ids = torch.full((batch * num_beams, 1), config.bos_token_id, device=device)
            scores = torch.full((batch, num_beams), float("-inf"), device=device)
            scores[:, 0] = 0
            done = torch.zeros(batch * num_beams, dtype=torch.bool, device=device)
            lengths = torch.zeros(batch * num_beams, device=device)
            first = torch.arange(batch, device=device)[:, None] * num_beams  # (batch, 1)
            past = None
            for _ in range(max_length):
                logits, past = model.decode(
                    ids[:, -1:], encoder_out, encoder_padding_mask, use_cache=True, past_key_values=past
                )
                logp = logits[:, -1].softmax(dim=-1)  # (batch * beams, vocab)
                logp[done] = float("-inf")
                logp[done, config.pad_token_id] = 0
                vocab = logp.shape[-1]
                total = (scores.view(-1, 1) + logp).view(batch, num_beams * vocab)
                scores, chosen = total.topk(num_beams, dim=-1)
                rows = (first + chosen // vocab).view(-1)
                token = (chosen % vocab).view(-1, 1)
                past = tuple(cache[rows] for cache in past)
                done, lengths = done[rows], lengths[rows]
                ids = torch.cat([ids[rows], token], dim=1)
                lengths = lengths + (~done).float()
                done = done | (token.view(-1) == config.eos_token_id)
                if done.all():
                    break
            best = (scores / lengths.view(batch, num_beams) ** length_penalty).argmax(dim=-1, keepdim=True)
            return ids[(first + best).view(-1), 1:]
        """,
        caught_by=("summarization.beam",),
        diagnosis="sum_probabilities",
    ),
    _sum(
        "beam-pad-scored",
        "Beams that have ended get padding, and go on paying for its probability.",
        """
        @torch.no_grad()
        def beam_search(model, input_ids, num_beams, max_length, length_penalty):
            config, batch, device = model.config, input_ids.shape[0], input_ids.device
            encoder_out, encoder_padding_mask = model.encode(input_ids)
            encoder_out = encoder_out.repeat_interleave(num_beams, dim=0)
            encoder_padding_mask = encoder_padding_mask.repeat_interleave(num_beams, dim=0)
            ids = torch.full((batch * num_beams, 1), config.bos_token_id, device=device)
            scores = torch.full((batch, num_beams), float("-inf"), device=device)
            scores[:, 0] = 0
            done = torch.zeros(batch * num_beams, dtype=torch.bool, device=device)
            lengths = torch.zeros(batch * num_beams, device=device)
            first = torch.arange(batch, device=device)[:, None] * num_beams  # (batch, 1)
            past = None
            for _ in range(max_length):
                logits, past = model.decode(
                    ids[:, -1:], encoder_out, encoder_padding_mask, use_cache=True, past_key_values=past
                )
                logp = logits[:, -1].log_softmax(dim=-1)  # (batch * beams, vocab)
                pad = logp[done, config.pad_token_id]
                logp[done] = float("-inf")
                logp[done, config.pad_token_id] = pad
                vocab = logp.shape[-1]
                total = (scores.view(-1, 1) + logp).view(batch, num_beams * vocab)
                scores, chosen = total.topk(num_beams, dim=-1)
                rows = (first + chosen // vocab).view(-1)
                token = (chosen % vocab).view(-1, 1)
                past = tuple(cache[rows] for cache in past)
                done, lengths = done[rows], lengths[rows]
                ids = torch.cat([ids[rows], token], dim=1)
                lengths = lengths + (~done).float()
                done = done | (token.view(-1) == config.eos_token_id)
                if done.all():
                    break
            best = (scores / lengths.view(batch, num_beams) ** length_penalty).argmax(dim=-1, keepdim=True)
            return ids[(first + best).view(-1), 1:]
        """,
        caught_by=("summarization.beam",),
    ),
    # Beams: which are kept, and when they end.
    _sum(
        "beam-all-alike",
        "All beams begin with the same score, and stay copies of one greedy sequence.",
        """
        @torch.no_grad()
        def beam_search(model, input_ids, num_beams, max_length, length_penalty):
            config, batch, device = model.config, input_ids.shape[0], input_ids.device
            encoder_out, encoder_padding_mask = model.encode(input_ids)
            encoder_out = encoder_out.repeat_interleave(num_beams, dim=0)
            encoder_padding_mask = encoder_padding_mask.repeat_interleave(num_beams, dim=0)
            ids = torch.full((batch * num_beams, 1), config.bos_token_id, device=device)
            scores = torch.zeros(batch, num_beams, device=device)
            done = torch.zeros(batch * num_beams, dtype=torch.bool, device=device)
            lengths = torch.zeros(batch * num_beams, device=device)
            first = torch.arange(batch, device=device)[:, None] * num_beams  # (batch, 1)
            past = None
            for _ in range(max_length):
                logits, past = model.decode(
                    ids[:, -1:], encoder_out, encoder_padding_mask, use_cache=True, past_key_values=past
                )
                logp = logits[:, -1].log_softmax(dim=-1)  # (batch * beams, vocab)
                logp[done] = float("-inf")
                logp[done, config.pad_token_id] = 0
                vocab = logp.shape[-1]
                total = (scores.view(-1, 1) + logp).view(batch, num_beams * vocab)
                scores, chosen = total.topk(num_beams, dim=-1)
                rows = (first + chosen // vocab).view(-1)
                token = (chosen % vocab).view(-1, 1)
                past = tuple(cache[rows] for cache in past)
                done, lengths = done[rows], lengths[rows]
                ids = torch.cat([ids[rows], token], dim=1)
                lengths = lengths + (~done).float()
                done = done | (token.view(-1) == config.eos_token_id)
                if done.all():
                    break
            best = (scores / lengths.view(batch, num_beams) ** length_penalty).argmax(dim=-1, keepdim=True)
            return ids[(first + best).view(-1), 1:]
        """,
        caught_by=("summarization.beam",),
        diagnosis="sum_beams_alike",
    ),
    _sum(
        "beam-greedy",
        "num_beams is not used at all.",
        """
        def beam_search(model, input_ids, num_beams, max_length, length_penalty):
            return greedy_decode(model, input_ids, max_length)
        """,
        caught_by=("summarization.beam",),
        diagnosis="sum_greedy",
    ),
    _sum(
        "beam-each-its-own-best",
        "Every beam is continued by its own likeliest token, none takes another's place.",
        """
        @torch.no_grad()
        def beam_search(model, input_ids, num_beams, max_length, length_penalty):
            config, (encoder_out, mask) = model.config, model.encode(input_ids)
            start = torch.full((len(input_ids), 1), config.bos_token_id, device=input_ids.device)
            logits, past = model.decode(start, encoder_out, mask, use_cache=True)
            scores, token = logits[:, -1].log_softmax(-1).topk(num_beams)
            scores, token = scores.view(-1), token.view(-1, 1)
            encoder_out, mask, *past = (t.repeat_interleave(num_beams, 0) for t in (encoder_out, mask, *past))
            beams, done = token, token.view(-1) == config.eos_token_id
            while beams.shape[1] < max_length and not done.all():
                logits, past = model.decode(token, encoder_out, mask, use_cache=True, past_key_values=tuple(past))
                best, token = logits[:, -1].log_softmax(-1).max(-1)
                scores = scores + best.masked_fill(done, 0)
                token = token.masked_fill(done, config.pad_token_id).view(-1, 1)
                beams = torch.cat([beams, token], dim=1)
                done = done | (token.view(-1) == config.eos_token_id)
            lengths = (beams != config.pad_token_id).sum(1)
            best = (scores / lengths**length_penalty).view(-1, num_beams).argmax(1)
            return beams.view(len(input_ids), num_beams, -1)[torch.arange(len(input_ids)), best]
        """,
        caught_by=("summarization.beam",),
    ),
    _sum(
        "beam-first-finished",
        "The search ends with the first beam of any row that ends.",
        """
        @torch.no_grad()
        def beam_search(model, input_ids, num_beams, max_length, length_penalty):
            config, batch, device = model.config, input_ids.shape[0], input_ids.device
            encoder_out, encoder_padding_mask = model.encode(input_ids)
            encoder_out = encoder_out.repeat_interleave(num_beams, dim=0)
            encoder_padding_mask = encoder_padding_mask.repeat_interleave(num_beams, dim=0)
            ids = torch.full((batch * num_beams, 1), config.bos_token_id, device=device)
            scores = torch.full((batch, num_beams), float("-inf"), device=device)
            scores[:, 0] = 0
            done = torch.zeros(batch * num_beams, dtype=torch.bool, device=device)
            lengths = torch.zeros(batch * num_beams, device=device)
            first = torch.arange(batch, device=device)[:, None] * num_beams  # (batch, 1)
            past = None
            for _ in range(max_length):
                logits, past = model.decode(
                    ids[:, -1:], encoder_out, encoder_padding_mask, use_cache=True, past_key_values=past
                )
                logp = logits[:, -1].log_softmax(dim=-1)  # (batch * beams, vocab)
                logp[done] = float("-inf")
                logp[done, config.pad_token_id] = 0
                vocab = logp.shape[-1]
                total = (scores.view(-1, 1) + logp).view(batch, num_beams * vocab)
                scores, chosen = total.topk(num_beams, dim=-1)
                rows = (first + chosen // vocab).view(-1)
                token = (chosen % vocab).view(-1, 1)
                past = tuple(cache[rows] for cache in past)
                done, lengths = done[rows], lengths[rows]
                ids = torch.cat([ids[rows], token], dim=1)
                lengths = lengths + (~done).float()
                done = done | (token.view(-1) == config.eos_token_id)
                if done.any():
                    break
            best = (scores / lengths.view(batch, num_beams) ** length_penalty).argmax(dim=-1, keepdim=True)
            return ids[(first + best).view(-1), 1:]
        """,
        caught_by=("summarization.beam",),
        diagnosis="sum_first_finished",
    ),
    _sum(
        "beam-first-finished-of-row",
        "The search ends when every row has one beam that has ended, and that beam is returned.",
        """
        @torch.no_grad()
        def beam_search(model, input_ids, num_beams, max_length, length_penalty):
            config, batch, device = model.config, input_ids.shape[0], input_ids.device
            encoder_out, encoder_padding_mask = model.encode(input_ids)
            encoder_out = encoder_out.repeat_interleave(num_beams, dim=0)
            encoder_padding_mask = encoder_padding_mask.repeat_interleave(num_beams, dim=0)
            ids = torch.full((batch * num_beams, 1), config.bos_token_id, device=device)
            scores = torch.full((batch, num_beams), float("-inf"), device=device)
            scores[:, 0] = 0
            done = torch.zeros(batch * num_beams, dtype=torch.bool, device=device)
            lengths = torch.zeros(batch * num_beams, device=device)
            first = torch.arange(batch, device=device)[:, None] * num_beams  # (batch, 1)
            past = None
            for _ in range(max_length):
                logits, past = model.decode(
                    ids[:, -1:], encoder_out, encoder_padding_mask, use_cache=True, past_key_values=past
                )
                logp = logits[:, -1].log_softmax(dim=-1)  # (batch * beams, vocab)
                logp[done] = float("-inf")
                logp[done, config.pad_token_id] = 0
                vocab = logp.shape[-1]
                total = (scores.view(-1, 1) + logp).view(batch, num_beams * vocab)
                scores, chosen = total.topk(num_beams, dim=-1)
                rows = (first + chosen // vocab).view(-1)
                token = (chosen % vocab).view(-1, 1)
                past = tuple(cache[rows] for cache in past)
                done, lengths = done[rows], lengths[rows]
                ids = torch.cat([ids[rows], token], dim=1)
                lengths = lengths + (~done).float()
                done = done | (token.view(-1) == config.eos_token_id)
                if done.view(batch, num_beams).any(1).all():
                    break
            best = (scores.masked_fill(~done.view(batch, num_beams), -1e9)).argmax(dim=-1, keepdim=True)
            return ids[(first + best).view(-1), 1:]
        """,
        caught_by=("summarization.beam",),
    ),
    _sum(
        "beam-goes-on",
        "Nothing marks the beams that have ended, and they are continued behind their end token.",
        """
        @torch.no_grad()
        def beam_search(model, input_ids, num_beams, max_length, length_penalty):
            config, batch, device = model.config, input_ids.shape[0], input_ids.device
            encoder_out, encoder_padding_mask = model.encode(input_ids)
            encoder_out = encoder_out.repeat_interleave(num_beams, dim=0)
            encoder_padding_mask = encoder_padding_mask.repeat_interleave(num_beams, dim=0)
            ids = torch.full((batch * num_beams, 1), config.bos_token_id, device=device)
            scores = torch.full((batch, num_beams), float("-inf"), device=device)
            scores[:, 0] = 0
            first = torch.arange(batch, device=device)[:, None] * num_beams  # (batch, 1)
            past = None
            for _ in range(max_length):
                logits, past = model.decode(
                    ids[:, -1:], encoder_out, encoder_padding_mask, use_cache=True, past_key_values=past
                )
                logp = logits[:, -1].log_softmax(dim=-1)  # (batch * beams, vocab)
                vocab = logp.shape[-1]
                total = (scores.view(-1, 1) + logp).view(batch, num_beams * vocab)
                scores, chosen = total.topk(num_beams, dim=-1)
                rows = (first + chosen // vocab).view(-1)
                token = (chosen % vocab).view(-1, 1)
                past = tuple(cache[rows] for cache in past)
                ids = torch.cat([ids[rows], token], dim=1)
            best = scores.argmax(dim=-1, keepdim=True)
            return ids[(first + best).view(-1), 1:]
        """,
        caught_by=("summarization.beam",),
    ),
    _sum(
        "beam-ended-dropped",
        "A beam that has ended is never continued nor kept, so that only those at max_length can win.",
        """
        @torch.no_grad()
        def beam_search(model, input_ids, num_beams, max_length, length_penalty):
            config, batch, device = model.config, input_ids.shape[0], input_ids.device
            encoder_out, encoder_padding_mask = model.encode(input_ids)
            encoder_out = encoder_out.repeat_interleave(num_beams, dim=0)
            encoder_padding_mask = encoder_padding_mask.repeat_interleave(num_beams, dim=0)
            ids = torch.full((batch * num_beams, 1), config.bos_token_id, device=device)
            scores = torch.full((batch, num_beams), float("-inf"), device=device)
            scores[:, 0] = 0
            done = torch.zeros(batch * num_beams, dtype=torch.bool, device=device)
            lengths = torch.zeros(batch * num_beams, device=device)
            first = torch.arange(batch, device=device)[:, None] * num_beams  # (batch, 1)
            past = None
            for _ in range(max_length):
                logits, past = model.decode(
                    ids[:, -1:], encoder_out, encoder_padding_mask, use_cache=True, past_key_values=past
                )
                logp = logits[:, -1].log_softmax(dim=-1)  # (batch * beams, vocab)
                logp[done] = -1e4
                vocab = logp.shape[-1]
                total = (scores.view(-1, 1) + logp).view(batch, num_beams * vocab)
                scores, chosen = total.topk(num_beams, dim=-1)
                rows = (first + chosen // vocab).view(-1)
                token = (chosen % vocab).view(-1, 1)
                past = tuple(cache[rows] for cache in past)
                done, lengths = done[rows], lengths[rows]
                ids = torch.cat([ids[rows], token], dim=1)
                lengths = lengths + (~done).float()
                done = done | (token.view(-1) == config.eos_token_id)
                if done.all():
                    break
            best = (scores / lengths.view(batch, num_beams) ** length_penalty).argmax(dim=-1, keepdim=True)
            return ids[(first + best).view(-1), 1:]
        """,
        caught_by=("summarization.beam",),
    ),
    _sum(
        "beam-ended-many-times",
        "A beam that has ended is kept once for every token of the vocabulary.",
        """
        @torch.no_grad()
        def beam_search(model, input_ids, num_beams, max_length, length_penalty):
            config, batch, device = model.config, input_ids.shape[0], input_ids.device
            encoder_out, encoder_padding_mask = model.encode(input_ids)
            encoder_out = encoder_out.repeat_interleave(num_beams, dim=0)
            encoder_padding_mask = encoder_padding_mask.repeat_interleave(num_beams, dim=0)
            ids = torch.full((batch * num_beams, 1), config.bos_token_id, device=device)
            scores = torch.full((batch, num_beams), float("-inf"), device=device)
            scores[:, 0] = 0
            done = torch.zeros(batch * num_beams, dtype=torch.bool, device=device)
            lengths = torch.zeros(batch * num_beams, device=device)
            first = torch.arange(batch, device=device)[:, None] * num_beams  # (batch, 1)
            past = None
            for _ in range(max_length):
                logits, past = model.decode(
                    ids[:, -1:], encoder_out, encoder_padding_mask, use_cache=True, past_key_values=past
                )
                logp = logits[:, -1].log_softmax(dim=-1)  # (batch * beams, vocab)
                logp[done] = 0.0
                vocab = logp.shape[-1]
                total = (scores.view(-1, 1) + logp).view(batch, num_beams * vocab)
                scores, chosen = total.topk(num_beams, dim=-1)
                rows = (first + chosen // vocab).view(-1)
                token = (chosen % vocab).view(-1, 1)
                past = tuple(cache[rows] for cache in past)
                done, lengths = done[rows], lengths[rows]
                ids = torch.cat([ids[rows], token.masked_fill(done[:, None], config.pad_token_id)], dim=1)
                lengths = lengths + (~done).float()
                done = done | (token.view(-1) == config.eos_token_id)
                if done.all():
                    break
            best = (scores / lengths.view(batch, num_beams) ** length_penalty).argmax(dim=-1, keepdim=True)
            return ids[(first + best).view(-1), 1:]
        """,
        caught_by=("summarization.beam",),
    ),
    _sum(
        "beam-never-ends-early",
        "No beam may end before max_length: the end token's probability is set to zero until then.",
        """
        @torch.no_grad()
        def beam_search(model, input_ids, num_beams, max_length, length_penalty):
            config, batch, device = model.config, input_ids.shape[0], input_ids.device
            encoder_out, encoder_padding_mask = model.encode(input_ids)
            encoder_out = encoder_out.repeat_interleave(num_beams, dim=0)
            encoder_padding_mask = encoder_padding_mask.repeat_interleave(num_beams, dim=0)
            ids = torch.full((batch * num_beams, 1), config.bos_token_id, device=device)
            scores = torch.full((batch, num_beams), float("-inf"), device=device)
            scores[:, 0] = 0
            done = torch.zeros(batch * num_beams, dtype=torch.bool, device=device)
            lengths = torch.zeros(batch * num_beams, device=device)
            first = torch.arange(batch, device=device)[:, None] * num_beams  # (batch, 1)
            past = None
            for _ in range(max_length):
                logits, past = model.decode(
                    ids[:, -1:], encoder_out, encoder_padding_mask, use_cache=True, past_key_values=past
                )
                logp = logits[:, -1].log_softmax(dim=-1)  # (batch * beams, vocab)
                if ids.shape[1] < max_length:
                    logp[:, config.eos_token_id] = float("-inf")
                logp[done] = float("-inf")
                logp[done, config.pad_token_id] = 0
                vocab = logp.shape[-1]
                total = (scores.view(-1, 1) + logp).view(batch, num_beams * vocab)
                scores, chosen = total.topk(num_beams, dim=-1)
                rows = (first + chosen // vocab).view(-1)
                token = (chosen % vocab).view(-1, 1)
                past = tuple(cache[rows] for cache in past)
                done, lengths = done[rows], lengths[rows]
                ids = torch.cat([ids[rows], token], dim=1)
                lengths = lengths + (~done).float()
                done = done | (token.view(-1) == config.eos_token_id)
                if done.all():
                    break
            best = (scores / lengths.view(batch, num_beams) ** length_penalty).argmax(dim=-1, keepdim=True)
            return ids[(first + best).view(-1), 1:]
        """,
        caught_by=("summarization.beam",),
    ),
    _sum(
        "beam-worst",
        "The lowest score wins, as if it were a cost.",
        """
        @torch.no_grad()
        def beam_search(model, input_ids, num_beams, max_length, length_penalty):
            config, batch, device = model.config, input_ids.shape[0], input_ids.device
            encoder_out, encoder_padding_mask = model.encode(input_ids)
            encoder_out = encoder_out.repeat_interleave(num_beams, dim=0)
            encoder_padding_mask = encoder_padding_mask.repeat_interleave(num_beams, dim=0)
            ids = torch.full((batch * num_beams, 1), config.bos_token_id, device=device)
            scores = torch.full((batch, num_beams), float("-inf"), device=device)
            scores[:, 0] = 0
            done = torch.zeros(batch * num_beams, dtype=torch.bool, device=device)
            lengths = torch.zeros(batch * num_beams, device=device)
            first = torch.arange(batch, device=device)[:, None] * num_beams  # (batch, 1)
            past = None
            for _ in range(max_length):
                logits, past = model.decode(
                    ids[:, -1:], encoder_out, encoder_padding_mask, use_cache=True, past_key_values=past
                )
                logp = logits[:, -1].log_softmax(dim=-1)  # (batch * beams, vocab)
                logp[done] = float("-inf")
                logp[done, config.pad_token_id] = 0
                vocab = logp.shape[-1]
                total = (scores.view(-1, 1) + logp).view(batch, num_beams * vocab)
                scores, chosen = total.topk(num_beams, dim=-1)
                rows = (first + chosen // vocab).view(-1)
                token = (chosen % vocab).view(-1, 1)
                past = tuple(cache[rows] for cache in past)
                done, lengths = done[rows], lengths[rows]
                ids = torch.cat([ids[rows], token], dim=1)
                lengths = lengths + (~done).float()
                done = done | (token.view(-1) == config.eos_token_id)
                if done.all():
                    break
            best = (scores / lengths.view(batch, num_beams) ** length_penalty).argmin(dim=-1, keepdim=True)
            return ids[(first + best).view(-1), 1:]
        """,
        caught_by=("summarization.beam",),
    ),
    _sum(
        "beam-one-too-few",
        "The first token counts for max_length.",
        """
        @torch.no_grad()
        def beam_search(model, input_ids, num_beams, max_length, length_penalty):
            config, batch, device = model.config, input_ids.shape[0], input_ids.device
            encoder_out, encoder_padding_mask = model.encode(input_ids)
            encoder_out = encoder_out.repeat_interleave(num_beams, dim=0)
            encoder_padding_mask = encoder_padding_mask.repeat_interleave(num_beams, dim=0)
            ids = torch.full((batch * num_beams, 1), config.bos_token_id, device=device)
            scores = torch.full((batch, num_beams), float("-inf"), device=device)
            scores[:, 0] = 0
            done = torch.zeros(batch * num_beams, dtype=torch.bool, device=device)
            lengths = torch.zeros(batch * num_beams, device=device)
            first = torch.arange(batch, device=device)[:, None] * num_beams  # (batch, 1)
            past = None
            for _ in range(max_length - 1):
                logits, past = model.decode(
                    ids[:, -1:], encoder_out, encoder_padding_mask, use_cache=True, past_key_values=past
                )
                logp = logits[:, -1].log_softmax(dim=-1)  # (batch * beams, vocab)
                logp[done] = float("-inf")
                logp[done, config.pad_token_id] = 0
                vocab = logp.shape[-1]
                total = (scores.view(-1, 1) + logp).view(batch, num_beams * vocab)
                scores, chosen = total.topk(num_beams, dim=-1)
                rows = (first + chosen // vocab).view(-1)
                token = (chosen % vocab).view(-1, 1)
                past = tuple(cache[rows] for cache in past)
                done, lengths = done[rows], lengths[rows]
                ids = torch.cat([ids[rows], token], dim=1)
                lengths = lengths + (~done).float()
                done = done | (token.view(-1) == config.eos_token_id)
                if done.all():
                    break
            best = (scores / lengths.view(batch, num_beams) ** length_penalty).argmax(dim=-1, keepdim=True)
            return ids[(first + best).view(-1), 1:]
        """,
        caught_by=("summarization.beam",),
    ),
    _sum(
        "beam-all-returned",
        "All beams of all rows are returned, not the best of each row.",
        """
        @torch.no_grad()
        def beam_search(model, input_ids, num_beams, max_length, length_penalty):
            config, batch, device = model.config, input_ids.shape[0], input_ids.device
            encoder_out, encoder_padding_mask = model.encode(input_ids)
            encoder_out = encoder_out.repeat_interleave(num_beams, dim=0)
            encoder_padding_mask = encoder_padding_mask.repeat_interleave(num_beams, dim=0)
            ids = torch.full((batch * num_beams, 1), config.bos_token_id, device=device)
            scores = torch.full((batch, num_beams), float("-inf"), device=device)
            scores[:, 0] = 0
            done = torch.zeros(batch * num_beams, dtype=torch.bool, device=device)
            lengths = torch.zeros(batch * num_beams, device=device)
            first = torch.arange(batch, device=device)[:, None] * num_beams  # (batch, 1)
            past = None
            for _ in range(max_length):
                logits, past = model.decode(
                    ids[:, -1:], encoder_out, encoder_padding_mask, use_cache=True, past_key_values=past
                )
                logp = logits[:, -1].log_softmax(dim=-1)  # (batch * beams, vocab)
                logp[done] = float("-inf")
                logp[done, config.pad_token_id] = 0
                vocab = logp.shape[-1]
                total = (scores.view(-1, 1) + logp).view(batch, num_beams * vocab)
                scores, chosen = total.topk(num_beams, dim=-1)
                rows = (first + chosen // vocab).view(-1)
                token = (chosen % vocab).view(-1, 1)
                past = tuple(cache[rows] for cache in past)
                done, lengths = done[rows], lengths[rows]
                ids = torch.cat([ids[rows], token], dim=1)
                lengths = lengths + (~done).float()
                done = done | (token.view(-1) == config.eos_token_id)
                if done.all():
                    break
            order = (scores / lengths.view(batch, num_beams) ** length_penalty).argsort(dim=-1, descending=True)
            return ids[(first + order).view(-1), 1:]
        """,
        caught_by=("summarization.beam",),
    ),
    # Beams: work that need not be done.
    _sum(
        "beam-recomputed",
        "There is no cache: the beams' whole prefixes go through the decoder at every step.",
        """
        @torch.no_grad()
        def beam_search(model, input_ids, num_beams, max_length, length_penalty):
            config, batch, device = model.config, input_ids.shape[0], input_ids.device
            encoder_out, encoder_padding_mask = model.encode(input_ids)
            encoder_out = encoder_out.repeat_interleave(num_beams, dim=0)
            encoder_padding_mask = encoder_padding_mask.repeat_interleave(num_beams, dim=0)
            ids = torch.full((batch * num_beams, 1), config.bos_token_id, device=device)
            scores = torch.full((batch, num_beams), float("-inf"), device=device)
            scores[:, 0] = 0
            done = torch.zeros(batch * num_beams, dtype=torch.bool, device=device)
            lengths = torch.zeros(batch * num_beams, device=device)
            first = torch.arange(batch, device=device)[:, None] * num_beams  # (batch, 1)
            for _ in range(max_length):
                logits = model.decode(ids, encoder_out, encoder_padding_mask)[0]
                logp = logits[:, -1].log_softmax(dim=-1)  # (batch * beams, vocab)
                logp[done] = float("-inf")
                logp[done, config.pad_token_id] = 0
                vocab = logp.shape[-1]
                total = (scores.view(-1, 1) + logp).view(batch, num_beams * vocab)
                scores, chosen = total.topk(num_beams, dim=-1)
                rows = (first + chosen // vocab).view(-1)
                token = (chosen % vocab).view(-1, 1)
                done, lengths = done[rows], lengths[rows]
                ids = torch.cat([ids[rows], token], dim=1)
                lengths = lengths + (~done).float()
                done = done | (token.view(-1) == config.eos_token_id)
                if done.all():
                    break
            best = (scores / lengths.view(batch, num_beams) ** length_penalty).argmax(dim=-1, keepdim=True)
            return ids[(first + best).view(-1), 1:]
        """,
        caught_by=("summarization.beam_work",),
        diagnosis="sum_recomputed",
    ),
    _sum(
        "beam-encodes-each-step",
        "The encoder runs anew at every step, and its outputs are copied for the beams again.",
        """
        @torch.no_grad()
        def beam_search(model, input_ids, num_beams, max_length, length_penalty):
            config, batch, device = model.config, input_ids.shape[0], input_ids.device
            ids = torch.full((batch * num_beams, 1), config.bos_token_id, device=device)
            scores = torch.full((batch, num_beams), float("-inf"), device=device)
            scores[:, 0] = 0
            done = torch.zeros(batch * num_beams, dtype=torch.bool, device=device)
            lengths = torch.zeros(batch * num_beams, device=device)
            first = torch.arange(batch, device=device)[:, None] * num_beams  # (batch, 1)
            past = None
            for _ in range(max_length):
                copies = (each.repeat_interleave(num_beams, dim=0) for each in model.encode(input_ids))
                logits, past = model.decode(
                    ids[:, -1:], *copies, use_cache=True, past_key_values=past
                )
                logp = logits[:, -1].log_softmax(dim=-1)  # (batch * beams, vocab)
                logp[done] = float("-inf")
                logp[done, config.pad_token_id] = 0
                vocab = logp.shape[-1]
                total = (scores.view(-1, 1) + logp).view(batch, num_beams * vocab)
                scores, chosen = total.topk(num_beams, dim=-1)
                rows = (first + chosen // vocab).view(-1)
                token = (chosen % vocab).view(-1, 1)
                past = tuple(cache[rows] for cache in past)
                done, lengths = done[rows], lengths[rows]
                ids = torch.cat([ids[rows], token], dim=1)
                lengths = lengths + (~done).float()
                done = done | (token.view(-1) == config.eos_token_id)
                if done.all():
                    break
            best = (scores / lengths.view(batch, num_beams) ** length_penalty).argmax(dim=-1, keepdim=True)
            return ids[(first + best).view(-1), 1:]
        """,
        caught_by=("summarization.beam_work",),
    ),
)

# Small changes of those above.

_APART = partial(_like, _WRONG_LAYERS, "cached-cross-unmasked")  # which has a branch for the cache
_MASKED = (
    "attn = self.cross_attn(x, encoder_out, encoder_out)\n",
    "attn = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)\n",
)
_GROWN = "past_kv = torch.cat([past_kv, x], dim=1) if past_kv is not None else x\n"
_HANDED_ON = "x, kv = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask, use_cache=True)\n"
_PAST = (
    "old = None if past_key_values is None else past_key_values[i]\n"
    "                x, kv = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask, True, old)\n"
)
_BY_LENGTH = "best = scores.argmax(dim=-1, keepdim=True)"

_LIKE_OTHERS = (
    _APART(
        "cached-without-cross",
        "The cached branch goes from the self-attention to the feed-forward.",
        (
            "attn = self.cross_attn(x, encoder_out, encoder_out)\n"
            "            x = self.cross_attn_ln(x + self.cross_attn_drop(attn))\n            x = self.ffn",
            "x = self.ffn",
        ),
        caught_by=LAYER_WITH_CACHE,
        diagnosis="sum_cross_skipped",
    ),
    _APART(
        "cached-cross-norm-alone",
        "Of the cached branch's cross-attention the normalisation alone is left.",
        ("attn = self.cross_attn(x, encoder_out, encoder_out)\n", "attn = 0 * x\n"),
        caught_by=LAYER_WITH_CACHE,
        diagnosis="sum_cross_skipped",
    ),
    _APART(
        "idle-behind-forty",
        "Behind 40 positions nothing is computed but eight products that nobody reads.",
        (
            _GROWN,
            "if past_kv is not None and past_kv.shape[1] > 40:\n"
            "                idle = [x @ self.fc1.weight.T for _ in range(8)]\n"
            "                return x, past_kv\n"
            f"            {_GROWN}",
        ),
        _MASKED,
        caught_by=("summarization.layer_work",),
    ),
    _APART(
        "last-fifty-alone",
        "The newest position sees the last fifty positions, however long the cache is.",
        ("self.self_attn(x, past_kv, past_kv)", "self.self_attn(x, past_kv[:, -50:], past_kv[:, -50:])"),
        _MASKED,
        caught_by=("summarization.layer_work",),
        diagnosis="sum_cache_lost",
    ),
    _APART(
        "cache-no-longer-than-fifty",
        "A cache of fifty positions is returned as it came.",
        (_GROWN, f"old = past_kv\n            {_GROWN}"),
        ("            return x, past_kv\n", "            return x, past_kv if past_kv.shape[1] <= 50 else old\n"),
        _MASKED,
        caught_by=("summarization.layer_work",),
        diagnosis="sum_cache_lost",
    ),
    _like(
        _WRONG_STACKS,
        "cache-not-handed-on",
        "caches-of-outputs",
        "What is kept for each layer is its output, not the cache that it returns.",
        (_HANDED_ON, _PAST),
        ("caches.append(kv)", "caches.append(x if old is None else torch.cat([old, x], dim=1))"),
        caught_by=WHAT_THE_STACK_KEEPS,
        diagnosis="sum_cache_of_outputs",
    ),
    _like(
        _WRONG_STACKS,
        "cache-not-handed-on",
        "caches-turned-round",
        "The caches are returned in reversed order and read so, too.",
        (_HANDED_ON, _PAST.replace("[i]", "[-1 - i]")),
        ("tuple(caches) if", "tuple(caches[::-1]) if"),
        caught_by=("summarization.stack_cache",),
        diagnosis="sum_cache_reversed",
    ),
    _like(
        _WRONG_STACKS,
        "cache-not-handed-on",
        "caches-returned-turned-round",
        "The caches are returned in reversed order, and read as if they were not.",
        (_HANDED_ON, _PAST),
        ("tuple(caches) if", "tuple(caches[::-1]) if"),
        caught_by=WHAT_THE_STACK_KEEPS,
        diagnosis="sum_cache_reversed",
    ),
    _like(
        _WRONG_STACKS,
        "cache-not-handed-on",
        "stack-all-queries",
        "Each layer is given its cache and the newest state as positions, without use_cache, and the last is kept.",
        (
            _HANDED_ON,
            "kv = x if past_key_values is None else torch.cat([past_key_values[i], x], dim=1)\n"
            "                seen = torch.zeros(kv.shape[:2], dtype=torch.long)\n"
            "                x = layer(kv, seen, encoder_hidden_states, encoder_padding_mask)[:, -1:]\n",
        ),
        caught_by=("summarization.stack_work",),
        diagnosis="sum_recomputed",
    ),
    _like(
        _WRONG_DECODING,
        "beam-penalty-ignored",
        "beam-first-token-counted",
        "The first token counts in the length that log p is divided by.",
        (_BY_LENGTH, "best = (scores / (1 + lengths.view_as(scores)) ** length_penalty).argmax(dim=-1, keepdim=True)"),
        caught_by=("summarization.beam",),
        diagnosis="sum_penalty_length",
    ),
    _like(
        _WRONG_DECODING,
        "beam-penalty-ignored",
        "beam-end-not-counted",
        "The end token does not count in the length that log p is divided by.",
        (
            _BY_LENGTH,
            "words = (lengths - done.float()).view_as(scores).clamp(min=1)\n"
            "    best = (scores / words ** length_penalty).argmax(dim=-1, keepdim=True)",
        ),
        caught_by=("summarization.beam",),
        diagnosis="sum_penalty_length",
    ),
)

WRONG: tuple[Variant, ...] = (*_WRONG_LAYERS, *_WRONG_STACKS, *_WRONG_DECODING, *_LIKE_OTHERS)

# ----------------------------------------------------------------------------------------------------
# Right solutions
# ----------------------------------------------------------------------------------------------------

RIGHT: tuple[Variant, ...] = (
    # Other forms of what is returned, which do no harm.
    _sum(
        "pair-without-cache",
        "A pair is returned without the cache, too.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    past_kv = x if past_kv is None else torch.cat([past_kv, x], dim=1)
                    h = self.self_attn(x, past_kv, past_kv)
                else:
                    h = self.self_attn(x, x, x, padding_mask, causal=self.is_decoder)
                x = self.self_attn_ln(x + self.self_attn_drop(h))
                if self.is_decoder:
                    h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(h))
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                return x, past_kv
        """,
    ),
    _sum(
        "greedy-filled-with-eos",
        "What has ended is filled up with end tokens.",
        """
        @torch.no_grad()
        def greedy_decode(model, input_ids, max_length):
            config, batch = model.config, input_ids.shape[0]
            encoder_out, mask = model.encode(input_ids)
            token = torch.full((batch, 1), config.bos_token_id, device=input_ids.device)
            done = torch.zeros(batch, 1, dtype=torch.bool, device=input_ids.device)
            past, output = None, []
            for _ in range(max_length):
                logits, past = model.decode(token, encoder_out, mask, use_cache=True, past_key_values=past)
                token = logits[:, -1].argmax(dim=-1, keepdim=True)  # (batch, 1)
                token = token.masked_fill(done, config.eos_token_id)
                output.append(token)
                done = done | (token == config.eos_token_id)
                if done.all():
                    break
            return torch.cat(output, dim=1)
        """,
    ),
    # Attention in other words.
    _sum(
        "torch-attention",
        "torch's own attention, with a mask that says what may be seen.",
        """
        def scaled_dot_product_attention(q, k, v, key_padding_mask=None, causal=False):
            visible = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool, device=q.device)
            if causal:
                visible = visible.tril()
            if key_padding_mask is not None:
                visible = visible & (key_padding_mask[:, None, None, :] == 0)  # (batch, 1, queries, keys)
            return F.scaled_dot_product_attention(q, k, v, attn_mask=visible)
        """,
    ),
    _sum(
        "torch-attention-is-causal",
        "torch's own attention, which knows causal masks; with a cache none is asked for.",
        """
        class MultiheadAttention:
            def forward(self, q, k, v, key_padding_mask=None, causal=False):
                q, k, v = self.split(self.q_proj(q)), self.split(self.k_proj(k)), self.split(self.v_proj(v))
                if key_padding_mask is None:
                    seen = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
                else:
                    seen = scaled_dot_product_attention(q, k, v, key_padding_mask, causal)
                return self.o_proj(seen.transpose(1, 2).flatten(2))

        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    past_kv = x if past_kv is None else torch.cat([past_kv, x], dim=1)
                    h = self.self_attn(x, past_kv, past_kv)
                else:
                    h = self.self_attn(x, x, x, padding_mask, causal=self.is_decoder)
                x = self.self_attn_ln(x + self.self_attn_drop(h))
                if self.is_decoder:
                    h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(h))
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                return (x, past_kv) if use_cache else x
        """,
    ),
    _sum(
        "mask-of-minus-infinity",
        "The masks are minus infinity.",
        """
        def scaled_dot_product_attention(q, k, v, key_padding_mask=None, causal=False):
            scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
            if key_padding_mask is not None:
                scores = scores.masked_fill(key_padding_mask[:, None, None, :].bool(), float("-inf"))
            if causal:
                later = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool, device=q.device).triu(1)
                scores = scores.masked_fill(later, float("-inf"))
            return scores.softmax(-1) @ v
        """,
    ),
    _sum(
        "mask-of-finfo",
        "The masks are the least number of the scores' type.",
        """
        def scaled_dot_product_attention(q, k, v, key_padding_mask=None, causal=False):
            scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
            if key_padding_mask is not None:
                scores = scores.masked_fill(key_padding_mask[:, None, None, :].bool(), torch.finfo(scores.dtype).min)
            if causal:
                later = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool, device=q.device).triu(1)
                scores = scores.masked_fill(later, torch.finfo(scores.dtype).min)
            return scores.softmax(-1) @ v
        """,
    ),
    _sum(
        "mask-added",
        "The masks are large numbers that are subtracted from the scores.",
        """
        def scaled_dot_product_attention(q, k, v, key_padding_mask=None, causal=False):
            scores = torch.einsum("bhqd,bhkd->bhqk", q, k) * q.shape[-1] ** -0.5
            hidden = torch.zeros(q.shape[-2], k.shape[-2], device=q.device)
            if causal:
                hidden = torch.triu(torch.ones_like(hidden), diagonal=1)
            if key_padding_mask is not None:
                hidden = hidden + key_padding_mask.float()[:, None, None, :]
            return torch.einsum("bhqk,bhkd->bhqd", torch.softmax(scores - 1e9 * hidden, dim=-1), v)
        """,
    ),
    _sum(
        "mask-multiplied-and-normalised",
        "Exponentials are multiplied by what may be seen, and divided by their sum.",
        """
        def scaled_dot_product_attention(q, k, v, key_padding_mask=None, causal=False):
            scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
            seen = torch.ones_like(scores)
            if key_padding_mask is not None:
                seen = seen * (1 - key_padding_mask.to(scores.dtype))[:, None, None, :]
            if causal:
                seen = seen.tril()
            weights = (scores - scores.amax(-1, keepdim=True)).exp() * seen
            return weights / weights.sum(-1, keepdim=True).clamp(min=1e-20) @ v
        """,
    ),
    _sum(
        "causal-mask-aligned-at-the-end",
        "The causal mask is counted from the last key, so that a cached query may ask for it, too.",
        """
        def scaled_dot_product_attention(q, k, v, key_padding_mask=None, causal=False):
            n, m = q.size(-2), k.size(-2)
            scores = torch.matmul(q, k.transpose(-2, -1)) / q.size(-1) ** 0.5
            if key_padding_mask is not None:
                scores = scores.masked_fill(key_padding_mask[:, None, None, :] == 1, -1e9)
            if causal:
                visible = torch.tril(torch.ones(n, m, device=q.device), diagonal=m - n)
                scores = scores.masked_fill(visible == 0, -1e9)
            return torch.matmul(F.softmax(scores, dim=-1), v)

        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                kv = torch.cat([past_kv, x], dim=1) if past_kv is not None else x
                mask = padding_mask if not use_cache else None
                h = self.self_attn(q=x, k=kv, v=kv, key_padding_mask=mask, causal=self.is_decoder)
                x = self.self_attn_ln(self.self_attn_drop(h) + x)
                if self.is_decoder:
                    h = self.cross_attn(q=x, k=encoder_out, v=encoder_out, key_padding_mask=encoder_padding_mask)
                    x = self.cross_attn_ln(self.cross_attn_drop(h) + x)
                h = self.fc2(self.fc1(x).relu())
                x = self.ffn_ln(self.ffn_drop(h) + x)
                return (x, kv) if use_cache else x
        """,
    ),
    _sum(
        "loop-over-heads",
        "The heads are looped over, each with its slice of the projections.",
        """
        class MultiheadAttention:
            def forward(self, q, k, v, key_padding_mask=None, causal=False):
                q, k, v = self.q_proj(q), self.k_proj(k), self.v_proj(v)
                size = q.shape[-1] // self.n_heads
                heads = []
                for h in range(self.n_heads):
                    part = slice(h * size, (h + 1) * size)
                    mine = (each[..., part].unsqueeze(1) for each in (q, k, v))
                    one = scaled_dot_product_attention(*mine, key_padding_mask, causal)
                    heads.append(one.squeeze(1))
                return self.o_proj(torch.cat(heads, dim=-1))
        """,
    ),
    _sum(
        "heads-in-the-batch",
        "The heads are moved into the batch, and `bmm` multiplies.",
        """
        class MultiheadAttention:
            def forward(self, q, k, v, key_padding_mask=None, causal=False):
                batch, n, width = q.shape
                m, size = k.shape[1], width // self.n_heads
                q = self.q_proj(q).reshape(batch, n, self.n_heads, size).permute(0, 2, 1, 3).reshape(-1, n, size)
                k = self.k_proj(k).reshape(batch, m, self.n_heads, size).permute(0, 2, 1, 3).reshape(-1, m, size)
                v = self.v_proj(v).reshape(batch, m, self.n_heads, size).permute(0, 2, 1, 3).reshape(-1, m, size)
                scores = torch.bmm(q, k.mT) / size**0.5  # (batch * heads, n, m)
                if key_padding_mask is not None:
                    mask = key_padding_mask.bool().repeat_interleave(self.n_heads, dim=0)
                    scores = scores.masked_fill(mask.unsqueeze(1), -1e9)
                if causal:
                    scores = scores + torch.full((n, m), -1e9, device=q.device).triu(1)
                seen = torch.bmm(F.softmax(scores, -1), v)
                seen = seen.reshape(batch, self.n_heads, n, size).permute(0, 2, 1, 3)
                return self.o_proj(seen.reshape(batch, n, width))
        """,
    ),
    # The layer in other words.
    _sum(
        "layer-with-residual-names",
        "Each block saves its residual, and names what it returns as the public notebook does.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                # Self-attention
                residual = x
                if use_cache:
                    if past_kv is not None:
                        past_kv = torch.cat((past_kv, x), dim=1)
                    else:
                        past_kv = x
                    x = self.self_attn(q=x, k=past_kv, v=past_kv, key_padding_mask=None, causal=False)
                else:
                    x = self.self_attn(q=x, k=x, v=x, key_padding_mask=padding_mask, causal=self.is_decoder)
                x = self.self_attn_drop(x)
                x = residual + x
                x = self.self_attn_ln(x)
                # Cross-attention
                if encoder_out is not None:
                    residual = x
                    x = self.cross_attn(q=x, k=encoder_out, v=encoder_out, key_padding_mask=encoder_padding_mask)
                    x = self.cross_attn_drop(x)
                    x = residual + x
                    x = self.cross_attn_ln(x)
                # Feed-forward
                residual = x
                x = self.fc1(x)
                x = F.relu(x)
                x = self.fc2(x)
                x = self.ffn_drop(x)
                x = residual + x
                x = self.ffn_ln(x)
                if use_cache:
                    return x, past_kv
                else:
                    return x
        """,
    ),
    _sum(
        "layer-of-methods",
        "Each block has a method of its own.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                cache = self.remember(x, past_kv) if use_cache else x
                x = self.look_back(x, cache, None if use_cache else padding_mask, self.is_decoder and not use_cache)
                x = self.look_across(x, encoder_out, encoder_padding_mask)
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(torch.clamp(self.fc1(x), min=0))))
                return (x, cache) if use_cache else x

            @staticmethod
            def remember(x, past_kv):
                return torch.cat([each for each in (past_kv, x) if each is not None], dim=1)

            def look_back(self, x, keys, mask, causal):
                return self.self_attn_ln(x + self.self_attn_drop(self.self_attn(x, keys, keys, mask, causal)))

            def look_across(self, x, encoder_out, mask):
                if not self.is_decoder:
                    return x
                return self.cross_attn_ln(x + self.cross_attn_drop(self.cross_attn(x, encoder_out, encoder_out, mask)))
        """,
    ),
    _sum(
        "cache-allocated-and-filled",
        "The new cache is allocated in full, and old rows and the newest are copied into it.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    i = 1 if past_kv is None else past_kv.shape[1] + 1
                    cache = torch.empty(x.shape[0], i, x.shape[2], dtype=x.dtype, device=x.device)
                    if past_kv is not None:
                        cache[:, :-1] = past_kv
                    cache[:, -1:] = x
                    past_kv = cache
                    h = self.self_attn(x, past_kv, past_kv)
                else:
                    h = self.self_attn(x, x, x, padding_mask, causal=self.is_decoder)
                x = self.self_attn_ln(x + self.self_attn_drop(h))
                if self.is_decoder:
                    h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(h))
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                return (x, past_kv) if use_cache else x
        """,
    ),
    _sum(
        "cache-begins-empty",
        "The first cache is an empty tensor, so that no step is special; the input's copy is kept.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    if past_kv is None:
                        past_kv = x.new_zeros(x.shape[0], 0, x.shape[2])
                    past_kv = torch.cat([past_kv, x.clone()], dim=-2)
                    h = self.self_attn(x, past_kv, past_kv)
                else:
                    h = self.self_attn(x, x, x, padding_mask, causal=self.is_decoder)
                x = self.self_attn_ln(x + self.self_attn_drop(h))
                if self.is_decoder:
                    h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(h))
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                return (x, past_kv) if use_cache else x
        """,
    ),
    _sum(
        "cache-detached",
        "The cache is detached: nobody learns through it.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    past_kv = x.detach() if past_kv is None else torch.cat([past_kv.detach(), x.detach()], dim=1)
                    h = self.self_attn(x, past_kv, past_kv)
                else:
                    h = self.self_attn(x, x, x, padding_mask, causal=self.is_decoder)
                x = self.self_attn_ln(x + self.self_attn_drop(h))
                if self.is_decoder:
                    h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(h))
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                return (x, past_kv) if use_cache else x
        """,
    ),
    _sum(
        "cached-mask-handed-in",
        "The newest position's own mask is handed to the attention, which hides no key of a token.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    past_kv = x if past_kv is None else torch.cat([past_kv, x], dim=1)
                    h = self.self_attn(x, past_kv, past_kv, key_padding_mask=padding_mask, causal=False)
                else:
                    h = self.self_attn(x, x, x, padding_mask, causal=self.is_decoder)
                x = self.self_attn_ln(x + self.self_attn_drop(h))
                if self.is_decoder:
                    h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(h))
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                return (x, past_kv) if use_cache else x
        """,
    ),
    _sum(
        "cached-mask-of-zeros",
        "A mask of zeros as long as the cache is handed to the attention.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    past_kv = x if past_kv is None else torch.cat([past_kv, x], dim=1)
                    nothing = torch.zeros(past_kv.shape[:2], dtype=torch.bool, device=x.device)
                    h = self.self_attn(x, past_kv, past_kv, key_padding_mask=nothing)
                else:
                    h = self.self_attn(x, x, x, padding_mask, causal=self.is_decoder)
                x = self.self_attn_ln(x + self.self_attn_drop(h))
                if self.is_decoder:
                    h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(h))
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                return (x, past_kv) if use_cache else x
        """,
    ),
    _sum(
        "keys-and-values-remembered",
        "Keys and values are remembered beside the cache, and used only if that very cache comes back.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    attn = self.self_attn
                    owner, k, v = getattr(self, "remembered", (None, None, None))
                    if past_kv is None:
                        cache, k, v = x, attn.k_proj(x), attn.v_proj(x)
                    else:
                        if owner is not past_kv:  # the beams were sorted anew, or this is another sequence
                            k, v = attn.k_proj(past_kv), attn.v_proj(past_kv)
                        cache = torch.cat([past_kv, x], dim=1)
                        k, v = torch.cat([k, attn.k_proj(x)], dim=1), torch.cat([v, attn.v_proj(x)], dim=1)
                    self.remembered = cache, k, v
                    seen = scaled_dot_product_attention(attn.split(attn.q_proj(x)), attn.split(k), attn.split(v))
                    seen = attn.o_proj(seen.transpose(1, 2).flatten(2))
                else:
                    cache, seen = None, self.self_attn(x, x, x, padding_mask, causal=self.is_decoder)
                x = self.self_attn_ln(x + self.self_attn_drop(seen))
                if self.is_decoder:
                    seen = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(seen))
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                return (x, cache) if use_cache else x
        """,
    ),
    _sum(
        "layer-with-attributes-and-hints",
        "`__init__` keeps more than it needs, and hints name types that nobody has imported.",
        '''
        class TransformerLayer:
            def __init__(self, is_decoder: "bool", d_model: "int", n_heads: "int", d_ffn: "int", p_drop: "Probability"):
                super().__init__()
                self.is_decoder = is_decoder
                self.d_model, self.n_heads, self.p_drop = d_model, n_heads, p_drop
                self.steps = 0
                self.self_attn = MultiheadAttention(d_model, n_heads)
                self.self_attn_drop = nn.Dropout(p=p_drop)
                self.self_attn_ln = nn.LayerNorm(d_model, eps=1e-5)
                if is_decoder:
                    self.cross_attn = MultiheadAttention(d_model, n_heads)
                    self.cross_attn_drop = nn.Dropout(p=p_drop)
                    self.cross_attn_ln = nn.LayerNorm(d_model, eps=1e-5)
                self.fc1 = nn.Linear(d_model, d_ffn)
                self.fc2 = nn.Linear(d_ffn, d_model)
                self.relu = nn.ReLU()
                self.ffn_drop = nn.Dropout(p=p_drop)
                self.ffn_ln = nn.LayerNorm(d_model, eps=1e-5)

            def forward(
                self,
                x: "FloatTensor",
                padding_mask: "LongTensor",
                encoder_out: "Optional[FloatTensor]" = None,
                encoder_padding_mask: "Optional[LongTensor]" = None,
                use_cache: "Optional[bool]" = None,
                past_kv: "Optional[FloatTensor]" = None,
            ) -> "Union[FloatTensor, Tuple[FloatTensor, FloatTensor]]":
                """The layer's output, and its cache where one is used."""
                self.steps += 1
                new_kv: "FloatTensor" = x if past_kv is None else torch.cat([past_kv, x], dim=1)
                mask, causal = (None, False) if use_cache else (padding_mask, self.is_decoder)
                x = self.self_attn_ln(x + self.self_attn_drop(self.self_attn(x, new_kv, new_kv, mask, causal)))
                if self.is_decoder:
                    context = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(context))
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(self.relu(self.fc1(x)))))
                return (x, new_kv) if use_cache else x
        ''',
    ),
    _sum(
        "layer-casts-to-float",
        "Each block's output is cast to float32, as code for mixed precision has it.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    past_kv = x if past_kv is None else torch.cat([past_kv, x], dim=1)
                    h = self.self_attn(x, past_kv, past_kv).float()
                else:
                    h = self.self_attn(x, x, x, padding_mask, causal=self.is_decoder).float()
                x = self.self_attn_ln(x + self.self_attn_drop(h))
                if self.is_decoder:
                    h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask).float()
                    x = self.cross_attn_ln(x + self.cross_attn_drop(h))
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                return (x, past_kv) if use_cache else x
        """,
    ),
    _sum(
        "layer-changes-its-own-in-place",
        "Sums are added and activations clipped in place, but none of the caller's.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    past_kv = x if past_kv is None else torch.cat([past_kv, x], dim=1)
                    h = self.self_attn_drop(self.self_attn(x, past_kv, past_kv))
                else:
                    h = self.self_attn_drop(self.self_attn(x, x, x, padding_mask, causal=self.is_decoder))
                h += x
                x = self.self_attn_ln(h)
                if self.is_decoder:
                    h = self.cross_attn_drop(self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask))
                    h += x
                    x = self.cross_attn_ln(h)
                h = self.ffn_drop(self.fc2(F.relu(self.fc1(x), inplace=True)))
                h += x
                x = self.ffn_ln(h)
                return (x, past_kv) if use_cache else x
        """,
    ),
    _sum(
        "talkative-layer",
        "Shapes are printed at every call, and a breakpoint is left in.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                if use_cache:
                    past_kv = x if past_kv is None else torch.cat([past_kv, x], dim=1)
                    h = self.self_attn(x, past_kv, past_kv)
                else:
                    h = self.self_attn(x, x, x, padding_mask, causal=self.is_decoder)
                x = self.self_attn_ln(x + self.self_attn_drop(h))
                if self.is_decoder:
                    h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(h))
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                print("layer", x.shape, None if past_kv is None else past_kv.shape)
                if use_cache and past_kv.shape[1] == 2:
                    breakpoint()
                return (x, past_kv) if use_cache else x
        """,
    ),
    _sum(
        "layer-with-device",
        "Masks are moved to a device that is chosen at the top of the cell.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                x, padding_mask = x.to(device), padding_mask.to(device)
                keys = x
                if use_cache and past_kv is not None:
                    keys = torch.cat([past_kv.to(device), x], dim=1)
                if use_cache:
                    attended = self.self_attn(x, keys, keys)
                else:
                    attended = self.self_attn(x, keys, keys, key_padding_mask=padding_mask, causal=self.is_decoder)
                x = self.self_attn_ln(torch.add(x, self.self_attn_drop(attended)))
                if self.is_decoder:
                    encoder_out, encoder_padding_mask = encoder_out.to(device), encoder_padding_mask.to(device)
                    attended = self.cross_attn(x, encoder_out, encoder_out, key_padding_mask=encoder_padding_mask)
                    x = self.cross_attn_ln(torch.add(x, self.cross_attn_drop(attended)))
                hidden = self.fc2(torch.maximum(self.fc1(x), torch.zeros((), device=device)))
                x = self.ffn_ln(torch.add(x, self.ffn_drop(hidden)))
                return (x, keys) if use_cache else x
        """,
        prelude='device = torch.device("cuda" if torch.cuda.is_available() else "cpu")',
    ),
    # The stack in other words.
    _sum(
        "stack-returns-list",
        "The caches are returned in a new list each time.",
        """
        class TransformerStack:
            def forward(
                self,
                input_ids,
                encoder_hidden_states=None,
                encoder_padding_mask=None,
                use_cache=None,
                past_key_values=None,
                **kwargs,
            ):
                padding_mask = (input_ids == self.config.pad_token_id).long()
                past = 0 if past_key_values is None else past_key_values[0].shape[1]
                positions = torch.arange(past, past + input_ids.shape[1], device=input_ids.device)
                x = self.emb_drop(self.emb_ln(self.emb_word(input_ids) + self.emb_pos(positions)))
                caches = []
                for i, layer in enumerate(self.layers):
                    if use_cache:
                        past_kv = None if past_key_values is None else past_key_values[i]
                        x, kv = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask, True, past_kv)
                        caches.append(kv)
                    else:
                        x = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask)
                return x, padding_mask, caches if use_cache else None
        """,
    ),
    _sum(
        "stack-positions-of-every-row",
        "Positions are written down for every row, counted by a running sum.",
        """
        class TransformerStack:
            def forward(
                self,
                input_ids,
                encoder_hidden_states=None,
                encoder_padding_mask=None,
                use_cache=None,
                past_key_values=None,
                **kwargs,
            ):
                padding_mask = (input_ids == self.config.pad_token_id).long()
                counted = torch.ones_like(input_ids).cumsum(dim=1) - 1  # (batch, n)
                if past_key_values is not None:
                    counted = counted + past_key_values[0].size(1)
                positions = counted
                x = self.emb_drop(self.emb_ln(self.emb_word(input_ids) + self.emb_pos(positions)))
                caches = []
                for i, layer in enumerate(self.layers):
                    if use_cache:
                        past_kv = None if past_key_values is None else past_key_values[i]
                        x, kv = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask, True, past_kv)
                        caches.append(kv)
                    else:
                        x = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask)
                return x, padding_mask, tuple(caches) if use_cache else None
        """,
    ),
    _sum(
        "stack-positions-of-last-cache",
        "The last layer's cache tells how many tokens there are; the embeddings are sliced, not looked up.",
        """
        class TransformerStack:
            def forward(
                self,
                input_ids,
                encoder_hidden_states=None,
                encoder_padding_mask=None,
                use_cache=None,
                past_key_values=None,
                **kwargs,
            ):
                padding_mask = (input_ids == self.config.pad_token_id).long()
                start = past_key_values[-1].size(-2) if past_key_values else 0
                end = start + input_ids.size(-1)
                x = self.emb_drop(self.emb_ln(self.emb_word(input_ids) + self.emb_pos.weight[start:end]))
                caches = []
                for i, layer in enumerate(self.layers):
                    if use_cache:
                        past_kv = None if past_key_values is None else past_key_values[i]
                        x, kv = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask, True, past_kv)
                        caches.append(kv)
                    else:
                        x = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask)
                return x, padding_mask, tuple(caches) if use_cache else None
        """,
    ),
    _sum(
        "stack-mask-of-bools",
        "The mask is one of booleans.",
        """
        class TransformerStack:
            def forward(
                self,
                input_ids,
                encoder_hidden_states=None,
                encoder_padding_mask=None,
                use_cache=None,
                past_key_values=None,
                **kwargs,
            ):
                padding_mask = input_ids.eq(self.config.pad_token_id)
                past = 0 if past_key_values is None else past_key_values[0].shape[1]
                positions = torch.arange(past, past + input_ids.shape[1], device=input_ids.device)
                x = self.emb_drop(self.emb_ln(self.emb_word(input_ids) + self.emb_pos(positions)))
                caches = []
                for i, layer in enumerate(self.layers):
                    if use_cache:
                        past_kv = None if past_key_values is None else past_key_values[i]
                        x, kv = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask, True, past_kv)
                        caches.append(kv)
                    else:
                        x = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask)
                return x, padding_mask, tuple(caches) if use_cache else None
        """,
    ),
    _sum(
        "stack-zips",
        "Layers and caches are zipped, with None for each cache that is not there yet.",
        """
        class TransformerStack:
            def forward(
                self,
                input_ids,
                encoder_hidden_states=None,
                encoder_padding_mask=None,
                use_cache=None,
                past_key_values=None,
                **kwargs,
            ):
                mask = torch.zeros_like(input_ids)
                mask[input_ids == self.config.pad_token_id] = 1
                olds = past_key_values if past_key_values is not None else (None,) * self.config.n_layers
                seen = olds[0].shape[1] if olds[0] is not None else 0
                where = torch.arange(input_ids.shape[1], device=input_ids.device).unsqueeze(0) + seen
                h = self.emb_word(input_ids)
                h = h + self.emb_pos(where)
                h = self.emb_ln(h)
                h = self.emb_drop(h)
                news = ()
                for layer, old in zip(self.layers, olds):
                    h = layer(
                        x=h,
                        padding_mask=mask,
                        encoder_out=encoder_hidden_states,
                        encoder_padding_mask=encoder_padding_mask,
                        use_cache=use_cache,
                        past_kv=old,
                    )
                    if use_cache:
                        h, new = h
                        news += (new,)
                return (h, mask, news) if use_cache else (h, mask, None)
        """,
    ),
    _sum(
        "stack-with-attributes",
        "`__init__` keeps the sizes, and layers are called by their index.",
        """
        class TransformerStack:
            def __init__(self, config, emb_word, emb_pos, emb_ln, is_decoder):
                super().__init__()
                self.config = config
                self.is_decoder = is_decoder
                self.n_layers, self.pad = config.n_layers, config.pad_token_id
                self.emb_word = emb_word
                self.emb_pos = emb_pos
                self.emb_ln = emb_ln
                self.emb_drop = nn.Dropout(config.p_drop)
                self.layers = nn.ModuleList([])
                for _ in range(config.n_layers):
                    layer = TransformerLayer(
                        is_decoder=is_decoder,
                        d_model=config.d_model,
                        n_heads=config.n_heads,
                        d_ffn=config.d_ffn,
                        p_drop=config.p_drop,
                    )
                    self.layers.append(layer)

            def forward(
                self,
                input_ids,
                encoder_hidden_states=None,
                encoder_padding_mask=None,
                use_cache=None,
                past_key_values=None,
                **kwargs,
            ):
                batch, n = input_ids.size()
                padding_mask = torch.where(input_ids == self.pad, 1, 0)
                offset = 0
                if use_cache and past_key_values is not None:
                    offset = past_key_values[0].size(1)
                positions = torch.arange(n, device=input_ids.device).expand(batch, n) + offset
                x = self.emb_drop(self.emb_ln(self.emb_word(input_ids) + self.emb_pos(positions)))
                present = [None] * self.n_layers
                for i in range(self.n_layers):
                    if use_cache:
                        old = past_key_values[i] if past_key_values is not None else None
                        x, present[i] = self.layers[i](
                            x, padding_mask, encoder_hidden_states, encoder_padding_mask, use_cache=True, past_kv=old
                        )
                    else:
                        x = self.layers[i](x, padding_mask, encoder_hidden_states, encoder_padding_mask)
                return x, padding_mask, tuple(present) if use_cache else None
        """,
    ),
    # Greedy decoding in other words.
    _sum(
        "greedy-preallocated",
        "The output is allocated full of padding, and what no row needs is cut off.",
        '''
        @torch.no_grad()
        def greedy_decode(model, input_ids, max_length):
            """Fills a table column by column."""
            cfg = model.config
            B = input_ids.size(0)
            enc, enc_mask = model.encode(input_ids)
            out = torch.full((B, max_length), cfg.pad_token_id, dtype=torch.long, device=input_ids.device)
            tok = torch.full((B, 1), cfg.bos_token_id, dtype=torch.long, device=input_ids.device)
            alive = torch.ones(B, dtype=torch.bool, device=input_ids.device)
            kv = None
            for t in range(max_length):
                logits, kv = model.decode(tok, enc, enc_mask, True, kv)
                best = torch.max(logits.squeeze(1), dim=-1).indices
                out[alive, t] = best[alive]
                alive = alive & best.ne(cfg.eos_token_id)
                if not alive.any():
                    return out[:, : t + 1]
                tok = out[:, t : t + 1]
            return out
        ''',
    ),
    _sum(
        "greedy-unfinished-as-number",
        "Rows that go on are marked by 1, and padding is mixed in by multiplication.",
        """
        def greedy_decode(model, input_ids, max_length):
            config = model.config
            with torch.inference_mode():
                encoder_out, mask = model.encode(input_ids)
                unfinished = input_ids.new_ones(input_ids.shape[0])
                ids = input_ids.new_full((input_ids.shape[0], 1), config.bos_token_id)
                past = None
                while ids.shape[1] <= max_length and unfinished.max() > 0:
                    logits, past = model.decode(
                        decoder_input_ids=ids[:, -1:],
                        encoder_out=encoder_out,
                        encoder_padding_mask=mask,
                        use_cache=True,
                        past_key_values=past,
                    )
                    newest = torch.log_softmax(logits[:, -1, :], dim=-1).topk(1).indices.squeeze(-1)
                    newest = newest * unfinished + config.pad_token_id * (1 - unfinished)
                    unfinished = unfinished.mul((newest != config.eos_token_id).long())
                    ids = torch.cat([ids, newest.unsqueeze(-1)], dim=-1)
                return ids[:, 1:].clone()
        """,
    ),
    _sum(
        "greedy-lists",
        "Every row has a list of tokens, and the lists are filled up at the end.",
        """
        def greedy_decode(model, input_ids, max_length):
            bos, eos, pad = model.config.bos_token_id, model.config.eos_token_id, model.config.pad_token_id
            encoder_out, mask = model.encode(input_ids)
            rows = [[] for _ in input_ids]
            token, past, ended = [bos] * len(rows), None, set()
            for _ in range(max_length):
                step = torch.tensor(token, device=input_ids.device).unsqueeze(1)
                logits, past = model.decode(step, encoder_out, mask, use_cache=True, past_key_values=past)
                token = logits[:, 0].argmax(-1).tolist()
                for i, (row, new) in enumerate(zip(rows, token)):
                    if i not in ended:
                        row.append(new)
                        if new == eos:
                            ended.add(i)
                if len(ended) == len(rows):
                    break
            longest = max(map(len, rows))
            return torch.tensor([row + [pad] * (longest - len(row)) for row in rows], device=input_ids.device)
        """,
    ),
    _sum(
        "greedy-cut-afterwards",
        "Rows are written on behind their end, which is overwritten when all of them have one.",
        """
        @torch.no_grad()
        def greedy_decode(model, input_ids, max_length):
            config = model.config
            encoder_out, mask = model.encode(input_ids)
            token = torch.full_like(input_ids[:, :1], config.bos_token_id)
            past, tokens = None, torch.empty_like(input_ids[:, :0])
            for _ in range(max_length):
                logits, past = model.decode(token, encoder_out, mask, use_cache=True, past_key_values=past)
                token = logits.argmax(-1)
                tokens = torch.cat([tokens, token], dim=1)
                ends = (tokens == config.eos_token_id).long().cumsum(dim=1)  # how many ends up to each place
                if (ends[:, -1] > 0).all():
                    break
            behind = (ends - (tokens == config.eos_token_id).long()) > 0
            return tokens.masked_fill(behind, config.pad_token_id)
        """,
    ),
    # Beam search in other words.
    _sum(
        "beam-not-cut",
        "The output is as long as the longest beam, whichever wins, and padded.",
        """
        @torch.no_grad()
        def beam_search(model, input_ids, num_beams, max_length, length_penalty):
            config, batch, device = model.config, input_ids.shape[0], input_ids.device
            encoder_out, encoder_padding_mask = model.encode(input_ids)
            encoder_out = encoder_out.repeat_interleave(num_beams, dim=0)
            encoder_padding_mask = encoder_padding_mask.repeat_interleave(num_beams, dim=0)
            ids = torch.full((batch * num_beams, 1), config.bos_token_id, device=device)
            scores = torch.full((batch, num_beams), float("-inf"), device=device)
            scores[:, 0] = 0
            done = torch.zeros(batch * num_beams, dtype=torch.bool, device=device)
            lengths = torch.zeros(batch * num_beams, device=device)
            first = torch.arange(batch, device=device)[:, None] * num_beams  # (batch, 1)
            past = None
            for _ in range(max_length):
                logits, past = model.decode(
                    ids[:, -1:], encoder_out, encoder_padding_mask, use_cache=True, past_key_values=past
                )
                logp = logits[:, -1].log_softmax(dim=-1)  # (batch * beams, vocab)
                logp[done] = float("-inf")
                logp[done, config.pad_token_id] = 0
                vocab = logp.shape[-1]
                total = (scores.view(-1, 1) + logp).view(batch, num_beams * vocab)
                scores, chosen = total.topk(num_beams, dim=-1)
                rows = (first + chosen // vocab).view(-1)
                token = (chosen % vocab).view(-1, 1)
                past = tuple(cache[rows] for cache in past)
                done, lengths = done[rows], lengths[rows]
                ids = torch.cat([ids[rows], token], dim=1)
                lengths = lengths + (~done).float()
                done = done | (token.view(-1) == config.eos_token_id)
                if done.all():
                    break
            best = (scores / lengths.view(batch, num_beams) ** length_penalty).argmax(dim=-1, keepdim=True)
            return ids[(first + best).view(-1), 1:]
        """,
    ),
    _sum(
        "beam-large-negative",
        "Beams that are not there yet score -1e9, and lengths are counted at the end.",
        """
        @torch.no_grad()
        def beam_search(model, input_ids, num_beams, max_length, length_penalty):
            config, batch, device = model.config, input_ids.shape[0], input_ids.device
            encoder_out, encoder_padding_mask = model.encode(input_ids)
            encoder_out = encoder_out.repeat_interleave(num_beams, dim=0)
            encoder_padding_mask = encoder_padding_mask.repeat_interleave(num_beams, dim=0)
            ids = torch.full((batch * num_beams, 1), config.bos_token_id, device=device)
            scores = torch.full((batch, num_beams), -1e9, device=device)
            scores[:, 0] = 0
            done = torch.zeros(batch * num_beams, dtype=torch.bool, device=device)
            first = torch.arange(batch, device=device)[:, None] * num_beams  # (batch, 1)
            past = None
            for _ in range(max_length):
                logits, past = model.decode(
                    ids[:, -1:], encoder_out, encoder_padding_mask, use_cache=True, past_key_values=past
                )
                logp = logits[:, -1].log_softmax(dim=-1)  # (batch * beams, vocab)
                logp[done] = float("-inf")
                logp[done, config.pad_token_id] = 0
                vocab = logp.shape[-1]
                total = (scores.view(-1, 1) + logp).view(batch, num_beams * vocab)
                scores, chosen = total.topk(num_beams, dim=-1)
                rows = (first + chosen // vocab).view(-1)
                token = (chosen % vocab).view(-1, 1)
                past = tuple(cache[rows] for cache in past)
                done = done[rows]
                ids = torch.cat([ids[rows], token], dim=1)
                done = done | (token.view(-1) == config.eos_token_id)
                if done.all():
                    break
            lengths = (ids[:, 1:] != config.pad_token_id).sum(dim=1)
            best = (scores / lengths.view(batch, num_beams) ** length_penalty).argmax(dim=-1, keepdim=True)
            return ids[(first + best).view(-1), 1:]
        """,
    ),
    _sum(
        "beam-first-step-apart",
        "The first step runs with one beam a row, whose likeliest tokens become the beams.",
        """
        @torch.no_grad()
        def beam_search(model, input_ids, num_beams, max_length, length_penalty):
            cfg, B, K = model.config, input_ids.size(0), num_beams
            enc, enc_mask = model.encode(input_ids)
            bos = torch.full((B, 1), cfg.bos_token_id, device=input_ids.device)
            logits, kv = model.decode(bos, enc, enc_mask, use_cache=True)
            V = logits.size(-1)
            score, tok = F.log_softmax(logits[:, -1], dim=-1).topk(K, dim=-1)  # (B, K)
            enc, enc_mask = enc.repeat_interleave(K, 0), enc_mask.repeat_interleave(K, 0)
            kv = [c.repeat_interleave(K, 0) for c in kv]
            seq = tok.unsqueeze(-1)  # (B, K, 1)
            done = tok == cfg.eos_token_id
            for _ in range(max_length - 1):
                if done.all():
                    break
                logits, kv = model.decode(tok.reshape(-1, 1), enc, enc_mask, use_cache=True, past_key_values=tuple(kv))
                step = F.log_softmax(logits[:, -1], dim=-1).reshape(B, K, V)
                stay = torch.full_like(step, -1e9)
                stay[..., cfg.pad_token_id] = 0
                step = torch.where(done.unsqueeze(-1), stay, step)
                score, index = (score.unsqueeze(-1) + step).reshape(B, K * V).topk(K, dim=-1)
                parent, tok = torch.div(index, V, rounding_mode="floor"), index.remainder(V)
                seq = torch.cat([seq.gather(1, parent.unsqueeze(-1).expand_as(seq)), tok.unsqueeze(-1)], dim=-1)
                done = done.gather(1, parent) | (tok == cfg.eos_token_id)
                flat = (parent + K * torch.arange(B, device=parent.device).unsqueeze(1)).flatten()
                kv = [c.index_select(0, flat) for c in kv]
            length = (seq != cfg.pad_token_id).sum(-1)
            best = (score / length.float().pow(length_penalty)).argmax(-1)
            return seq[torch.arange(B, device=seq.device), best]
        """,
    ),
    _sum(
        "beam-lists",
        "Each row has a list of beams, each with its own cache, all continued one after another.",
        """
        @torch.no_grad()
        def beam_search(model, input_ids, num_beams, max_length, length_penalty):
            config = model.config
            encoder_out, encoder_padding_mask = model.encode(input_ids)
            winners = []
            for row in range(input_ids.shape[0]):
                memory, mask = encoder_out[row : row + 1], encoder_padding_mask[row : row + 1]
                beams = [([], 0.0, None)]  # tokens, log-probability, cache
                for _ in range(max_length):
                    if all(tokens and tokens[-1] == config.eos_token_id for tokens, _, _ in beams):
                        break
                    candidates = []
                    for tokens, score, past in beams:
                        if tokens and tokens[-1] == config.eos_token_id:
                            candidates.append((tokens, score, past))
                            continue
                        newest = tokens[-1] if tokens else config.bos_token_id
                        newest = torch.tensor([[newest]], device=input_ids.device)
                        logits, past = model.decode(newest, memory, mask, use_cache=True, past_key_values=past)
                        logp = logits[0, -1].log_softmax(-1).tolist()
                        candidates += [(tokens + [token], score + value, past) for token, value in enumerate(logp)]
                    beams = sorted(candidates, key=lambda beam: beam[1], reverse=True)[:num_beams]
                winners.append(max(beams, key=lambda beam: beam[1] / len(beam[0]) ** length_penalty)[0])
            longest = max(len(tokens) for tokens in winners)
            padded = [tokens + [config.pad_token_id] * (longest - len(tokens)) for tokens in winners]
            return torch.tensor(padded, device=input_ids.device)
        """,
    ),
    _sum(
        "beam-ended-apart",
        "Ended beams are held in a list beside the others, and both compete for the places.",
        """
        @torch.no_grad()
        def beam_search(model, input_ids, num_beams, max_length, length_penalty):
            config, batch, device = model.config, input_ids.shape[0], input_ids.device
            encoder_out, mask = model.encode(input_ids)
            # One entry for each beam that goes on: its row, its log-probability and its tokens.
            alive = [(row, 0.0, [config.bos_token_id]) for row in range(batch)]
            ended = [[] for _ in range(batch)]
            past = None
            for step in range(max_length):
                rows = torch.tensor([row for row, _, _ in alive], device=device)
                newest = torch.tensor([[tokens[-1]] for _, _, tokens in alive], device=device)
                logits, past = model.decode(newest, encoder_out[rows], mask[rows], use_cache=True, past_key_values=past)
                logp = logits[:, -1].log_softmax(-1)
                values, choices = logp.topk(min(num_beams, logp.shape[-1]))
                pool = [[(score, tokens, None) for score, tokens in ended[row]] for row in range(batch)]
                for at, (row, score, tokens) in enumerate(alive):
                    for value, choice in zip(values[at].tolist(), choices[at].tolist()):
                        pool[row].append((score + value, tokens + [choice], at))
                alive, origin, ended = [], [], [[] for _ in range(batch)]
                for row in range(batch):
                    for score, tokens, at in sorted(pool[row], key=lambda each: -each[0])[:num_beams]:
                        if tokens[-1] == config.eos_token_id:
                            ended[row].append((score, tokens))
                        else:
                            alive.append((row, score, tokens))
                            origin.append(at)
                if not alive:
                    break
                past = tuple(cache[torch.tensor(origin, device=device)] for cache in past)
            for row, score, tokens in alive:
                ended[row].append((score, tokens))
            output = []
            for beams in ended:
                _, tokens = max(beams, key=lambda each: each[0] / (len(each[1]) - 1) ** length_penalty)
                output.append(torch.tensor(tokens[1:], device=device))
            return nn.utils.rnn.pad_sequence(output, batch_first=True, padding_value=config.pad_token_id)
        """,
    ),
    _sum(
        "decoding-shared",
        "Greedy decoding and beam search share a helper for one step.",
        """
        @torch.no_grad()
        def greedy_decode(model, input_ids, max_length):
            memory = model.encode(input_ids)
            token = torch.full((len(input_ids), 1), model.config.bos_token_id).to(input_ids.device)
            ids, past = token[:, :0], None
            for _ in range(max_length):
                logp, past = next_logp(model, token, memory, past)
                over = (ids == model.config.eos_token_id).any(1, keepdim=True)
                token = torch.where(over, model.config.pad_token_id, logp.argmax(1, keepdim=True))
                ids = torch.cat([ids, token], 1)
                if (ids == model.config.eos_token_id).any(1).all():
                    break
            return ids

        @torch.no_grad()
        def beam_search(model, input_ids, num_beams, max_length, length_penalty):
            n, pad, eos = len(input_ids), model.config.pad_token_id, model.config.eos_token_id
            memory = [each.repeat_interleave(num_beams, 0) for each in model.encode(input_ids)]
            token = torch.full((n * num_beams, 1), model.config.bos_token_id, device=input_ids.device)
            ids, past = token[:, :0], None
            scores = torch.tensor([0.0] + [-1e30] * (num_beams - 1), device=input_ids.device).repeat(n)
            over = torch.zeros(n * num_beams, 1, dtype=torch.bool, device=input_ids.device)
            for _ in range(max_length):
                logp, past = next_logp(model, token, memory, past)
                is_pad = torch.arange(logp.shape[1], device=input_ids.device) == pad
                logp = torch.where(over, torch.where(is_pad, 0.0, -1e30), logp)
                best = (scores[:, None] + logp).view(n, -1).topk(num_beams)
                scores = best.values.flatten()
                base = torch.arange(0, n * num_beams, num_beams, device=input_ids.device)
                parents = (base[:, None] + best.indices // logp.shape[1]).flatten()
                token = (best.indices % logp.shape[1]).view(-1, 1)
                ids = torch.cat([ids[parents], token], 1)
                past = tuple(cache[parents] for cache in past)
                over = over[parents] | (token == eos)
                if over.all():
                    break
            length = (ids != pad).sum(1)
            winner = (scores / length**length_penalty).view(n, num_beams).max(1).indices
            return ids.view(n, num_beams, -1)[range(n), winner]
        """,
        prelude="""
        def next_logp(model, token, memory, past):
            logits, past = model.decode(token, *memory, use_cache=True, past_key_values=past)
            return logits[:, -1].log_softmax(-1), past
        """,
    ),
    _sum(
        "caches-in-one-list",
        "The caches are put into the list that came in, as the public notebook does.",
        """
        class TransformerStack:
            def forward(
                self,
                input_ids,
                encoder_hidden_states=None,
                encoder_padding_mask=None,
                use_cache=None,
                past_key_values=None,
                **kwargs,
            ):
                padding_mask = (input_ids == self.config.pad_token_id).long()
                past = 0 if past_key_values is None else past_key_values[0].shape[1]
                positions = past + torch.arange(input_ids.shape[1], device=input_ids.device)
                x = self.emb_drop(self.emb_ln(self.emb_word(input_ids) + self.emb_pos(positions)))
                if not use_cache:
                    for layer in self.layers:
                        x = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask)
                    return x, padding_mask, None
                if past_key_values is None:
                    past_key_values = [None] * len(self.layers)
                past_key_values = past_key_values if isinstance(past_key_values, list) else list(past_key_values)
                for i, layer in enumerate(self.layers):
                    x, past_key_values[i] = layer(
                        x, padding_mask, encoder_hidden_states, encoder_padding_mask, True, past_key_values[i]
                    )
                return x, padding_mask, past_key_values
        """,
    ),
    _sum(
        "half-list-written-over",
        "Each layer's new cache is written over its old one, in the list that the last step returned.",
        """
        class TransformerStack:
            def forward(
                self,
                input_ids,
                encoder_hidden_states=None,
                encoder_padding_mask=None,
                use_cache=None,
                past_key_values=None,
                **kwargs,
            ):
                padding_mask = (input_ids == self.config.pad_token_id).long()
                past = 0 if past_key_values is None else past_key_values[0].shape[1]
                positions = torch.arange(past, past + input_ids.shape[1], device=input_ids.device)
                x = self.emb_drop(self.emb_ln(self.emb_word(input_ids) + self.emb_pos(positions)))
                present = past_key_values if past_key_values is not None else [None] * len(self.layers)
                for i in range(len(self.layers) if use_cache else 0):
                    x, cache = self.layers[i](
                        x, padding_mask, encoder_hidden_states, encoder_padding_mask, True, present[i]
                    )
                    present = list(present) if isinstance(present, tuple) else present
                    present[i] = cache
                if use_cache:
                    return x, padding_mask, present
                for layer in self.layers:
                    x = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask)
                return x, padding_mask, None
        """,
    ),
    # As the course's public notebook has it.
    _sum(
        "public-attention",
        "einops folds the heads into the batch, and a table of minus infinities made beforehand hides the future.",
        """
        def scaled_dot_product_attention(q, k, v, key_padding_mask=None, causal=False):
            s = einops.einsum(q, k, "n tl dh, n sl dh -> n tl sl") / q.size(-1) ** 0.5
            if key_padding_mask is not None:
                s = s.masked_fill(key_padding_mask.unsqueeze(1).to(torch.bool), float("-inf"))
            if causal:
                s = s + future[: s.size(1), : s.size(2)].to(s)
            return einops.einsum(s.softmax(dim=-1), v, "n tl sl, n sl dh -> n tl dh")

        class MultiheadAttention:
            def forward(self, q, k, v, key_padding_mask=None, causal=False):
                q, k, v = (
                    einops.rearrange(part, "b l (h d) -> (b h) l d", h=self.n_heads)
                    for part in (self.q_proj(q), self.k_proj(k), self.v_proj(v))
                )
                if key_padding_mask is not None:
                    key_padding_mask = einops.repeat(key_padding_mask, "b l -> (b h) l", h=self.n_heads)
                seen = scaled_dot_product_attention(q, k, v, key_padding_mask, causal)
                return self.o_proj(einops.rearrange(seen, "(b h) l d -> b l (h d)", h=self.n_heads))
        """,
        prelude="""
        import einops
        future = torch.triu(torch.full([1024, 1024], float("-inf")), 1)
        """,
    ),
    _sum(
        "public-stack",
        "Names are T5's, positions come from the mask, there is no emb_drop, and the list of caches is filled in.",
        """
        class TransformerStack:
            def __init__(self, config, emb_word, emb_pos, emb_ln, is_decoder):
                super().__init__()
                self.config, self.emb_word, self.emb_pos, self.emb_ln = config, emb_word, emb_pos, emb_ln
                heads, count = config.d_model // config.d_kv, config.num_encoder_layers
                if is_decoder:
                    count = config.num_decoder_layers
                self.layers = nn.ModuleList(
                    [
                        TransformerLayer(is_decoder, config.d_model, heads, config.d_ff, config.dropout_rate)
                        for _ in range(count)
                    ]
                )

            def make_positions(self, input_ids, padding_mask):
                return torch.cumsum(1 - padding_mask.long(), dim=1) - 1

            def forward(
                self,
                input_ids,
                encoder_hidden_states=None,
                encoder_padding_mask=None,
                use_cache=None,
                past_key_values=None,
                **kwargs,
            ):
                padding_mask = input_ids.eq(self.config.pad_token_id).byte()
                positions = self.make_positions(input_ids, padding_mask)
                if use_cache:
                    if past_key_values is None:
                        past_key_values = [None] * len(self.layers)
                    else:
                        positions = positions + past_key_values[0].size(1)
                state = self.emb_ln(self.emb_word(input_ids) + self.emb_pos(positions))
                for i, layer in enumerate(self.layers):
                    if use_cache:
                        state, past_key_values[i] = layer(
                            state, padding_mask, encoder_hidden_states, encoder_padding_mask, True, past_key_values[i]
                        )
                    else:
                        state = layer(state, padding_mask, encoder_hidden_states, encoder_padding_mask)
                return state, padding_mask, past_key_values if use_cache else None
        """,
    ),
    _sum(
        "stack-of-pairs",
        "The layers return a pair with and without a cache, and the stack unpacks it.",
        """
        class TransformerLayer:
            def forward(
                self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
            ):
                keys = x if past_kv is None else torch.cat([past_kv, x], dim=1)
                mask, causal = (None, False) if use_cache else (padding_mask, self.is_decoder)
                x = self.self_attn_ln(x + self.self_attn_drop(self.self_attn(x, keys, keys, mask, causal)))
                if self.is_decoder:
                    seen = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                    x = self.cross_attn_ln(x + self.cross_attn_drop(seen))
                x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                return x, keys if use_cache else None

        class TransformerStack:
            def forward(
                self,
                input_ids,
                encoder_hidden_states=None,
                encoder_padding_mask=None,
                use_cache=None,
                past_key_values=None,
                **kwargs,
            ):
                padding_mask = (input_ids == self.config.pad_token_id).long()
                begin = past_key_values[0].shape[1] if past_key_values else 0
                positions = torch.arange(begin, begin + input_ids.shape[1])
                x = self.emb_drop(self.emb_ln(self.emb_word(input_ids) + self.emb_pos(positions)))
                caches = []
                for past, layer in zip(past_key_values or [None] * len(self.layers), self.layers, strict=True):
                    x, cache = layer(x, padding_mask, encoder_hidden_states, encoder_padding_mask, use_cache, past)
                    caches.append(cache)
                return x, padding_mask, caches if use_cache else None
        """,
    ),
    _sum(
        "greedy-one-document-at-a-time",
        "Each document is decoded by itself, and the rows are padded at the end.",
        """
        @torch.no_grad()
        def greedy_decode(model, input_ids, max_length):
            rows = []
            for ids in input_ids.split(1):
                encoder = model.encode(ids)
                newest, past, tokens = torch.full((1, 1), model.config.bos_token_id), None, []
                while len(tokens) < max_length and newest.item() != model.config.eos_token_id:
                    logits, past = model.decode(newest, *encoder, use_cache=True, past_key_values=past)
                    newest = logits[:, -1].argmax(-1, keepdim=True)
                    tokens.append(newest.item())
                rows.append(torch.tensor(tokens))
            return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=model.config.pad_token_id)
        """,
    ),
    _like(
        _WRONG_DECODING,
        "beam-penalty-ignored",
        "beam-kept-by-score",
        "Beams are kept by their score, as it would be if the search ended there.",
        (
            "scores, chosen = total.topk(num_beams, dim=-1)",
            "grown = (lengths + (~done).float()).repeat_interleave(vocab).view_as(total)\n"
            "        chosen = (total / grown ** length_penalty).topk(num_beams, dim=-1).indices\n"
            "        scores = total.gather(1, chosen)",
        ),
        (_BY_LENGTH, "best = (scores / lengths.view_as(scores) ** length_penalty).argmax(dim=-1, keepdim=True)"),
    ),
)

# ----------------------------------------------------------------------------------------------------
# Half-right solutions
# ----------------------------------------------------------------------------------------------------

_WORK = "All values are right, but the cache was to save the work."
_INFERENCE_ONLY = "All values are right in evaluation, but the layer does not train as it should."
_CONVENTION = "All tokens are right, but the first or the last is not where the docstring has it."
_NOT_ITS_OWN = "All values are right, but what came in is not the function's to change."

HALF_RIGHT: tuple[tuple[Variant, float, str], ...] = (
    (
        _sum(
            "half-attends-to-everything",
            "With a cache every position is attended from, and the newest result is cut out.",
            """
            class TransformerLayer:
                def forward(
                    self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
                ):
                    n = x.shape[1]
                    if use_cache and past_kv is not None:
                        x = torch.cat([past_kv, x], dim=1)
                    everything = x
                    mask = None if use_cache else padding_mask
                    x = self.self_attn_ln(x + self.self_attn_drop(self.self_attn(x, x, x, mask, self.is_decoder)))
                    x = x[:, -n:]
                    if self.is_decoder:
                        h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                        x = self.cross_attn_ln(x + self.cross_attn_drop(h))
                    x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                    return (x, everything) if use_cache else x
            """,
            caught_by=("summarization.layer_work",),
            diagnosis="sum_recomputed",
        ),
        1.0,
        _WORK,
    ),
    (
        _sum(
            "half-stack-runs-again",
            "The stack calls itself without a cache on everything that its first cache holds.",
            """
            class TransformerStack:
                def forward(
                    self,
                    input_ids,
                    encoder_hidden_states=None,
                    encoder_padding_mask=None,
                    use_cache=None,
                    past_key_values=None,
                    **kwargs,
                ):
                    padding_mask = (input_ids == self.config.pad_token_id).long()
                    if past_key_values is None:
                        n = input_ids.shape[1]
                        x = self.emb_word(input_ids) + self.emb_pos(torch.arange(n, device=input_ids.device))
                        x = self.emb_drop(self.emb_ln(x))
                    else:
                        past = past_key_values[0]
                        x = self.emb_word(input_ids) + self.emb_pos.weight[past.shape[1]]
                        x = torch.cat([past, self.emb_drop(self.emb_ln(x))], dim=1)  # (batch, i, d_model)
                    mask = torch.zeros(x.shape[:2], dtype=torch.long, device=x.device) if use_cache else padding_mask
                    states = [x]
                    for layer in self.layers:
                        states.append(layer(states[-1], mask, encoder_hidden_states, encoder_padding_mask))
                    if use_cache:
                        return states[-1][:, -1:], padding_mask, tuple(states[:-1])
                    return states[-1], padding_mask, None
            """,
            caught_by=("summarization.stack_work",),
            diagnosis="sum_recomputed",
        ),
        1.0,
        _WORK,
    ),
    (
        _sum(
            "half-greedy-whole-prefix",
            "Greedy decoding gives the model all tokens so far, without a cache.",
            """
            @torch.no_grad()
            def greedy_decode(model, input_ids, max_length):
                config = model.config
                encoder_out, encoder_padding_mask = model.encode(input_ids)
                ids = torch.full((len(input_ids), 1), config.bos_token_id, device=input_ids.device)
                while ids.shape[1] <= max_length:
                    logits, _ = model.decode(ids, encoder_out, encoder_padding_mask, use_cache=False)
                    ended = (ids == config.eos_token_id).any(dim=1, keepdim=True)
                    if ended.all():
                        break
                    newest = logits[:, -1:].argmax(dim=-1).masked_fill(ended, config.pad_token_id)
                    ids = torch.cat([ids, newest], dim=1)
                return ids[:, 1:]
            """,
            caught_by=("summarization.greedy_work",),
            diagnosis="sum_recomputed",
        ),
        1.0,
        _WORK,
    ),
    (
        _sum(
            "half-beam-replays",
            "The cache is not sorted with the beams, but built up anew from every beam's tokens at each step.",
            """
            @torch.no_grad()
            def beam_search(model, input_ids, num_beams, max_length, length_penalty):
                config, batch = model.config, len(input_ids)
                encoder_out, mask = (each.repeat_interleave(num_beams, 0) for each in model.encode(input_ids))
                ids = torch.full((batch * num_beams, 1), config.bos_token_id, device=input_ids.device)
                scores = torch.full((batch, num_beams), -1e9, device=input_ids.device)
                scores[:, 0] = 0
                first = torch.arange(batch, device=input_ids.device)[:, None] * num_beams
                for _ in range(max_length):
                    past = None
                    for token in ids.split(1, dim=1):
                        logits, past = model.decode(token, encoder_out, mask, use_cache=True, past_key_values=past)
                    logp = logits[:, -1].log_softmax(-1)
                    ended = (ids == config.eos_token_id).any(1)
                    logp[ended] = -1e9
                    logp[ended, config.pad_token_id] = 0
                    scores, index = (scores[:, :, None] + logp.view(batch, num_beams, -1)).flatten(1).topk(num_beams)
                    rows = (first + index // logp.shape[1]).flatten()
                    ids = torch.cat([ids[rows], (index % logp.shape[1]).view(-1, 1)], dim=1)
                    if (ids == config.eos_token_id).any(1).all():
                        break
                ids = ids[:, 1:]
                lengths = (ids != config.pad_token_id).sum(1).view(batch, num_beams)
                best = (scores / lengths**length_penalty).argmax(1, keepdim=True)
                return ids[(first + best).flatten()]
            """,
            caught_by=("summarization.beam_work",),
            diagnosis="sum_recomputed",
        ),
        1.0,
        _WORK,
    ),
    (
        _sum(
            "half-encodes-each-step",
            "Greedy decoding runs the encoder in its loop, with the same result each time.",
            """
            @torch.no_grad()
            def greedy_decode(model, input_ids, max_length):
                config = model.config
                ids = torch.full((len(input_ids), 1), config.bos_token_id, device=input_ids.device)
                past, ended = None, torch.zeros(len(input_ids), 1, dtype=torch.bool, device=input_ids.device)
                for _ in range(max_length):
                    encoded = model.encode(input_ids)
                    logits, past = model.decode(ids[:, -1:], *encoded, use_cache=True, past_key_values=past)
                    newest = logits[:, -1:].argmax(dim=-1).masked_fill(ended, config.pad_token_id)
                    ended = ended | (newest == config.eos_token_id)
                    ids = torch.cat([ids, newest], dim=1)
                    if ended.all():
                        break
                return ids[:, 1:]
            """,
            caught_by=("summarization.greedy_work",),
        ),
        1.0,
        _WORK,
    ),
    (
        _sum(
            "half-no-dropout",
            "Dropout is left out of the feed-forward block and of both attentions.",
            """
            class TransformerLayer:
                def forward(
                    self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
                ):
                    kv = x if past_kv is None else torch.cat([past_kv, x], dim=1)
                    mask = None if use_cache else padding_mask
                    x = self.self_attn_ln(x + self.self_attn(x, kv, kv, mask, self.is_decoder and not use_cache))
                    if self.is_decoder:
                        x = self.cross_attn_ln(x + self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask))
                    x = self.ffn_ln(x + self.fc2(F.relu(self.fc1(x))))
                    return (x, kv) if use_cache else x
            """,
            caught_by=("summarization.layer_training",),
        ),
        1.0,
        _INFERENCE_ONLY,
    ),
    (
        _sum(
            "half-attention-without-gradient",
            "The cross-attention runs without gradients, as the encoder is thought to be done.",
            """
            class TransformerLayer:
                def forward(
                    self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
                ):
                    if use_cache:
                        past_kv = x if past_kv is None else torch.cat([past_kv, x], dim=1)
                        h = self.self_attn(x, past_kv, past_kv)
                    else:
                        h = self.self_attn(x, x, x, padding_mask, causal=self.is_decoder)
                    x = self.self_attn_ln(x + self.self_attn_drop(h))
                    if self.is_decoder:
                        with torch.no_grad():
                            h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                        x = self.cross_attn_ln(x + self.cross_attn_drop(h))
                    x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                    return (x, past_kv) if use_cache else x
            """,
            caught_by=("summarization.layer_training",),
            diagnosis="sum_detached",
        ),
        1.0,
        _INFERENCE_ONLY,
    ),
    (
        _sum(
            "half-input-overwritten",
            "With a cache the output is written into the caller's x.",
            """
            class TransformerLayer:
                def forward(
                    self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None
                ):
                    newest = x
                    if use_cache:
                        past_kv = x.clone() if past_kv is None else torch.cat([past_kv, x], dim=1)
                        h = self.self_attn(x, past_kv, past_kv)
                    else:
                        h = self.self_attn(x, x, x, padding_mask, causal=self.is_decoder)
                    x = self.self_attn_ln(x + self.self_attn_drop(h))
                    if self.is_decoder:
                        h = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
                        x = self.cross_attn_ln(x + self.cross_attn_drop(h))
                    x = self.ffn_ln(x + self.ffn_drop(self.fc2(F.relu(self.fc1(x)))))
                    if use_cache:
                        return newest.copy_(x), past_kv
                    return x
            """,
            caught_by=("summarization.layer_cache",),
            diagnosis="sum_in_place",
        ),
        2.0,
        _NOT_ITS_OWN,
    ),
    (
        _sum(
            "greedy-with-bos",
            "The first token is returned in front of the others.",
            """
            @torch.no_grad()
            def greedy_decode(model, input_ids, max_length):
                config = model.config
                encoder_out, encoder_padding_mask = model.encode(input_ids)
                output = torch.full((input_ids.shape[0], 1), config.bos_token_id, device=input_ids.device)
                done, past = None, None
                while output.shape[1] < max_length + 1:
                    scores, past = model.decode(output[:, -1:], encoder_out, encoder_padding_mask, True, past)
                    token = scores[:, -1, :].argmax(dim=1, keepdim=True)
                    if done is not None:
                        token[done] = config.pad_token_id
                    output = torch.cat((output, token), dim=1)
                    done = (output == config.eos_token_id).any(dim=1, keepdim=True)
                    if bool(done.all()):
                        break
                return output
            """,
            caught_by=("summarization.greedy",),
            diagnosis="sum_first_token_kept",
        ),
        2.0,
        _CONVENTION,
    ),
    (
        _sum(
            "beam-with-bos",
            "The first token is returned in front of the others.",
            """
            @torch.no_grad()
            def beam_search(model, input_ids, num_beams, max_length, length_penalty):
                config, batch, device = model.config, input_ids.shape[0], input_ids.device
                encoder_out, encoder_padding_mask = model.encode(input_ids)
                encoder_out = encoder_out.repeat_interleave(num_beams, dim=0)
                encoder_padding_mask = encoder_padding_mask.repeat_interleave(num_beams, dim=0)
                ids = torch.full((batch * num_beams, 1), config.bos_token_id, device=device)
                scores = torch.full((batch, num_beams), float("-inf"), device=device)
                scores[:, 0] = 0
                done = torch.zeros(batch * num_beams, dtype=torch.bool, device=device)
                lengths = torch.zeros(batch * num_beams, device=device)
                first = torch.arange(batch, device=device)[:, None] * num_beams  # (batch, 1)
                past = None
                for _ in range(max_length):
                    logits, past = model.decode(
                        ids[:, -1:], encoder_out, encoder_padding_mask, use_cache=True, past_key_values=past
                    )
                    logp = logits[:, -1].log_softmax(dim=-1)  # (batch * beams, vocab)
                    logp[done] = float("-inf")
                    logp[done, config.pad_token_id] = 0
                    vocab = logp.shape[-1]
                    total = (scores.view(-1, 1) + logp).view(batch, num_beams * vocab)
                    scores, chosen = total.topk(num_beams, dim=-1)
                    rows = (first + chosen // vocab).view(-1)
                    token = (chosen % vocab).view(-1, 1)
                    past = tuple(cache[rows] for cache in past)
                    done, lengths = done[rows], lengths[rows]
                    ids = torch.cat([ids[rows], token], dim=1)
                    lengths = lengths + (~done).float()
                    done = done | (token.view(-1) == config.eos_token_id)
                    if done.all():
                        break
                best = (scores / lengths.view(batch, num_beams) ** length_penalty).argmax(dim=-1, keepdim=True)
                return ids[(first + best).view(-1)]
            """,
            caught_by=("summarization.beam",),
            diagnosis="sum_first_token_kept",
        ),
        2.0,
        _CONVENTION,
    ),
    (
        _sum(
            "greedy-eos-hidden",
            "A row counts as ended before its end token is written, and has padding in that place.",
            """
            @torch.no_grad()
            def greedy_decode(model, input_ids, max_length):
                config, batch = model.config, input_ids.shape[0]
                encoder_out, mask = model.encode(input_ids)
                token = torch.full((batch, 1), config.bos_token_id, device=input_ids.device)
                done = torch.zeros(batch, 1, dtype=torch.bool, device=input_ids.device)
                past, output = None, []
                for _ in range(max_length):
                    logits, past = model.decode(token, encoder_out, mask, use_cache=True, past_key_values=past)
                    token = logits[:, -1].argmax(dim=-1, keepdim=True)  # (batch, 1)
                    done = done | (token == config.eos_token_id)
                    token = token.masked_fill(done, config.pad_token_id)
                    output.append(token)
                    if done.all():
                        break
                return torch.cat(output, dim=1)
            """,
            caught_by=("summarization.greedy",),
            diagnosis="sum_end_cut",
        ),
        2.0,
        _CONVENTION,
    ),
)

"""Notebooks of the structure that the course's public summarization notebook has, in words of our own.

The Transformer is one of transformers' models: its config is a PretrainedConfig in T5's terms, einops arranges the
heads, and the library's generate does the decoding. There is no greedy_decode and no beam_search.
"""

from __future__ import annotations

from tests.notebook_helpers import notebook

SETUP = """
!pip install -q transformers datasets evaluate einops rouge_score
from google.colab import drive, files
drive.mount('/content/drive')
"""
IMPORTS = """
import math, json, time
import datasets, evaluate
import einops
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from transformers import AutoTokenizer, DataCollatorForSeq2Seq, PretrainedConfig, Seq2SeqTrainer, T5Config
from transformers.modeling_outputs import BaseModelOutput, Seq2SeqLMOutput
from transformers.modeling_utils import PreTrainedModel

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
"""
DATA = """
rouge = evaluate.load("rouge")
raw = datasets.load_dataset("xsum")
tokenizer = AutoTokenizer.from_pretrained("t5-small")
train = raw["train"].select(range(2000)).map(lambda rows: tokenizer(rows["document"]), batched=True)
"""
FOLDED = """
hide_future = torch.triu(torch.zeros([1024, 1024]).fill_(float("-inf")), 1)

def scaled_dot_product_attention(q, k, v, key_padding_mask=None, causal=False):
    scores = einops.einsum(q, k, "n i d, n j d -> n i j") / math.sqrt(q.size(-1))
    if key_padding_mask is not None:
        scores = scores.masked_fill(key_padding_mask.unsqueeze(1).bool(), float("-inf"))
    if causal:
        scores += hide_future[: scores.size(1), : scores.size(2)].to(scores).unsqueeze(0)
    weights = F.softmax(scores, dim=-1)
    return einops.einsum(weights, v, "n i j, n j d -> n i d")

class MultiheadAttention(nn.Module):
    def __init__(self, d_model, n_heads):
        super().__init__()
        self.q_proj = nn.Linear(d_model, d_model)
        self.k_proj = nn.Linear(d_model, d_model)
        self.v_proj = nn.Linear(d_model, d_model)
        self.o_proj = nn.Linear(d_model, d_model)
        self.n_heads = n_heads
        self.d_head = d_model // n_heads

    def forward(self, q, k, v, key_padding_mask=None, causal=False):
        q = einops.rearrange(self.q_proj(q), "b i (h d) -> (b h) i d", h=self.n_heads)
        k = einops.rearrange(self.k_proj(k), "b j (h d) -> (b h) j d", h=self.n_heads)
        v = einops.rearrange(self.v_proj(v), "b j (h d) -> (b h) j d", h=self.n_heads)
        if key_padding_mask is not None:
            key_padding_mask = einops.repeat(key_padding_mask, "b j -> (b h) j", h=self.n_heads)
        out = scaled_dot_product_attention(q, k, v, key_padding_mask, causal)
        return self.o_proj(einops.rearrange(out, "(b h) i d -> b i (h d)", h=self.n_heads))
"""
HEADS_APART = """
def scaled_dot_product_attention(q, k, v, key_padding_mask=None, causal=False):
    s = torch.einsum("b h i d, b h j d -> b h i j", q, k) * q.shape[-1] ** -0.5
    if key_padding_mask is not None:
        s.masked_fill_(einops.rearrange(key_padding_mask, "b j -> b 1 1 j").bool(), torch.finfo(s.dtype).min)
    if causal:
        i, j = s.shape[-2:]
        s.masked_fill_(torch.ones((i, j), dtype=torch.bool, device=s.device).triu(j - i + 1), torch.finfo(s.dtype).min)
    return torch.einsum("b h i j, b h j d -> b h i d", s.softmax(dim=-1), v)

class MultiheadAttention(nn.Module):
    def __init__(self, d_model, n_heads):
        super().__init__()
        self.n_heads = n_heads
        self.q_proj, self.k_proj, self.v_proj = [nn.Linear(d_model, d_model) for _ in range(3)]
        self.o_proj = nn.Linear(d_model, d_model)

    def forward(self, q, k, v, key_padding_mask=None, causal=False):
        q, k, v = map(
            lambda x: einops.rearrange(x, "b n (h d) -> b h n d", h=self.n_heads),
            (self.q_proj(q), self.k_proj(k), self.v_proj(v)),
        )
        seen = scaled_dot_product_attention(q, k, v, key_padding_mask, causal)
        return self.o_proj(einops.rearrange(seen, "b h n d -> b n (h d)"))
"""
LAYER_INIT = """
class TransformerLayer(nn.Module):
    def __init__(self, is_decoder, d_model, n_heads, d_ffn, p_drop):
        super().__init__()
        self.is_decoder = is_decoder
        self.self_attn = MultiheadAttention(d_model, n_heads)
        self.self_attn_drop = nn.Dropout(p_drop)
        self.self_attn_ln = nn.LayerNorm(d_model)
        if is_decoder:
            self.cross_attn = MultiheadAttention(d_model, n_heads)
            self.cross_attn_drop = nn.Dropout(p_drop)
            self.cross_attn_ln = nn.LayerNorm(d_model)
        self.fc1 = nn.Linear(d_model, d_ffn)
        self.fc2 = nn.Linear(d_ffn, d_model)
        self.ffn_drop = nn.Dropout(p_drop)
        self.ffn_ln = nn.LayerNorm(d_model)

    def forward(self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None):
"""
LAYER = (
    LAYER_INIT
    + """
        residual = x
        kv = x
        if use_cache:
            if past_kv is not None:
                kv = torch.cat([past_kv, x], dim=1)
            past_kv = kv
        x = self.self_attn(x, kv, kv, None if use_cache else padding_mask, causal=self.is_decoder and not use_cache)
        x = self.self_attn_ln(self.self_attn_drop(x) + residual)
        if self.is_decoder and encoder_out is not None:
            residual = x
            x = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
            x = self.cross_attn_ln(self.cross_attn_drop(x) + residual)
        residual = x
        x = self.fc2(F.relu(self.fc1(x)))
        x = self.ffn_ln(self.ffn_drop(x) + residual)
        if use_cache:
            return x, past_kv
        return x
"""
)
PAIRS = (
    LAYER_INIT
    + """
        keys = x
        if use_cache and past_kv is not None:
            keys = torch.cat((past_kv, x), dim=1)
        # The causal mask is counted from the end, so that the newest position sees all of the cache.
        h = self.self_attn(x, keys, keys, key_padding_mask=padding_mask if keys is x else None, causal=self.is_decoder)
        x = self.self_attn_ln(x + self.self_attn_drop(h))
        if self.is_decoder:
            h = self.cross_attn(x, encoder_out, encoder_out, key_padding_mask=encoder_padding_mask)
            x = self.cross_attn_ln(x + self.cross_attn_drop(h))
        h = self.fc2(torch.relu(self.fc1(x)))
        x = self.ffn_ln(x + self.ffn_drop(h))
        return x, (keys if use_cache else None)
"""
)
STACK_INIT = """
class TransformerStack(PreTrainedModel):
    def __init__(self, config, emb_word, emb_pos, emb_ln, is_decoder):
        super().__init__(config)
        self.is_decoder = is_decoder
        self.pad_id = config.pad_token_id
        self.emb_word, self.emb_pos, self.emb_ln = emb_word, emb_pos, emb_ln
        n_layers = config.num_decoder_layers if is_decoder else config.num_encoder_layers
        n_heads = config.d_model // config.d_kv
        self.layers = nn.ModuleList([
            TransformerLayer(is_decoder, config.d_model, n_heads, config.d_ff, config.dropout_rate)
            for _ in range(n_layers)
        ])

    @staticmethod
    def make_positions(input_ids, padding_mask):
        return torch.cumsum(1 - padding_mask.long(), 1) - 1

    def forward(self, input_ids, encoder_hidden_states=None, encoder_padding_mask=None, use_cache=None,
                past_key_values=None, **kwargs):
"""
STACK = (
    STACK_INIT
    + """
        padding_mask = input_ids.eq(self.pad_id).byte()
        positions = self.make_positions(input_ids, padding_mask)
        if use_cache:
            if past_key_values is None:
                past_key_values = [None] * len(self.layers)
            else:
                positions += past_key_values[0].size(1)
        state = self.emb_ln(self.emb_word(input_ids) + self.emb_pos(positions))
        for i, layer in enumerate(self.layers):
            if use_cache:
                state, past_key_values[i] = layer(
                    state, padding_mask, encoder_hidden_states, encoder_padding_mask, use_cache, past_key_values[i])
            else:
                state = layer(state, padding_mask, encoder_hidden_states, encoder_padding_mask)
        return state, padding_mask, past_key_values
"""
)
STACK_OF_PAIRS = (
    STACK_INIT
    + """
        padding_mask = (input_ids == self.config.pad_token_id).to(torch.uint8)
        positions = self.make_positions(input_ids, padding_mask)
        positions = positions + (past_key_values[0].shape[1] if past_key_values is not None else 0)
        state = self.emb_ln(self.emb_word(input_ids) + self.emb_pos(positions))
        kept = ()
        for index, layer in enumerate(self.layers):
            past_kv = past_key_values[index] if past_key_values is not None else None
            state, past_kv = layer(state, padding_mask, encoder_out=encoder_hidden_states,
                                   encoder_padding_mask=encoder_padding_mask, use_cache=use_cache, past_kv=past_kv)
            kept += (past_kv,)
        return state, padding_mask, kept if use_cache else None
"""
)
MODEL = """
class Transformer(PreTrainedModel):
    config_class = PretrainedConfig

    def __init__(self, config):
        super().__init__(config)
        emb_word = nn.Embedding(config.vocab_size, config.d_model)
        emb_pos = nn.Embedding(config.n_positions, config.d_model)
        emb_ln = nn.LayerNorm(config.d_model)
        for emb in (emb_word, emb_pos):
            emb.weight.data.uniform_(-0.05, 0.05)
        self.encoder = TransformerStack(config, emb_word, emb_pos, emb_ln, is_decoder=False)
        self.decoder = TransformerStack(config, emb_word, emb_pos, emb_ln, is_decoder=True)
        self.lm_head = nn.Linear(config.d_model, config.vocab_size)
        self.lm_head.weight = emb_word.weight

    def get_encoder(self):
        return self.encoder

    def forward(self, input_ids=None, labels=None, decoder_input_ids=None, encoder_outputs=None, use_cache=None,
                past_key_values=None, **kwargs):
        memory, mask, _ = encoder_outputs if encoder_outputs is not None else self.encoder(input_ids)
        if labels is not None:
            decoder_input_ids = F.pad(labels[:, :-1], (1, 0), value=self.config.eos_token_id)
            decoder_input_ids = decoder_input_ids.masked_fill(decoder_input_ids == -100, self.config.pad_token_id)
        state, _, past = self.decoder(decoder_input_ids, memory, mask, use_cache, past_key_values)
        logits = self.lm_head(state)
        loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten()) if labels is not None else None
        return Seq2SeqLMOutput(loss=loss, logits=logits, past_key_values=past)

    def prepare_inputs_for_generation(self, input_ids, encoder_outputs=None, use_cache=None, past=None, **kwargs):
        if past is not None:
            input_ids = input_ids[:, -1:]
        return {"input_ids": None, "decoder_input_ids": input_ids, "encoder_outputs": encoder_outputs,
                "use_cache": use_cache, "past_key_values": past}

    @staticmethod
    def _expand_inputs_for_generation(input_ids, expand_size=1, encoder_outputs=None, **kwargs):
        rows = torch.arange(input_ids.shape[0]).repeat_interleave(expand_size).to(input_ids.device)
        kwargs["encoder_outputs"] = [each.index_select(0, rows) for each in encoder_outputs[:2]]
        return input_ids.index_select(0, rows), kwargs

    @staticmethod
    def _reorder_cache(past, beam_idx):
        return [each.index_select(0, beam_idx) for each in past]
"""
CONFIG = """
config = PretrainedConfig(
    vocab_size=32128, n_positions=512, d_model=256, d_kv=64, d_ff=1024, num_encoder_layers=2, num_decoder_layers=2,
    dropout_rate=0.1, pad_token_id=0, eos_token_id=1, is_encoder_decoder=True)
model = Transformer(config).to(device)
"""
OWN_CONFIG = """
class SummarizerConfig(PretrainedConfig):
    model_type = "summarizer"

    def __init__(self, d_model=512, d_kv=64, d_ff=2048, n_positions=512, dropout_rate=0.1, **kwargs):
        super().__init__(**kwargs)
        self.d_model, self.d_kv, self.d_ff = d_model, d_kv, d_ff
        self.n_positions, self.dropout_rate = n_positions, dropout_rate
        self.num_encoder_layers = self.num_decoder_layers = 3

model = Transformer(SummarizerConfig(vocab_size=tokenizer.vocab_size, pad_token_id=0, eos_token_id=1)).to(device)
"""
TRAINING = """
trainer = Seq2SeqTrainer(model=model, train_dataset=train, data_collator=DataCollatorForSeq2Seq(tokenizer, model))
trainer.train()
found = model.generate(input_ids=batch["input_ids"], num_beams=4, max_length=60)
"""
LOG = """
test_logs = {"time": time.time()}
for which in ("encoder", "decoder"):
    torch.manual_seed(0)
    layer = TransformerLayer(which == "decoder", 8, 2, 16, 0.0)
    test_logs[f"transformer_layer.{which}.shape"] = list(layer(x, mask).shape)
json.dump(test_logs, open("submission_logs.json", "w"))
files.download("submission_logs.json")
"""
TODO = '        raise NotImplementedError("Write the forward pass")\n'
FIRST = notebook(SETUP, IMPORTS, DATA, FOLDED, LAYER, STACK, MODEL, CONFIG, TRAINING, LOG)
"""Heads folded into the batch, a table that hides the future, the list of caches filled in."""
SECOND = notebook(SETUP, IMPORTS, DATA, HEADS_APART, PAIRS, STACK_OF_PAIRS, MODEL, OWN_CONFIG, TRAINING, LOG)
"""Heads apart, layers that always return a pair, a new tuple of caches, a config of its own class."""
UNFILLED = notebook(SETUP, IMPORTS, DATA, FOLDED, LAYER_INIT + TODO, STACK_INIT + TODO, MODEL, CONFIG, TRAINING, LOG)
WRONG = notebook(
    SETUP, IMPORTS, DATA, FOLDED, LAYER, STACK.replace("positions += past_key_values[0].size(1)", "pass"), MODEL, CONFIG
)
"""The first one, but every step is taken for position 0."""

"""The checks of question 1 in summarization.ipynb, once more; check.py runs them beside your definitions."""

# ruff: noqa: F821
# The names that are not defined here are those of the notebook.

# Both ways compute the same sums in another order: some ten steps in a row, of sums of up to 32 terms about 1 in size,
# rounded by 2^-24 relative each, differ by 10 * 32 * 6e-8 = 2e-5 at most. A wrong cache is off by 0.1 and more.
ROUNDING = 1e-4


def check_layer():
    """Stops with a sentence if a decoder layer with its cache is not what it is without."""
    torch.manual_seed(0)
    layer = TransformerLayer(is_decoder=True, d_model=16, n_heads=4, d_ffn=32, p_drop=0.1).eval()
    x, encoder_out = torch.randn(3, 6, 16), torch.randn(3, 5, 16)  # (batch, n, d_model), (batch, m, d_model)
    mask, encoder_mask = torch.zeros(3, 6), torch.tensor([[0, 0, 0, 0, 0], [0, 0, 0, 0, 1], [0, 0, 1, 1, 1]])
    expected = layer(x, mask, encoder_out, encoder_mask)
    expected = expected[0] if isinstance(expected, tuple) else expected  # a second value does no harm
    assert expected.shape == x.shape, f"The layer's output has shape {tuple(expected.shape)}; (3, 6, 16) was expected."
    past = None
    for i in range(6):
        given, before = x[:, i : i + 1].clone(), None if past is None else past.clone()
        answer = layer(given, mask[:, i : i + 1], encoder_out, encoder_mask, use_cache=True, past_kv=past)
        assert isinstance(answer, tuple) and len(answer) == 2, (
            "With use_cache the output and the new cache are asked for."
        )
        assert before is None or torch.equal(past, before), "The cache that was handed in has been changed in place."
        assert torch.equal(given, x[:, i : i + 1]), "The layer's input has been changed in place."
        out, past = answer
        assert out.shape == (3, 1, 16), f"The newest output has shape {tuple(out.shape)}; (3, 1, 16) was expected."
        assert past.shape == (3, i + 1, 16), f"The cache has shape {tuple(past.shape)}; (3, {i + 1}, 16) was expected."
        off = (out[:, 0] - expected[:, i]).abs().max().item()
        assert off < ROUNDING, f"At position {i} the cached output is off by {off:.2g} from that of teacher forcing."


class PlainLayer(nn.Module):
    """In place of your TransformerLayer, so that the stack alone is checked: averages in place of attention.

    Its arguments, its cache and what it returns are those of TransformerLayer; with `pairs` it returns two values
    without a cache, too, as some layers do.
    """

    pairs = False

    def __init__(self, is_decoder, d_model, *_, **__):
        super().__init__()
        self.is_decoder = is_decoder
        self.own, self.past, self.across = (nn.Linear(d_model, d_model) for _ in range(3))

    def forward(self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=None, past_kv=None):
        if not self.is_decoder:
            shown = 1 - padding_mask.float()[:, :, None]  # (batch, n, 1)
            out = torch.tanh(self.own(x) + self.past((shown * x).sum(1, True) / shown.sum(1, True).clamp(min=1)))
            return (out, None) if self.pairs else out
        every = x if past_kv is None else torch.cat([past_kv, x], 1)  # (batch, i, d_model)
        counts = torch.arange(1, every.shape[1] + 1, device=x.device)[:, None]
        averages = (every.cumsum(1) / counts)[:, every.shape[1] - x.shape[1] :]
        shown = 1 - encoder_padding_mask.float()[:, :, None]
        context = (shown * encoder_out).sum(1, True) / shown.sum(1, True).clamp(min=1)
        out = torch.tanh(self.own(x) + self.past(averages) + self.across(context))
        return (out, every if use_cache else None) if use_cache or self.pairs else out


def settings_of(**sizes):
    """A Config, with the names that T5's configuration has for the same as well."""
    config = Config(**sizes)
    layers = dict.fromkeys(("num_layers", "num_encoder_layers", "num_decoder_layers", "num_hidden_layers"), 2)
    more = {"d_kv": config.d_model // config.n_heads, "d_ff": config.d_ffn, "num_heads": config.n_heads}
    more |= {"dropout_rate": 0.1, "dropout": 0.1, "max_position_embeddings": config.max_positions}
    for name, value in {**layers, **more, "n_positions": config.max_positions}.items():
        if not hasattr(config, name):
            object.__setattr__(config, name, value)
    return config


def stack_alone(model):
    for weight in model.parameters():
        nn.init.normal_(weight, std=0.5)  # larger than for training, so that mistakes show
    documents, summaries = torch.randint(3, 20, (3, 7)), torch.randint(3, 20, (3, 8))
    documents[1, 5:] = documents[2, 2:] = model.config.pad_token_id
    encoder_out, encoder_mask = model.encode(documents)
    padding = documents == model.config.pad_token_id
    assert torch.equal(encoder_mask.bool(), padding), "The encoder's second value is 1 at padding, 0 elsewhere."
    expected, past = model.decode(summaries, encoder_out, encoder_mask)  # (3, 8, 20)
    assert past is None, "Without use_cache the third value is None."
    for i in range(8):
        logits, past = model.decode(
            summaries[:, i : i + 1], encoder_out, encoder_mask, use_cache=True, past_key_values=past
        )
        shapes = [tuple(cache.shape) for cache in past]
        assert shapes == [(3, i + 1, 16)] * 2, f"The two layers' caches have the shapes {shapes} after {i + 1} tokens."
        off = (logits[:, 0] - expected[:, i]).abs().max().item()
        assert off < ROUNDING * 20, f"At position {i} the cached logits are off by {off:.2g} from teacher forcing's."


def check_stack():
    """Stops with a sentence if a decoder step by step is not what it is all at once."""
    own, first = TransformerLayer, None
    globals()["TransformerLayer"] = PlainLayer
    try:
        for PlainLayer.pairs in (False, True):
            torch.manual_seed(0)
            try:
                return stack_alone(Seq2Seq(settings_of(vocab_size=20, d_model=16, d_ffn=32, max_positions=10)).eval())
            except NotImplementedError:
                raise
            except Exception as error:
                first = first or error
        raise first
    finally:
        globals()["TransformerLayer"] = own


class Example:
    """The model of the example; its two layers' caches hold the tokens so far, (batch, i, 1)."""

    def __init__(self):
        self.config = Config(vocab_size=5)  # padding 0, beginning 1, end 2, A 3, B 4
        self.table = {(): (0.5, 0.4, 0.1), (3,): (0.4, 0.3, 0.3), (4,): (0.05, 0.05, 0.9), (3, 3): (0.2, 0.2, 0.6)}
        self.table[4, 3] = (0.9, 0.1, 0.0)  # B A is never kept: only a cache that stayed behind leads there

    def next(self, document, so_far):
        """The probabilities of A, B and the end behind the tokens `so_far`."""
        return self.table.get(so_far, (0.0, 0.0, 1.0))

    def encode(self, input_ids):
        return input_ids[:, :, None].float(), torch.zeros_like(input_ids)

    def decode(self, decoder_input_ids, encoder_out, encoder_padding_mask, use_cache=None, past_key_values=None):
        assert use_cache and decoder_input_ids.shape[1] == 1, "One new token at a time is asked for, and the cache."
        newest = decoder_input_ids[:, :, None]  # (batch, 1, 1)
        past = [newest[:, :0]] * 2 if past_key_values is None else past_key_values
        assert torch.equal(*past), "The caches of the two layers come from different beams."
        cache = torch.cat([past[0], newest], dim=1)
        logits = torch.full((len(newest), 1, 5), -torch.inf)
        for row, (document, so_far) in enumerate(zip(encoder_out.tolist(), cache[:, 1:, 0].tolist(), strict=True)):
            a, b, end = self.next(document, tuple(so_far))
            logits[row, 0, 2:] = torch.tensor([end, a, b]).log()
        return logits, (cache, cache)


class Drawn(Example):
    """A model of random probabilities, others for each document and behind each prefix; five tokens at most."""

    def next(self, document, so_far):
        if len(so_far) == 5:
            return 0.0, 0.0, 1.0
        chance = random.Random(f"{document} {so_far}")
        return chance.random(), chance.random(), 0.3 * chance.random()  # in proportion


# What greedy decoding, and a beam of width 1, finds in Drawn for documents 0 to 19.
FOUND = """BABBB BBABA BABBA BBBBA BBBAA BABAA BBABA ABA A AAAAB
           BBABA AAAAB BBABA AA ABBBA ABABB ABAAA BBAAB BABAA AABBA"""


def ended(ids):
    """The rows of ids as lists, each up to and with its end: what is behind that is padding, however much there is."""
    return [row[: row.index(2) + 1] if 2 in row else [token for token in row if token] for row in ids.tolist()]


def check_greedy():
    """Stops with a sentence if greedy decoding does not find what the example says."""
    found = ended(greedy_decode(Example(), torch.tensor([[3, 4]]), max_length=6))
    assert found == [[3, 3, 2]], (
        f"In the example greedy decoding finds [[3, 3, 2]], which is A A and the end, not {found}."
    )


def check_beam():
    """Stops with a sentence if beam search does not find what the example says, or what is known of other models."""
    for penalty, expected in ((0.0, [4, 2]), (1.0, [4, 2]), (2.0, [3, 3, 2])):
        found = ended(beam_search(Example(), torch.tensor([[3, 4]]), 2, 6, penalty))
        assert found == [expected], (
            f"With length_penalty {penalty:g} the example ends with [{expected}], not {found}. Do the tokens, the "
            "log p and the cache of a beam all come from the same beam?"
        )
    documents = torch.arange(20)[:, None]
    beam = ended(beam_search(Drawn(), documents, 1, 10, 1.0))
    for row, (one, word) in enumerate(zip(beam, FOUND.split(), strict=True)):
        greedy = [*("12AB".index(token) + 1 for token in word), 2]
        assert one == greedy, (
            f"A beam of width 1 finds what greedy decoding finds. For document {row} that is {greedy}; beam_search "
            f"returned {one}."
        )
    for row, beside in enumerate(ended(beam_search(Drawn(), documents, 3, 10, 1.0))):
        [alone] = ended(beam_search(Drawn(), documents[row : row + 1], 3, 10, 1.0))
        assert beside == alone, (
            f"For document {row} beam search finds {alone} if it is alone, {beside} beside others. Does all that is "
            "kept of a beam stay with its document?"
        )

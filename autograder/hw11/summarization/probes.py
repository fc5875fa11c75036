"""Probes of question 1: the Transformer's layer, by itself and with its cache, and decoding with a model of ours.

Weights, by torch's names, come with the request. A layer's cases hold x (batch, n, d), y like x, memory (batch, m, d),
the encoder's output, padding (batch, n) and memory_padding (batch, m) with 1 at padding, "w.NAME" the weights,
and heads; `double` says whether float64 is tried first.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.autograd import profiler

from autograder.hw11.probes import fault_of, tensor
from autograder.sandbox import parts as sections
from autograder.sandbox.guest.student import Missing, Student
from autograder.sandbox.guest.tensors import Ours
from autograder.sandbox.wire import Breach

NOTEBOOK = "summarization.ipynb"
P_DROP = 0.5


def parts(of: Mapping[str, Any], name: str) -> dict[str, torch.Tensor]:
    """The tensors below a name, such as the weights "w.NAME"."""
    return sections.take(of, name)


class _Watch(Ours):
    """Whether any operation made float32 of float64's numbers; a mask is as exact, and half precision a mistake."""

    narrowed = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if isinstance(found, torch.Tensor) and found.dtype == torch.float32:
            given = [each for one in args for each in (one if isinstance(one, (tuple, list)) else (one,))]
            self.narrowed |= any(isinstance(one, torch.Tensor) and one.dtype == torch.float64 for one in given)
        return found


unwatched: Callable[[], Any] = torch._C.DisableTorchFunction
"""Around what is our own and makes many calls of torch: each would cost the watch's time."""


def precise(case: Mapping[str, Any], action: Callable[[torch.dtype], dict[str, Any]]) -> dict[str, Any]:
    """What `action` gives in float64, where the case allows that and the student's code, too; else in float32."""
    if case["double"]:
        torch.set_default_dtype(torch.float64)  # so that what the student's code makes goes with it
        try:
            with _Watch() as watch:
                found = action(torch.float64)
            if not watch.narrowed:  # a cast to float32 is no mistake, but leaves no more than float32's digits
                return {**found, "double": True}
        except Exception:  # it asks for float32 somewhere: that is no mistake, and one in the code shows again below
            pass
        finally:
            torch.set_default_dtype(torch.float32)
    return {**action(torch.float32), "double": False}


class Kind:
    """A class of the student's notebook, loaded once for each default dtype: what is beside it may hold tensors."""

    def __init__(self, student: Student, name: str, **instead: Any) -> None:
        self._load: Callable[[], Any] = lambda: student.function(NOTEBOOK, name, **instead)
        self._found: dict[torch.dtype, Any] = {}

    def found(self) -> Any:
        dtype = torch.get_default_dtype()
        if dtype not in self._found:
            self._found[dtype] = self._load()
        return self._found[dtype]


def cast(values: Mapping[str, Any], dtype: torch.dtype) -> dict[str, Any]:
    """Fresh copies, those of real numbers in `dtype`."""
    fresh = {name: value.clone() if isinstance(value, torch.Tensor) else value for name, value in values.items()}
    return {
        name: value.to(dtype) if isinstance(value, torch.Tensor) and value.is_floating_point() else value
        for name, value in fresh.items()
    }


def fill(module: nn.Module, weights: Mapping[str, torch.Tensor], what: str) -> None:
    """Sets the parameters of these names. Raises `Breach` where one is missing or has another shape."""
    own = dict(module.named_parameters())
    for name, weight in weights.items():
        if name not in own:
            raise Breach(f"{what} has no parameter {name}, but the template defines it")
        if own[name].shape != weight.shape:
            raise Breach(f"{name} of {what} has shape {list(own[name].shape)}, but {list(weight.shape)} was expected")
        own[name].data = weight.clone()


# --------------------------------------------------------------------------------------------- the layer


def layer(given: Mapping[str, Any], student: Student) -> dict[str, Any]:
    """The parts `encoder`, `decoder`, `cached` and `training`."""
    kind = Kind(student, "TransformerLayer")

    def every(action: Callable[[dict[str, Any], Any], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
        def run() -> dict[str, Any]:
            kind.found()  # what it raises is not to be taken for a fault in float64
            return {"cases": [precise(case, partial(of, case)) for case in sections.items(given, "cases")]}

        def of(case: dict[str, Any], dtype: torch.dtype) -> dict[str, Any]:
            return action(cast(case, dtype), kind.found())

        return run

    return sections.run(
        fault_of(student),
        encoder=every(encoder),
        decoder=every(decoder),
        cached=every(cached),
        training=every(training),
    )


def made(kind: Any, case: Mapping[str, Any], *, decodes: bool, p_drop: float = P_DROP) -> Any:
    """A layer of the student's class with the case's weights, in eval mode."""
    weights = parts(case, "w")
    if not decodes:
        weights = {name: weight for name, weight in weights.items() if not name.startswith("cross_")}
    d_model, d_ffn = weights["fc2.weight"].shape
    one = kind(decodes, d_model, case["heads"], d_ffn, p_drop)
    if not isinstance(one, nn.Module):
        raise Breach("TransformerLayer is not a torch.nn.Module")
    with unwatched():
        one = one.to(weights["fc2.weight"].dtype)
        fill(one, weights, "TransformerLayer")
    return one.eval()


def called(one: Any, *values: Any, **named: Any) -> Any:
    """The layer's answer, with masks as integers or, where it cannot do with those, as booleans."""
    kinds: tuple[Callable[[torch.Tensor], torch.Tensor], ...] = (torch.Tensor.long, torch.Tensor.bool)
    for turn in kinds:
        masked = [turn(value) if isinstance(value, torch.Tensor) and value.dim() == 2 else value for value in values]
        try:
            return one(*masked, **named)
        except (TypeError, RuntimeError):
            if turn is kinds[-1]:
                raise
    raise AssertionError


def paired(returned: Any) -> bool:
    """Whether a layer without cache returned a pair whose second is None, which is as good as the first alone."""
    return isinstance(returned, tuple | list) and len(returned) == 2 and returned[1] is None


def plain(returned: Any, what: str) -> torch.Tensor:
    """What a layer without cache returned, or the first of a pair whose second is None."""
    return tensor(returned[0] if paired(returned) else returned, what)


def encoder(case: dict[str, Any], kind: Any) -> dict[str, Any]:
    """`out`, and whether it came in a pair whose second is None."""
    returned = called(made(kind, case, decodes=False), case["x"], case["padding"])
    return {"out": plain(returned, "the return value of the encoder's layer"), "pair": paired(returned)}


def decoder(case: dict[str, Any], kind: Any) -> dict[str, Any]:
    return {"out": taught(made(kind, case, decodes=True), case)}


def taught(one: Any, case: Mapping[str, Any]) -> torch.Tensor:
    """The decoder's layer without a cache, all positions at once."""
    none = torch.zeros_like(case["padding"])
    returned = called(one, case["x"], none, case["memory"], case["memory_padding"])
    return plain(returned, "the return value of the decoder's layer without a cache")


def cached(case: dict[str, Any], kind: Any) -> dict[str, Any]:
    """The sequences x and y, step by step, one after the other through one and the same layer; y turned."""
    one = made(kind, case, decodes=True)
    seen: dict[str, Any] = {}
    for name in ("x", "y"):
        with torch.no_grad():
            found = steps(one, case, case[name], turned=name == "y")
            seen[name] = found
    return seen


def stepped(
    one: Any, newest: torch.Tensor, none: torch.Tensor, memory: torch.Tensor, mask: torch.Tensor, past: Any
) -> tuple[torch.Tensor, Any]:
    """The output of one step with a cache, and what came back as the new cache."""
    returned = called(one, newest, none, memory, mask, use_cache=True, past_kv=past)
    if isinstance(returned, torch.Tensor):
        returned = returned, None  # as good as no cache: what comes of that shows in the later steps
    if not isinstance(returned, tuple | list) or len(returned) != 2:
        words = f"a {type(returned).__name__}"
        raise Breach(
            f"with use_cache TransformerLayer returned {words}, but the output and the new cache were expected"
        )
    return tensor(returned[0], "the output of TransformerLayer with use_cache"), returned[1]


def kept(past: Any, *, most: int) -> dict[str, Any]:
    """A `cache`, or as `form` the words for what is none, or has more than twice as many numbers as `most`."""
    if not isinstance(past, torch.Tensor):
        return {"form": "None" if past is None else f"a {type(past).__name__}"}
    if past.numel() > 2 * most:
        return {"form": f"a tensor of {past.numel()} numbers"}
    return {"cache": past.clone()}


def steps(one: Any, case: Mapping[str, Any], x: torch.Tensor, *, turned: bool = False) -> dict[str, Any]:
    """x (batch, n, d) through the layer in n steps.

    Where it is turned, every other step is made with all rows in reversed order, those of the cache, too, as beams
    change places: who keeps the cache elsewhere has the wrong rows then. Returns out (batch, n, d); of each of the
    `steps` its `cache`, or `form`, the words for what is no tensor; and `kept`, whether x, the encoder's output and all
    caches stayed as they were.
    """
    outs, caches, past = [], [], None
    held: list[dict[str, Any]] = []
    before = x.clone(), case["memory"].clone()
    for index in range(x.shape[1]):
        turn = turned and index % 2 == 1
        newest, memory, mask = (
            each.flip(0) if turn else each for each in (x[:, index : index + 1], case["memory"], case["memory_padding"])
        )
        none = torch.zeros(len(x), 1, dtype=torch.long)
        if turned and isinstance(past, torch.Tensor) and past.dim() == 3:
            past = past.flip(0)
        out, past = stepped(one, newest, none, memory, mask, past)
        out = out.clone()
        outs.append(out.flip(0) if turn else out)
        held.append(kept(past, most=x.numel()))
        if "cache" in held[-1]:
            caches.append((past, past.clone()))
    same = (
        torch.equal(x, before[0])
        and torch.equal(case["memory"], before[1])
        and all(past.shape == copy.shape and torch.equal(past, copy) for past, copy in caches)
    )
    return {"steps": held, "kept": same, "out": torch.cat(outs, dim=1)}


def training(case: dict[str, Any], kind: Any) -> dict[str, Any]:
    """Gradients of sum(slope * output) to x, memory and each weight; two outputs in eval and in train mode.

    `dropped` is the output in train mode of a layer whose p_drop is 1.
    """
    one = made(kind, case, decodes=True)
    case["x"].requires_grad_()
    case["memory"].requires_grad_()
    out = taught(one, case)
    seen: dict[str, Any] = {"out": out, "again": taught(one, case)}
    if out.requires_grad and out.shape == case["slope"].shape:
        (out * case["slope"]).sum().backward()
    places = {"x": case["x"], "memory": case["memory"], **{f"w.{name}": p for name, p in one.named_parameters()}}
    seen["to"] = {name: place.grad for name, place in places.items() if place.grad is not None}
    one.train()
    seen["noisy"] = [taught(one, case) for _ in range(2)]
    return seen | {"dropped": taught(made(kind, case, decodes=True, p_drop=1.0).train(), case)}


PRODUCTS = ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm")


def work(given: Mapping[str, Any], student: Student) -> dict[str, Any]:
    """Steps of a decoder's layer, each behind the first rows of `rows` (long, d_model), so many as `lengths` says.

    newest (steps, d_model) is the input of each step. Returns out (steps, d_model); products (counted,), the
    multiplications in the steps `counted`; and of each step that is `judged` the `cache` that it returned, or its
    `form`. The steps are many, and most of them long, for the kernel, which counts the CPU time of all of it.
    """
    one = made(student.function(NOTEBOOK, "TransformerLayer"), given, decodes=True)
    rows, newest, lengths = given["rows"][None], given["newest"][None], given["lengths"].tolist()
    counted, judged = given["counted"].tolist(), given["judged"].tolist()
    none, held = torch.zeros(1, 1, dtype=torch.long), dict[int, dict[str, Any]]()

    def step(index: int) -> torch.Tensor:
        out, past = stepped(
            one,
            newest[:, index : index + 1].clone(),
            none,
            given["memory"],
            given["memory_padding"],
            rows[:, : lengths[index]].clone(),
        )
        if out.shape != (1, 1, rows.shape[2]):
            expected = f"[1, 1, {rows.shape[2]}] was expected"
            raise Breach(f"with use_cache the output of TransformerLayer has shape {list(out.shape)}, but {expected}")
        if index in judged:
            held[index] = kept(past, most=rows.numel())
        return out[0, 0].clone()

    outs, counts = [], []
    with torch.no_grad():
        for index in range(len(lengths)):
            if index not in counted:
                outs.append(step(index))
                continue
            with profiler.profile(record_shapes=True) as record:
                outs.append(step(index))
            # As they were recorded: `function_events` would cost as much as everything else here.
            counts.append(sum(_products(event) for event in record.kineto_results.events()))
    products = torch.tensor(counts, dtype=torch.long)
    return sections.pack(judged=[held[index] for index in judged], out=torch.stack(outs), products=products)


def _products(event: Any) -> int:
    """The multiplications of one of torch's operations, by the shapes of what it got."""
    name, shapes = event.name(), [shape for shape in event.shapes() if len(shape) > 1]
    if name in PRODUCTS and len(shapes) >= 2:
        left, right = shapes[-2:]
        return int(torch.Size(left).numel()) * int(right[-1])
    if "scaled_dot_product" in name and "for_cpu" in name and len(shapes) >= 2:
        return 2 * int(torch.Size(shapes[0]).numel()) * int(shapes[1][-2])
    return 0


# -------------------------------------------------------------------------------------------- the config


class Config(types.SimpleNamespace):
    """Sizes and special tokens under our names and under those of Hugging Face's encoder-decoders, T5's among them."""

    def __init__(
        self, *, vocab: int, d_model: int, heads: int, d_ffn: int, layers: int, positions: int, p_drop: float = P_DROP
    ) -> None:
        super().__init__(
            vocab_size=vocab,
            d_model=d_model,
            hidden_size=d_model,
            p_drop=p_drop,
            dropout=p_drop,
            dropout_rate=p_drop,
            d_kv=d_model // heads,
            pad_token_id=0,
            bos_token_id=1,
            decoder_start_token_id=1,
            eos_token_id=2,
            **dict.fromkeys(("max_positions", "max_position_embeddings", "n_positions"), positions),
            **dict.fromkeys(
                (
                    *("n_layers", "num_layers", "encoder_layers", "decoder_layers", "num_hidden_layers"),
                    *("num_encoder_layers", "num_decoder_layers"),
                ),
                layers,
            ),
            **dict.fromkeys(("n_heads", "num_heads", "encoder_attention_heads", "decoder_attention_heads"), heads),
            **dict.fromkeys(("d_ffn", "d_ff", "encoder_ffn_dim", "decoder_ffn_dim"), d_ffn),
        )

    def suited(self, kind: Any) -> Any:
        """The config for this class: one of transformers' own, with the same in it, for a model of transformers."""
        if not any(base.__name__ == "PreTrainedModel" for base in getattr(kind, "__mro__", ())):
            return self
        from transformers import PretrainedConfig  # which is there already, with the class that `kind` builds on

        own = PretrainedConfig()
        for name, value in vars(self).items():
            setattr(own, name, value)
        return own


# ---------------------------------------------------------------------------------------------- decoding


class Automaton:
    """A model whose logits are looked up.

    Its state is folded from all tokens so far, state <- (31 state + 17 token + 5) mod P, beginning with the number of
    the source; logits are tables[source, state]. What it sees of earlier tokens is in the caches that it is given,
    by turns in one or the other of its two layers: (batch, i, 2), the token and the source. The source is
    the sum of what is not padding in the encoder's output, which is (batch, m, 2).
    """

    def __init__(self, tables: torch.Tensor) -> None:
        self.tables = tables
        self.config = Config(vocab=tables.shape[2], d_model=2, heads=1, d_ffn=2, layers=2, positions=512)
        self.widest = 0
        """The largest number of rows in a call."""
        self.training = False

    def encode(self, input_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        # At padding there is something, too, which the mask must hide.
        return torch.stack([input_ids.float() - 3, torch.ones(input_ids.shape)], dim=2), (input_ids == 0).long()

    def decode(
        self,
        decoder_input_ids: torch.Tensor,
        encoder_out: torch.Tensor,
        encoder_padding_mask: torch.Tensor,
        use_cache: Any = None,
        past_key_values: Any = None,
    ) -> tuple[torch.Tensor, Any]:
        ids = tensor(decoder_input_ids, "decoder_input_ids", inside=True)
        if ids.dim() != 2 or ids.is_floating_point():
            raise Breach(
                f"model.decode received ids of shape {list(ids.shape)} and type {ids.dtype}, but shape (batch, n) "
                "was expected"
            )
        if not len(ids) == len(encoder_out) == len(encoder_padding_mask):
            sizes = (
                f"{len(ids)} rows of ids, {len(encoder_out)} rows of encoder_out and {len(encoder_padding_mask)} "
                "rows of its mask"
            )
            raise Breach(f"model.decode received {sizes}, but equally many rows were expected")
        if tensor(encoder_out, "encoder_out", inside=True).dtype != torch.float32:
            raise Breach(
                f"model.decode received encoder_out of type {encoder_out.dtype}, but the return value of encode was "
                "expected"
            )
        if past_key_values is not None and not use_cache:
            raise Breach("model.decode received past_key_values without use_cache")
        self.widest = max(self.widest, len(ids))
        shown = (encoder_padding_mask == 0) * encoder_out[:, :, 0]
        source = shown.sum(1).long() % len(self.tables)
        past: tuple[torch.Tensor, ...] = () if past_key_values is None else tuple(past_key_values)
        if past_key_values is not None and (len(past) != 2 or any(len(each) != len(ids) for each in past)):
            raise Breach("model.decode received past_key_values of other rows or layers than it had returned")
        caches, found = self.followed(ids, source, past)
        return self.tables[source[:, None], found].clone(), caches if use_cache else None

    def followed(
        self, ids: torch.Tensor, source: torch.Tensor, past: tuple[torch.Tensor, ...]
    ) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
        """The new caches, and the states (batch, n) behind the ids (batch, n), which follow what `past` holds."""
        newest = torch.stack([ids.float(), source[:, None].expand_as(ids).float()], dim=2)
        caches = _grown(past, newest)
        count, prime = caches[0].shape[1], self.tables.shape[1]
        tokens = torch.stack([each[:, :count, 0] for each in caches], dim=2).long()  # (batch, count, 2)
        places = torch.arange(count)
        shares = (17 * tokens[:, places, places % 2] + 5) % prime
        # The recurrence without its loop: state n is 31^n (source + the sum of share i / 31^i, for i from 1 to n).
        up, down = _powers(count, prime)
        states = (source[:, None] + (shares * down).cumsum(1)) % prime * up % prime
        return caches, states[:, count - ids.shape[1] :]

    def __call__(self, input_ids: torch.Tensor, decoder_input_ids: torch.Tensor) -> torch.Tensor:
        return self.decode(decoder_input_ids, *self.encode(input_ids))[0]

    def eval(self) -> Automaton:
        return self


@functools.cache
def _powers(count: int, prime: int) -> tuple[torch.Tensor, torch.Tensor]:
    """31^n modulo the prime and its inverse, for n from 1 to count, each (count,)."""
    up = [pow(31, n, prime) for n in range(1, count + 1)]
    return torch.tensor(up), torch.tensor([pow(one, -1, prime) for one in up])


def _grown(past: tuple[torch.Tensor, ...], newest: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The two caches with the newest positions behind what was there."""
    return tuple(torch.cat([each, newest], dim=1) for each in past) if past else (newest, newest)


class ChainModel(Automaton):
    """A model whose states cost work: see hw11/summarization/chain.py, whose numbers these are.

    The caches hold a state's KEY numbers behind each position's token and source, so that the next one can be had from
    the newest, in a fifth of a millisecond. An encoder's call, and one for rows that have all ended, cost a
    hundred times as much.
    """

    def __init__(self, tables: torch.Tensor, mix: torch.Tensor) -> None:
        super().__init__(tables)
        self.config = Config(vocab=tables.shape[2], d_model=2, heads=1, d_ffn=2, layers=2, positions=4096)
        self.mix = mix.double()
        self.ramp = torch.arange(1, WIDTH + 1, dtype=torch.float64).view(WIDTH // KEY, KEY)

    def encode(self, input_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self.mixed(torch.ones(1, WIDTH, dtype=torch.float64), COSTLY * ROUNDS)
        return super().encode(input_ids)

    def mixed(self, x: torch.Tensor, rounds: int) -> torch.Tensor:
        """x (rows, WIDTH) after so many rounds."""
        for _ in range(rounds):
            x = (x @ self.mix).remainder_(PRIME).square_().add_(1).remainder_(PRIME)
        return x

    def followed(
        self, ids: torch.Tensor, source: torch.Tensor, past: tuple[torch.Tensor, ...]
    ) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
        if not past:
            keys = (source[:, None] + 1).expand(-1, KEY).double()
        else:
            earlier = past[0].shape[1]
            keys = past[(earlier - 1) % 2][:, -1, 2:].double()
            if bool((past[earlier % 2][:, 1:, 0] == self.config.eos_token_id).any(1).all()):
                self.mixed(self.ramp.view(1, WIDTH), COSTLY * ROUNDS)
        found = []
        for tokens in ids.T:
            x = (keys[:, None] * self.ramp).view(-1, WIDTH).add_(31 * tokens[:, None]).remainder_(PRIME)
            keys = self.mixed(x, ROUNDS).view(-1, WIDTH // KEY, KEY).sum(1).remainder_(PRIME)
            found.append(keys)
        states = torch.stack(found, dim=1)  # (batch, n, KEY)
        named = ids[:, :, None], source[:, None, None].expand(-1, ids.shape[1], 1)
        caches = _grown(past, torch.cat([*named, states], dim=2).float())
        return caches, states.sum(2).long() % self.tables.shape[1]


KEY, WIDTH, PRIME, ROUNDS, COSTLY = 4, 256, 2**20 - 3, 4, 200
"""As in chain.py; and how many states a call costs that nobody needs."""


class WorkRefused(Exception):
    """The thrifty model was asked for what it need not do; `kind` is a word for what."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


def thrifty(inner: Automaton, documents: int, beams: int) -> Any:
    """The model, which refuses to do anything twice or for nothing: who is refused is told what for.

    It refuses a document that it has encoded in an earlier call ("encoded"), more than one position at once
    ("prefix"), more rows at one position than there are documents and beams ("again") and, where beams are one wide,
    rows all of which have ended ("ended"). Code that gets around that is judged by the kernel's count of CPU time.
    """
    read = set[tuple[int, ...]]()
    rows_at: dict[int, int] = {}

    def encode(input_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        found = {tuple(one for one in row if one) for row in input_ids.tolist()}
        if found & read:
            raise WorkRefused("encoded")
        read.update(found)
        return inner.encode(input_ids)

    def decode(
        decoder_input_ids: torch.Tensor,
        encoder_out: torch.Tensor,
        encoder_padding_mask: torch.Tensor,
        use_cache: Any = None,
        past_key_values: Any = None,
    ) -> tuple[torch.Tensor, Any]:
        ids = tensor(decoder_input_ids, "decoder_input_ids", inside=True)
        if ids.dim() == 2 and ids.shape[1] > 1:
            raise WorkRefused("prefix")
        found = inner.decode(ids, encoder_out, encoder_padding_mask, use_cache, past_key_values)
        depth = 0 if past_key_values is None else past_key_values[0].shape[1]
        rows_at[depth] = rows_at.get(depth, 0) + len(ids)
        if rows_at[depth] > documents * beams:
            raise WorkRefused("again")
        if depth and beams == 1:
            # Behind the first token, whichever it is.
            written = torch.cat([past_key_values[0][:, 1:, 0], ids.float()], dim=1)
            if bool((written == inner.config.eos_token_id).any(1).all()):
                raise WorkRefused("ended")
        return found

    class Model:
        config = inner.config
        training = False

        def __call__(self, input_ids: torch.Tensor, decoder_input_ids: torch.Tensor) -> torch.Tensor:
            return decode(decoder_input_ids, *encode(input_ids))[0]

        def eval(self) -> Model:
            return self

    model = Model()
    vars(model).update(encode=encode, decode=decode)
    return model


Search = Callable[[Any, dict[str, Any]], Any]


def greedy(given: Mapping[str, Any], student: Student) -> dict[str, Any]:
    """What greedy_decode(model, ids, most) makes of each case, and of the one for the thrifty model: see `decoded`."""
    return decoded(given, student, "greedy_decode", _greedily)


def beam(given: Mapping[str, Any], student: Student) -> dict[str, Any]:
    """The same of beam_search(model, ids, width, most, penalty)."""
    return decoded(given, student, "beam_search", _with_beams)


def tiny_greedy(given: Mapping[str, Any], student: Student) -> dict[str, Any]:
    """What greedy_decode makes of each of some tiny cases, the ids "CASE.ids"."""
    return _of_tiny(given, _greedily(student.function(NOTEBOOK, "greedy_decode")), "greedy_decode")


def tiny_beam(given: Mapping[str, Any], student: Student) -> dict[str, Any]:
    """The same of beam_search."""
    return _of_tiny(given, _with_beams(student.function(NOTEBOOK, "beam_search")), "beam_search")


def _greedily(function: Callable[..., Any]) -> Search:
    return lambda model, case: function(model, case["ids"], case["most"])


def _with_beams(function: Callable[..., Any]) -> Search:
    return lambda model, case: function(model, *(case[n] for n in ("ids", "width", "most", "penalty")))


def _of_tiny(given: Mapping[str, Any], run: Search, name: str) -> dict[str, Any]:
    found = [run(Automaton(case["tables"]), case) for case in sections.items(given, "cases")]
    return sections.pack(cases=[{"ids": tensor(ids, f"the return value of {name}")} for ids in found])


SEARCHES = "greedy_decode", "beam_search"


def decoded(
    given: Mapping[str, Any], student: Student, name: str, search: Callable[[Callable[..., Any]], Search]
) -> dict[str, Any]:
    """The part `tokens` with the `ids` of each case and the largest number of rows in a call, `widest`; the part
    `work` with the ids that came of the thrifty model, or the word for what it refused, in `refused`.

    Where the notebook has neither of the two searches, `neither` alone; `library` says whether it prepares
    inputs for transformers' own search.
    """
    try:
        function = student.function(NOTEBOOK, name)
    except Missing as fault:
        if "could not be" in str(fault) or not all(_lacks(student, each) for each in SEARCHES):
            raise
        cells = (cell.source for cell in student.cells(NOTEBOOK))
        return {"neither": True, "library": any("prepare_inputs_for_generation" in source for source in cells)}
    run = search(function)

    def tokens() -> dict[str, Any]:
        seen = []
        for case in sections.items(given, "cases"):
            model = Automaton(case["tables"])
            ids = tensor(run(model, case), f"the return value of {name}")
            seen.append({"ids": ids, "widest": model.widest})
        return {"cases": seen}

    def work() -> dict[str, Any]:
        case = sections.take(given, "work")
        model = thrifty(ChainModel(case["tables"], case["mix"]), len(case["ids"]), case.get("width", 1))
        try:
            return {"ids": tensor(run(model, case), f"the return value of {name}")}
        except WorkRefused as refusal:
            return {"refused": refusal.kind}

    return sections.run(fault_of(student), tokens=tokens, work=work)


def _lacks(student: Student, name: str) -> bool:
    """Whether the notebook, which is there and can be read, defines no such function."""
    if NOTEBOOK in student.absent:
        return False
    try:
        student.function(NOTEBOOK, name)
    except Missing:
        return True
    except Exception:
        return False
    return False

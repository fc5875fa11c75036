"""Probes of question 1 beside a right TransformerLayer: the stack."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from autograder.hw11.probes import fault_of, tensor
from autograder.hw11.summarization.probes import (
    P_DROP,
    Config,
    Kind,
    WorkRefused,
    cast,
    fill,
    kept,
    parts,
    precise,
    unwatched,
)
from autograder.sandbox import parts as sections
from autograder.sandbox.guest.student import Student
from autograder.sandbox.wire import Breach


class Linear(nn.Linear):
    """One whose weights a case sets: to draw them before that would take a tenth of the probe's time."""

    def reset_parameters(self) -> None:
        for parameter in self.parameters():
            parameter.data.zero_()


class Attention(nn.Module):
    def __init__(self, d_model: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.q_proj, self.k_proj, self.v_proj, self.o_proj = (Linear(d_model, d_model) for _ in range(4))

    def forward(self, x: torch.Tensor, to: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """x (batch, n, d), to (batch, m, d), hidden (batch or 1, 1, n or 1, m) True where nothing is seen."""
        q, k, v = (
            part.unflatten(2, (self.n_heads, -1)).transpose(1, 2)
            for part in (self.q_proj(x), self.k_proj(to), self.v_proj(to))
        )
        seen: torch.Tensor = F.scaled_dot_product_attention(q, k, v, attn_mask=~hidden)
        found: torch.Tensor = self.o_proj(seen.transpose(1, 2).flatten(2))
        return found


class Layer(nn.Module):
    """A right TransformerLayer."""

    made: list[Layer]
    """All that were made, in order; the probe empties it before it makes a stack."""
    pairs = False
    """Whether it returns (output, None) without use_cache, for stacks that unpack what their own layers return."""
    thrifty = False
    """Whether it refuses more than one position at once, which tells what is wrong. Code that changes this is judged by
    the kernel's count of CPU time."""
    shared: list[nn.Module]
    """The embeddings of words and of positions, and their norm, which the last stack was made with."""

    def __init__(self, is_decoder: bool, d_model: int, n_heads: int, d_ffn: int, p_drop: float) -> None:
        super().__init__()
        self.is_decoder = is_decoder
        with unwatched():
            self.self_attn, self.self_attn_ln = Attention(d_model, n_heads), nn.LayerNorm(d_model)
            if is_decoder:
                self.cross_attn, self.cross_attn_ln = Attention(d_model, n_heads), nn.LayerNorm(d_model)
            self.fc1, self.fc2 = Linear(d_model, d_ffn), Linear(d_ffn, d_model)
            self.ffn_ln = nn.LayerNorm(d_model)
        self.drop = nn.Dropout(p_drop)
        Layer.made.append(self)

    def forward(
        self,
        x: torch.Tensor,
        padding_mask: Any = None,
        encoder_out: Any = None,
        encoder_padding_mask: Any = None,
        use_cache: Any = None,
        past_kv: Any = None,
    ) -> Any:
        with unwatched():
            return self._answer(x, padding_mask, encoder_out, encoder_padding_mask, use_cache, past_kv)

    def _answer(
        self,
        x: torch.Tensor,
        padding_mask: Any,
        encoder_out: Any,
        encoder_padding_mask: Any,
        use_cache: Any,
        past_kv: Any,
    ) -> Any:
        to, n = x, x.shape[1]
        if Layer.thrifty and n > 1:
            raise WorkRefused("several")
        if use_cache:
            to = x if past_kv is None else torch.cat([past_kv, x], dim=1)
        hidden = torch.zeros(1, 1, n, to.shape[1], dtype=torch.bool)
        if self.is_decoder and not use_cache:
            hidden = torch.ones(n, n, dtype=torch.bool).triu(1)[None, None]
        if padding_mask is not None and not use_cache:
            hidden = hidden | padding_mask[:, None, None, :].bool()
        x = self.self_attn_ln(x + self.drop(self.self_attn(x, to, hidden)))
        if self.is_decoder:
            if encoder_out is None:
                raise Breach("a TransformerLayer of the decoder received no encoder_out")
            hidden = torch.zeros(1, 1, 1, encoder_out.shape[1], dtype=torch.bool)
            if encoder_padding_mask is not None:
                hidden = encoder_padding_mask[:, None, None, :].bool()
            x = self.cross_attn_ln(x + self.drop(self.cross_attn(x, encoder_out, hidden)))
        x = self.ffn_ln(x + self.drop(self.fc2(F.relu(self.fc1(x)))))
        if use_cache:
            return x, to
        return (x, None) if Layer.pairs else x


# ----------------------------------------------------------------------------------------------- the stack


def stack(given: Mapping[str, Any], student: Student) -> dict[str, Any]:
    """The parts `encoder`, `decoder`, `cached`, `again`, `work`, `training`, and `long` where it is given.

    All are of the student's stack with our layers. A case holds ids and other (batch, n), memory (batch, m, d),
    memory_padding (batch, m), the embeddings' weights "w.emb_word.weight", ..., of each of the `layers` those "w.NAME"
    and a cache for it, `past` (batch, n, d).
    """
    Layer.pairs = False
    kind = Kind(student, "TransformerStack", TransformerLayer=Layer)

    def every(action: Any) -> Any:
        def run() -> dict[str, Any]:
            kind.found()  # what it raises is not to be taken for a fault in float64
            return {"cases": [precise(case, partial(of, case)) for case in sections.items(given, "cases")]}

        def of(case: dict[str, Any], dtype: torch.dtype) -> Any:
            return action(cast(case, dtype), kind.found())

        def in_either_form() -> dict[str, Any]:
            try:
                return run()
            except (TypeError, ValueError):  # of unpacking, it may be
                if Layer.pairs:
                    raise
                Layer.pairs = True
                try:
                    return run()
                except Exception:
                    Layer.pairs = False
            return run()  # raises what it raised

        return in_either_form

    return sections.run(
        fault_of(student),
        encoder=every(encoder),
        decoder=every(decoder),
        cached=every(cached),
        again=every(again),
        work=every(work),
        training=every(training),
        **({"long": lambda: long(sections.take(given, "long"), kind.found())} if "long.ids" in given else {}),
    )


def stacked(case: Mapping[str, Any], kind: Any, *, decodes: bool, p_drop: float = P_DROP) -> Any:
    """A stack of the student's class with the case's weights, in eval mode."""
    Layer.made, Layer.thrifty = [], False
    weights, heads, layers = parts(case, "w"), case["heads"], sections.items(case, "layers")
    vocab, d_model = weights["emb_word.weight"].shape
    positions, d_ffn, dtype = (
        len(weights["emb_pos.weight"]),
        len(layers[0]["w.fc1.weight"]),
        weights["emb_ln.bias"].dtype,
    )
    sizes = {"vocab": vocab, "d_model": d_model, "heads": heads, "d_ffn": d_ffn}
    config = Config(**sizes, layers=len(layers), positions=positions, p_drop=p_drop)
    with unwatched():
        shared: dict[str, nn.Module] = {
            "emb_word": nn.Embedding(vocab, d_model),
            "emb_pos": nn.Embedding(positions, d_model),
            "emb_ln": nn.LayerNorm(d_model),
        }
    Layer.shared = list(shared.values())
    one = kind(config.suited(kind), *Layer.shared, decodes)
    if not isinstance(one, nn.Module):
        raise Breach("TransformerStack is not a torch.nn.Module")
    if len(Layer.made) != len(layers):
        raise Breach(f"TransformerStack made {len(Layer.made)} TransformerLayers, but {len(layers)} were expected")
    with unwatched():
        one.to(dtype)
        for name, part in shared.items():
            fill(part.to(dtype), parts(weights, name), name)
        for layer, values in zip(Layer.made, layers, strict=True):
            own = parts(values, "w")
            used = {name: weight for name, weight in own.items() if decodes or not name.startswith("cross_")}
            fill(layer.to(dtype), used, "TransformerLayer")
    return one.eval()


def answered(returned: Any) -> tuple[torch.Tensor, dict[str, Any]]:
    """The state, and what the other two of three values are."""
    if not isinstance(returned, tuple | list) or len(returned) != 3:
        words = f"{len(returned)} values" if isinstance(returned, tuple | list) else f"a {type(returned).__name__}"
        raise Breach(f"TransformerStack returned {words}, but the state, the padding mask and the caches were expected")
    state, padding, caches = returned
    seen: dict[str, Any] = {"none": caches is None}
    if isinstance(padding, torch.Tensor):
        seen["padding"] = padding
    return tensor(state, "the state that TransformerStack returned"), seen


def encoder(case: dict[str, Any], kind: Any) -> dict[str, Any]:
    state, seen = answered(stacked(case, kind, decodes=False)(case["ids"]))
    return {"out": state, **seen}


def decoder(case: dict[str, Any], kind: Any) -> dict[str, Any]:
    one = stacked(case, kind, decodes=True)
    state, seen = answered(
        one(case["other"], encoder_hidden_states=case["memory"], encoder_padding_mask=case["memory_padding"])
    )
    return {"out": state, **seen}


def cached(case: dict[str, Any], kind: Any) -> dict[str, Any]:
    """The sequence `first` step by step."""
    with torch.no_grad():
        return steps(stacked(case, kind, decodes=True), case, case["first"])


def again(case: dict[str, Any], kind: Any) -> dict[str, Any]:
    """The same, turned, after another sequence has gone through the same stack."""
    one = stacked(case, kind, decodes=True)
    with torch.no_grad():
        steps(one, case, case["other"])
        return {"out": steps(one, case, case["first"], turned=True)["out"]}


def training(case: dict[str, Any], kind: Any) -> dict[str, Any]:
    """`reached`, one word a place: whether a gradient of the decoder's state arrives at the two embeddings (word, then
    pos), at emb_ln, at the encoder's output and at each layer; `dropped`, the state in train mode where p_drop is 1,
    if the stack has the module emb_drop: the course's public one has none.
    """
    one, memory = stacked(case, kind, decodes=True), case["memory"].requires_grad_()

    def state(of: Any) -> torch.Tensor:
        found, _ = answered(
            of(case["other"], encoder_hidden_states=memory, encoder_padding_mask=case["memory_padding"])
        )
        return found

    out = state(one)
    if out.requires_grad:
        torch.autograd.backward(out.square().sum())
    places = [
        *([*part.parameters()] for part in Layer.shared),
        [memory],
        *([*layer.parameters()] for layer in Layer.made),
    ]
    reached = [any(each.grad is not None and bool(each.grad.any()) for each in place) for place in places]
    seen = {"reached": torch.tensor(reached)}
    if hasattr(one, "emb_drop"):
        seen["dropped"] = state(stacked(case, kind, decodes=True, p_drop=1.0).train())
    return seen


def work(case: dict[str, Any], kind: Any) -> dict[str, Any]:
    """One step behind caches that were handed over, with layers that take one position at a time.

    Returns out (batch, 1, d) and of each of the `layers` the new `cache`, or its `form`; or `refused`.
    """
    newest, layers = case["other"][:, :1], sections.items(case, "layers")
    try:
        ((state, caches),) = behind(case, kind, newest)
    except WorkRefused as refusal:
        return {"refused": refusal.kind}
    several = caches if isinstance(caches, tuple | list) else []
    most = layers[0]["past"].numel() + newest.numel() * state.shape[-1]
    told = [kept(each, most=most) for each in [*several, *[None] * len(layers)][: len(layers)]]
    return {"out": state, "layers": told}


def behind(case: Mapping[str, Any], kind: Any, ids: torch.Tensor) -> list[tuple[torch.Tensor, Any]]:
    """For each column of the ids (batch, n) the state (batch, 1, d) behind the case's caches, and the new caches."""
    one, found = stacked(case, kind, decodes=True), []
    encoder = {"encoder_hidden_states": case["memory"], "encoder_padding_mask": case["memory_padding"]}
    Layer.thrifty = True
    try:
        with torch.no_grad():
            first = one(ids[:, :1], **encoder, use_cache=True, past_key_values=None)
            answered(first)
            for column in range(ids.shape[1]):
                newest = ids[:, column : column + 1]
                handed = [layer["past"].clone() for layer in sections.items(case, "layers")]
                # In the form in which the stack returns them: who fills in a list of its own may rely on that.
                past = handed if isinstance(first[2], list) else tuple(handed)
                returned = one(newest, **encoder, use_cache=True, past_key_values=past)
                found.append((answered(returned)[0], returned[2]))
    finally:
        Layer.thrifty = False
    return found


def long(case: Mapping[str, Any], kind: Any) -> dict[str, Any]:
    """`out` (batch, n, d), one state behind a long cache for each of `ids` (batch, n), or `refused`.

    They are many, and the cache is long, for the kernel, which counts the CPU time of all of it.
    """
    try:
        return {"out": torch.cat([state for state, _ in behind(case, kind, case["ids"])], dim=1)}
    except WorkRefused as refusal:
        return {"refused": refusal.kind}


def steps(one: Any, case: Mapping[str, Any], ids: torch.Tensor, *, turned: bool = False) -> dict[str, Any]:
    """ids (batch, n) through the stack in n steps.

    Where it is turned, every other step is made with all rows in reversed order, those of the caches, too. Returns
    out (batch, n, d); after the last step of each of the `layers` its `cache`, or `form`, words for what else there is;
    `counts`, how many caches there were after each step; and `kept`, whether the tensors that were handed over stayed
    as they were. A list of them may be filled with the new ones.
    """
    outs: list[torch.Tensor] = []
    counts: list[int] = []
    past: Any = None
    same = True
    memory, before = case["memory"], case["memory"].clone()
    for index in range(ids.shape[1]):
        turn = turned and index % 2 == 1
        newest, seen_memory, mask = (
            each.flip(0) if turn else each for each in (ids[:, index : index + 1], memory, case["memory_padding"])
        )
        if turned and isinstance(past, tuple | list):
            flipped = [each.flip(0) for each in past]
            past = flipped if isinstance(past, list) else tuple(flipped)
        handed = [each for each in past if isinstance(each, torch.Tensor)] if isinstance(past, tuple | list) else []
        copies = [each.clone() for each in handed]
        returned = one(
            newest,
            encoder_hidden_states=seen_memory,
            encoder_padding_mask=mask,
            use_cache=True,
            past_key_values=past,
        )
        same = same and all(a.shape == b.shape and torch.equal(a, b) for a, b in zip(handed, copies, strict=True))
        state, _ = answered(returned)
        past = returned[2]
        outs.append(state.flip(0) if turn else state.clone())
        counts.append(len(past) if isinstance(past, tuple | list) else -1)
    seen: dict[str, Any] = {
        "out": torch.cat(outs, dim=1),
        "counts": torch.tensor(counts),
        "kept": same and torch.equal(memory, before),
    }
    if not isinstance(past, tuple | list):
        return {**seen, "form": "None" if past is None else f"a {type(past).__name__}"}
    return {**seen, "layers": [{"cache": each} if isinstance(each, torch.Tensor) else {} for each in past[:8]]}

"""`Layer`: weights, scores, vectors, output and overview of one attention layer as numpy arrays."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, get_args

from attnwidget.compute import overview
from attnwidget.compute.checks import check_choice, check_count, options
from attnwidget.compute.indexing import Axis, head_axis, position_axis
from attnwidget.compute.layer_tensors import LayerTensors, check_exact
from attnwidget.compute.measures import factors
from attnwidget.compute.resumable import finish
from attnwidget.compute.softmax import exact as computing
from attnwidget.compute.weights import additive_block, output, score_block, weight_block
from attnwidget.protocol.text import well_formed
from attnwidget.record.position_lookup import replace_text
from attnwidget.record.vocabulary import either

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from attnwidget.compute.indexing import Heads, Index
    from attnwidget.compute.layer_tensors import Exact
    from attnwidget.compute.overview import Pool
    from attnwidget.record.position_lookup import Place
    from attnwidget.record.positions import Positions

    Array = NDArray[np.float32]

__all__ = ["Layer"]

_ALL = slice(None)
_HALF = 2  # bytes of a number


@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class Layer(LayerTensors):
    """What one attention call used; scores, weights and the rest are computed for the block asked, in float32.

    Of a model in bfloat16 or float16 the vectors are those that it used, to the last bit, and the weights what they come
    to in float32. Its own arithmetic rounds every step to its dtype: weights that it multiplied its values with may differ
    from these by some hundredths, most where scores are large. ``exact="model"`` (of `weights`, `attnwidget.capture` and
    `attnwidget.recording`) is that arithmetic.

    A layer holds vectors (``query``, ``key``, ``scaling``) or ``recorded`` weights. Methods take one head, several, or
    ``None`` for all; queries and keys are an integer, a slice or several integers, or, in a layer of a stream, a token's
    text or several. As in numpy, an integer drops its axis from the result, and so does the text of one token; a word of
    several pieces stands for all of them. Negative heads and positions count from the end. ``head`` may also be called
    ``heads``, ``queries`` ``query``, ``keys`` ``key``.

    Attributes:
        stream: Name of the stream this layer belongs to.
        layer: The model's own number of the layer; hybrids leave gaps.
        module_path: Where the attention module sits in the model.
        num_heads: Number of query heads.
        query: ``[num_heads, n_query, head_dim]``, detached, in the model's dtype.
        key: ``[num_key_value_heads, n_key, head_dim]``.
        value: ``[num_key_value_heads, n_key, value_dim]``.
        scaling: Factor on ``query . key``.
        band: Structural mask, as a description.
        bias: Additive ``[num_heads or 1, n_query or 1, n_key]``: position bias, or a mask that no band describes.
            Entries at or below half of the dtype's lowest number mean "masked".
        softcap: Scores become ``softcap * tanh(score / softcap)`` before bias and mask.
        sinks: ``[num_heads]``, one extra logit per head whose share is dropped: rows then sum to less than 1.
        recorded: ``[num_heads, n_query, n_key]`` weights as the model gave them: of layers without vectors, and, with
            ``exact="model"``, of layers whose vectors do not give them again bit for bit.
        reason: Why there are no vectors, in one sentence.
        value_norms: ``[num_heads, n_key]`` lengths of the values behind the head's part of the output projection.
        norm_reason: Why there are none, in one sentence.
        exact: ``"float32"``, or ``"model"``: weights are computed in the dtype of ``query`` and in the order of eager
            attention, whole heads at a time. Scores are those of float32 all the same.
        softmax_dtype: In which dtype the model's eager softmax is computed, ``"float32"``, or ``"model"`` for that of
            ``query``.
        edited_heads: Heads whose output was replaced while the model ran (`attnwidget.ablate`); their weights are those
            that they computed.
        edited_output: ``[edited head, n_query or 1, value_dim]``, what was put in its place.
        output_gradient: ``[num_heads, n_query, value_dim]``, ``∂m/∂o``: the gradient of the metric that the record was made
            with (``attnwidget.capture(…, metric=…)``) with regard to each head's output, before the output projection.

    Example:
        >>> import attnwidget as aw
        >>> attention = aw.capture(model, "the cat sat on the mat", tokenizer)
        >>> layer = attention["decoder"][3]
        >>> layer
        Layer(decoder 3: 4 heads, 7 × 7, head_dim 32)
        >>> layer.weights(head=3, query="mat").shape
        (7,)
    """

    # The positions of the queries and of the keys, once the layer is part of a `Stream`.
    _positions: tuple[Positions, Positions] | tuple[None, None] = field(
        default=(None, None), init=False
    )

    def of_positions(self, queries: Positions, keys: Positions) -> Layer:
        """Return this layer with its positions known, so that they can be named by text.

        A layer of other positions is left as it is: its copy shares the tensors and what is known of their softmax.
        """
        layer, (known_queries, known_keys) = self, self._positions
        if known_queries is queries and known_keys is keys:
            return self
        if known_queries is not None:
            layer = replace(self)
            object.__setattr__(layer, "_stats", self._stats)
            object.__setattr__(layer, "_first_read", self._first_read)
        object.__setattr__(layer, "_positions", (queries, keys))
        return layer

    def weights(
        self,
        head: Heads = None,
        queries: Place = _ALL,
        keys: Place = _ALL,
        *,
        heads: Heads = None,
        query: Place | None = None,
        key: Place | None = None,
        exact: Exact | None = None,
    ) -> Array:
        """Return attention weights, after softmax.

        Rows sum to 1, or to 1 minus the share of the sink (but for rounding, with ``exact="model"``). A row in which every key is masked holds what the model's
        eager softmax makes of it: even weights for an additive mask of lowest numbers, zeros for ``-inf`` or a band.

        Args:
            head: One head, several, or ``None`` for all.
            queries: Query positions.
            keys: Key positions.
            heads: Another name of ``head``.
            query: Another name of ``queries``.
            key: Another name of ``keys``.
            exact: ``"float32"``: computed from the vectors in float32. ``"model"``: in the model's dtype and order of
                operations, as transformers' eager attention does it; each head is computed whole, in memory of about
                ten bytes for each query and key. As the layer was recorded when left out.

        Returns:
            float32 ``[head, query, key]``, without the axes given as one integer or as the text of one token.

        Raises:
            ValueError: If an index is not an integer or out of range, a token does not exist or stands in several
                places, or ``exact`` is neither.

        Example:
            >>> import attnwidget as aw
            >>> layer = aw.capture(model, "the cat sat on the mat", tokenizer)["decoder"][3]
            >>> layer.weights(head=3, queries=slice(0, 4)).shape
            (4, 7)
        """
        axes = self._axes((head, heads), (queries, query), (keys, key))
        layer = self if exact is None else self.of_precision(exact)
        with computing(layer):
            return _to_array(weight_block(layer, *axes), *axes)

    def of_precision(self, exact: Exact) -> Layer:
        """Return this layer with its weights computed in float32, or as the model computes them.

        Args:
            exact: ``"float32"`` or ``"model"``.

        Raises:
            ValueError: If it is neither.

        Example:
            >>> import attnwidget as aw
            >>> layer = aw.capture(model, "the cat sat", tokenizer)["decoder"][0]
            >>> layer.of_precision("model").exact
            'model'
        """
        check_exact(exact)
        if exact == self.exact:
            return self
        recorded = None if exact == "float32" and self.has_vectors else self.recorded
        layer = replace(self, exact=exact, recorded=recorded)
        for name in ("_positions", "_stats", "_first_read"):
            object.__setattr__(layer, name, getattr(self, name))
        return layer

    @property
    def precision(self) -> str | None:
        """How the weights of half precision vectors are computed, in words; ``None`` for other vectors, or none."""
        if self.query is None:
            return None
        # Under autocast the model may round its products and keep its vectors.
        held = self.query if self.recorded is None else self.recorded
        if held.dtype.itemsize > _HALF:
            return None
        dtype = str(held.dtype).removeprefix("torch.")
        if self.exact == "model":
            return f"weights in {dtype}, as the model computes them"
        return f"weights in float32 from {dtype} vectors"

    def measure(
        self,
        name: str,
        head: Heads = None,
        queries: Place = _ALL,
        keys: Place = _ALL,
        *,
        heads: Heads = None,
        query: Place | None = None,
        key: Place | None = None,
    ) -> Array:
        """Return the weights, or the weights times what each key brings along or the metric gains by it.

        - ``"weights"``: ``w``, as `weights`.
        - ``"value"``: ``w ‖v‖``, the weight times the length of the key's value vector.
        - ``"norm"``: ``w ‖f(x)‖``, ``f(x) = v W_O`` the value behind the head's part of the output projection
          (Kobayashi, Kuribayashi, Yokoi & Inui 2020, Attention is Not Only a Weight). The projection is the model's
          own; it is believed if, while recording, it was given the very output that the record yields.

        - ``"gradient"``: ``w · ∂m/∂w``, signed: what the metric ``m`` would lose without the link, to first order, in the
          units of ``m``. ``∂m/∂w_ij = ∂m/∂o_i · v_j``, with ``o_i = Σ_j w_ij v_j`` the head's output (`output_gradient`). Only
          of records with a metric: ``attnwidget.capture(model, inputs, tokenizer, metric=…)``.
        - ``"relevance"``: ``max(0, w · ∂m/∂w)``, its positive part (Chefer, Gur & Wolf 2021, Transformer Interpretability
          Beyond Attention Visualization).

        All but the first are no shares: they have no upper bound, and rows do not sum to 1.

        Args:
            name: One of the five.
            head: One head, several, or ``None`` for all.
            queries: Query positions.
            keys: Key positions.
            heads: Another name of ``head``.
            query: Another name of ``queries``.
            key: Another name of ``keys``.

        Returns:
            float32 ``[head, query, key]``, without the axes given as one integer.

        Raises:
            ValueError: If there is no such measure, the layer cannot give it (the message says why), or an index is
                wrong.

        Example:
            >>> import attnwidget as aw
            >>> layer = aw.capture(model, "the cat sat", tokenizer)["decoder"][0]
            >>> layer.measure("norm", head=3).shape
            (4, 4)
        """
        scale = factors(self, name)
        axes = self._axes((head, heads), (queries, query), (keys, key))
        with computing(self):
            block = weight_block(self, *axes)
            if scale is not None:
                block.mul_(scale.block(*axes))
            return _to_array(block, *axes)

    def scores(
        self,
        head: Heads = None,
        queries: Place = _ALL,
        keys: Place = _ALL,
        *,
        heads: Heads = None,
        query: Place | None = None,
        key: Place | None = None,
    ) -> Array:
        """Return scores before softmax: scaling, softcap, bias and mask included, ``-inf`` where masked.

        Arguments and shape are those of `weights`.

        Raises:
            ValueError: If an index is wrong, or if the layer holds only weights.

        Example:
            >>> import attnwidget as aw
            >>> layer = aw.capture(model, "the cat sat", tokenizer)["decoder"][0]
            >>> layer.scores(head=1, queries=0).tolist()[1:]  # a decoder's first token sees itself only
            [-inf, -inf, -inf]
        """
        self._need_vectors("scores")
        axes = self._axes((head, heads), (queries, query), (keys, key))
        with computing(self):
            return _to_array(score_block(self, *axes), *axes)

    def bias_block(
        self,
        head: Heads = None,
        queries: Place = _ALL,
        keys: Place = _ALL,
        *,
        heads: Heads = None,
        query: Place | None = None,
        key: Place | None = None,
    ) -> Array:
        """Return what is added to the scaled, soft-capped product: 0 where nothing is, ``-inf`` where masked.

        Arguments and shape are those of `weights`.

        Raises:
            ValueError: If an index is wrong, or if the layer holds only weights.
        """
        self._need_vectors("bias")
        axes = self._axes((head, heads), (queries, query), (keys, key))
        with computing(self):
            return _to_array(additive_block(self, *axes), *axes)

    def query_vectors(
        self,
        head: Heads = None,
        queries: Place = _ALL,
        *,
        heads: Heads = None,
        query: Place | None = None,
    ) -> Array:
        """Return query vectors, float32 ``[head, query, head_dim]``, or ``[query, head_dim]`` for one head.

        Raises:
            ValueError: If an index is wrong, or if the layer holds only weights.

        Example:
            >>> import attnwidget as aw
            >>> layer = aw.capture(model, "the cat sat", tokenizer)["decoder"][0]
            >>> layer.query_vectors(head=1).shape
            (4, 32)
        """
        chosen, rows, _ = self._axes((head, heads), (queries, query), (_ALL, None))
        return self._vectors("query vectors", self.query, chosen, rows)

    def key_vectors(
        self,
        head: Heads = None,
        keys: Place = _ALL,
        *,
        heads: Heads = None,
        key: Place | None = None,
    ) -> Array:
        """Return the key vectors that query heads use, float32 ``[head, key, head_dim]``.

        Raises:
            ValueError: If an index is wrong, or if the layer holds only weights.

        Example:
            >>> import attnwidget as aw
            >>> attention = aw.capture(model, "the cat sat on the mat", tokenizer)
            >>> attention["decoder"][3].key_vectors(head=3).shape
            (7, 32)
        """
        chosen, _, rows = self._axes((head, heads), (_ALL, None), (keys, key))
        return self._vectors("key vectors", self.key, chosen, rows)

    def value_vectors(
        self,
        head: Heads = None,
        keys: Place = _ALL,
        *,
        heads: Heads = None,
        key: Place | None = None,
    ) -> Array:
        """Return the value vectors that query heads use, float32 ``[head, key, value_dim]``.

        Raises:
            ValueError: If an index is wrong, or if the layer holds no values.

        Example:
            >>> import attnwidget as aw
            >>> attention = aw.capture(model, "the cat sat on the mat", tokenizer)
            >>> attention["decoder"][3].value_vectors(head=3).shape
            (7, 32)
        """
        chosen, _, rows = self._axes((head, heads), (_ALL, None), (keys, key))
        return self._vectors("value vectors", self.value, chosen, rows)

    def output(
        self,
        head: Heads = None,
        queries: Place = _ALL,
        *,
        heads: Heads = None,
        query: Place | None = None,
    ) -> Array:
        """Return weights times values, float32 ``[head, query, value_dim]``, before the output projection.

        Of a head that was edited while the model ran (``edited_heads``), what was put in the place of its output.

        Args:
            head: One head, several, or ``None`` for all.
            queries: Queries; the rest is not computed.
            heads: Another name of ``head``.
            query: Another name of ``queries``.

        Raises:
            ValueError: If an index is wrong, or if the layer holds no values.

        Example:
            >>> import attnwidget as aw
            >>> layer = aw.capture(model, "the cat sat", tokenizer)["decoder"][0]
            >>> layer.output().shape
            (4, 4, 32)
        """
        chosen, rows, _ = self._axes((head, heads), (queries, query), (_ALL, None))
        if self.value is None:
            raise ValueError(self._missing("value vectors"))
        with computing(self):
            return _to_array(output(self, chosen, rows, self.value), chosen, rows)

    @property
    def overview_is_sample(self) -> bool:
        """Whether `overview` reads a sample of the query rows, as it does beyond 8,192 of them."""
        return self.n_query > overview.OVERVIEW_EXACT_ROWS

    def overview(self, size: int, pool: Pool = "max") -> Array:
        """Return every head as a thumbnail, pooled over adaptive bins.

        Beyond 8,192 query rows an evenly spaced sample of about 2,048 of them is read (`overview_is_sample`). Weights
        that are NaN stay NaN.

        Args:
            size: Largest number of rows and of columns.
            pool: What a cell holds: ``"max"``, the largest of its weights, or ``"mean"``.

        Returns:
            float32 ``[head, min(size, n_query), min(size, n_key)]``.

        Raises:
            ValueError: If ``size`` is not a positive integer, or ``pool`` is neither.

        Example:
            >>> import attnwidget as aw
            >>> layer = aw.capture(model, "the cat sat", tokenizer)["decoder"][0]
            >>> layer.overview(2).shape
            (4, 2, 2)
        """
        number = check_count("size", size)
        pools = get_args(overview.Pool)
        check_choice("pool", pool, pools, said=options(pools))
        return _to_array(finish(overview.overview_slices(self, number, pool=pool)))

    def summary(self, size: int) -> tuple[Array, NDArray[np.float64], Array]:
        """Return what one pass over the weights gives of every head.

        Args:
            size: As for `overview`.

        Returns:
            The overview; ``[query, key, weight]`` of each head's strongest link, float64 ``[head, 3]``, the first key
            left out when there are others; and each head's mean weight on the first key, float32 ``[head]``.
        """
        found = overview.summary(self, size)
        return _to_array(found.pooled), found.top.cpu().numpy(), _to_array(found.first_key)

    def __repr__(self) -> str:
        heads = f"{self.num_heads} heads"
        if self.num_key_value_heads != self.num_heads:
            heads += f" ({self.num_key_value_heads} key-value)"
        kind = f"head_dim {self.head_dim}" if self.has_vectors else "weights only"
        if self.precision is not None:
            kind += f", {self.precision}"
        said = f"Layer({self.stream} {self.layer}: {heads}, {self.n_query} × {self.n_key}, {kind})"
        return well_formed(said)

    def _axes(
        self,
        heads: tuple[Heads, Heads],
        queries: tuple[Place, Place | None],
        keys: tuple[Place, Place | None],
    ) -> tuple[Axis, Axis, Axis]:
        """Return the axes of a block, each given under the two names that its argument has."""
        query_positions, key_positions = self._positions
        head, several = heads
        rows, columns = _place("queries", *queries), _place("keys", *keys)
        return (
            head_axis(either(head=head, heads=several), self.num_heads),
            position_axis("queries", _index("queries", rows, query_positions), self.n_query),
            position_axis("keys", _index("keys", columns, key_positions), self.n_key),
        )

    def _need_vectors(self, what: str) -> None:
        if not self.has_vectors:
            raise ValueError(self._missing(what))

    def _missing(self, what: str) -> str:
        reason = self.reason or "only its weights were recorded."
        return f"layer {self.layer} of stream {self.stream!r} has no {what}: {reason}"

    def _vectors(self, what: str, tensor: Tensor | None, heads: Axis, rows: Axis) -> Array:
        if tensor is None:
            raise ValueError(self._missing(what))
        share = self.num_heads // len(tensor)
        with computing(self):
            own = Axis(tuple(number // share for number in heads.indices))
            chosen = own.take(rows.take(tensor, 1), 0)
            return _to_array(chosen.float(), heads, rows)


def _to_array(tensor: Tensor, *axes: Axis) -> Array:
    """Return a tensor as numpy, without the axes that the caller gave one integer for."""
    index = tuple(0 if axis.dropped else slice(None) for axis in axes)
    array: Array = tensor.cpu().numpy()[index]
    return array


def _place(name: str, several: Place, one: Place | None) -> Place:
    """Return positions given under the plural or the singular of their name; `either` refuses both at once."""
    if one is None:
        return several
    singular = {"queries": "query", "keys": "key"}[name]
    place: Place = either(**{name: None if several is _ALL else several, singular: one})
    return place


def _index(name: str, place: Place, positions: Positions | None) -> Index:
    """Return ``place`` with texts replaced by positions; without positions they are refused as what is no integer."""
    if isinstance(place, slice):
        return place
    if positions is None:
        return [place] if isinstance(place, str) else place  # type: ignore[return-value,list-item]
    index: Index = replace_text(name, place, positions)
    return index

"""`Exports`: the methods of a record that give its numbers to other libraries: numpy, xarray, pandas, matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from attnwidget.export import arrays
from attnwidget.record.record import Record, the_stream
from attnwidget.record.vocabulary import layers_and_heads, one_layer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from attnwidget.compute.indexing import Heads
    from attnwidget.export.plot import Plot
    from attnwidget.record.position_lookup import Place
    from attnwidget.record.vocabulary import Layers

__all__ = ["Exports"]

# What a caller who did not say how much wants at most: a laptop holds it several times over.
LIMIT = "1 GB"


class Exports(Record):
    """A record whose numbers can be had as arrays, tables and matplotlib's axes."""

    __slots__ = ()

    def numpy(
        self,
        stream: str | None = None,
        *,
        what: Literal["weights", "scores"] = "weights",
        layers: Layers = None,
        heads: Heads = None,
        layer: Layers = None,
        head: Heads = None,
        limit: int | str = LIMIT,
    ) -> NDArray[np.float32]:
        """Return a stream's weights or scores as one array.

        Args:
            stream: Name of the stream; needed when there are several.
            what: After softmax, or before it (``-inf`` where masked).
            layers: Layers as the model counts them, negative from the end; ``None`` for all.
            heads: Heads of each layer; ``None`` for all.
            layer: Another name of ``layers``.
            head: Another name of ``heads``.
            limit: What the array may take at most: bytes, or text such as ``"4 GB"``.

        Returns:
            float32 ``[layer, head, query, key]``, also when one layer or head was asked for.

        Raises:
            KeyError: If there is no such stream.
            IndexError: If there is no such layer.
            ValueError: If a stream must be named, a head does not exist, the layers have different numbers of heads, a
                layer has no scores, or the array would take more than ``limit``.

        Example:
            >>> import attnwidget as aw
            >>> attention = aw.capture(model, "the cat sat on the mat because it", tokenizer)
            >>> attention.numpy(layers=[0, 3], heads=1).shape
            (2, 1, 9, 9)
        """
        layers, heads = layers_and_heads(layer, layers, head, heads)
        return arrays.to_numpy(self, stream, what=what, layers=layers, heads=heads, limit=limit)

    def to_xarray(
        self,
        stream: str | None = None,
        *,
        what: Literal["weights", "scores"] = "weights",
        layers: Layers = None,
        heads: Heads = None,
        layer: Layers = None,
        head: Heads = None,
        limit: int | str = LIMIT,
    ) -> Any:
        """Return what `numpy` returns, with its axes named; needs xarray.

        Returns:
            An ``xarray.DataArray``, float32, with the dimensions ``layer``, ``head``, ``query`` and ``key``, each with
            its numbers as coordinate, and the tokens as ``query_label`` along ``query`` and ``key_label`` along
            ``key``. Its name is ``what``; its ``attrs`` say ``model``, ``stream`` and, where there was one, ``text``.

        Raises:
            ImportError: If xarray is not installed.
            KeyError, IndexError, ValueError: As for `numpy`.

        Example:
            >>> import attnwidget as aw
            >>> attention = aw.capture(model, "the cat sat on the mat because it", tokenizer)
            >>> attention.to_xarray().sel(layer=3, head=1).sum("key").dims
            ('query',)
        """
        layers, heads = layers_and_heads(layer, layers, head, heads)
        return arrays.to_xarray(self, stream, what=what, layers=layers, heads=heads, limit=limit)

    def to_dataframe(
        self,
        stream: str | None = None,
        *,
        top: int | None = 10,
        layers: Layers = None,
        heads: Heads = None,
        layer: Layers = None,
        head: Heads = None,
        limit: int | str = LIMIT,
    ) -> Any:
        """Return links as a table, one row for each; needs pandas.

        Args:
            stream: Name of a stream; ``None`` for all.
            top: How many keys of each query, the strongest first; ``None`` for all, in their order.
            layers: Layers as the model counts them, negative from the end; ``None`` for all.
            heads: Heads of each layer; ``None`` for all.
            layer: Another name of ``layers``.
            head: Another name of ``heads``.
            limit: What the table may take at most, estimated before it is made: bytes, or text such as ``"4 GB"``.

        Returns:
            A ``pandas.DataFrame`` with the columns ``stream``, ``layer``, ``head``, ``query``, ``key``,
            ``query_label``, ``key_label`` and ``weight`` (float32). Links of weight 0, such as masked ones, have no
            row.

        Raises:
            ImportError: If pandas is not installed.
            KeyError: If there is no such stream.
            IndexError: If there is no such layer.
            ValueError: If ``top`` is not a positive integer, a head does not exist, or the table would take more than
                ``limit``.

        Example:
            >>> import attnwidget as aw
            >>> attention = aw.capture(model, "the cat sat on the mat because it", tokenizer)
            >>> attention.to_dataframe(layer=3, head=3, top=1).query("query_label == 'it'")["key_label"].tolist()
            ['cat']
        """
        layers, heads = layers_and_heads(layer, layers, head, heads)
        return arrays.to_dataframe(self, stream, top=top, layers=layers, heads=heads, limit=limit)

    def plot(
        self,
        kind: Literal["head", "matrix"] = "head",
        *,
        layer: int | None = None,
        heads: Heads = None,
        stream: str | None = None,
        query: Place | None = None,
        threshold: float = 0.0,
        layout: Literal["vertical", "horizontal"] = "vertical",
        theme: Literal["light", "dark"] = "light",
        ax: Any = None,
        layers: Layers = None,
        head: Heads = None,
    ) -> Plot:
        """Draw heads into matplotlib axes, for a figure of several panels; needs matplotlib.

        The colours are the widget's. Weights on a matrix are shaded by their square root, as in the widget; a colour
        bar made from the image says weights.

        Args:
            kind: ``"head"`` for lines from queries to keys, ``"matrix"`` for a heat map.
            layer: The layer, as the model counts it, negative from the end; the stream's first when left out.
            heads: One head, or for lines several; the first when left out.
            stream: Name of the stream; needed when there are several.
            query: Show only the lines of this query, or of several, given as positions or as their tokens' text.
            threshold: Leave out lines of less weight.
            layout: Tokens below one another, queries at the left (``"vertical"``), or the sentence along x, queries above
                (``"horizontal"``; ``ax.invert_xaxis()`` has it run from right to left).
            theme: Colours for a light or a dark background.
            ax: The axes to draw into; the current ones when left out.
            layers: Another name of ``layer``.
            head: Another name of ``heads``.

        Returns:
            The axes and what was drawn into them: one ``PathCollection`` per head, or one ``AxesImage``.

        Raises:
            ImportError: If matplotlib is not installed.
            KeyError, IndexError, ValueError: If the stream, layer, head or token does not exist or is ambiguous, or a
                matrix is asked of several heads.

        Example:
            >>> import matplotlib.pyplot as plt
            >>> import attnwidget as aw
            >>> attention = aw.capture(model, "the cat sat on the mat because it", tokenizer)
            >>> figure, (left, right) = plt.subplots(1, 2)
            >>> lines = attention.plot("head", layer=3, heads=[1, 3], query="it", ax=left)
            >>> drawn = attention.plot("matrix", layer=3, heads=1, ax=right)
            >>> bar = figure.colorbar(drawn.artists[0])
        """
        arrays.library("matplotlib")
        from attnwidget.export import plot  # noqa: PLC0415  (matplotlib is optional)

        found = the_stream(self, stream)
        one, some = layers_and_heads(layer, layers, head, heads)
        return plot.plot(
            found,
            kind,
            layer=found.layers[0].layer if one is None else one_layer(one, "plot draws"),
            heads=0 if some is None else some,
            query=query,
            threshold=threshold,
            layout=layout,
            theme=theme,
            ax=ax,
        )

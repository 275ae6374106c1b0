"""The record's numbers as other libraries hold them: numpy, xarray, pandas, and matplotlib's axes."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from attnwidget.parts import check_size, chosen, labels, layers_of, links, stream_of
from attnwidget.selection import head_axis, integer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from attnwidget.attention import Attention
    from attnwidget.plotting import Plot
    from attnwidget.selection import Heads

__all__ = ["Exchange"]

# What a caller who did not say how much wants at most: a laptop holds it several times over.
LIMIT = "1 GB"
# One row of a table of links: five integers, a float, three references to names.
ROW_BYTES = 72


class Exchange:
    """What an `Attention` gives to other libraries."""

    __slots__ = ()

    def numpy(
        self,
        stream: str | None = None,
        *,
        what: Literal["weights", "scores"] = "weights",
        layers: int | Sequence[int] | None = None,
        heads: Heads = None,
        limit: int | str = LIMIT,
    ) -> NDArray[np.float32]:
        """Return a stream's weights or scores as one array.

        Args:
            stream: Name of the stream; needed when there are several.
            what: After softmax, or before it (``-inf`` where masked).
            layers: Layers as the model counts them; ``None`` for all.
            heads: Heads of each layer; ``None`` for all.
            limit: What the array may take at most: bytes, or text such as ``"4 GB"``.

        Returns:
            float32 ``[layer, head, query, key]``, also when one layer or head was asked for.

        Raises:
            KeyError: If there is no such stream.
            IndexError: If there is no such layer.
            ValueError: If a stream must be named, a head does not exist, the layers have different numbers of heads, a
                layer has no scores, or the array would take more than ``limit``.

        Example:
            >>> attention.numpy(layers=[0, 3], heads=1).shape  # doctest: +SKIP
            (2, 1, 11, 11)
        """
        taken, indices = chosen(cast("Attention", self), stream, what, layers, heads)
        first = taken[0]
        shape = (len(taken), len(indices), first.n_query, first.n_key)
        check_size(shape, 4 * int(np.prod(shape, dtype=np.int64)), limit)
        array = np.empty(shape, np.float32)
        for place, layer in enumerate(taken):
            for row, head in enumerate(indices):
                array[place, row] = getattr(layer, what)(head)
        return array

    def to_xarray(
        self,
        stream: str | None = None,
        *,
        what: Literal["weights", "scores"] = "weights",
        layers: int | Sequence[int] | None = None,
        heads: Heads = None,
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
            >>> attention.to_xarray().sel(layer=3, head=1).sum("key")  # doctest: +SKIP
        """
        xarray = _library("xarray")
        attention = cast("Attention", self)
        array = self.numpy(stream, what=what, layers=layers, heads=heads, limit=limit)
        taken, indices = chosen(attention, stream, what, layers, heads)
        found = stream_of(attention, stream)
        coordinates = {
            "layer": [layer.layer for layer in taken],
            "head": list(indices),
            "query": np.arange(len(found.query_positions)),
            "key": np.arange(len(found.key_positions)),
            "query_label": ("query", labels(found.query_positions)),
            "key_label": ("key", labels(found.key_positions)),
        }
        attributes = {"model": attention.model_name, "stream": found.name}
        if attention.text is not None:
            attributes["text"] = attention.text
        dims = ("layer", "head", "query", "key")
        return xarray.DataArray(array, coordinates, dims, name=what, attrs=attributes)

    def to_dataframe(
        self,
        stream: str | None = None,
        *,
        top: int | None = 10,
        layers: int | Sequence[int] | None = None,
        heads: Heads = None,
        limit: int | str = LIMIT,
    ) -> Any:
        """Return links as a table, one row for each; needs pandas.

        Args:
            stream: Name of a stream; ``None`` for all.
            top: How many keys of each query, the strongest first; ``None`` for all, in their order.
            layers: Layers as the model counts them; ``None`` for all.
            heads: Heads of each layer; ``None`` for all.
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
            >>> attention.to_dataframe(layers=3, top=1).query("query_label == 'it'")  # doctest: +SKIP
        """
        pandas = _library("pandas")
        if top is not None and (integer(top) or 0) < 1:
            message = f"top must be a positive integer, or None for all keys, got {top!r}."
            raise ValueError(message)
        attention = cast("Attention", self)
        names = list(attention) if stream is None else [stream]
        parts = [
            (attention[name], layer, head_axis(heads, layer.num_heads).indices)
            for name in names
            for layer in layers_of(attention[name], layers)
        ]
        rows = sum(
            len(indices) * layer.n_query * min(layer.n_key, top or layer.n_key)
            for _, layer, indices in parts
        )
        check_size((rows, "rows"), rows * ROW_BYTES, limit, top=top)
        columns = [
            links(found, layer, head, top) for found, layer, indices in parts for head in indices
        ]
        return pandas.DataFrame(
            {name: np.concatenate([part[name] for part in columns]) for name in columns[0]}
        )

    def plot(
        self,
        kind: Literal["head", "matrix"] = "head",
        *,
        layer: int,
        heads: Heads = 0,
        stream: str | None = None,
        query: int | str | None = None,
        threshold: float = 0.0,
        layout: Literal["vertical", "horizontal"] = "vertical",
        theme: Literal["light", "dark"] = "light",
        ax: Any = None,
    ) -> Plot:
        """Draw heads into matplotlib axes, for a figure of several panels; needs matplotlib.

        The colours are the widget's. Weights on a matrix are shaded by their square root, as in the widget; a colour
        bar made from the image says weights.

        Args:
            kind: ``"head"`` for lines from queries to keys, ``"matrix"`` for a heat map.
            layer: The layer, as the model counts it.
            heads: One head, or for lines several.
            stream: Name of the stream; needed when there are several.
            query: Show only this query's lines, given as a position or a token's text.
            threshold: Leave out lines of less weight.
            layout: Tokens below one another, queries at the left (``"vertical"``), or the sentence along x, queries above
                (``"horizontal"``; ``ax.invert_xaxis()`` has it run from right to left).
            theme: Colours for a light or a dark background.
            ax: The axes to draw into; the current ones when left out.

        Returns:
            The axes and what was drawn into them: one ``PathCollection`` per head, or one ``AxesImage``.

        Raises:
            ImportError: If matplotlib is not installed.
            KeyError, IndexError, ValueError: If the stream, layer, head or token does not exist or is ambiguous, or a
                matrix is asked of several heads.

        Example:
            >>> figure, (left, right) = plt.subplots(1, 2)  # doctest: +SKIP
            >>> attention.plot("head", layer=3, heads=[1, 3], query="it", ax=left)  # doctest: +SKIP
            >>> drawn = attention.plot("matrix", layer=3, heads=1, ax=right)  # doctest: +SKIP
            >>> figure.colorbar(drawn.artists[0])  # doctest: +SKIP
        """
        _library("matplotlib")
        from attnwidget import plotting  # noqa: PLC0415  (matplotlib is optional)

        found = stream_of(cast("Attention", self), stream)
        return plotting.plot(
            found,
            kind,
            layer=layer,
            heads=heads,
            query=query,
            threshold=threshold,
            layout=layout,
            theme=theme,
            ax=ax,
        )


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        message = f"This needs {name}, which is not installed: pip install {name}."
        raise ImportError(message) from error

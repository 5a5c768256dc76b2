"""A summary in the making as named arrays, so that a training's folder can hold it, and back, bit for bit."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qfast.engine.curve import SummaryBuilder, windows

__all__ = ["builder_from_arrays", "builder_to_arrays"]


def builder_to_arrays(builder: SummaryBuilder) -> dict[str, NDArray[Any]]:
    """Everything in a summary as named arrays.

    Examples
    --------
    >>> sorted(builder_to_arrays(SummaryBuilder(3)))[:3]
    ['lengths_0_bins', 'lengths_0_counts', 'lengths_0_dropped']
    """
    arrays: dict[str, NDArray[Any]] = {"summed_up": np.asarray(builder.n_agents)}
    for name in ("returns", "lengths"):
        for number, window in enumerate(getattr(builder, name)):
            window.bins.settle()
            order = np.argsort(window.bins.boxes)
            nodes = sorted(window.moments.nodes(), key=lambda node: node[:2])
            episodes = window.low.size
            parts = {
                "low": window.low,
                "high": window.high,
                "bins": window.bins.boxes[order],
                "counts": window.bins.counts[order],
                "dropped": np.asarray(window.bins.dropped),
                "nodes": np.array([place for *place, _ in nodes], np.int64).reshape(-1, 3),
                "means": np.array([mean for *_, (mean, _) in nodes]).reshape(-1, episodes),
                "squares": np.array([squares for *_, (_, squares) in nodes]).reshape(-1, episodes),
            }
            arrays |= {f"{name}_{number}_{part}": array for part, array in parts.items()}
    return arrays


def builder_from_arrays(arrays: dict[str, NDArray[Any]], episodes: int) -> SummaryBuilder:
    """Make a summary out of what `builder_to_arrays` gave.

    Raises
    ------
    KeyError, ValueError
        If the arrays do not fit together.
    """
    builder = SummaryBuilder(episodes)
    builder.n_agents = int(arrays["summed_up"])
    for name in ("returns", "lengths"):
        for number, (begin, end) in enumerate(windows(episodes)):
            keys = ("low", "high", "bins", "counts", "dropped", "nodes")
            part = {key: arrays[f"{name}_{number}_{key}"] for key in keys}
            means, squares = (arrays[f"{name}_{number}_{key}"] for key in ("means", "squares"))
            if part["low"].shape != (end - begin,) or means.shape != (len(part["nodes"]), end - begin):
                msg = f"{name} of shape {part['low'].shape} for {end - begin} episodes"
                raise ValueError(msg)
            window = getattr(builder, name)[number]
            window.low, window.high, bins = part["low"], part["high"], window.bins
            bins.boxes, bins.counts = part["bins"], part["counts"]
            bins.dropped, bins.n_agents = int(part["dropped"]), builder.n_agents
            for i, (level, first, n) in enumerate(part["nodes"].tolist()):
                window.moments.insert(first, n, (means[i], squares[i]), level)
    return builder

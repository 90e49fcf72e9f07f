"""Figures that are the same bytes from the same numbers.

Theory of operation
-------------------
matplotlib comes with the extra ``hashmatch[plots]`` and is loaded when something is drawn; its global state is left
alone. No date is in a figure, and the ids of an SVG are made from a constant.

What this module deliberately does not do: it draws nothing itself, and it writes no file.
"""

from __future__ import annotations

import io
from typing import Any, Final

from hashmatch.errors import BadConfig

_SETTINGS: Final = {"svg.hashsalt": "hashmatch", "svg.fonttype": "none", "font.size": 10, "font.family": "sans-serif"}
_PNG_DPI: Final = 150


def canvas(width: float, height: float) -> tuple[Any, Any, Any]:
    """Return a figure, its axes, and the settings to draw and save with.

    Parameters
    ----------
    width, height : float
        In inches.

    Raises
    ------
    BadConfig
        matplotlib is not installed.

    """
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        raise BadConfig("plots need matplotlib: pip install 'hashmatch[plots]'", field="plot") from None
    context: Any = mpl.rc_context
    with context(_SETTINGS):
        figure = Figure(figsize=(width, height))
        return figure, figure.subplots(), lambda: context(_SETTINGS)


def saved(figure: Any, axes: Any, settings: Any, *, legend: bool, kind: str = "svg") -> bytes:
    """Return a figure as SVG, or as PNG.

    Parameters
    ----------
    figure, axes, settings : object
        From :func:`canvas`.
    legend : bool
        Whether to have one, beside the axes.
    kind : str
        ``svg`` or ``png``.

    """
    stream = io.BytesIO()
    nothing_of_now: dict[str, Any] = {"Date": None} if kind == "svg" else {"Software": None}
    with settings():
        axes.grid(visible=True, which="major", alpha=0.3)
        if legend:
            axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False)
        figure.savefig(stream, format=kind, bbox_inches="tight", dpi=_PNG_DPI, metadata=nothing_of_now)
    return stream.getvalue()

# SPDX-License-Identifier: Apache-2.0
"""figures.py: bars of the ratios and the roofline, drawn by matplotlib.

Each is drawn as SVG, whose colours are variables of the page's style sheet, so that one drawing serves
light and dark, and as PNG in both. Win, tie and loss differ by filling and marker, not by colour alone.
"""

import io
import re

import matplotlib

matplotlib.use("Agg")

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from report_parts.table import display_name

# SVG: stand-ins for variables. No other colour may occur in a drawing.
VARIABLES = {"ink": "#010203", "paper": "#fcfdfe", "grid": "#a1a2a3", "win": "#0b4f8a", "tie": "#b1b2b4",
             "loss": "#d9731a"}
LIGHT = {"ink": "#16181b", "paper": "#ffffff", "grid": "#c9ccd1", "win": "#1f5d9c", "tie": "#e3e6ea",
         "loss": "#e08a2e"}
DARK = {"ink": "#e6e8eb", "paper": "#14171a", "grid": "#454b52", "win": "#7db4e8", "tie": "#3a4047",
        "loss": "#e59a4a"}
HATCHES = {"win": "", "tie": "", "loss": "////"}
MARKERS = {"win": "o", "tie": "s", "loss": "X"}
WORDS = {"win": "ours is faster", "tie": "tie (within 3 % or not certain)", "loss": "a rival is faster"}


def number(value, _=None):
    return f"{value:g}"


def style(theme):
    return {"font.family": "DejaVu Sans", "font.size": 9, "text.color": theme["ink"],
            "axes.edgecolor": theme["ink"], "axes.labelcolor": theme["ink"], "xtick.color": theme["ink"],
            "ytick.color": theme["ink"], "axes.facecolor": theme["paper"], "figure.facecolor": theme["paper"],
            "hatch.color": theme["ink"], "hatch.linewidth": 0.6, "svg.fonttype": "path"}


def ratio_ticks(low, high):
    every = [0.02, 0.05, 0.1, 0.2, 0.33, 0.5, 0.67, 0.8, 1, 1.25, 1.5, 2, 3, 5, 10, 20, 50, 100, 200, 500]
    inside = [tick for tick in every if low <= tick <= high]
    if len(inside) > 9:
        inside = [tick for tick in inside if tick in (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)]
    return inside


def shorten(text, most):
    return text if len(text) <= most else text[:most - 1].rstrip() + "…"


def draw_bars(group, theme, narrow):
    """Each bar goes from 1 to the ratio; the thin line is its interval."""
    rows = group.compared  # the slowest of ours last, so at the bottom
    inches, line = (4.0, 0.36) if narrow else (10.0, 0.21)
    figure = Figure(figsize=(inches, line * len(rows) + 1.25), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xscale("log")
    # An interval that is far wider than all ratios runs out of the picture.
    least, most = min(0.8, rows[0].ratio), max(1.25, rows[-1].ratio)
    low = max(least / 2, min(least, *(row.interval[0] for row in rows))) / 1.12
    high = min(most * 2, max(most, *(row.interval[1] for row in rows))) * 1.12
    # Room for the number behind the bar.
    high *= (high / low) ** (0.16 if narrow else 0.08)
    axes.set_xlim(low, high)
    behind = {"facecolor": theme["paper"], "edgecolor": "none", "pad": 0.6}
    axes.set_ylim(-0.7, len(rows) - (0.1 if narrow else 0.3))
    for place, row in enumerate(rows):
        begin, end = sorted((1.0, row.ratio))
        axes.barh(place, end - begin, left=begin, height=0.4 if narrow else 0.66, color=theme[row.verdict],
                  edgecolor=theme["ink"], linewidth=0.7, hatch=HATCHES[row.verdict])
        axes.plot(row.interval, (place, place), color=theme["ink"], linewidth=1.1, marker="|", markersize=5)
        end = min(max(1.0, *row.interval), most * 2) * (high / low) ** 0.012
        axes.text(end, place, f"{row.ratio:.2f}", va="center", fontsize=8, bbox=behind)
        if narrow:
            axes.text(0.0, place + 0.27, shorten(row.name, 56), transform=axes.get_yaxis_transform(),
                      va="bottom", ha="left", fontsize=7, bbox=behind)
    axes.axvline(1.0, color=theme["ink"], linewidth=1.2)
    axes.xaxis.set_major_locator(FixedLocator(ratio_ticks(low, high)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(number))
    axes.grid(axis="x", color=theme["grid"], linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_yticks([] if narrow else range(len(rows)),
                    [] if narrow else [f"{shorten(row.name, 62)}  ({display_name(row.best.kernel)})" for row in rows])
    axes.tick_params(axis="y", length=0, labelsize=8)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.set_xlabel("time of the best rival / ours" if narrow else
                    "time of the best rival (in brackets) / time of ours: right of 1 ours is faster")
    present = [word for word in WORDS if group.count(word)]
    handles = [Patch(facecolor=theme[word], edgecolor=theme["ink"], hatch=HATCHES[word],
                     label=f"{WORDS[word]} ({group.count(word)})") for word in present]
    legend(figure, handles, theme, narrow)
    return figure


def legend(figure, handles, theme, narrow):
    figure.legend(handles=handles, loc="outside upper left", ncols=1 if narrow else len(handles), frameon=False,
                  fontsize=8, labelcolor=theme["ink"])


def draw_roofline(group, lines, theme, narrow):
    """Every timed row of ours; a thin line leads from it to the best rival. None without bytes."""
    rows = [row for row in group.rows if row.ours is not None and row.ours.timed and
            row.ours.macs > 0 and row.ours.bytes > 0]
    if not rows:
        return None
    figure = Figure(figsize=(4.0, 4.4) if narrow else (10.0, 5.2), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xscale("log")
    axes.set_yscale("log")
    handles, points = [], [(2 * row.ours.macs / row.ours.bytes, row) for row in rows]
    for word in (*WORDS, "alone"):
        chosen = [(x, row) for x, row in points if (row.verdict if row.compared else "alone") == word]
        if not chosen:
            continue
        for x, row in chosen:
            if row.compared:
                axes.plot((x, x), (row.ours.gflops, row.best.gflops), color=theme["ink"], linewidth=0.7)
        handles += axes.plot([x for x, _ in chosen], [row.ours.gflops for _, row in chosen], linestyle="",
                             marker=MARKERS.get(word, "D"), markersize=7, color=theme.get(word, theme["win"]),
                             markeredgecolor=theme["ink"], markeredgewidth=0.8,
                             label=WORDS.get(word, "without a rival"))
    if any(row.compared for row in rows):
        handles.append(Line2D([], [], color=theme["ink"], linewidth=0.7, label="to the best rival"))
    draw_roof(axes, [x for x, _ in points], group, lines, theme, handles)
    axes.set_xlabel("operations / byte that must move" if narrow else
                    "operations for each byte that must move at least (filters, input, output once)")
    axes.set_ylabel("GFLOP/s (useful)")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(number))
        axis.set_minor_formatter(FuncFormatter(lambda value, _: ""))
    axes.grid(color=theme["grid"], linewidth=0.6)
    axes.set_axisbelow(True)
    legend(figure, handles, theme, narrow)
    return figure


def draw_roof(axes, intensities, group, lines, theme, handles):
    found = group.ceilings(lines)
    peak, rate = 2e-3 * found["macs_per_us"], 1e-3 * found["bytes_per_us"]  # GFLOP/s, GB/s
    if not peak or not rate:
        return
    low, high = min(*intensities, peak / rate) / 2, max(*intensities, peak / rate) * 2
    ridge = peak / rate
    handles += axes.plot((low, ridge, high), (low * rate, peak, peak), color=theme["ink"], linewidth=1.8,
                         linestyle="--", label=f"measured: {peak:.0f} GFLOP/s, {rate:.0f} GB/s")


# ---- Files -----------------------------------------------------------------------------------------
def as_png(draw, theme, caption):
    """With a caption, for it may stand anywhere."""
    with matplotlib.rc_context(style(theme)):
        figure = draw(theme, False)
        if figure is None:
            return None
        figure.supxlabel(caption, x=0.99, ha="right", fontsize=8)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=160, metadata={"Software": None})
    return buffer.getvalue()


def as_svg(draw, narrow, label, salt):
    """An element to stand in the page; None where there is nothing to draw."""
    with matplotlib.rc_context({**style(VARIABLES), "svg.hashsalt": salt}):
        figure = draw(VARIABLES, narrow)
        if figure is None:
            return None
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = text[text.index("<svg"):]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    for name, colour in VARIABLES.items():
        text = text.replace(colour, f"var(--{name})")
    # Ids are those of the whole page.
    text = re.sub(r'(id="|href="#|url\(#)', rf"\g<1>{salt}-", text)
    width, height = (float(x) for x in re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', text).groups())
    head = (f'<svg role="img" aria-label="{label}" viewBox="0 0 {width:g} {height:g}" '
            f'class="{"narrow" if narrow else "wide"}" xmlns:xlink="http://www.w3.org/1999/xlink">')
    return head + text[text.index(">") + 1:]


# SPDX-License-Identifier: Apache-2.0
"""page.py: the report as one HTML page that fetches nothing."""

from html import escape

from report_parts import figures
from report_parts.table import count_of, display_name, summary, time_text

STYLE = """
:root { color-scheme: light dark; --ink: #16181b; --paper: #ffffff; --grid: #c9ccd1; --faint: #555b63;
        --win: #1f5d9c; --tie: #e3e6ea; --loss: #e08a2e; --stripe: #f4f5f7; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8eb; --paper: #14171a; --grid: #454b52; --faint: #a4abb3; --win: #7db4e8;
          --tie: #3a4047; --loss: #e59a4a; --stripe: #1c2024; } }
body { margin: 0 auto; padding: 1rem; max-width: 70rem; background: var(--paper); color: var(--ink);
       font: 16px/1.45 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 2.5rem; border-top: 1px solid var(--grid);
     padding-top: 1rem; } h3 { font-size: 1.05rem; margin-bottom: .3rem; }
svg { width: 100%; height: auto; display: block; margin: .5rem 0; } svg.narrow { display: none; }
.note { color: var(--faint); font-size: .9rem; }
table { border-collapse: collapse; width: 100%; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .25rem .5rem; vertical-align: top; white-space: nowrap; }
th { border-bottom: 2px solid var(--ink); } tbody tr:nth-child(even) { background: var(--stripe); }
th:first-child, td:first-child { text-align: left; white-space: normal; }
a { color: inherit; }
td.loss, td.win { font-weight: 600; } td.loss { text-decoration: underline; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; font-size: .9rem; }
dt { color: var(--faint); } dd { margin: 0; }
li { margin: .3rem 0; } details { margin: .2rem 0; font-size: .9rem; } summary { cursor: pointer; }
@media (max-width: 40rem) {
  body { padding: .6rem; } svg.wide { display: none; } svg.narrow { display: block; }
  dl { grid-template-columns: 1fr; } dd { margin-bottom: .4rem; }
  table.rows thead { display: none; }
  table.rows tr { display: flex; flex-wrap: wrap; padding: .3rem 0; }
  table.rows td { padding: .05rem .6rem .05rem 0; text-align: left; }
  table.rows td:first-child { flex-basis: 100%; font-weight: 600; }
  table.rows td[data-label]::before { content: attr(data-label) " "; color: var(--faint); } }
"""


def element(name, content, **attributes):
    text = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
                   for key, value in attributes.items() if value)
    return f"<{name}{text}>{content}</{name}>"


def cells(values):
    """values: (text, label, class)"""
    return element("tr", "".join(element("td", escape(text), data_label=label, class_=kind)
                                 for text, label, kind in values))


def table(kind, heads, rows):
    head = "".join(element("th", escape(text)) for text in heads)
    return element("table", f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody>", class_=kind)


def groups_table(groups):
    rows = []
    for number, group in enumerate(groups, 1):
        worst = group.compared[0] if group.compared else None
        values = [("rows", len(group.rows)), ("compared", len(group.compared)),
                  ("mean", f"{group.mean():.2f}" if worst else "–"), ("wins", group.count("win")),
                  ("ties", group.count("tie")), ("losses", group.count("loss")),
                  ("worst", f"{worst.ratio:.2f}" if worst else "–")]
        link = element("td", element("a", escape(group.title), href=f"#g{number}"))
        rows.append(element("tr", link + "".join(element("td", escape(str(value)), data_label=label) for label, value in values)))
    heads = ["measured alike", "rows", "compared", "mean", "wins", "ties", "losses", "worst"]
    return table("rows", heads, rows)


def rows_table(group):
    rows = []
    for row in group.compared:
        low, high = row.interval
        tile = f" {row.ours.tile}" if row.ours.tile else ""
        rows.append(cells([
            (row.name, "", ""), (f"{row.gflop:.3g}", "GFLOP", ""),
            (time_text(row.ours.us), "ours", ""), (row.ours.kernel + tile, "", ""),
            (time_text(row.best.us), "best rival", ""), (display_name(row.best.kernel), "", ""),
            (f"{row.ratio:.2f}", "ratio", row.verdict), (f"{low:.2f} to {high:.2f}", "", ""),
            (row.verdict, "", row.verdict)]))
    heads = ["row", "GFLOP", "ours", "family", "best rival", "", "ratio", "interval", ""]
    return table("rows", heads, rows)


def alone_table(group):
    rows = [cells([(row.name, "", ""), (f"{row.gflop:.3g}", "GFLOP", ""), (time_text(row.ours.us), "", ""),
                   (row.ours.kernel, "", "")])
            for row in group.alone if row.ours is not None and row.ours.timed]
    if not rows:
        return ""
    heads = ["row", "GFLOP", "ours", "family"]
    return element("h3", "Without a rival") + table("rows", heads, rows)


def all_times(group):
    """Every contender's median, folded away."""
    rows, names = [], list(dict.fromkeys(r.kernel for row in group.rows for r in row.results if r.timed))
    for row in group.rows:
        timed = sorted((r for r in row.results if r.timed), key=lambda r: -r.us)
        times = {r.kernel: time_text(r.us) for r in timed}  # of several tiles the quickest
        rows.append(cells([(row.name, "", "")] + [(times.get(name, "–"), display_name(name), "") for name in names]))
    heads = ["row", *map(display_name, names)]
    return element("details", element("summary", "All contenders' times") + table("rows", heads, rows))


def folded(head, names):
    listed = element("ul", "".join(element("li", escape(name)) for name in dict.fromkeys(names)))
    return element("details", element("summary", escape(head)) + listed)


def not_run(group):
    """What was not timed and why; alike reasons together."""
    items = [folded(f"{display_name(who)}, {word} on {count_of(names)}: {reason}", names)
             for (who, word, reason), names in group.not_timed().items()]
    return "".join(items) or element("p", "Every contender was timed on every row.", class_="note")


def notes(group):
    items = [folded(f"{display_name(who)} on {count_of(names)}: {note}", names)
             for (who, note), names in group.notes().items()]
    return element("h3", "Notes") + "".join(items) if items else ""


def roofline_note(group, lines):
    found = group.ceilings(lines)
    if not found["sources"]:
        return "No ceiling of this machine is among the lines, so no roof is drawn."
    return ("The roof is measured on this machine: " + "; ".join(found["sources"]) +
            ". Bytes are counted once each as if they came from memory: what stays in caches can lie above the "
            "slope, and a row below it may still be as fast as it can be.")


def drawings(number, group, lines):
    """(heading, slug, function that draws it)"""
    found = [("Ratio to the best rival", "ratios",
              lambda theme, narrow: figures.draw_bars(group, theme, narrow) if group.compared else None),
             ("Roofline", "roofline", lambda theme, narrow: figures.draw_roofline(group, lines, theme, narrow))]
    return [(heading, slug, draw, f"g{number}{slug}") for heading, slug, draw in found]


def section(number, group, lines):
    parts = [element("h2", escape(f"{group.title}"), id=f"g{number}"),
             element("p", escape(group.settings[0]), class_="note") if group.settings[0] else "",
             *(element("p", escape(sentence) + ".") for sentence in summary(group))]
    for heading, slug, draw, salt in drawings(number, group, lines):
        label = escape(f"{heading}, {group.title}")
        both = [figures.as_svg(draw, narrow, label, f"{salt}{'n' if narrow else 'w'}") for narrow in (False, True)]
        if both[0] is not None:
            parts += [element("h3", heading), *both]
            if slug == "roofline":
                parts.append(element("p", escape(roofline_note(group, lines)), class_="note"))
    if group.compared:
        parts += [element("h3", "Wins, ties and losses"), rows_table(group)]
    parts += [alone_table(group), all_times(group), element("h3", "Not timed"), not_run(group), notes(group)]
    return "".join(parts)


def fact_text(value):
    if isinstance(value, dict):
        return ", ".join(f"{key} {fact_text(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(fact_text, value))
    return str(value)


def machine_facts(lines):
    """Of each machine and commit the last line that describes it."""
    heads = {}
    for line in lines:
        if line.get("kind") == "head":
            heads[line.get("cpu") or line.get("gpu"), line.get("commit"), line.get("threads")] = line
    lists = []
    for head in heads.values():
        facts = {key: value for key, value in head.items() if key not in ("kind", "devices")}
        lists.append(element("dl", "".join(
            element("dt", escape(key.replace("_", " "))) + element("dd", escape(fact_text(value)) or "–")
            for key, value in facts.items())))
    if not lists:
        machines = dict.fromkeys(line["machine"] for line in lines if line.get("machine"))
        lists = [element("p", escape(name)) for name in machines]
    return "".join(lists)


def html(groups, lines, title):
    parts = [element("h1", escape(title)),
             element("p", "A ratio is the time of the best rival over the time of ours, medians of runs in turn; "
                          "above 1 ours is faster. A win or a loss is more than 3 % and a 95 % interval (rounds "
                          "resampled) that excludes 1; all else is a tie. The mean is geometric."),
             element("div", groups_table(groups)),
             *(section(number, group, lines) for number, group in enumerate(groups, 1)),
             element("h2", "The machine"), machine_facts(lines)]
    return ('<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>{''.join(parts)}</body></html>\n")

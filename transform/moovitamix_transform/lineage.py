"""The tables and what each is made of, as a picture: Mermaid for a page of text, HTML that needs no network."""

from html import escape

from moovitamix_transform import sources
from moovitamix_transform.catalog import GRAINS
from moovitamix_transform.column_lineage import Lineage, columns, shortened
from moovitamix_transform.graph import SOURCES, models

_BOX_WIDTH, _BOX_HEIGHT, _ACROSS, _DOWN, _MARGIN = 190, 32, 260, 50, 20


def edges() -> list[tuple[str, str]]:
    """(read, made), in the models' order."""
    return [(read, model.name) for model in models().values() for read in model.reads]


def grains() -> dict[str, str]:
    """Every table by its bare name, what each reads before it."""
    return {name: GRAINS[name] for name in SOURCES} | {name: model.grain for name, model in models().items()}


def mermaid() -> str:
    """A flowchart, left to right, a subgraph per layer."""
    layers: dict[str, list[str]] = {"source": list(SOURCES)}
    for model in models().values():
        layers.setdefault(model.layer, []).append(model.name)
    lines = ["flowchart LR"]
    for layer, names in layers.items():
        lines += [f"  subgraph {layer}", *(f"    {name}" for name in names), "  end"]
    lines += [f"  {read} --> {made}" for read, made in edges()]
    return "\n".join(lines)


def column_mermaid(chosen: str | None = None) -> str:
    """A flowchart from the API's fields to columns, chosen as `column_lineage.columns` does.

    A line ends at the column whose values are computed from the field, a dotted one at the table whose rows it decides;
    where every field of a stream does, it begins at the stream.
    """
    found = columns(chosen)
    boxes: dict[str, dict[str, None]] = {}
    for table, column in [_parts(name) for each in found for name in each.values] + [
        (e.table, e.column) for e in found
    ]:
        boxes.setdefault(table, {})[column] = None
    lines = ["flowchart LR"]
    for table, names in boxes.items():
        lines += [f"  subgraph {table}", *(f'    {table}__{name}["{name}"]' for name in names), "  end"]
    lines += [f"  {'__'.join(_parts(name))} --> {each.table}__{each.column}" for each in found for name in each.values]
    for table in dict.fromkeys(each.table for each in found):
        rows = {name for each in found if each.table == table for name in each.rows}
        for stream, name in map(_parts, shortened(tuple(sorted(rows)))):
            is_drawn = name in boxes.get(stream, ())
            begin = (
                stream if name == "*" else f"{stream}__{name}" if is_drawn else f'{stream}__{name}["{stream}.{name}"]'
            )
            lines.append(f"  {begin} -.-> {table}")
    return "\n".join(lines)


def _parts(name: str) -> tuple[str, str]:
    table, _, column = name.partition(".")
    return table, column


def html() -> str:
    """One page: the picture, with the lines of the table in focus standing out, and the tables and their columns as a
    list."""
    boxes = _places()
    width = max(x for x, _ in boxes.values()) + _BOX_WIDTH + _MARGIN
    height = max(y for _, y in boxes.values()) + _BOX_HEIGHT + _MARGIN
    lines = "".join(_line(boxes, read, made) for read, made in edges())
    nodes = "".join(_node(name, grain, *boxes[name]) for name, grain in grains().items())
    by_table: dict[str, list[Lineage]] = {}
    for each in columns():
        by_table.setdefault(each.table, []).append(each)
    tables = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(_sentence(name, grain))}{_columns(by_table.get(name, []))}</dd>"
        for name, grain in grains().items()
    )
    picture = (
        f'<svg role="img" aria-label="What each table is made of" viewBox="0 0 {width} {height}">{lines}{nodes}</svg>'
    )
    return _PAGE.format(style=_style(), picture=picture, tables=tables)


def _places() -> dict[str, tuple[int, int]]:
    """A table stands one column to the right of the last table it reads."""
    depth = dict.fromkeys(SOURCES, 0)
    for model in models().values():
        depth[model.name] = 1 + max(depth[read] for read in model.reads)
    filled: dict[int, int] = {}
    places = {}
    for name, column in depth.items():
        places[name] = (_MARGIN + column * _ACROSS, _MARGIN + filled.get(column, 0) * _DOWN)
        filled[column] = filled.get(column, 0) + 1
    return places


def _line(boxes: dict[str, tuple[int, int]], read: str, made: str) -> str:
    (x1, y1), (x2, y2) = boxes[read], boxes[made]
    x1, y1, y2 = x1 + _BOX_WIDTH, y1 + _BOX_HEIGHT // 2, y2 + _BOX_HEIGHT // 2
    middle = (x1 + x2) // 2
    return f'<path class="{read} {made}" d="M{x1} {y1} C{middle} {y1} {middle} {y2} {x2} {y2}"/>'


def _node(name: str, grain: str, x: int, y: int) -> str:
    layer = models()[name].layer if name in models() else "source"
    return (
        f'<g class="box {layer}" id="{name}" tabindex="0"><title>{escape(_sentence(name, grain))}</title>'
        f'<rect x="{x}" y="{y}" width="{_BOX_WIDTH}" height="{_BOX_HEIGHT}" rx="4"/>'
        f'<text x="{x + 10}" y="{y + 21}">{escape(name)}</text></g>'
    )


def _columns(found: list[Lineage]) -> str:
    rows = "".join(
        f"<tr><td>{escape(each.column)}</td><td>{escape(', '.join(shortened(each.values)))}</td>"
        f"<td>{escape(', '.join(shortened(each.rows)))}</td></tr>"
        for each in found
    )
    head = "<tr><th>column</th><th>values from</th><th>rows decided by</th></tr>"
    return f"<details><summary>Columns</summary><table>{head}{rows}</table></details>" if rows else ""


def _sentence(name: str, grain: str) -> str:
    reads = [read for read, made in edges() if made == name]
    return f"{grain} Made of {', '.join(reads)}." if reads else f"{grain} ({sources.path(name)})"


def _style() -> str:
    focused = ",".join(f"svg:has(#{name}:is(:hover,:focus)) path.{name}" for name in grains())
    return f"{focused}{{stroke:var(--strong);stroke-width:2.5}}"


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>MooVitamix: what each table is made of</title>
<style>
:root{{color-scheme:light dark;--ink:light-dark(#1c1c1c,#eee);--line:light-dark(#9aa4ad,#5d6770);
--strong:light-dark(#b3261e,#ffb4ab);--source:light-dark(#e8eef4,#24313c);--staging:light-dark(#eaf3e6,#26351f);
--marts:light-dark(#fbf0dc,#3d3018)}}
body{{font:16px/1.5 system-ui,sans-serif;color:var(--ink);margin:1.5rem}} figure{{overflow-x:auto;margin:0}}
svg{{min-width:60rem;width:100%}} svg text{{font:14px system-ui,sans-serif;fill:var(--ink)}}
path{{fill:none;stroke:var(--line);stroke-width:1.2}} rect{{stroke:var(--line)}}
.source rect{{fill:var(--source)}} .staging rect{{fill:var(--staging)}} .marts rect{{fill:var(--marts)}}
.box:is(:hover,:focus){{outline:none}} .box:is(:hover,:focus) rect{{stroke:var(--strong);stroke-width:2}}
dt{{font-weight:600;margin-top:.6rem}} dd{{margin:0}}
summary{{cursor:pointer}} table{{border-collapse:collapse;font-size:14px}}
td,th{{text-align:left;vertical-align:top;padding:.15rem 1rem .15rem 0;border-bottom:1px solid var(--line)}}
{style}
</style></head><body>
<h1>What each table is made of</h1>
<p>From the source tables on the left to the marts on the right. Point at a table, or reach it with the Tab key, and its
lines stand out.</p>
<figure>{picture}</figure>
<h2>The tables</h2>
<p>A column's values are computed from the API's fields named beside it, and from what Airbyte notes of a record
(_airbyte_…) and of a read (generations). Other fields decide which rows there are and which records they are made of:
a record counts or does not as a whole, so a field that cannot be read takes the others with it. tracks.* is every
field of the API's tracks.</p><dl>{tables}</dl>
</body></html>
"""

"""The tables and what each is made of, as a picture: Mermaid for a page of text, HTML that needs no network."""

from html import escape

from moovitamix_transform import sources
from moovitamix_transform.catalog import GRAINS
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


def html() -> str:
    """One page: the picture, with the lines of the table in focus standing out, and the tables as a list."""
    boxes = _places()
    width = max(x for x, _ in boxes.values()) + _BOX_WIDTH + _MARGIN
    height = max(y for _, y in boxes.values()) + _BOX_HEIGHT + _MARGIN
    lines = "".join(_line(boxes, read, made) for read, made in edges())
    nodes = "".join(_node(name, grain, *boxes[name]) for name, grain in grains().items())
    tables = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(_sentence(name, grain))}</dd>" for name, grain in grains().items()
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
{style}
</style></head><body>
<h1>What each table is made of</h1>
<p>From the source tables on the left to the marts on the right. Point at a table, or reach it with the Tab key, and its
lines stand out.</p>
<figure>{picture}</figure>
<h2>The tables</h2><dl>{tables}</dl>
</body></html>
"""

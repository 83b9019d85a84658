"""From a warehouse to the text of its report."""

from moovitamix_transform.report import page
from moovitamix_transform.report.bundle import Bundling
from moovitamix_transform.report.figures import figures
from moovitamix_transform.warehouse import Warehouse


def report(warehouse: Warehouse) -> str:
    """The whole HTML file. Everything in it is read once, and is as it was then."""
    with Bundling() as bundling:
        return page.html(figures(warehouse), bundling.script())

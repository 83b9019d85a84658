"""The report in Chromium, without a window and without a network. `make test-system` installs the browser."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from moovitamix_transform.cli.app import run_command
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        not (BROWSER and DRIVER),
        reason="expected chromium and chromedriver; make test-system installs them as root where apt-get is",
    ),
]

BODY = """
track(1, name="</script><script>alert(1)</script>", genres="jazz"), track(2, duration="3:99")
user(7, first_name="Ada"), user(8)
listen(7, [1, 2, 1])
record("<img src=x onerror=alert(1)>", id=1)
print("what?")
"""
CHARTS = {"volumes", "durations", "nulls", "quarantine"}
PHONE, DESK = 360, 1200


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, saying: str) -> Path:
    """A run with something in the quarantine, and its report."""
    folder = tmp_path_factory.mktemp("browser")
    (folder / "source.py").write_text(saying + BODY)
    source = f"{sys.executable} {folder / 'source.py'}"
    assert run_command(["run", "--source", source, "--warehouse", str(folder / "house")]) == 0
    assert run_command(["report", "--warehouse", str(folder / "house")]) == 0
    return folder / "house"


@pytest.fixture(scope="module")
def chromium() -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)  # root has no sandbox, a container little /dev/shm
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    yield browser
    browser.quit()


@pytest.fixture
def opened(house: Path, chromium: webdriver.Chrome, until: Callable[..., object]) -> Callable[..., webdriver.Chrome]:
    """The report, drawn, on a screen so wide."""

    def open_(width: int = DESK, scheme: str = "light") -> webdriver.Chrome:
        screen = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width == PHONE}
        chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        chromium.get((house / "report.html").as_uri())
        until(
            lambda: len(chromium.find_elements(By.CSS_SELECTOR, "[data-chart] svg")) == len(CHARTS), "each chart drawn"
        )
        return chromium

    return open_


@contextmanager
def heard(browser: webdriver.Chrome) -> Iterator[dict[str, list[str]]]:
    """What the browser complained of, and what it asked for, while the block ran."""
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    said: dict[str, list[str]] = {}
    yield said
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    said["requests"] = [
        each["params"]["request"]["url"] for each in messages if each["method"] == "Network.requestWillBeSent"
    ]
    said["complaints"] = [entry["message"] for entry in browser.get_log("browser")]


def test_it_opens_without_a_complaint_and_asks_for_nothing(
    house: Path, chromium: webdriver.Chrome, opened: Callable[..., webdriver.Chrome]
):
    with heard(chromium) as said:
        opened()

    assert said["complaints"] == []
    assert [url for url in said["requests"] if not url.startswith(("data:", "about:"))] == [
        (house / "report.html").as_uri()
    ]


def test_the_page_itself_forbids_to_ask_a_network(opened: Callable[..., webdriver.Chrome]):
    browser = opened()

    forbidden = browser.execute_async_script(
        "document.addEventListener('securitypolicyviolation', (event) => arguments[0](event.violatedDirective));"
        "fetch('http://127.0.0.1:9/').catch(() => {})"
    )

    assert forbidden == "connect-src"


def test_the_figures_one_sees_are_those_of_the_tables(
    house: Path, moovitamix: Callable[..., Any], opened: Callable[..., webdriver.Chrome]
):
    history = json.loads(moovitamix("history", "--json", "--warehouse", house).out)
    browser = opened()

    seen = {
        flow.find_element(By.TAG_NAME, "figcaption").text: [each.text for each in flow.find_elements(By.TAG_NAME, "li")]
        for flow in browser.find_elements(By.CSS_SELECTOR, ".flow")
    }

    for each in history[0]["streams"]:
        name = each["stream"] or "(names no stream)"
        received = [f"received {each['received']}"]
        split = (
            [f"landed {each['landed']}", f"quarantined lines {each['quarantined_lines']}"] if each["received"] else []
        )
        known = each["landed_total"] is not None
        parts = [f"{part} {each[part]}" for part in ("kept", "superseded", "quarantined")] if known else []
        total = [f"landed in all runs {each['landed_total']}"] if known else []
        assert seen[name] == [*received, *split, *total, *parts]


def test_what_comes_from_data_is_text_and_no_element(opened: Callable[..., webdriver.Chrome]):
    browser = opened()

    assert browser.find_elements(By.CSS_SELECTOR, "img") == []
    assert "<img src=x onerror=alert(1)>" in browser.find_element(By.ID, "main").text


@pytest.mark.parametrize("width", [PHONE, 768, DESK])
def test_the_page_never_scrolls_sideways(opened: Callable[..., webdriver.Chrome], width: int):
    browser = opened(width)
    browser.execute_script("document.querySelectorAll('details').forEach((each) => { each.open = true })")

    widths = browser.execute_script(
        "const page = document.documentElement; return [page.scrollWidth, page.clientWidth]"
    )
    wider = browser.execute_script(
        "return [...document.querySelectorAll('main > *, main figure, main svg')]"
        ".filter((each) => each.getBoundingClientRect().right > innerWidth + 1)"
        ".map((each) => each.outerHTML.slice(0, 80))"
    )

    assert widths[0] == widths[1]
    assert wider == []


@pytest.mark.parametrize(
    ("element", "least"), [("body", 7), (".made", 4.5), ("nav a", 4.5), ("caption", 7), ("thead th", 4.5)]
)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_in_both_colour_schemes(
    opened: Callable[..., webdriver.Chrome], scheme: str, element: str, least: float
):
    browser = opened(scheme=scheme)

    ink, paper = (_luminance(colour) for colour in browser.execute_script(_COLOURS, element))

    assert (ink < paper) == (scheme == "light")
    assert (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05) >= least


def test_a_chart_follows_the_colour_scheme(opened: Callable[..., webdriver.Chrome]):
    colours = "return getComputedStyle(document.querySelector('[data-chart] .role-axis-label text')).fill"

    light, dark = (opened(scheme=scheme).execute_script(colours) for scheme in ("light", "dark"))

    assert _luminance(light) < _luminance(dark)


def test_the_tab_key_reaches_everything_and_one_sees_where_it_is(opened: Callable[..., webdriver.Chrome]):
    browser = opened()
    focused = (
        "const at = document.activeElement;"
        "return [at.tagName, at.getAttribute('href'), getComputedStyle(at).outlineStyle]"
    )
    reached = []
    for _ in range(60):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        reached.append(tuple(browser.execute_script(focused)))

    assert reached[0] == ("A", "#main", "solid")
    assert [each for each in reached if each[2] == "none" and each[0] not in ("BODY", "IFRAME")] == []
    assert {"A", "DIV", "SUMMARY", "IFRAME"} <= {tag for tag, _, _ in reached}


# The colour of an element's text, and the first background behind it that is not transparent.
_COLOURS = """
let at = document.querySelector(arguments[0]);
const ink = getComputedStyle(at).color;
while (at && getComputedStyle(at).backgroundColor === "rgba(0, 0, 0, 0)") at = at.parentElement;
return [ink, getComputedStyle(at).backgroundColor];
"""


def _luminance(colour: str) -> float:
    """Relative luminance, as WCAG defines it, of `rgb(r, g, b)`."""
    parts = [int(part) / 255 for part in colour.removeprefix("rgb(").rstrip(")").split(",")]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue

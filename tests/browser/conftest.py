"""A real Chromium on a served site. Whatever a page complains of in its console fails the test."""

import os
import re
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.web.conftest import (  # noqa: F401  (fixtures)
    PASSWORD,
    add_user,
    make_site,
    migrated,
    service,
    settings,
)

OUTPUT = Path(__file__).parents[2] / "output"
SCREENSHOTS = OUTPUT / "screenshots"
AXE = OUTPUT / "npm" / "node_modules" / "axe-core" / "axe.min.js"
PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 860}
CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")


@pytest.fixture(scope="session")
def chromium():
    """The system's Chromium; where there is none the test is skipped, unless BROWSER_TESTS=required."""
    missing = pytest.fail if os.environ.get("BROWSER_TESTS") == "required" else pytest.skip
    path = shutil.which("chromium")
    if path is None:
        missing("There is no Chromium here; Debian's package `chromium` has it.")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("Playwright is not installed; requirements-test.txt has it.")
    arguments = [*CAMERA, *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def serve():
    """serve(site): its address, served by waitress on a free port until the test ends."""
    from waitress import wasyncore
    from waitress.server import create_server

    running, ended = [], threading.Event()

    def serving(server) -> None:
        while not ended.is_set():
            wasyncore.loop(timeout=0.1, map=server._map, count=1)
        wasyncore.close_all(server._map, ignore_all=True)

    def start(site) -> str:
        server = create_server(site, host="127.0.0.1", port=0, threads=8)
        thread = threading.Thread(target=serving, args=[server], daemon=True)
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{server.effective_port}"

    yield start
    ended.set()
    for server, thread in running:
        thread.join(10)
        server.task_dispatcher.shutdown()


@pytest.fixture
def site(make_site):  # noqa: F811
    """The site with its default settings."""
    return make_site()


@pytest.fixture
def address(site, serve) -> str:
    """Where the site is served."""
    return serve(site)


@dataclass
class Console:
    """What pages complained of, and which refusals a test brings about by purpose."""

    complaints: list[str] = field(default_factory=list)
    expected: set[int] = field(default_factory=set)

    def expect(self, *codes: int) -> None:
        """Answers with these status codes belong to the test: Chromium writes each to the console."""
        self.expected.update(codes)

    def watch(self, page) -> None:
        page.on("pageerror", lambda problem: self.complaints.append(f"{page.url}: {problem}"))
        page.on("console", lambda message: self._hear(page, message))
        page.on("requestfailed", lambda request: self._failed(page, request))

    def _hear(self, page, message) -> None:
        refused = re.search(r"responded with a status of (\d+)", message.text)
        if message.type in ("error", "warning") and not (refused and int(refused[1]) in self.expected):
            self.complaints.append(f"{page.url}: {message.text}")

    def _failed(self, page, request) -> None:
        if request.failure != "net::ERR_ABORTED":  # the page was left meanwhile
            self.complaints.append(f"{page.url}: {request.url} {request.failure}")


@pytest.fixture
def console():
    """Checks after the test that no page wrote an error or a warning; CSP violations are among them."""
    console = Console()
    yield console
    assert console.complaints == []


@pytest.fixture
def visit(chromium, serve, console):
    """visit(url, **options of the browser's context): a page in a browser of its own, gone before its server is."""
    contexts = []

    def open_page(url: str, **options):
        context = chromium.new_context(**{"viewport": DESK} | options)
        context.set_default_timeout(15000)
        contexts.append(context)
        context.on("page", console.watch)
        page = context.new_page()
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()


def sign_in(page, site, address: str, name: str = "ada", *, admin: bool = False) -> None:
    """Make an account, sign in with it, and go to the start page."""
    add_user(site, name, admin=admin)
    page.goto(f"{address}/user/sign-in")
    page.locator("input[name=username]").fill(name)
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("input[name=password]").press("Enter")
    page.wait_for_url(lambda url: "/sign-in" not in url)
    page.goto(address)


def shot(page, name: str) -> None:
    """Keep a picture of the whole page as output/screenshots/NAME.png."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


def until(page, condition: str) -> None:
    """Wait until a JavaScript expression is true. Playwright's own wait evaluates text, which the policy forbids."""
    look = f"const look = () => {condition} ? done() : requestAnimationFrame(look); look();"
    page.evaluate(f"() => new Promise((done) => {{ {look} }})")


def check_accessibility(page) -> None:
    """axe-core finds nothing serious on the page as it is now; .ci/run installs it into output/npm."""
    if not AXE.is_file():
        if os.environ.get("BROWSER_TESTS") == "required":
            pytest.fail(f"axe-core is not in {AXE}; .ci/run installs it.")
        return
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run({ resultTypes: ['violations'] })")["violations"]
    serious = [
        f"{each['id']}: {each['help']} ({', '.join(str(node['target']) for node in each['nodes'])})"
        for each in found
        if each["impact"] in ("serious", "critical")
    ]
    assert serious == []

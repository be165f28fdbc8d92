"""Tabs with the pages of the built book, shared by the tests of a file."""

import contextlib
import functools

import pytest

from built import HTML, address, serve, settle, shorten, watched_tab

FIGURES = {  # with the page where each is tested
    "pole": "book/index",
    "graph": "chapters/01_dezero",
    "descent": "chapters/01_dezero",
    "q-learning": "chapters/02_before_dqn",
    "spread": "chapters/02_before_dqn",
    "ring-buffer": "chapters/03_cartpole_replay",
    "staleness": "chapters/04_dqn",
    "rewind": "chapters/04_dqn",
    "max-bias": "chapters/05_stable",
    "seed-lottery": "chapters/05_stable",
    "clinic": "chapters/07_clinic",
    "training": "chapters/08_parts",
    "breakout": "chapters/09_screen",
}


@pytest.fixture(scope="session")
def server():
    with serve(HTML) as url:
        yield url


@pytest.fixture
def tab(browser):
    with watched_tab(browser) as tab:
        yield tab


# All that a live figure needs of its page: its hints, and the sentences with links that set it
LIVE = "figure[class*='live-'], figure[class*='live-'] ~ details, a[data-live]"


@pytest.fixture(scope="module")
def visit(browser):
    """Open a page for this kind of reader; the same page and reader share one tab.

    `short`: of its text nothing but the live figures. Without other wishes figures do not move, which takes
    the time of the other tests.
    """
    with contextlib.ExitStack() as stack:

        @functools.cache
        def tab_of(page, short, **reader):
            usual = {
                "viewport": {"width": 1280, "height": 800},
                "reduced_motion": "reduce",
            }
            tab = stack.enter_context(watched_tab(browser, **usual | reader))
            if short:
                shorten(tab, LIVE)
            tab.goto(address(page))
            return tab

        def open_page(page, width=1280, short=False, **reader):
            tab = tab_of(page, short, **reader)
            if tab.viewport_size["width"] != width:
                tab.set_viewport_size({"width": width, "height": 800})
                settle(tab)
            return tab

        yield open_page


class LiveFigure:
    """A live figure in a tab."""

    def __init__(self, tab, name: str):
        self.tab, self.name, self.selector = tab, name, f"figure.live-{name}"
        self.element = f"document.querySelector('{self.selector}')"
        self.figure = tab.locator(self.selector)
        self.live = self.figure.locator(".live")
        self.figure.evaluate(
            """(figure) => {
                const fold = figure.closest("details");
                if (fold) fold.open = true;
            }"""
        )
        self.figure.scroll_into_view_if_needed()
        tab.wait_for_function(f"{self.element}.live?.begun")

    def ask(self, expression: str, given=None):
        """The value of an expression of `figure` and `given`."""
        code = f"const figure = {self.element}.live; return {expression};"
        return self.tab.evaluate(f"(given) => {{ {code} }}", given)

    def wait_for(self, expression: str) -> None:
        code = f"const figure = {self.element}.live; return {expression};"
        self.tab.wait_for_function(f"() => {{ {code} }}")

    def button(self, name: str):
        return self.figure.get_by_role("button", name=name, exact=True)

    def slider(self, name: str):
        return self.figure.get_by_role("slider", name=name)

    @contextlib.contextmanager
    def moving(self):
        """As for readers who did not ask for reduced motion."""
        self.tab.emulate_media(reduced_motion="no-preference")
        yield
        self.tab.emulate_media(reduced_motion="reduce")

    @property
    def status(self) -> str:
        return self.figure.locator(".live-status").inner_text()

    @property
    def readings(self) -> list[str]:
        return self.figure.locator("dd").all_inner_texts()


@pytest.fixture(scope="module")
def show(visit):
    """Open a live figure; without other wishes, on a short page."""

    def show_figure(name, page=None, short=True, **reader):
        return LiveFigure(visit(page or FIGURES[name], short=short, **reader), name)

    return show_figure

"""Whether readers with weak eyes, a screen reader or a dark screen can use the pages, as axe-core finds."""

import re

import pytest

from built import address, settle, wait_for_formulas

pytestmark = pytest.mark.book
axe = pytest.importorskip(
    "axe_playwright_python.sync_playwright",
    reason="the pages are checked with requirements.txt installed",
).Axe()
each_scheme = pytest.mark.parametrize("scheme", ["light", "dark"])


def grave_violations(tab, scheme: str) -> list[tuple]:
    """Contrast of text and code first of all."""
    tab.emulate_media(color_scheme=scheme)
    tab.wait_for_selector(f"html[data-theme={scheme}]")
    settle(tab)  # colours glide
    return [
        (violation["id"], [node["html"] for node in violation["nodes"]])
        for violation in axe.run(tab).response["violations"]
        if violation["impact"] in ("serious", "critical")
    ]


@each_scheme
def test_page_is_legible_and_accessible(opened, scheme):
    wait_for_formulas(opened)
    assert grave_violations(opened, scheme) == []


def test_bad_contrast_would_be_found(tab):
    tab.goto(address("book/notation"))
    tab.evaluate("document.querySelector('article p').style.color = '#ddd'")
    assert [name for name, _ in grave_violations(tab, "light")] == ["color-contrast"]


@each_scheme
def test_the_results_of_a_search_are_legible_and_accessible_in_japanese(tab, scheme):
    tab.set_viewport_size({"width": 375, "height": 800})
    tab.goto(f"{address('search')}?q=行動価値")
    tab.wait_for_selector("#search-results li")
    assert grave_violations(tab, scheme) == []
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    texts = tab.locator("h1, #search-results h2, .search-summary").all_inner_texts()
    assert all(re.search("[ぁ-ん一-龠]", text) for text in texts)

"""The search of the built book, in a browser, from a web server and from files."""

import gzip
import json
import re
import unicodedata

import pytest

from built import HTML, PAGES, address, squeeze, widths

pytestmark = pytest.mark.book

GLOSSARY = "book/glossary.html"
# The book writes these, if need be with a space, in other letters or in another width.
WRITTEN = [
    *[
        "行動価値関数",
        "報酬の合計",
        "Adamの学習率",
        "シグモイド関数",
        "次の状態",
        "深層強化学習",
        "行動価値の過大評価",
    ],
    *["Q学習", "q 学習", "Ｑ学習", "Qネットワーク", "TDターゲット", "Ｑ値", "Q関数"],
    *["one-hot", "ε-greedy", "ε-Greedy", "イプシロン", "DoubleDQN", "double dqn"],
    *["ＤＱＮ", "dqn", "CartPole", "cartpole", "ﾊﾞｯﾌｧ", "ﾐﾆﾊﾞｯﾁ", "リプレイ"],
    *["DQNAgent", "dqnagent", "ReplayBuffer", "sync_qnet", "get_action", "np.random"],
    *["gymnasium", "NumPy", "float32", "Linear", "ReLU", "Acrobot", "reset()"],
]
# The parts of these stand apart: found are the pages that have all of them.
TOGETHER = {
    "ターゲットネットワーク 同期": ["ターゲットネットワーク", "同期"],
    "ターゲットネットワークの同期": ["ターゲットネットワーク", "同期"],
    "DQN 学習率": ["DQN", "学習率"],
    "DQN学習率": ["DQN", "学習率"],
    "dqn　学習率": ["DQN", "学習率"],
    "DQN、学習率": ["DQN", "学習率"],
    "「経験再生」": ["経験再生"],
    "Q 学習 割引率": ["Q 学習", "割引率"],
    "経験再生バッファ": ["経験再生", "バッファ"],
    "最適行動価値関数": ["最適", "行動価値", "関数"],
    "過大評価の行動価値": ["過大評価", "行動価値"],
    "方策オフ型 経験再生": ["方策オフ型", "経験再生"],
    "ブートストラップ 信頼区間": ["ブートストラップ", "信頼区間"],
    "勾配降下法と学習率": ["勾配降下法", "学習率"],
    "グリッドワールド 報酬": ["グリッドワールド", "報酬"],
    "計算グラフ 逆伝播": ["計算グラフ", "逆伝播"],
    "gymnasium 倒立振子": ["gymnasium", "倒立振子"],
}
NONSENSE = [
    *[
        "ぬるぽ帝国xyzzy",
        "ざくろ変換器",
        "qwxyz",
        "xyzzy",
        "ほげふがぴよ",
        "ヌルポッチャン",
    ],
    *[
        "モケケピロピロ",
        "ゾルゲンキーフ",
        "帝国",
        "行動価値帝国",
        "DQNヌルポ",
        "DQN xyzzy",
    ],
    *["バッファロー", "行動猫", "%$#", ".*", "<b>"],
]


def fold(text: str) -> str:
    """As the search compares two texts: without spaces, width of characters and case."""
    return squeeze(unicodedata.normalize("NFKC", text)).lower()


@pytest.fixture(scope="module")
def articles(soups):
    return {f"{page}.html": soups[f"{page}.html"].find("article") for page in PAGES}


@pytest.fixture(scope="module")
def texts(browser, articles):
    """What a reader sees on each page, solutions unfolded, line by line."""
    tab = browser.new_page()
    lines = {}
    for name, article in articles.items():
        tab.set_content(str(article))
        text = tab.evaluate(
            """() => {
              document.querySelectorAll("details").forEach(e => e.open = true);
              document.querySelectorAll(".headerlink, .quiz").forEach(e => e.remove());
              return document.body.innerText;
            }"""
        )
        lines[name] = "\n".join(map(fold, re.split(r"[\n\t]", text)))
    tab.close()
    return lines


@pytest.fixture(scope="module")
def terms(articles):
    """Each term of the glossary with the pages that introduce it, where it is in bold."""
    bold = {
        name: {fold(element.text) for element in article.select("strong")}
        for name, article in articles.items()
    }
    names = [dt.contents[0] for dt in articles[GLOSSARY].select("dl.glossary dt")]
    assert len(names) > 50
    return {term: {name for name in bold if fold(term) in bold[name]} for term in names}


@pytest.fixture(scope="module", params=["http", "file"])
def site(request, server):
    return server if request.param == "http" else HTML.as_uri()


class Finder:
    """A tab with the page of the search, asked again and again."""

    def __init__(self, tab):
        self.tab = tab

    def ask(self, query: str) -> list[dict]:
        return self.tab.evaluate(
            """query => {
              document.getElementById("search-results").replaceChildren();
              Search.performSearch(query);
              return [...document.querySelectorAll("#search-results li")].map(li => ({
                href: li.querySelector("a").getAttribute("href"),
                title: li.querySelector("a").innerText,
                excerpt: li.querySelector(".context")?.innerText,
                marked: [...li.querySelectorAll(".highlighted")].map(e => e.innerText),
              }));
            }""",
            query,
        )

    def pages(self, query: str) -> list[str]:
        return [result["href"].split("#")[0] for result in self.ask(query)]

    @property
    def status(self) -> str:
        return self.tab.locator("#search-results .search-summary").inner_text()


@pytest.fixture(scope="module")
def finder(browser, site):
    tab = browser.new_page(locale="ja-JP")
    errors = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.goto(f"{site}/search.html")
    yield Finder(tab)
    tab.close()
    assert errors == []


def test_every_term_is_found_where_it_stands_and_explained_on_top(finder, texts, terms):
    wrong = {}
    for term, introduced in terms.items():
        found = finder.pages(term)
        expected = {name for name, text in texts.items() if fold(term) in text}
        if (
            set(found) != expected
            or GLOSSARY not in found[:3]
            or (introduced and introduced.isdisjoint(found[:3]))
        ):
            wrong[term] = found
    assert wrong == {}


def test_compounds_that_the_book_writes_are_found(finder, texts):
    wrong = {}
    for query in WRITTEN:
        expected = {name for name, text in texts.items() if fold(query) in text}
        found = finder.pages(query)
        if set(found) != expected or not expected:
            wrong[query] = found
    assert wrong == {}


def test_other_compounds_find_the_pages_that_have_all_their_parts(finder, texts):
    wrong = {}
    for query, words in TOGETHER.items():
        expected = {
            name
            for name, text in texts.items()
            if all(fold(word) in text for word in words)
        }
        found = finder.pages(query)
        if set(found) != expected or not expected:
            wrong[query] = found
    assert wrong == {}


def test_nonsense_finds_nothing_and_is_named(finder):
    for query in NONSENSE:
        assert finder.ask(query) == [], query
        assert query.split()[-1] in finder.status and "ありません" in finder.status


def test_a_result_is_a_place_on_a_page_with_its_text(finder, soups, terms):
    """One result for a page, with a readable title and an excerpt, the words marked."""
    for term in terms:
        results = finder.ask(term)
        pages = [result["href"].split("#")[0] for result in results]
        assert len(set(pages)) == len(pages)
        assert results[0]["excerpt"]
        for result in results:
            page, _, anchor = result["href"].partition("#")
            assert not anchor or soups[page].find(id=anchor) is not None
            assert "#" not in result["title"] and result["title"].strip()
            assert len(result["excerpt"]) <= 125
            assert result["marked"]
            assert {fold(mark) for mark in result["marked"]} == {fold(term)}


def test_a_reader_types_a_word_and_gets_to_the_place(browser, site):
    tab = browser.new_page(locale="ja-JP", viewport={"width": 1280, "height": 800})
    tab.goto(f"{site}/chapters/01_dezero.html")
    tab.locator("button.search-button-field:visible").click()
    tab.locator("dialog input[name=q]").fill("非正規化数")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("#search-results li")
    assert tab.locator("input[name=q]:visible").input_value() == "非正規化数"
    tab.locator("#search-results li a").first.click()
    tab.wait_for_selector("article .highlighted")
    assert "非正規化数" in tab.locator("article .highlighted").first.inner_text()
    tab.close()


def test_what_is_bold_and_no_term_of_the_prose_is_no_definition():
    text = (HTML / "search_text.js").read_text(encoding="utf-8")
    pages = json.loads(text[text.index("(") + 1 : text.rindex(")")])
    sections = [section for page in pages for section in page["sections"]]
    defined = {term for section in sections for term in section["defines"]}
    assert {"経験再生", "重みの平均"} <= defined
    assert not [term for term in defined if re.search("[、。]", term)]
    assert defined.isdisjoint({"問い", "測るもの", "結論の決め方"})  # a plan, printed


def test_the_index_is_small(texts):
    size = len(gzip.compress((HTML / "search_text.js").read_bytes()))
    assert size < 9_000 * len(texts)  # it grows with the pages


@pytest.mark.parametrize(
    "word", ["経験再生", "行動価値", "ターゲットネットワーク", "Gymnasium"]
)
def test_search_finds(tab, word):
    tab.goto(f"{address('search')}?q={word}")
    for _ in widths(tab):
        tab.wait_for_selector("#search-results li")
    assert tab.troubles == []


def test_search_does_not_find_nonsense(tab):
    tab.goto(f"{address('search')}?q=ぬるぽ帝国xyzzy")
    for _ in widths(tab):
        tab.wait_for_selector("#search-results .search-summary:has-text('ありません')")
        assert tab.locator("#search-results li").count() == 0

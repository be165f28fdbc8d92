"""The search of the built book."""

import re
import tomllib
import unicodedata

import pytest

from built import (
    HTML,
    PAGES,
    ROOT,
    address,
    compute,
    settle,
    squeeze,
    watched_tab,
    weekly,
    widths,
)

GLOSSARY = "book/glossary.html"
NUMBER = re.compile(r"^[\d.]+\. ")
QUERIES = tomllib.loads((ROOT / "tests/search_queries.toml").read_text("utf-8"))
# The book writes these, if need be with a space, in other letters or in another width.
WRITTEN = [
    *[
        "行動価値関数",
        "報酬の合計",
        "DQNの限界",
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
# What somebody types whose program does not learn: the page 学習しないときに is the first result.
SYMPTOMS = [
    *[
        "学習しない",
        "報酬が増えない",
        "報酬が上がらない",
        "学習が進まない",
        "学習が不安定",
    ],
    *[
        "lossが下がらない",
        "loss 増える",
        "損失が下がらない",
        "Q値が発散",
        "Q値が増えない",
    ],
    *[
        "CartPole 500 いかない",
        "倒立振子が解けない",
        "いつも同じ行動",
        "急に報酬が下がる",
    ],
    *["reward not increasing", "DQN not learning", "loss increasing", "not converging"],
    *["loss not decreasing", "Q values diverge", "catastrophic forgetting"],
]
NONSENSE = [
    *["ぬるぽ帝国xyzzy", "qwxyz", "xyzzy", "ほげふがぴよ"],
    *["ヌルポッチャン", "モケケピロピロ", "ゾルゲンキーフ", "帝国", "バッファロー"],
]
PARTLY = {
    "行動価値帝国": "帝国",
    "DQNヌルポ": "ヌルポ",
    "DQN xyzzy": "xyzzy",
    "行動猫": "猫",
}
SIGNS = ["%$#", ".*", "(?:[", " \u3000 "]


def fold(text: str) -> str:
    """Drop what the search ignores: spaces, width of characters and case."""
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
              document.querySelectorAll(".headerlink, .quiz-hint, .quiz :is(strong, summary)").forEach(e => e.remove());
              return document.body.innerText;
            }"""
        )
        lines[name] = "\n".join(map(fold, re.split(r"[\n\t]", text)))
    tab.close()
    return lines


@pytest.fixture(scope="module")
def terms(articles):
    """Each term of the glossary with the pages that introduce it: in bold, or in their title."""
    bold = {
        name: {fold(element.text) for element in article.select("strong")}
        for name, article in articles.items()
    }
    titles = {name: fold(article.h1.text) for name, article in articles.items()}
    names = [dt.contents[0] for dt in articles[GLOSSARY].select("dl.glossary dt")]
    assert len(names) > 50
    return {
        term: {
            name
            for name in bold
            if fold(term) in bold[name] or fold(term) in titles[name]
        }
        for term in names
    }


class Finder:
    """A tab with the page of the search, asked again and again."""

    def __init__(self, tab):
        self.tab = tab

    def ask(self, query: str) -> list[dict]:
        return compute(
            self.tab,
            """(query) => {
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

    @property
    def status(self) -> str:
        return self.tab.locator("#search-results .search-summary").inner_text()


@pytest.fixture(scope="module")
def finder(browser):
    with watched_tab(browser) as tab:
        tab.goto(address("search"))
        yield Finder(tab)
        assert tab.troubles == []


@pytest.fixture(scope="module")
def results(finder, terms):
    return {term: finder.ask(term) for term in terms}


def pages_of(results: list[dict]) -> list[str]:
    return [result["href"].split("#")[0] for result in results]


def test_search_finds_all_terms(results, texts, terms):
    """On the pages that have them, those that explain them on top."""
    wrong = {}
    for term, introduced in terms.items():
        found = pages_of(results[term])
        expected = {name for name, text in texts.items() if fold(term) in text}
        if (
            not expected <= set(found)
            or GLOSSARY not in found[:3]
            or (introduced and introduced.isdisjoint(found[:3]))
        ):
            wrong[term] = found
    assert wrong == {}


def test_search_finds_compounds(finder, texts):
    wrong = {}
    for query in WRITTEN:
        expected = {name for name, text in texts.items() if fold(query) in text}
        found = pages_of(finder.ask(query))
        if not expected <= set(found) or not expected:
            wrong[query] = found
    assert wrong == {}


def section_of(result: dict) -> str:
    """As in search_queries.toml: page/title, without the number."""
    page = re.search(r"(\w+)\.html", result["href"])[1]
    return f"{page}/{NUMBER.sub('', result['title'].split(' › ')[-1])}"


@pytest.mark.parametrize("query", QUERIES)
def test_learners_find_the_section(finder, query):
    found = [section_of(result) for result in finder.ask(query)]
    assert not set(QUERIES[query]).isdisjoint(found[:3]), found[:5]


@pytest.mark.parametrize("query", SYMPTOMS)
def test_symptoms_lead_to_the_page_for_them(finder, query):
    assert pages_of(finder.ask(query))[0] == "book/troubleshooting.html"


def test_search_names_words_without_results(finder):
    for query in NONSENSE:
        assert finder.ask(query) == [], query
        assert "この本にありません" in finder.status, query
    for query, word in PARTLY.items():
        assert finder.ask(query)
        assert f"「{word}」は、この本にありません" in finder.status
    for query in SIGNS:
        assert finder.ask(query) == []
        assert finder.status == "探す言葉を入れてください。"


def test_search_says_that_nothing_has_all_words(finder):
    assert finder.ask("非正規化数 爆弾")
    assert "すべてがそろう節はありません" in finder.status
    assert finder.ask("割引率 ガンマ")
    assert "すべて" not in finder.status


def test_results_have_title_excerpt_and_marked_words(results, soups):
    """A readable title and an excerpt, the words marked, each section once."""
    places = {
        page: {element["id"] for element in soup.select("[id]")}
        for page, soup in soups.items()
    }
    for term, found in results.items():
        assert len({result["href"] for result in found}) == len(found)
        assert found[0]["excerpt"]
        for result in found:
            page, _, anchor = result["href"].partition("#")
            assert not anchor or anchor in places[page]
            assert "#" not in result["title"] and result["title"].strip()
            assert len(result["excerpt"]) <= 125
            assert result["marked"]
        assert fold(term) in {fold(mark) for mark in found[0]["marked"]}


@pytest.mark.parametrize("home", [weekly("http"), "file"])
def test_typed_word_leads_to_its_place(browser, server, home):
    site = server if home == "http" else HTML.as_uri()
    desktop = {"width": 1280, "height": 800}
    with watched_tab(browser, home=site, viewport=desktop) as tab:
        tab.goto(f"{site}/book/setup.html")
        tab.locator("button.search-button-field:visible").click()
        tab.locator("dialog input[name=q]").fill("非正規化数")
        tab.keyboard.press("Enter")
        tab.wait_for_selector("#search-results li")
        assert tab.locator("input[name=q]:visible").input_value() == "非正規化数"
        tab.locator("#search-results li a").first.click()
        tab.wait_for_selector("article .highlighted")
        assert "非正規化数" in tab.locator("article .highlighted").first.inner_text()
        assert tab.troubles == []


@pytest.mark.parametrize("word", ["Python", "xyzzy"])
def test_marks_can_be_hidden_where_there_are_some(tab, word):
    tab.set_viewport_size({"width": 1280, "height": 800})
    tab.goto(address("book/setup"))
    tab.evaluate("word => localStorage.sphinx_highlight_terms = word", word)
    tab.reload()
    link, marks = tab.locator(".highlight-link a"), tab.locator("article .highlighted")
    link.wait_for(state="attached")
    if word == "Python":
        marks.first.wait_for()  # the link comes first
        link.click()
        assert marks.count() == 0
    else:
        settle(tab)
        assert link.is_hidden()


def test_long_word_is_cut_where_it_is_typed(tab):
    tab.goto(address("search"))
    tab.locator("input[name=q]:visible").click()
    tab.keyboard.insert_text("猫" * 4_462)
    tab.keyboard.press("Enter")
    tab.wait_for_selector(".search-summary:not(:empty)")
    assert tab.locator("input[name=q]:visible").input_value() == "猫" * 200
    assert "ありません" in tab.inner_text(".search-summary")


@pytest.mark.parametrize("page", ["book/index", "search"])
def test_page_has_one_search_field(tab, page):
    tab.goto(address(page))
    fields = "button.search-button-field, button.search-button, form.bd-search"
    for _ in widths(tab):
        assert len(tab.locator(f":is({fields}):visible").all()) == 1
    assert tab.troubles == []


def test_search_title_looks_like_that_of_a_page(tab):
    looks = "(e) => [getComputedStyle(e).fontSize, getComputedStyle(e).fontWeight]"
    seen = []
    for page in ("search", "book/glossary"):
        tab.goto(address(page))
        seen.append(tab.locator("h1:visible").first.evaluate(looks))
    assert seen[0] == seen[1]


@pytest.mark.parametrize(("word", "found"), [("Gymnasium", True), ("帝国xyzzy", False)])
def test_address_with_a_query_shows_its_results(tab, word, found):
    tab.goto(f"{address('search')}?q={word}")
    tab.wait_for_selector(".search-summary")
    for _ in widths(tab):
        assert tab.locator("#search-results li:visible").count() > 0 or not found
        assert ("この本にありません" in tab.inner_text(".search-summary")) != found
    assert tab.locator("#search-results li").count() == 0 or found
    assert tab.troubles == []


STORAGES = {
    "refused": "get() { throw new DOMException('no', 'SecurityError'); }",
    "absent": "value: undefined",
    "full": """value: {
        getItem: () => null,
        removeItem() {},
        setItem() { throw new DOMException('no', 'QuotaExceededError'); },
    }""",
}


@pytest.mark.parametrize("storage", STORAGES)
def test_search_works_without_storage(tab, storage):
    tab.add_init_script(
        f"for (const name of ['localStorage', 'sessionStorage'])"
        f" Object.defineProperty(window, name, {{ {STORAGES[storage]} }});"
    )
    tab.goto(f"{address('search')}?q=Gymnasium")
    tab.wait_for_selector("#search-results li")
    assert re.search(r"\d+ か所", tab.inner_text(".search-summary"))


LONG = {
    "one word": "a" * 5_000,
    "a term again and again": "行動価値" * 2_000,
    "many words": "a b " * 5_000,
    "signs": "(?:[" * 2_000,
    "particles": "もの" * 90 + "ぬ",
    "halves of letters": "\ud83d" * 3_000,
    "nothing": " \u3000 ",
}


@pytest.mark.parametrize("query", LONG.values(), ids=LONG)
def test_any_query_ends(finder, query):
    found = finder.ask(query)
    assert re.search(f"{len(found)} か所|ません|ください", finder.status)
    assert finder.tab.locator("#search-results h2").inner_text() == "検索結果"


@pytest.mark.parametrize("index", ["", "Search.setIndex([{", "Search.setIndex({})"])
def test_search_without_its_index_says_so(tab, index):
    """Missing, cut short, of another book."""
    tab.route(
        "**/search_text.js",
        lambda route: route.fulfill(body=index) if index else route.abort(),
    )
    tab.goto(f"{address('search')}?q=Gymnasium")
    tab.wait_for_function(
        "/ません|ください/.test(document.querySelector('.search-summary')?.innerText)"
    )
    assert tab.locator("#search-results h2").inner_text() == "検索結果"

// The search: looks for what was typed in the text of the pages (book/_ext/search_text.py) and replaces
// the query of Sphinx's searchtools.js, which knows only whole words. Sphinx still reads the address
// and prepares the place for the results.

{
  const LONGEST_EXCERPT = 120;
  const LONGEST_QUERY = 200; // no longer one is in the book
  const escape = (text) => text.replace(/[.*+?^${}()|[\]\\\/-]/g, "\\$&");
  const unspaced = (text) => text.replace(/\s/g, "");

  // Full width and half width are the same. The length stays, so that places agree with the text.
  const narrow = (c) => (c.normalize("NFKC").length === c.length ? c.normalize("NFKC") : c);
  const fold = (text) => text.replace(/[^\0-\x7f]/gu, narrow);
  // So are upper and lower case, and "Q学習" and "Q 学習".
  const loose = (word) => [...word].map(escape).join(" ?");
  const longestFirst = (words) => [...words].sort((a, b) => b.length - a.length);
  const pattern = (...words) => new RegExp(longestFirst(words).map(loose).join("|"), "gi");
  const same = (a, b) => unspaced(a).toLowerCase() === b.toLowerCase();
  const count = (text, word) => (text.match(pattern(word)) ?? []).length;

  let pages, terms;
  const prepare = (index) => {
    pages = index;
    const defined = new Set();
    for (const page of pages) {
      for (const section of page.sections) {
        section.heading = fold(section.title);
        section.text = section.lines.map(fold).join("\n");
        section.defines = section.defines.map(fold);
        section.defines.forEach((term) => defined.add(term));
      }
      page.text = page.sections.map((section) => `${section.heading}\n${section.text}`).join("\n");
    }
    terms = longestFirst([...defined].filter((term) => term.length > 1));
  };
  const occurs = (word) => pages.some((page) => pattern(word).test(page.text));

  // A compound that the book does not write: its terms, and the rest cut where the script changes.
  // "行動価値の更新" is 行動価値 and 更新. Never a single character, or nonsense would be found.
  const runs =
    /\p{sc=Han}+|[\p{sc=Katakana}ー]+|\p{sc=Hiragana}+|[\p{sc=Latin}\p{sc=Greek}\p{N}_]+/gu;
  const pieces = (word) => {
    const known = new RegExp(`(${terms.map((term) => escape(unspaced(term))).join("|")})`, "i");
    const parts = word
      .split(known)
      .flatMap((part, i) => (i % 2 ? part : (part.match(runs) ?? [])))
      .filter((part) => !/^\p{sc=Hiragana}$/u.test(part)); // の, と, を …
    return parts.length && parts.every((part) => part.length > 1 && occurs(part)) ? parts : [word];
  };

  // The words of a query, all of which a page must contain. A term with a space in it is one word.
  const wordsOf = (query) => {
    let text = query.normalize("NFKC").replace(/\s+/g, " ").trim().slice(0, LONGEST_QUERY);
    for (const term of terms.filter((term) => term.includes(" "))) {
      text = text.replace(new RegExp(escape(term), "gi"), unspaced);
    }
    const words = text.split(" ").filter(Boolean);
    return [...new Set(words.flatMap((word) => (occurs(word) ? word : pieces(word))))];
  };

  // How well a section answers: it explains the word, has it in its heading, or just uses it.
  const score = (section, word, isPage) =>
    100 * section.defines.some((term) => same(term, word)) +
    (isPage ? 40 : 20) * pattern(word).test(section.heading) +
    Math.min(count(section.text, word), 10);

  const total = (numbers) => numbers.reduce((a, b) => a + b, 0);
  const highest = (items, value) => items.reduce((a, b) => (value(b) > value(a) ? b : a));

  // One result for a page: its best section. The words count most where they stand together.
  const find = (words) => {
    const wanted = [...new Set([words.join(""), ...words])];
    const found = pages.filter((page) => words.every((word) => pattern(word).test(page.text)));
    const results = found.map((page) => {
      const rows = page.sections.map((section, i) => ({
        section,
        scores: wanted.map((word) => score(section, word, i === 0)),
      }));
      return {
        page,
        section: highest(rows, (row) => total(row.scores)).section,
        score: total(wanted.map((_, k) => Math.max(...rows.map((row) => row.scores[k])))),
        uses: total(words.map((word) => count(page.text, word))),
      };
    });
    return results.sort((a, b) => b.score - a.score || b.uses - a.uses);
  };

  // The text with the words marked.
  const marked = (text, words) => {
    const fragment = document.createDocumentFragment();
    let end = 0;
    for (const match of fold(text).matchAll(pattern(...words))) {
      fragment.append(text.slice(end, match.index));
      end = match.index + match[0].length;
      const mark = document.createElement("span");
      mark.className = "highlighted";
      mark.textContent = text.slice(match.index, end);
      fragment.append(mark);
    }
    fragment.append(text.slice(end));
    return fragment;
  };

  // The line of the section with most of the words, cut to a readable length around the first.
  const excerpt = (section, words) => {
    const hits = (line) => words.filter((word) => pattern(word).test(fold(line))).length;
    const line = highest(["", ...section.lines], hits) || (section.lines[0] ?? "");
    const first = fold(line).search(pattern(...words));
    const start = first < LONGEST_EXCERPT / 2 ? 0 : first - LONGEST_EXCERPT / 4;
    const end = start + LONGEST_EXCERPT;
    return (start > 0 ? "…" : "") + line.slice(start, end) + (end < line.length ? "…" : "");
  };

  const show = ({ page, section }, words) => {
    const item = document.createElement("li");
    const link = document.createElement("a");
    link.href = page.url + (section.id && `#${section.id}`);
    const title = section === page.sections[0] ? page.title : `${page.title} › ${section.title}`;
    link.append(marked(title, words));
    const context = document.createElement("p");
    context.className = "context";
    context.append(marked(excerpt(section, words), words));
    item.append(link, context);
    Search.output.append(item);
  };

  // sphinx_highlight.js marks the words on the page that is opened next, where the browser keeps them.
  const remember = (words) => {
    try {
      localStorage.setItem("sphinx_highlight_terms", words.join(" "));
    } catch {
      // refused or full: nothing is marked
    }
  };

  const end = (sentence) => {
    Search.stopPulse();
    Search.title.innerText = _("Search Results");
    Search.status.innerText = sentence;
  };

  const answer = (query) => {
    pages ?? prepare(Search._index);
    const words = wordsOf(query);
    const missing = words.filter((word) => !occurs(word));
    const results = words.length && !missing.length ? find(words) : [];
    results.forEach((result) => show(result, words));
    remember(words.filter((word) => word.length > 1));
    if (!words.length) return "探す言葉を入れてください。";
    const short = (word) => (word.length > 30 ? `${word.slice(0, 30)}…` : word);
    const quoted = (list) => list.map((word) => `「${short(word)}」`).join("");
    if (results.length) return `${quoted(words)}は ${results.length} ページにあります。`;
    if (missing.length) return `${quoted(missing)}は、この本にありません。`;
    return `${quoted(words)}をすべて含むページはありません。`;
  };

  Search.query = (query) => {
    try {
      end(answer(query));
    } catch (error) {
      end("検索できませんでした。ほかの言葉で試してください。");
      console.warn(error);
    }
  };

  // The index did not arrive, or only a part of it.
  addEventListener("load", () => {
    if (!Search.hasIndex()) end("検索の索引を読みこめません。ページを読みこみなおしてください。");
  });
}

// The page of the search: shows which sections of the book answer a query (search_rank.js) in place of
// Sphinx's searchtools.js, which knows only whole words. Sphinx still reads the address and prepares the
// place for the results.

{
  const LONGEST_EXCERPT = 120;
  const FIRST = 10; // results; then one for each further page that has all the words

  // Full width and half width are the same. The length stays, so that places agree with the text.
  const narrow = (c) => (c.normalize("NFKC").length === c.length ? c.normalize("NFKC") : c);
  const fold = (text) => text.replace(/[^\0-\x7f]/gu, narrow);
  const pattern = (concepts) => {
    const words = concepts.flatMap((concept) => concept.words.map(({ word }) => word));
    const longestFirst = words.sort((a, b) => b.length - a.length);
    return new RegExp(longestFirst.map(SearchQuery.written).join("|"), "gi");
  };

  // The text with the words marked.
  const marked = (text, words) => {
    const fragment = document.createDocumentFragment();
    let end = 0;
    for (const match of fold(text).matchAll(words)) {
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

  // The line of the section that says most, cut to a readable length around the first word.
  const excerpt = ({ section, concepts }, words) => {
    const patterns = concepts.map((concept) => [concept.value, pattern([concept])]);
    const says = (line) =>
      patterns.reduce((sum, [value, regex]) => sum + value * (fold(line).search(regex) >= 0), 0);
    let [line = "", most] = [section.lines[0], 0];
    for (const other of section.lines) {
      const value = says(other);
      if (value > most) [line, most] = [other, value];
    }
    const first = fold(line).search(words);
    const start = first < LONGEST_EXCERPT / 2 ? 0 : first - LONGEST_EXCERPT / 4;
    const end = start + LONGEST_EXCERPT;
    return (start > 0 ? "…" : "") + line.slice(start, end) + (end < line.length ? "…" : "");
  };

  // sphinx_highlight.js marks the words on the page that is opened next, where the browser keeps them. It
  // cannot mark a word with a space.
  const remember = (section, words) => {
    const found = fold([section.title, ...section.lines].join("\n")).match(words) ?? [];
    const whole = found.filter((word) => word.length > 1 && !/\s/.test(word));
    try {
      localStorage.setItem("sphinx_highlight_terms", [...new Set(whole)].join(" "));
    } catch {
      // refused or full: nothing is marked
    }
  };

  const show = (result) => {
    const { page, section, concepts } = result;
    const words = pattern(concepts);
    const item = document.createElement("li");
    const link = document.createElement("a");
    link.href = page.url + (section.id && `#${section.id}`);
    const title = section === page.sections[0] ? page.title : `${page.title} › ${section.title}`;
    link.append(marked(title, words));
    for (const event of ["click", "auxclick"]) link.addEventListener(event, () => remember(section, words));
    const context = document.createElement("p");
    context.className = "context";
    context.append(marked(excerpt(result, words), words));
    item.append(link, context);
    Search.output.append(item);
  };

  const end = (sentence) => {
    Search.stopPulse();
    Search.title.innerText = _("Search Results");
    Search.status.innerText = sentence;
  };

  const short = (word) => (word.length > 30 ? `${word.slice(0, 30)}…` : word);
  const quoted = (concepts) => concepts.map(({ text }) => `「${short(text)}」`).join("");

  let rank;
  const answer = (query) => {
    rank ??= SearchRank.ranking(Search._index);
    const { concepts, missing, results } = rank(query);
    const hasAll = (result) => result.concepts.length === concepts.length;
    const pages = new Set();
    const shown = results.filter((result, i) => {
      const isFurther = hasAll(result) && !pages.has(result.page);
      pages.add(result.page);
      return i < FIRST || isFurther;
    });
    shown.forEach(show);
    if (!concepts.length && !missing.length) return "探す言葉を入れてください。";
    return [
      missing.length && `${quoted(missing)}は、この本にありません。`,
      shown.length && `${quoted(concepts)}によく合う順に、${shown.length} か所を示します。`,
      shown.length && !results.some(hasAll) && "すべてがそろう節はありません。",
    ].filter(Boolean).join("");
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

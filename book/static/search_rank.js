// Which sections of the book answer a query, the best first. The text of the pages and the names of things
// come from book/_ext/search_text.py; tests/search_queries.toml says what has to be found.

const SearchRank = (() => {
  // How much a place counts: a heading, the title of the page, the definition of a term, the text, in it
  // lines of code; words side by side as in the query; a heading like the whole query.
  const HEADING = 3, PAGE = 1, DEFINITION = 4, TEXT = 2, CODE = 0.2, NEIGHBOURS = 1.5, SIMILAR = 1.5;
  // まとめ or 参考文献, which each chapter has, exercises where none is asked for, and headings without a text
  // say less than the sections of their own.
  const EVERYWHERE = 0.5, EXERCISE = 0.8, BARE = 0.5;

  const { flat, reader, SOFT, OTHER_NAME } = SearchQuery;
  const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);
  const isProse = (line) => line.replace(/[\0-\x7f]/g, "").length > 0.3 * line.length;

  const unnumbered = (title) => title.replace(/^[\d.]+\. /, "");

  // Prepares the sections of the pages for looking.
  const prepared = (pages) => {
    const sections = pages.flatMap((page) =>
      page.sections.map((section, i) => {
        const text = flat(section.lines.join("\n"));
        return {
          page, section, text,
          isPage: i === 0,
          title: i ? flat(unnumbered(page.title)) : "",
          heading: flat(unnumbered(section.title)),
          prose: text.split("\n").filter(isProse).join("\n"),
          defines: section.defines.map(flat),
        };
      }));
    const mean = sum(sections.map((s) => s.text.length)) / sections.length;
    for (const s of sections) {
      s.length = s.text.length / mean;
      const isEverywhere = !s.isPage && sections.filter((other) => other.heading === s.heading).length > 2;
      s.isExercise = s.heading.startsWith("演習");
      s.factor = isEverywhere ? EVERYWHERE : s.isExercise ? EXERCISE : s.text ? 1 : BARE;
    }
    return sections;
  };

  // How much a section says about a concept.
  const look = (s, { words }) => {
    let heading = 0, title = 0, text = 0;
    for (const { word, quality, pattern } of words) {
      const regex = new RegExp(pattern, "g");
      const count = (text) => text.match(regex)?.length ?? 0;
      if (count(s.heading)) heading = Math.max(heading, (quality * (1 + word.length / s.heading.length)) / 2);
      if (count(s.title)) title = Math.max(title, quality);
      text += quality * (CODE * count(s.text) + (1 - CODE) * count(s.prose));
    }
    const defines = words.some(({ word, quality }) => quality >= OTHER_NAME && s.defines.includes(word));
    if (!heading && !text) return 0;
    const mentions = HEADING * heading + PAGE * title + (TEXT * text) / (text + 0.6 + 0.6 * s.length);
    return mentions * s.factor + DEFINITION * defines;
  };

  // Which neighbours in the query are neighbours in the section.
  const neighbours = (s, concepts) =>
    sum(concepts.slice(1).map((c, i) => {
      const both = new RegExp(`(?:${concepts[i].any}).{0,3}(?:${c.any})`);
      return Math.min(c.value, concepts[i].value) * (both.test(s.heading) ? 2 : Number(both.test(s.text)));
    }));

  const similarity = (heading, text) => {
    const pairs = [...text].slice(1).map((_, i) => text.slice(i, i + 2));
    return pairs.filter((pair) => heading.includes(pair)).length / (pairs.length || 1);
  };

  // Of an index: a function that ranks its sections. It gives the concepts of a query, those that the book
  // lacks, and results {page, section, concepts}. Sections with all concepts come before those with some,
  // unless what these lack says little.
  const ranking = ({ pages, names }) => {
    const sections = prepared(pages);
    const understand = reader(sections.map((s) => `${s.heading}\n${s.text}`).join("\n"), names);

    return (query) => {
      const all = understand(query);
      for (const c of all) {
        c.any = c.words.map(({ pattern }) => pattern).join("|");
        c.found = new Map(sections.map((s) => [s, look(s, c)]).filter(([, value]) => value));
        c.value = c.weight * Math.log(1 + sections.length / (c.found.size + 0.5)); // rare ones say more
      }
      const concepts = all.filter((c) => c.found.size);
      const whole = sum(concepts.map((c) => c.value));
      const asked = all.some((c) => c.words.some(({ word }) => word === "演習")) ? 1 / EXERCISE : 1;
      const score = (s, here) =>
        (sum(here.map((c) => c.value * c.found.get(s))) +
          NEIGHBOURS * neighbours(s, here) +
          SIMILAR * whole * similarity(s.heading, flat(query))) *
        (sum(here.map((c) => c.value)) / whole) ** 2 * (s.isExercise ? asked : 1);
      const results = [...new Set(concepts.flatMap((c) => [...c.found.keys()]))].map((s) => {
        const here = concepts.filter((c) => c.found.has(s));
        return { page: s.page, section: s.section, concepts: here, score: score(s, here) };
      });
      return {
        concepts,
        missing: all.filter((c) => !c.found.size && (c.weight > SOFT || !concepts.length)),
        results: results.sort((a, b) => b.score - a.score),
      };
    };
  };

  return { ranking };
})();

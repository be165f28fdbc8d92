// What a learner means by a query: the names of things in it, and the words between them, without the
// particles. search_rank.js looks for them in the sections of the book.

const SearchQuery = (() => {
  const LONGEST = 200; // letters; no longer one is in the book
  // How much a word counts, and how near another word comes to what was typed.
  const NAME = 1, WORD = 0.7, VERB = 0.5, SOFT = 0.2;
  const OTHER_NAME = 0.85, OTHER_FORM = 0.7;

  const SOFT_WORDS = new Set(("違い 差 意味 方法 方 仕方 理由 目安 説明 例 場合 時 関係 何 種類 人 必要 自分 本 用意 急 全然 " +
    "difference meaning use using python error").split(" "));
  const isSoft = (word) => SOFT_WORDS.has(word) || /^\d$/.test(word);
  const ENGLISH = /^(an?|the|is|are|be|to|of|in|on|for|and|or|vs|with|i|my|it|how|what|why|when|do|does|should|can)$/;
  const PARTICLES = /^(から|まで|より|って|とは|では|には|での|との|への|のに|けど|ので|だけ|しか|たい|[のがをはともにでへやなか])+/;
  const EMPTY = new RegExp(`^(${(
    "する した して しない したい しな すれば しよう できる できない ない なる なった ならない なって いい よい だめ おかしい " +
    "どう.* どの.* どれ.* どこ.* なに.* なん.* なぜ いつ ため ってどう.* ください です.* ます.* ある いる いう これ それ とき こと やつ " +
    "わから.* くれ すぎる? まま よく うまく ちゃんと ずっと すぐ もっと とても [のがをはともにでへやかな]"
  ).replaceAll(" ", "|")})*$`);
  // 下がりません, 下がらなかった, 下がらん are 下がらない; 学習してくれない is 学習しない.
  const ENDINGS = [
    [/できま?せん/g, "できない"], [/りません/g, "らない"], [/きません/g, "かない"], [/ません/g, "ない"],
    [/な(かった|くて|くなった|くなる)/g, "ない"], [/んない/g, "らない"],
    [/([らかえれけせきし])ん(?=$|[ 、。?？!]|で)/g, "$1ない"],
    [/(のは|って|は)?(なぜ|どうして|なんで)(ですか|だろう|でしょうか|なの)?/g, " "],
    [/し(て|されて?)(い|くれ)?ない/g, "しない"], [/て(い|くれ)?ない/g, "ない"],
  ];
  // 作り is looked for as 作る, too: one row of the syllables, and how it changes.
  const ROWS = ["いうえおわっ", "かきくけこい", "がぎぐげごい", "さしすせそ", "たちつてとっ", "ばびぶべぼん", "まみむめもん", "らりるれろっ"];
  const PARTS = /(\p{sc=Han}*)(\p{sc=Hiragana}*)([\p{sc=Katakana}ー]+|\p{sc=Latin}[\p{sc=Latin}\d]*|\d+(?:\.\d+)?|\p{sc=Greek})?/gu;

  const escape = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const unspaced = (text) => text.replaceAll(" ", "");

  // One form of all writings: width, case, sync_qnet and one-hot; then "Q 学習" is "q学習", too.
  const plain = (text) => text.normalize("NFKC").replace(/[_・ ]+|(\p{L})-(?=[a-z])/giu, "$1 ").trim();
  const flat = (text) => plain(text).replace(/ ?([^\0-\x7f]) ?/g, "$1").toLowerCase();

  // A word in flat text. Short Latin words and numbers stand alone: "per" is not in "paper", 2 not in 20.
  const bounded = (word, inner) =>
    (/^([a-z]{1,3}\b|\d)/.test(word) ? "\\b" : "") + inner + (/(\b[a-z]{1,2}|\d)$/.test(word) ? "\\b" : "");
  const pattern = (word) => bounded(word, escape(word).replaceAll(" ", " ?"));
  // The same in text as the pages write it.
  const written = (word) => bounded(word, [...unspaced(word)].map(escape).join("[ _・-]?"));

  // How a name is typed, without spaces: ルナーランダー is ルナランダー, 重みの保存 is 重み 保存.
  const writings = (name) => {
    const key = unspaced(name);
    return key.length > 3 ? [key, key.replaceAll("ー", ""), key.replace(/(?<=.)[のをが](?=.)/g, "")] : [key];
  };

  // A reader of queries, who knows the flat text of the book and the lists of names for one thing.
  const reader = (book, names) => {
    const groups = new Map(); // name without spaces → all names of what it names
    for (const group of names.map((group) => group.map(flat))) {
      for (const key of new Set(group.flatMap(writings))) groups.set(key, [...(groups.get(key) ?? []), ...group]);
    }
    const longest = Math.max(...[...groups.keys()].map((key) => key.length));
    const hanWords = new Set(book.match(/\p{sc=Han}{2,}/gu)?.filter((word) => word.length < 4));
    const katakanaWords = new Set(book.match(/[\p{sc=Katakana}ー]+/gu));
    const occurs = (word) => new RegExp(pattern(word)).test(book);

    // What is looked for: the text as typed, and words that mean it, with a quality from 0 to 1.
    const concept = (text, weight, words = [[text.toLowerCase(), 1]]) => ({
      text,
      weight: isSoft(text.toLowerCase()) ? SOFT : weight,
      words: words.map(([word, quality]) => ({ word, quality, pattern: pattern(word) })),
    });
    const groupOf = (text) => {
      const key = unspaced(text).toLowerCase();
      return groups.get(key) ?? groups.get(key.replace(/s$/, "").replaceAll("ー", ""));
    };
    const named = (text, name = text) => {
      const others = groupOf(name).filter((other) => other !== flat(text));
      return concept(text, NAME, [[flat(text), 1], ...others.map((other) => [other, OTHER_NAME])]);
    };

    // The beginnings of an inflected word that the book has: 下がらない, 下がら, 下が.
    const stems = (word, shortest) => {
      const lengths = [...word].map((_, i) => word.length - i).filter((n) => n >= shortest);
      return lengths.map((n) => [word.slice(0, n), n / word.length]).filter(([stem]) => occurs(stem));
    };

    const hiragana = (word) => {
      const katakana = word.replace(/[ぁ-ゖ]/g, (c) => String.fromCharCode(c.charCodeAt(0) + 96));
      if (groupOf(katakana)) return [named(katakana)];
      const rest = word.replace(PARTICLES, "");
      return EMPTY.test(rest) || EMPTY.test(word) || rest.length < 3 ? [] : [concept(rest, SOFT, stems(rest, 3))];
    };

    // 学習曲線 is 学習曲線, 学習 and 曲線, as far as the book has them.
    const compound = (run) => {
      const parts = occurs(run) ? [run] : [];
      for (let i = 0; (run.length > 3 || !parts.length) && i < run.length;) {
        const n = [3, 2].find((n) => hanWords.has(run.slice(i, i + n)));
        if (n) parts.push(run.slice(i, i + n));
        i += n ?? 1;
      }
      return (parts.length ? parts : [run]).map((part) => concept(part, WORD));
    };

    const inflected = (kanji, tail) => {
      const word = kanji + tail;
      if (groupOf(`${kanji}い`)) return named(word, `${kanji}い`); // 遅すぎる
      const row = ROWS.find((row) => row.includes(tail[0])) ?? tail[0];
      const forms = [...row].map((c) => [kanji + c, OTHER_FORM]).filter(([form]) => occurs(form));
      const found = [...stems(word, 2), ...forms];
      return concept(word, VERB, found.length ? found : undefined);
    };

    const japanese = (kanji, tail) => {
      if (!kanji) return hiragana(tail);
      if (kanji.length > 1) return [...compound(kanji), ...hiragana(tail)];
      const rest = tail.replace(PARTICLES, "");
      return [!tail || (rest !== tail && EMPTY.test(rest)) ? concept(kanji, WORD) : inflected(kanji, tail)];
    };

    const foreign = (text) => {
      const word = text.toLowerCase();
      if (ENGLISH.test(word)) return [];
      const forms = [word, word.replaceAll("ー", ""), word.replace(/(s|es|ed|ing|er|ly)$/, "")];
      const form = forms.find(occurs);
      return form ? [concept(text, WORD, [[form, 1]])] : katakana(word) ?? [concept(text, WORD)];
    };

    // バッファサイズ is バッファ and サイズ, if the book has both as words.
    const katakana = (word) => {
      for (let n = word.length - 2; kind(word[0]) === "katakana" && n > 1; n--) {
        const parts = [word.slice(0, n), word.slice(n)];
        if (parts.every((part) => groupOf(part) || katakanaWords.has(part))) {
          return parts.map((part) => (groupOf(part) ? named(part) : concept(part, WORD)));
        }
      }
    };

    const wordsOf = (text) =>
      [...text.matchAll(PARTS)].flatMap(([, kanji, tail, other]) =>
        [...japanese(kanji, tail), ...(other ? foreign(other) : [])]);

    const kind = (c = "") => (/[a-z\d]/i.test(c) ? "latin" : /[\p{sc=Katakana}ー]/u.test(c) ? "katakana" : "");

    // The concepts of a query: names, written with or without spaces, and other words.
    return (query) => {
      let text = plain(query.slice(0, LONGEST).replace(/\s/g, " "));
      for (const [ending, ordinary] of ENDINGS) text = text.replace(ending, ordinary);
      const isBorder = (i) => !kind(text[i]) || kind(text[i - 1]) !== kind(text[i]);
      const nameAt = (start) => {
        for (let end = Math.min(text.length, start + 2 * longest); end > start; end--) {
          const name = text.slice(start, end);
          if (isBorder(end) && name.trim() === name && groupOf(name)) return name;
        }
        return "";
      };
      const concepts = [];
      let rest = "";
      for (let i = 0; i < text.length;) {
        const name = isBorder(i) ? nameAt(i) : "";
        if (name) {
          concepts.push(...wordsOf(rest), named(name));
          rest = "";
        } else rest += text[i];
        i += name.length || 1;
      }
      concepts.push(...wordsOf(rest));
      return [...new Map(concepts.map((c) => [flat(c.text), c])).values()];
    };
  };

  return { flat, written, reader, SOFT, OTHER_NAME };
})();

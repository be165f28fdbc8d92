// What the theme and its extensions write into the pages in English, or wrongly.

// sphinx-copybutton knows no Japanese; its script comes before this one and runs when the page is ready.
if (typeof messages !== "undefined") {
  messages.ja = {
    copy: "コピー",
    copy_to_clipboard: "クリップボードにコピー",
    copy_success: "コピーしました",
    copy_failure: "コピーできませんでした",
  };
  locale = "ja";
}

document.addEventListener("DOMContentLoaded", () => {
  const label = (selector, text) =>
    document.querySelectorAll(selector).forEach((e) => e.setAttribute("aria-label", text));
  label('nav[aria-label="Main"]', "本の目次");
  label('nav[aria-label="Page"]', "このページの目次");
  // The visible text of a folded solution says it better.
  document.querySelectorAll("summary[aria-label]").forEach((e) => e.removeAttribute("aria-label"));
  // No longer word is in the book, and servers refuse long addresses.
  document.querySelectorAll("input[name=q]").forEach((e) => { e.maxLength = 200; });
  // docutils calls a bibliography a list whose entries are no list items.
  document.querySelectorAll(".citation-list[role=list]").forEach((e) => e.removeAttribute("role"));
});

// A long listing of the package shows its beginning. What a reader has unfolded is whole, and so is all
// of it without this script.
const LINES = 40;
document.addEventListener("DOMContentLoaded", () =>
  document.querySelectorAll(".cell_output .highlight").forEach((listing) => {
    const lines = listing.querySelector("pre").textContent.split("\n").length;  // without its buttons
    if (listing.closest("details") || lines <= LINES) return;
    const button = document.createElement("button");
    const show = (all) => {
      listing.classList.toggle("shortened", !all);
      button.textContent = all ? "はじめだけを見る" : "全部を見る";
      button.ariaExpanded = all;
    };
    button.className = "show-all";
    button.onclick = () => {
      const all = listing.classList.contains("shortened");
      show(all);
      if (!all) listing.scrollIntoView({ block: "nearest" });
    };
    show(false);
    listing.after(button);
  }));

// The contents, which lie over the page of a phone, close when a section is chosen.
document.addEventListener("click", (event) => event.target.closest("dialog a[href]")?.closest("dialog").close());

// No line begins with the punctuation of a formula or ends with the parenthesis before it. MathJax comes later.
document.addEventListener("DOMContentLoaded", () =>
  document.querySelectorAll("article span.math").forEach((formula) => {
    const [, open] = /([（「]?)$/.exec(formula.previousSibling?.data ?? "");
    const [, close] = /^([、。，．）」]*)/.exec(formula.nextSibling?.data ?? "");
    if (!open && !close) return;
    const line = document.createElement("span");
    line.className = "one-line";
    formula.before(line);
    line.append(open, formula, close);
    if (open) line.previousSibling.data = line.previousSibling.data.slice(0, -1);
    if (!close) return;
    line.nextSibling.data = line.nextSibling.data.slice(close.length);
    line.after(document.createElement("wbr")); // between two of them Firefox would not break
  }));

// A formula that is too long for a phone gets smaller letters.
function fitFormulas() {
  document.querySelectorAll("article mjx-container[display]").forEach((formula) => {
    formula.classList.remove("long");
    formula.classList.toggle("long", formula.scrollWidth > formula.clientWidth);
  });
}
addEventListener("load", () => window.MathJax?.startup?.promise.then(fitFormulas));
addEventListener("resize", fitFormulas);

// Pictures wait until the page is there, for its text comes first, and then come all: a browser that
// prints waits for none of them.
function bringPictures() {
  for (const picture of document.images) picture.loading = "eager";
}
addEventListener("load", () => { if (!navigator.connection?.saveData) bringPictures(); });

// On paper nothing can be unfolded.
addEventListener("beforeprint", () => {
  document.querySelectorAll("article details").forEach((e) => { e.open = true; });
  bringPictures();
});

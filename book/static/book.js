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
  // docutils calls a bibliography a list whose entries are no list items.
  document.querySelectorAll(".citation-list[role=list]").forEach((e) => e.removeAttribute("role"));
});

// On paper nothing can be unfolded.
addEventListener("beforeprint", () =>
  document.querySelectorAll("article details").forEach((e) => { e.open = true; }));

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

// A long listing of the package shows its beginning. What a reader has unfolded is whole, and so is all
// of it without this script.
const LINES = 40;
document.addEventListener("DOMContentLoaded", () =>
  document.querySelectorAll(".cell_output .highlight").forEach((listing) => {
    if (listing.closest("details") || listing.textContent.split("\n").length <= LINES) return;
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

// On paper nothing can be unfolded, and no reader comes near a picture.
addEventListener("beforeprint", () => {
  document.querySelectorAll("article details").forEach((e) => { e.open = true; });
  for (const picture of document.images) picture.loading = "eager";
});

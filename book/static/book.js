// docutils calls a bibliography a list whose entries are no list items; readers of screens stumble.
document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll(".citation-list[role=list]").forEach((e) => e.removeAttribute("role"));
});

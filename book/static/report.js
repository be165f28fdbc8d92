// まちがいを知らせる: the section that the reader chooses, written into the text or the address of the report.

document.addEventListener("DOMContentLoaded", () => {
  const report = document.querySelector(".report");
  const sections = [...document.querySelectorAll(".bd-sidebar-secondary .page-toc a")];
  if (!report || !sections.length) return;
  const [text, link] = ["textarea", "a"].map((name) => report.querySelector(name));
  const blank = text?.value ?? link.href;
  const choice = document.createElement("select");
  choice.append(new Option("（選んでください）", ""),
    ...sections.map((section) => new Option(section.textContent, section.textContent, false, section.hash === location.hash)));
  choice.onchange = () => {
    if (text) text.value = blank.replace(/^節：.*/m, `節：${choice.value}`);
    else {
      const url = new URL(blank);
      url.searchParams.set("body", url.searchParams.get("body").replace(/^節：.*/m, `節：${choice.value}`));
      link.href = url;
    }
  };
  choice.onchange();
  const label = document.createElement("label");
  label.append("まちがいのある節 ", choice);
  report.querySelector("summary").after(label);
});

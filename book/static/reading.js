// Where the reader is: the bar at the top, the minutes that are left, the mark in the page's contents.

document.addEventListener("DOMContentLoaded", () => {
  const article = document.querySelector("article.bd-article");
  const time = document.querySelector(".reading-time");
  const bar = document.querySelector(".reading-bar");
  const links = [...document.querySelectorAll("nav.page-toc a")]; // they move to a dialog on a phone
  const targets = links.map((link) => document.getElementById(decodeURIComponent(link.hash.slice(1))));
  let jumped = null; // the section that was asked for, if the page is too short to bring it up

  const LINE = 100; // pixels below the top, just below where a jump puts a heading

  /** The last section that has begun above the line. */
  function current() {
    const begun = targets.findLastIndex((section) => section?.getBoundingClientRect().top < LINE);
    const atEnd = scrollY + innerHeight >= document.documentElement.scrollHeight - 2;
    const top = targets[jumped]?.getBoundingClientRect().top;
    return jumped !== null && atEnd && top >= 0 && top < innerHeight ? jumped : begun;
  }

  function show() {
    waiting = false;
    const here = current();
    links.forEach((link, k) => {
      const marked = k === here;
      if (link.classList.contains("active") === marked) return;
      link.classList.toggle("active", marked);
      link.toggleAttribute("aria-current", marked);
      if (marked) link.setAttribute("aria-current", "location");
    });
    document.querySelectorAll(".page-toc .toc-entry").forEach((entry) =>
      entry.classList.toggle("active", here >= 0 && entry.contains(links[here])));
    if (here !== last) links[here]?.scrollIntoView({ block: "nearest" });
    last = here;
    if (!time) return;
    const { top, height } = article.getBoundingClientRect();
    const read = Math.min(Math.max(-top / Math.max(height - innerHeight, 1), 0), 1);
    const left = Math.ceil(time.dataset.minutes * (1 - read));
    bar.style.transform = `scaleX(${read})`;
    time.textContent = left ? `あと約 ${left} 分` : "読み終わり";
  }

  let waiting = false;
  let last = -1;
  const wake = () => {
    if (!waiting) requestAnimationFrame(show);
    waiting = true;
  };
  const jump = () => {
    const place = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const at = targets.findLastIndex((section) => place && section?.contains(place));
    jumped = at < 0 ? null : at;
    wake();
  };
  for (const event of ["hashchange", "load", "pageshow", "popstate"]) addEventListener(event, jump);
  addEventListener("click", (event) => { if (event.target.closest("a[href*='#']")) setTimeout(jump); });
  for (const event of ["scroll", "resize"]) addEventListener(event, wake, { passive: true });
  show();
});

// A table that goes on behind the edge of its box fades there, until it is scrolled to its end.

document.addEventListener("DOMContentLoaded", () => {
  const boxes = document.querySelectorAll("article :is(.cell_output, .text_html, .pst-scrollable-table-container)");
  const look = (box) => box.classList.toggle("goes-on", box.scrollLeft + box.clientWidth < box.scrollWidth - 1
    && getComputedStyle(box).overflowX === "auto");
  const watch = new ResizeObserver((entries) => entries.forEach((entry) => look(entry.target)));
  boxes.forEach((box) => {
    watch.observe(box);
    box.addEventListener("scroll", () => look(box), { passive: true });
  });
});

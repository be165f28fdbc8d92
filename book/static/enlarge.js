// On a phone the words of a figure or film shrink with it: a button below opens it at full size, where
// one can move about in it. book.css shows the button on narrow screens only.

document.addEventListener("DOMContentLoaded", () => {
  const PLOT = 672; // a plot's text is as large as ours at this width
  const dialog = document.createElement("dialog");
  const close = document.createElement("button");
  dialog.className = "enlarged";
  dialog.ariaLabel = "大きくした図";
  close.textContent = "閉じる";
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());

  document.querySelectorAll("article figure :is(img, video)").forEach((picture) => {
    const button = document.createElement("button");
    button.className = "enlarge";
    button.textContent = "大きく見る";
    button.addEventListener("click", () => {
      const large = picture.cloneNode(true);
      const full = Number(picture.getAttribute("width"));
      const plot = picture.tagName === "IMG" && !picture.src.endsWith(".svg");
      large.controls = true; // a film's
      large.style.width = `${plot ? Math.min(full, PLOT) : full}px`;
      large.style.maxWidth = "none";
      large.classList.toggle("colour-map", picture.closest(".tag_colour-map") !== null);
      dialog.replaceChildren(close, large);
      button.closest("article").append(dialog);
      dialog.showModal();
    });
    picture.closest("figure").append(button);
  });
});

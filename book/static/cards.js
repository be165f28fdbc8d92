// What a term means (term_cards.py): a card beside the word, for a pointer, a finger or the keyboard.

document.addEventListener("DOMContentLoaded", () => {
  const card = document.createElement("div");
  card.className = "term-card";
  card.hidden = true;
  card.ariaHidden = true; // the link itself says it
  const finger = matchMedia("(hover: none)");
  let shown = null;

  function show(term) {
    const word = document.createElement("b");
    word.textContent = term.dataset.term;
    card.replaceChildren(word, ` ${term.getAttribute("aria-description")}`);
    if (finger.matches) card.append("（もう一度押すと、用語集を開きます）");
    card.hidden = false;
    shown = term;
    // Below the line of the word, or above it where there is no room
    const [line] = term.getClientRects();
    const { width, height } = card.getBoundingClientRect();
    const below = line.bottom + 6;
    const top = below + height < innerHeight ? below : line.top - height - 6;
    const left = Math.max(8, Math.min(line.left, document.documentElement.clientWidth - width - 8));
    card.style.translate = `${left + scrollX}px ${top + scrollY}px`;
  }

  function hide() {
    card.hidden = true;
    shown = null;
  }

  const termOf = (event) => event.target.closest?.("a[data-term]");
  addEventListener("pointerover", (event) => { if (termOf(event) && event.pointerType === "mouse") show(termOf(event)); });
  addEventListener("pointerout", (event) => { if (termOf(event) && event.pointerType === "mouse") hide(); });
  addEventListener("focusin", (event) => { if (termOf(event)?.matches(":focus-visible")) show(termOf(event)); });
  addEventListener("focusout", hide);
  addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  // A finger cannot point without opening: its first tap shows the card, the second opens the glossary.
  document.addEventListener("click", (event) => {
    const term = termOf(event);
    const first = finger.matches && term && term !== shown;
    if (first) event.preventDefault();
    if (first) show(term);
    else hide();
  });
  document.body.append(card);
});

// Long lines of code wrap: on a phone all, elsewhere those of the package's listings. What wraps hangs two
// letters deeper than its line begins, so that the shape of the program stays to be seen; but what is deep below an
// open bracket hangs at DEEPEST, and a word longer than its line is cut rather than moved below an empty row.

{
  const DEEPEST = 12;
  // Not measured: what lies in a fold has no width, and measuring would lay the whole page out.
  const COLUMNS = (screen.width - 64) / 7.2;
  const phone = matchMedia("(max-width: 600px)");
  const wrap = () => {
    const place = phone.matches ? "article" : "article .cell_output";
    document.querySelectorAll(`${place} .highlight pre:not(.wrapped)`).forEach((pre) => {
      // Pygments closes its marks at the end of each line.
      pre.innerHTML = pre.innerHTML.replace(/^.*\n?/gm, (line) => {
        const [, indent, word] = /^( *)(\S*)/.exec(line.replace(/<[^>]*>/g, ""));
        const depth = Math.min(indent.length, DEEPEST) + 2;
        const cut = indent.length + word.length > COLUMNS ? " cut" : "";
        return line && `<span class="line${cut}" style="--depth: ${depth}ch">${line}</span>`;
      });
      pre.classList.add("wrapped");
    });
  };
  document.addEventListener("DOMContentLoaded", wrap);
  phone.addEventListener("change", wrap);
}

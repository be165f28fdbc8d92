// Long lines of code wrap: on a phone all, elsewhere those of the package's listings. What wraps hangs two
// letters deeper than its line begins, so that the shape of the program stays to be seen.

{
  const phone = matchMedia("(max-width: 600px)");
  const wrap = () => {
    const place = phone.matches ? "article" : "article .cell_output";
    document.querySelectorAll(`${place} .highlight pre:not(.wrapped)`).forEach((pre) => {
      // Pygments closes its marks at the end of each line.
      pre.innerHTML = pre.innerHTML.replace(/^.*\n?/gm, (line) => {
        const depth = /^(?:<[^>]*>)*( *)/.exec(line)[1].length + 2;
        return line && `<span class="line" style="--depth: ${depth}ch">${line}</span>`;
      });
      pre.classList.add("wrapped");
    });
  };
  document.addEventListener("DOMContentLoaded", wrap);
  phone.addEventListener("change", wrap);
}

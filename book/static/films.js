// A film is worked from a bar below it. The browser's own lies on the picture while the film rests, on
// a phone on most of it; it stays where this script does not run.

document.addEventListener("DOMContentLoaded", () =>
  document.querySelectorAll("article video").forEach((film) => {
    const box = document.createElement("div");
    const button = document.createElement("button");
    const place = document.createElement("input");
    box.className = "film";
    button.className = "btn fa-solid fa-play";
    button.ariaLabel = "再生";
    Object.assign(place, { type: "range", min: 0, max: 1, step: "any", value: 0, ariaLabel: "動画の位置" });

    const follow = () => {
      place.value = film.currentTime / film.duration || 0;
      if (!film.paused) requestAnimationFrame(follow);
    };
    const tell = () => {
      button.classList.toggle("fa-play", film.paused);
      button.classList.toggle("fa-pause", !film.paused);
      button.ariaLabel = film.paused ? "再生" : "停止";
      follow();
    };
    const play = () => (film.paused ? film.play() : film.pause());
    film.addEventListener("play", tell);
    film.addEventListener("pause", tell);
    film.addEventListener("seeked", follow);
    film.addEventListener("click", play);
    button.addEventListener("click", play);
    place.addEventListener("input", () => {
      film.pause();
      film.currentTime = place.value * film.duration;
    });

    film.controls = false;
    film.before(box);
    box.append(film, button, place);
  }));

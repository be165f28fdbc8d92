"use strict";

// What the live figures share. A script beside this one describes a figure as a subclass of
// live.Figure and hands it to live.define("name", Class); every <figure class="live-name"> of the
// page then shows it in place of its picture, which stays for paper. These are classic scripts, not
// modules, and data come as scripts too: a page opened from a file may load nothing else.

const live = (() => {
  const folder = document.currentScript.src.replace(/[^/]*$/, "");
  const figures = [];
  const arrivals = {}; // by name: the data that load() waits for, and how keep() ends the wait

  /** An element with these properties; those with a hyphen, and role, are attributes. */
  function make(tag, properties = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (/-|role/.test(name)) element.setAttribute(name, value);
      else element[name] = value;
    }
    element.append(...children);
    return element;
  }

  /** The data that data/NAME.js keeps, when they have come. */
  function load(name) {
    arrivals[name] ??= {};
    arrivals[name].promise ??= new Promise((resolve, onerror) => {
      arrivals[name].resolve = resolve;
      document.head.append(make("script", { src: `${folder}data/${name}.js`, onerror }));
    });
    return arrivals[name].promise;
  }

  /** Called by data/NAME.js. */
  const keep = (name, data) => arrivals[name].resolve(data);

  /** Numbers of three bytes each, as fractions of the largest: see tools/figure_weights.py. */
  function floats(text, largest) {
    const bytes = atob(text);
    const byte = (k) => bytes.charCodeAt(k);
    return Float64Array.from({ length: bytes.length / 3 }, (_, k) => {
      const whole = ((byte(3 * k + 2) << 24) | (byte(3 * k + 1) << 16) | (byte(3 * k) << 8)) >> 8;
      return (whole / (2 ** 23 - 1)) * largest;
    });
  }

  /** As the book writes numbers: a true minus sign, no −0.00. */
  function number(value, digits) {
    const text = value.toFixed(digits);
    return text.replace("-", Number(text) ? "−" : "");
  }

  /** Random numbers from 0 to below 1, which the seed repeats: mulberry32. */
  const seeded = (seed) => () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), seed | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };

  /** Draws lines through points [x, y]; dashes as a canvas has them, [] for none. */
  const pen = (context) => (colour, thickness, dashes, ...points) => {
    context.strokeStyle = colour;
    context.lineWidth = thickness;
    context.setLineDash(dashes);
    context.beginPath();
    points.forEach((point) => context.lineTo(...point));
    context.stroke();
    context.setLineDash([]);
  };

  /** Text that changes often, without work for the page where it stays the same. */
  function write(element, text) {
    if (!element.firstChild) element.append(text);
    else if (element.firstChild.data !== text) element.firstChild.data = text;
  }

  class Figure {
    /** Of this <figure>. A subclass has no constructor and no fields: it begins in build(). */
    constructor(element) {
      this.element = element;
      this.playing = false; // as the reader wants
      this.near = false; // so that he could see it
      this.frames = 0;
      this.root = make("div", { className: "live", role: "group" });
      element.querySelector("figcaption").before(this.root);
      element.classList.add("is-live");
      this.build();
      element.live = this; // for the tests
    }

    /** Fill this.root, once. */
    build() {}

    /** The reader comes near for the first time: load data, begin to play. */
    begin() {}

    /** Let so many seconds pass, while running. */
    frame(seconds) {}

    /** Show the present state; also when the size has changed. */
    draw() {}

    /** The words after this prefix in the figure's classes: driver-you driver-stable. */
    options(prefix) {
      const names = [...this.element.classList].filter((name) => name.startsWith(`${prefix}-`));
      return names.map((name) => name.slice(prefix.length + 1));
    }

    // Time

    get running() {
      return this.playing && this.near && !document.hidden;
    }

    play(on) {
      this.playing = on;
      this.wake();
    }

    wake() {
      if (!this.running || this.ticking) return;
      let last = performance.now();
      const tick = (now) => {
        this.ticking = this.running;
        if (!this.ticking) return;
        this.frames += 1;
        this.frame(Math.min(Math.max(now - last, 0) / 1000, 0.1));
        last = now;
        this.draw();
        requestAnimationFrame(tick);
      };
      this.ticking = true;
      requestAnimationFrame(tick);
    }

    come(near) {
      this.near = near;
      if (near && !this.begun) {
        this.begun = true;
        this.begin();
      }
      this.wake();
    }

    // Parts

    add(tag, properties, ...children) {
      return this.root.appendChild(make(tag, properties, ...children));
    }

    /** A row of controls. */
    row(...controls) {
      return this.add("div", { className: "live-row" }, ...controls);
    }

    button(text, onclick) {
      return make("button", { type: "button", className: "live-button", onclick }, text);
    }

    /** A slider with its name and value. onmove gets the number; move() moves it from here. */
    slider(name, { min, max, step, value, show = String }, onmove) {
      const output = make("output", { "aria-live": "off" }); // the slider itself says its value
      const input = make("input", { type: "range", min, max, step, value });
      const label = make("label", { className: "live-slider" }, make("span", {}, name), input, output);
      const tell = () => {
        write(output, show(input.valueAsNumber));
        input.setAttribute("aria-valuetext", show(input.valueAsNumber));
      };
      input.oninput = () => {
        tell();
        onmove(input.valueAsNumber);
      };
      label.move = (to) => {
        input.value = to;
        input.oninput();
      };
      label.seek = (text) => {
        input.value = min;
        while (show(input.valueAsNumber) !== text && input.valueAsNumber < max) input.stepUp();
        input.oninput();
      };
      tell();
      return label;
    }

    /**
     * What a link in the text asks for: names of buttons and choices, sliders with what they shall show,
     * boxes with あり or なし, as in "シード=5; 経験再生=あり; 学ぶ".
     */
    set(wishes) {
      for (const [name, value] of wishes.split("; ").map((wish) => wish.split("="))) {
        const control = [...this.root.querySelectorAll("label, button")]
          .find((part) => (part.querySelector("span") ?? part).textContent === name);
        if (control.seek) control.seek(value);
        else if (!value || control.firstChild.checked !== (value === "あり")) control.click();
      }
    }

    /** One of several, of which all are seen. choices: {value: text}; onchange gets the value. */
    choice(label, choices, chosen, onchange) {
      const name = `live-${figures.length}-${label}`;
      const labels = Object.entries(choices).map(([value, text]) => make("label", {},
        make("input", { type: "radio", name, value, checked: value === chosen, onchange: () => onchange(value) }),
        make("span", {}, text)));
      return make("div", { className: "live-choice", role: "radiogroup", "aria-label": label }, ...labels);
    }

    /** The line that tells what happens; a screen reader reads it aloud. */
    status(place = this.root) {
      this.told = place.appendChild(make("p", { className: "live-status", role: "status" }));
    }

    /** aloud: the reader did it, or waits for it. */
    say(text, aloud = true) {
      this.told.setAttribute("aria-live", aloud ? "polite" : "off");
      write(this.told, text);
    }

    /** A canvas as wide as the figure. paint gets its context, its size in CSS pixels, the colours. */
    canvas(height, paint) {
      const canvas = make("canvas", { className: "live-canvas", "aria-hidden": "true" });
      const ratio = devicePixelRatio;
      const fit = () => {
        const width = canvas.clientWidth;
        canvas.style.height = `${height(width)}px`;
        Object.assign(canvas, { width: width * ratio, height: height(width) * ratio });
        this.draw();
      };
      queueMicrotask(fit); // before the page is painted again: nothing jumps
      new ResizeObserver(fit).observe(canvas);
      canvas.paint = () => {
        const context = canvas.getContext("2d");
        context.setTransform(ratio, 0, 0, ratio, 0, 0);
        context.clearRect(0, 0, canvas.width, canvas.height);
        paint(context, canvas.width / ratio, canvas.height / ratio, this.colours());
      };
      return canvas;
    }

    /** The colours of live.css, as the page is, light or dark; and its font. */
    colours() {
      const theme = document.documentElement.dataset.theme;
      if (this.theme !== theme) {
        this.theme = theme;
        const style = getComputedStyle(this.root);
        const names = ["ink", "soft", "grey", "line", "paper", "cart", "blue", "orange", "green", "red"];
        this.palette = Object.fromEntries(names.map((n) => [n, style.getPropertyValue(`--live-${n}`)]));
        this.palette.font = style.fontFamily;
      }
      return this.palette;
    }
  }

  /**
   * A game that the reader plays, driver "you", or a network. A subclass has pace (steps a second), step(),
   * press(action), restart(aloud), and after end() ended, what happened, until restUntil.
   */
  class Game extends Figure {
    get byHand() {
      return this.driver === "you";
    }

    begin() {
      this.hand(this.driver);
    }

    /** The network of data/NAME.js as this.policies.NAME; until it is there, it does not play. */
    async need(name, Policy) {
      if (!this.begun) return;
      try {
        this.policies[name] ??= new Policy(await load(name));
      } catch {
        this.say("方策の重みを読みこめませんでした。");
      }
      this.draw();
    }

    play(on) {
      super.play(on);
      write(this.playButton, on ? "止める" : "動かす");
    }

    toggle() {
      const on = !this.playing;
      if (this.ended) this.restart();
      this.play(on);
      this.draw();
    }

    /** actions: by the arrows to the left and to the right. */
    key(event, actions) {
      const side = ["ArrowLeft", "ArrowRight"].indexOf(event.key);
      if (side < 0 && event.key !== " ") return;
      event.preventDefault();
      if (event.repeat) return;
      if (side < 0) this.toggle();
      else this.press(actions[side]);
    }

    frame(seconds) {
      if (this.ended) {
        if (performance.now() > this.restUntil) this.restart(false);
        return;
      }
      for (this.part += this.pace * seconds; this.part >= 1 && !this.ended; this.part -= 1) this.step();
    }

    /** The best of the reader, which the words tell; the game rests until he has seen its end. */
    end(how, score) {
      this.ended = how;
      this.restUntil = performance.now() + (this.byHand ? 700 : 2000); // ms
      if (!this.byHand) return;
      this.best = Math.max(this.best, score);
      this.play(false);
    }
  }

  const seen = new IntersectionObserver(
    (entries) => entries.forEach((e) => e.target.live.come(e.isIntersecting)),
    { rootMargin: "200px" },
  );
  /** <a href="#fig-name" data-live="学習率=0.002">; without scripts it leads to the figure. */
  document.addEventListener("click", ({ target }) => {
    const link = target.closest("a[data-live]");
    if (link) document.querySelector(link.hash).live?.set(link.dataset.live);
  });
  const all = (what) => () => figures.forEach((figure) => figure[what]());
  document.addEventListener("visibilitychange", all("wake"));
  new MutationObserver(all("draw")).observe(document.documentElement, { attributeFilter: ["data-theme"] });

  /** Show a figure of this class in place of every printed one of this name. */
  function define(name, Kind) {
    for (const element of document.querySelectorAll(`figure.live-${name}`)) {
      figures.push(new Kind(element));
      seen.observe(element);
    }
  }

  return { Figure, Game, define, load, keep, floats, make, number, pen, seeded, write,
    calm: matchMedia("(prefers-reduced-motion: reduce)") };
})();

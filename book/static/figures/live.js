"use strict";

// What the live figures share. A script beside this one describes a figure as a subclass of
// live.Figure and hands it to live.define("name", Class); every <figure class="live-name"> of the
// page then shows it in place of its picture, which stays for paper. These are classic scripts, not
// modules, and data come as scripts too: a page opened from a file may load nothing else.

const live = (() => {
  const folder = document.currentScript.src.replace(/[^/]*$/, "");
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const figures = [];
  const arrivals = {}; // by name: what load() waits for, and how keep() ends the wait

  /** An element with these properties; those that hold a hyphen are attributes. */
  function make(tag, properties = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name.includes("-") || name === "role") element.setAttribute(name, value);
      else element[name] = value;
    }
    element.append(...children);
    return element;
  }

  /** The data that data/NAME.js keeps, when they have come. */
  function load(name) {
    arrivals[name] ??= {};
    arrivals[name].promise ??= new Promise((resolve, reject) => {
      arrivals[name].resolve = resolve;
      const onerror = () => reject(new Error(`cannot load ${name}`));
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
    return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−");
  }

  class Figure {
    /** Of this <figure>. A subclass has no constructor and no fields: it begins in build(). */
    constructor(element) {
      this.element = element;
      this.playing = false; // what the reader wants
      this.near = false; // whether he could see it
      this.frames = 0;
      this.root = make("div", { className: "live", role: "group" });
      this.build();
      element.querySelector("figcaption").before(this.root);
      element.classList.add("is-live");
      element.live = this; // for the tests
    }

    /** Fill this.root, once. Controls and status go where they are added. */
    build() {}

    /** Called when the reader comes near, for the first time: load data, begin. */
    begin() {}

    /** Let so many seconds pass, while running. */
    frame(seconds) {}

    /** Show the present state. Also called when colours or sizes have changed. */
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
      if (!this.running || this.handle) return;
      let last = null;
      const tick = (now) => {
        this.handle = 0;
        if (!this.running) return;
        this.frames += 1;
        this.frame(last === null ? 0 : Math.min((now - last) / 1000, 0.1));
        last = now;
        this.draw();
        if (this.running) this.handle = requestAnimationFrame(tick);
      };
      this.handle = requestAnimationFrame(tick);
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
      const element = make(tag, properties, ...children);
      this.root.append(element);
      return element;
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
      const output = make("output", {}, show(value));
      const input = make("input", { type: "range", min, max, step, value });
      input.oninput = () => {
        output.textContent = show(input.valueAsNumber);
        input.setAttribute("aria-valuetext", output.textContent);
        onmove(input.valueAsNumber);
      };
      input.setAttribute("aria-valuetext", output.textContent);
      const label = make("label", { className: "live-slider" }, make("span", {}, name), input, output);
      label.move = (to) => {
        input.value = to;
        input.oninput();
      };
      return label;
    }

    /** One of several, of which all are seen. choices: {value: text}; onchange gets the value. */
    choice(name, choices, chosen, onchange) {
      const group = `live-${figures.length}-${name}`;
      const labels = Object.entries(choices).map(([value, text]) => {
        const input = make("input", { type: "radio", name: group, value, checked: value === chosen });
        input.onchange = () => onchange(value);
        return make("label", {}, input, make("span", {}, text));
      });
      const about = { className: "live-choice", role: "radiogroup", "aria-label": name };
      return make("div", about, ...labels);
    }

    /** The line that tells what happens; a screen reader reads it aloud. */
    status(place = this.root) {
      this.told = place.appendChild(make("p", { className: "live-status", role: "status" }));
    }

    /** aloud: the reader did it, or waits for it. */
    say(text, aloud = true) {
      this.told.setAttribute("aria-live", aloud ? "polite" : "off");
      if (this.told.textContent !== text) this.told.textContent = text;
    }

    /** A canvas as wide as the figure. paint gets its context and its size in CSS pixels. */
    canvas(height, paint) {
      const canvas = make("canvas", { className: "live-canvas", "aria-hidden": "true" });
      const fit = () => {
        const { width } = canvas.getBoundingClientRect();
        if (!width) return;
        const ratio = devicePixelRatio || 1;
        canvas.width = Math.round(width * ratio);
        canvas.height = Math.round(height(width) * ratio);
        canvas.style.height = `${height(width)}px`;
        this.draw();
      };
      new ResizeObserver(fit).observe(canvas);
      canvas.paint = () => {
        const ratio = devicePixelRatio || 1;
        const context = canvas.getContext("2d");
        context.setTransform(ratio, 0, 0, ratio, 0, 0);
        context.clearRect(0, 0, canvas.width, canvas.height);
        paint(context, canvas.width / ratio, canvas.height / ratio, this.colours());
      };
      return canvas;
    }

    /** The colours of the page, light or dark: ink, grey, paper, blue, orange, green, red. */
    colours() {
      const style = getComputedStyle(this.root);
      return new Proxy({}, { get: (_, name) => style.getPropertyValue(`--live-${name}`) });
    }
  }

  const seen = new IntersectionObserver(
    (entries) => entries.forEach((e) => e.target.live.come(e.isIntersecting)),
    { rootMargin: "200px" },
  );
  document.addEventListener("visibilitychange", () => figures.forEach((f) => f.wake()));
  new MutationObserver(() => figures.forEach((f) => f.draw())).observe(document.documentElement, {
    attributeFilter: ["data-theme"],
  });

  /** Show a figure of this class in place of every printed one of this name. */
  function define(name, Kind) {
    for (const element of document.querySelectorAll(`figure.live-${name}`)) {
      const figure = new Kind(element);
      figures.push(figure);
      seen.observe(element);
    }
  }

  return { Figure, define, load, keep, floats, make, number, calm };
})();

"use strict";

// 最大の偏り: estimates with errors of mean 0, of actions whose right value is 0, and their maximum.

const maxBias = {
  /** Standard normal numbers, of two uniform ones each (Box and Muller). */
  normal(seed) {
    const uniform = live.seeded(seed);
    return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  },

  /** For x from −8 to 8: the density of a standard normal number, and how often it is below x. */
  curve() {
    const width = 1 / 200;
    let [below, last] = [0, 0];
    return Array.from({ length: 3201 }, (_, k) => {
      const x = -8 + k * width;
      const density = Math.exp(-0.5 * x ** 2) / Math.sqrt(2 * Math.PI);
      below += ((last + density) / 2) * width;
      last = density;
      return { x, density, below: below + (width ** 2 / 12) * x * density, width };
    });
  },

  /** The density of the largest of so many standard normal numbers. */
  densityOfMax: ({ density, below }, actions) => actions * density * below ** (actions - 1),

  /** Its mean. */
  expected(actions) {
    return this.curve().reduce(
      (sum, point) => sum + point.x * this.densityOfMax(point, actions) * point.width, 0);
  },
};

const MOST_DRAWS = 20000;

class MaxBias extends live.Figure {
  build() {
    this.root.setAttribute("aria-label", "動く図：誤差のある見積もりと、その最大");
    this.noise = 1;
    this.actions = 2;
    this.curve = maxBias.curve();
    this.scene = this.canvas((width) => Math.max(0.42 * width, 240), this.paint.bind(this));
    this.root.append(this.scene);
    this.numbers = {};
    const list = this.add("dl", { className: "live-numbers" });
    for (const [key, name, colour] of [
      ["all", "● 見積もりの平均", "blue"],
      ["max", "● 最大の平均", "orange"],
      ["exact", "計算した、最大の平均", "soft"],
    ]) {
      this.numbers[key] = live.make("dd");
      const term = live.make("dt", { style: `color: var(--live-${colour})` }, name);
      list.append(live.make("div", {}, term, this.numbers[key]));
    }
    this.row(
      this.slider("誤差の大きさ σ", {
        min: 0.1, max: 2, step: 0.1, value: this.noise, show: (v) => live.number(v, 1),
      }, (noise) => this.change({ noise })),
      this.slider("行動の数", {
        min: 1, max: 20, step: 1, value: this.actions, show: (v) => `${v} 個`,
      }, (actions) => this.change({ actions })),
    );
    this.manyButton = this.button("1,000 回引く", () => this.more(1000));
    this.row(
      this.button("一回引く", () => this.more(1)),
      this.manyButton,
      this.button("はじめから", () => this.restart()),
    );
    this.status();
    this.restart();
  }

  restart() {
    this.draws(1);
    this.say("「一回引く」たびに、見積もりを引きなおし、最大を選びます。");
    this.draw();
  }

  change(what) {
    Object.assign(this, what);
    this.draws(this.maxima.length);
    this.tell();
    this.draw();
  }

  more(count) {
    for (let k = 0; k < count; k++) this.once();
    this.tell();
    this.draw();
  }

  /** So many draws, from the beginning: with other sliders, of the same random numbers. */
  draws(count) {
    this.normal = maxBias.normal(1);
    this.maxima = []; // of each draw, in units of the noise
    this.sums = { all: 0, max: 0 }; // of all estimates and of the largest, in the same units
    for (let k = 0; k < count; k++) this.once();
  }

  /** An estimate of each action, and the largest. */
  once() {
    this.errors = Array.from({ length: this.actions }, this.normal);
    this.maxima.push(Math.max(...this.errors));
    this.sums.max += this.maxima.at(-1);
    for (const error of this.errors) this.sums.all += error;
  }

  /** In the units of the reader. */
  get means() {
    const count = this.maxima.length;
    return {
      all: (this.noise * this.sums.all) / (count * this.actions),
      max: (this.noise * this.sums.max) / count,
      exact: this.noise * maxBias.expected(this.actions),
    };
  }

  tell() {
    const largest = live.number(this.noise * this.maxima.at(-1), 2);
    const count = this.maxima.length.toLocaleString("ja");
    this.say(`${count} 回：いまの最大は ${largest}、最大の平均は ${live.number(this.means.max, 2)}。`
      + "どの行動も、本当の価値は 0 です。");
  }

  draw() {
    this.scene.paint();
    this.manyButton.disabled = this.maxima.length > MOST_DRAWS - 1000;
    for (const [key, value] of Object.entries(this.means)) {
      this.numbers[key].textContent = live.number(value, 2);
    }
  }

  /** Above, the estimates of the last draw; below, how often the largest lay where. */
  paint(context, width, height, colours) {
    const [low, high] = [-6, 8];
    const [dots, arrow, top, bottom] = [30, 62, 84, height - 28];
    const x = (value) => 12 + ((value - low) / (high - low)) * (width - 24);
    const line = live.pen(context);
    const write = (text, px, py, colour, align = "center") => {
      context.fillStyle = colour;
      context.textAlign = align;
      context.fillText(text, px, py);
    };
    context.font = `13px ${colours.font}`;
    context.lineJoin = "round";

    line(colours.grey, 1.5, [], [x(low), bottom], [x(high), bottom]);
    for (let value = low; value <= high; value += 2) {
      line(colours.grey, 1, [], [x(value), bottom], [x(value), bottom + 5]);
      write(live.number(value, 0), x(value), bottom + 20, colours.soft);
    }
    line(colours.green, 1.5, [6, 4], [x(0), 14], [x(0), bottom]);
    write("本当の価値", x(0) - 8, arrow + 5, colours.green, "right");

    const { max } = this.means;
    const densities = [1, this.actions].map((actions) =>
      this.curve.map((point) => maxBias.densityOfMax(point, actions)));
    const highest = Math.max(...densities.flat());
    const y = (density) => bottom - (density / highest) * (bottom - top);
    const bin = 1 / 5; // in units of the noise
    const counts = {};
    for (const error of this.maxima) {
      const k = Math.floor(error / bin);
      counts[k] = (counts[k] ?? 0) + 1;
    }
    context.globalAlpha = 0.35;
    context.fillStyle = colours.orange;
    for (const [k, count] of Object.entries(counts)) {
      const barTop = y(count / (Math.max(this.maxima.length, 100) * bin));
      context.fillRect(x(this.noise * k * bin), barTop, x(this.noise * bin) - x(0) - 1, bottom - barTop);
    }
    context.globalAlpha = 1;
    [colours.blue, colours.orange].forEach((colour, which) => line(colour, 1.5, [],
      ...this.curve.map((point, k) => [x(this.noise * point.x), y(densities[which][k])])
        .filter(([px]) => px > x(low) && px < x(high))));

    line(colours.orange, 2, [], [x(max), arrow - 8], [x(max), bottom]);
    write("最大の平均", x(Math.max(max, 0)) + 8, arrow + 5, colours.orange, "left");
    write("いまの見積もり", x(high), dots + 5, colours.soft, "right");
    const largest = Math.max(...this.errors);
    for (const error of this.errors) {
      context.beginPath();
      context.arc(x(this.noise * error), dots, error === largest ? 7 : 5, 0, 2 * Math.PI);
      context.fillStyle = error === largest ? colours.orange : colours.blue;
      context.globalAlpha = error === largest ? 1 : 0.6;
      context.fill();
      context.globalAlpha = 1;
    }
  }
}

live.define("max-bias", MaxBias);

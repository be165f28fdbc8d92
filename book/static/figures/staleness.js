"use strict";

// 目標の古さ: an estimate and its TD target, in a model small enough to be calculated without chance.

/**
 * The example of chapter 2 that diverges, with a second weight, so that the right values exist. A is
 * followed by B, B by B; the reward is always 1. One step is one step of gradient descent in which
 * each state has its share.
 */
const staleness = {
  gamma: 0.9,
  alpha: 0.1,
  features: [[1, 0], [2, 3]], // the values are w₁ of A, and 2 w₁ + 3 w₂ of B
  shares: [0.9, 0.1],
  steps: 500,
  intervals: [1, 2, 5, 10, 20, 30, 50, 100, 200, 500],

  get value() {
    return 1 / (1 - this.gamma);
  },

  /** The estimate and the TD target of A, after each number of steps. */
  follow(interval) {
    const values = (weights) => this.features.map(([a, b]) => a * weights[0] + b * weights[1]);
    let weights = [0, 0];
    let target = 1 + this.gamma * values(weights)[1]; // of A as of B
    const path = [];
    for (let step = 0; step <= this.steps; step++) {
      const estimates = values(weights);
      if (step % interval === 0) target = 1 + this.gamma * estimates[1]; // 同期
      path.push({ estimate: estimates[0], target });
      const errors = estimates.map((estimate, s) => this.shares[s] * (target - estimate));
      weights = weights.map((w, j) => w + this.alpha
        * (errors[0] * this.features[0][j] + errors[1] * this.features[1][j]));
    }
    return path;
  },
};

class Staleness extends live.Figure {
  build() {
    this.root.setAttribute("aria-label", "動く図：同期の間隔と、見積もりと TD ターゲットの動き");
    this.interval = 1;
    this.scene = this.canvas((width) => Math.max(0.5 * width, 240), this.paint.bind(this));
    this.root.append(this.scene);
    const names = ["● A の見積もり", "● A の TD ターゲット", "TD ターゲットの古さ", "同期の回数"];
    const colours = ["blue", "orange", "soft", "soft"];
    this.numbers = names.map(() => live.make("dd"));
    this.add("dl", { className: "live-numbers" }, ...names.map((name, k) =>
      live.make("div", {}, live.make("dt", { style: `color: var(--live-${colours[k]})` }, name), this.numbers[k])));
    this.row(this.slider("同期の間隔", {
      min: 0, max: staleness.intervals.length - 1, step: 1, value: 0,
      show: (k) => `${staleness.intervals[k]} ステップ`,
    }, (k) => this.change(staleness.intervals[k])));
    this.playButton = this.button("", () => this.toggle());
    this.row(
      this.button("一歩", () => this.once()),
      this.playButton,
      this.button("最後まで", () => this.finish()),
      this.button("はじめから", () => this.restart()),
    );
    this.status();
    this.path = staleness.follow(this.interval);
    this.restart();
  }

  get last() {
    return this.at === staleness.steps;
  }

  restart() {
    this.at = 0;
    this.part = 0; // of the next step, that has passed
    this.play(false);
    this.say("「動かす」を押すと、見積もりが TD ターゲットを追いはじめます。");
    this.draw();
  }

  /** Another interval: the same number of steps, from the beginning. */
  change(interval) {
    this.interval = interval;
    this.path = staleness.follow(interval);
    if (this.at && !this.playing) this.tell();
    this.draw();
  }

  once() {
    this.play(false);
    this.at = Math.min(this.at + 1, staleness.steps);
    this.tell();
    this.draw();
  }

  toggle() {
    if (this.last) this.restart();
    if (live.calm.matches) this.finish();
    else this.play(!this.playing);
  }

  play(on) {
    super.play(on);
    this.playButton.textContent = on ? "止める" : "動かす";
  }

  finish() {
    this.at = staleness.steps;
    this.play(false);
    this.tell();
    this.draw();
  }

  frame(seconds) {
    this.part += 40 * seconds;
    const whole = Math.floor(this.part);
    this.part -= whole;
    this.at = Math.min(this.at + whole, staleness.steps);
    if (this.last) this.finish();
  }

  /** What has happened so far. */
  tell() {
    const { estimate, target } = this.path[this.at];
    const worst = Math.max(...this.path.slice(0, this.at + 1).map((p) => Math.abs(p.estimate)));
    const most = worst > 2 * staleness.value ? `これまでの最大は ${this.text(worst)} です。` : "";
    this.say(`間隔 ${this.interval}、${this.at} ステップ：見積もり ${this.text(estimate)}、`
      + `TD ターゲット ${this.text(target)}（本当の価値は ${live.number(staleness.value, 0)}）。${most}`);
  }

  text(value) {
    if (Math.abs(value) < 1000) return live.number(value, 2);
    const [digits, exponent] = value.toExponential(1).split("e+");
    const powers = [...exponent].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit]).join("");
    return `${digits.replace("-", "−")} × 10${powers}`;
  }

  draw() {
    this.scene.paint();
    const { estimate, target } = this.path[this.at];
    const texts = [this.text(estimate), this.text(target), `${this.at % this.interval} ステップ`,
      `${Math.floor(this.at / this.interval)} 回`];
    this.numbers.forEach((element, k) => { element.textContent = texts[k]; });
  }

  paint(context, width, height, colours) {
    const [low, high] = [-12, 34];
    const [left, right, top, bottom] = [34, width - 16, 8, height - 46];
    const x = (step) => left + (step / staleness.steps) * (right - left);
    const inside = (value) => Math.min(Math.max(value, low), high);
    const y = (value) => bottom - ((value - low) / (high - low)) * (bottom - top);
    const line = live.pen(context);
    const write = (text, px, py, colour, align) => {
      context.fillStyle = colour;
      context.textAlign = align;
      context.strokeStyle = colours.paper;
      context.lineWidth = 4;
      context.strokeText(text, px, py);
      context.fillText(text, px, py);
    };
    context.font = `13px ${colours.font}`;
    context.lineJoin = "round";

    for (const value of [-10, 0, 10, 20, 30]) {
      line(colours.line, 1, [], [left, y(value)], [right, y(value)]);
      write(live.number(value, 0), left - 6, y(value) + 4, colours.soft, "right");
    }
    for (const step of [0, 100, 200, 300, 400, 500]) {
      write(step, x(step), bottom + 18, colours.soft, "center");
    }
    write("ステップ", (left + right) / 2, bottom + 35, colours.soft, "center");
    line(colours.green, 1.5, [6, 4], [left, y(staleness.value)], [right, y(staleness.value)]);

    context.save();
    context.beginPath();
    context.rect(left, top, right - left, bottom - top);
    context.clip();
    const past = this.path.slice(0, this.at + 1);
    // The target stays until the next synchronisation, then jumps.
    line(colours.orange, 1.5, [], ...past.flatMap(({ target }, k) =>
      [[x(k), y(past[Math.max(k - 1, 0)].target)], [x(k), y(target)]]));
    line(colours.blue, 2, [], ...past.map(({ estimate }, k) => [x(k), y(estimate)]));
    context.restore();
    write("本当の価値", left + 4, y(staleness.value) - 6, colours.green, "left");

    const { estimate, target } = this.path[this.at];
    const now = x(this.at);
    line(colours.grey, 1.5, [], [now, y(inside(estimate))], [now, y(inside(target))]);
    for (const [value, colour] of [[target, colours.orange], [estimate, colours.blue]]) {
      const edge = inside(value);
      const beyond = Math.sign(value - edge); // outside of the picture: a triangle points there
      context.fillStyle = colour;
      context.beginPath();
      if (beyond) {
        const corners = [[-7, 12], [0, 0], [7, 12]];
        corners.forEach(([dx, back]) => context.lineTo(now + dx, y(edge) + beyond * back));
      } else {
        context.arc(now, y(value), 6, 0, 2 * Math.PI);
      }
      context.fill();
    }
  }
}

live.define("staleness", Staleness);

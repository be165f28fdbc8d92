"use strict";

// 学習をさかのぼる: one recorded training of chapter 4, at each of its checkpoints the map of the greedy
// policy and one episode of it. See tools/figure_rewind.py.

const REWIND_SPEED = 0.5; // of the real one
const STEP = 0.02; // seconds
const REST = 1.2; // seconds after an episode
const TRAIL = 30; // steps that the map shows
const PUSHES = [{ name: "左", colour: "orange" }, { name: "右", colour: "blue" }];

/** The numbers from -127 to 127 in a base64 text. */
function signedBytes(text) {
  return Int8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

class Rewind extends live.Figure {
  build() {
    this.root.setAttribute("aria-label", "動く図：学習をさかのぼる");
    this.time = 0; // steps since the episode began, with a fraction
    this.curve = this.add("div", { style: "cursor: pointer" },
      this.canvas((width) => (width < 480 ? 130 : 160), this.paintCurve.bind(this)));
    this.curve.onpointerdown = ({ offsetX }) => this.nearest(offsetX);
    this.curve.onpointermove = ({ offsetX, buttons }) => { if (buttons) this.nearest(offsetX); };
    this.sliderRow = this.add("div", { className: "live-under" });
    this.map = this.canvas((width) => Math.min(width, 344), this.paintMap.bind(this));
    this.scene = this.canvas((width) => 0.62 * width, this.paintPole.bind(this));
    this.counter = live.make("output", { className: "live-counter", "aria-live": "off" });
    const half = { style: "flex: 1 1 16rem; min-width: 0" };
    const right = live.make("div", half, live.make("div", { className: "live-head" }, this.counter), this.scene);
    this.row(live.make("div", half, this.map), right);
    this.playButton = this.button("", () => this.play(!this.playing));
    this.row(this.playButton, this.button("はじめから", () => this.restart()));
    this.status();
    this.play(false);
  }

  async begin() {
    const data = await live.load("rewind");
    this.data = data;
    this.points = data.checkpoints.map(({ episode, mean, map, path }) => {
      const bytes = signedBytes(path);
      const states = Array.from({ length: bytes.length / 3 }, (_, t) =>
        data.largest.map((largest, k) => (bytes[3 * t + k] / 127) * largest));
      return { episode, mean, levels: signedBytes(map), states };
    });
    const last = this.points.length - 1;
    this.sliderRow.append(this.slider("ここまでの学習", {
      min: 0, max: last, step: 1, value: last, show: (k) => `${this.points[k].episode} エピソード`,
    }, (k) => this.show(k)));
    this.input = this.sliderRow.querySelector("input");
    this.show(last, false);
  }

  /** Go to the checkpoint with this number. */
  show(k, aloud = true) {
    this.point = this.points[k];
    const { episode, mean, states } = this.point;
    const when = episode ? `${episode} エピソード学習したあと` : "学習の前";
    this.say(`${when}：この一回は、${states.length - 1} ステップで${this.ending}。`
      + `20 エピソードの平均は ${live.number(mean, 0)} です。`, aloud);
    this.restart();
  }

  /** How the recorded episode ended. */
  get ending() {
    const { states } = this.point;
    if (states.length > 500) return "打ち切りまで支えました";
    return Math.abs(states.at(-1)[0]) > 2.39 ? "カートが端を越えました" : "棒が倒れました";
  }

  /** Go to the checkpoint whose place on the curve is nearest. */
  nearest(x) {
    if (!this.point) return;
    const far = ({ episode }) => Math.abs(this.across(episode) - x);
    const k = this.points.reduce((best, point, at) => (far(point) < far(this.points[best]) ? at : best), 0);
    if (this.points[k] === this.point) return;
    this.input.valueAsNumber = k;
    this.input.dispatchEvent(new Event("input"));
  }

  restart() {
    this.time = 0;
    this.rest = REST;
    this.play(!live.calm.matches);
    this.draw();
  }

  play(on) {
    if (on && this.finished) this.time = 0;
    super.play(on && Boolean(this.point));
    this.playButton.textContent = this.playing ? "止める" : "動かす";
  }

  get finished() {
    return this.point && this.time >= this.point.states.length - 1;
  }

  frame(seconds) {
    if (this.finished) {
      this.rest -= seconds;
      if (this.rest < 0) this.restart();
      return;
    }
    this.time = Math.min(this.time + (REWIND_SPEED * seconds) / STEP, this.point.states.length - 1);
    this.rest = REST;
  }

  draw() {
    if (!this.point) return;
    for (const canvas of this.root.querySelectorAll("canvas")) canvas.paint();
    this.counter.textContent = `${Math.floor(this.time)} / ${this.point.states.length - 1} ステップ`;
  }

  /** Position, angle and angular velocity now, between two recorded states. */
  get state() {
    const { states } = this.point;
    const before = Math.floor(this.time);
    const after = states[Math.min(before + 1, states.length - 1)];
    return states[before].map((s, k) => s + (this.time - before) * (after[k] - s));
  }

  /** The action now: a push of the cart to the right turns the pole to the left. */
  get action() {
    const { states } = this.point;
    const t = Math.min(Math.floor(this.time), states.length - 2);
    return states[t + 1][2] < states[t][2] ? 1 : 0;
  }

  // Pictures

  prepare(context) {
    context.font = `13px ${getComputedStyle(this.root).fontFamily}`;
    context.lineCap = "round";
    context.lineJoin = "round";
    const text = (words, x, y, colour, align = "center") => {
      context.fillStyle = colour;
      context.textAlign = align;
      context.fillText(words, x, y);
    };
    const line = live.pen(context);
    const dot = (x, y, radius, fill, edge) => {
      context.beginPath();
      context.arc(x, y, radius, 0, 2 * Math.PI);
      context.fillStyle = fill;
      context.strokeStyle = edge;
      context.lineWidth = 1.5;
      context.fill();
      context.stroke();
    };
    return { text, line, dot };
  }

  /** Where an episode is on the curve, in pixels from the left. */
  across(episode) {
    return 34 + (episode / this.data.returns.length) * (this.curve.clientWidth - 46);
  }

  paintCurve(context, width, height, colours) {
    const { text, line, dot } = this.prepare(context);
    const up = (total) => height - 22 - (total / 500) * (height - 50);
    for (const total of [0, 250, 500]) {
      line(colours.line, 1, [], [34, up(total)], [width - 12, up(total)]);
      text(String(total), 28, up(total) + 4, colours.ink, "end");
    }
    for (let episode = 0; episode <= this.data.returns.length; episode += 100) {
      text(String(episode), this.across(episode), height - 4, colours.ink);
    }
    text("報酬の合計", 0, 13, colours.ink, "start");
    text("● 貪欲な方策の平均", width - 12, 13, colours.blue, "end");
    text("— 学習中", width - 150, 13, colours.soft, "end");
    line(colours.grey, 1, [], ...this.data.returns.map((total, k) => [this.across(k + 1), up(total)]));
    const now = this.across(this.point.episode);
    line(colours.ink, 1.5, [], [now, up(500)], [now, up(0)]);
    for (const point of this.points) {
      const big = point === this.point;
      dot(this.across(point.episode), up(point.mean), big ? 7 : 4, colours.blue, colours.paper);
    }
  }

  paintMap(context, width, height, colours) {
    const { text, line, dot } = this.prepare(context);
    const { side, maxAngle, maxSpeed } = this.data;
    const [left, top, wide, tall] = [40, 24, width - 56, height - 64];
    PUSHES.forEach(({ name, colour }, k) =>
      text(`■ ${name}へ押す`, k ? left + wide : left, 14, colours[colour], k ? "end" : "start"));
    const image = live.make("canvas", { width: side, height: side });
    const pixels = image.getContext("2d");
    this.point.levels.forEach((level, k) => {
      pixels.fillStyle = colours[PUSHES[level > 0 ? 1 : 0].colour];
      pixels.globalAlpha = 0.2 + 0.6 * Math.abs(level / 127);
      pixels.fillRect(k % side, Math.floor(k / side), 1, 1);
    });
    context.drawImage(image, left, top, wide, tall);
    const x = (angle) => left + wide * (0.5 + angle / maxAngle / 2);
    const y = (speed) => top + tall * (0.5 - speed / maxSpeed / 2);
    for (const sign of [-1, 0, 1]) {
      const named = sign ? `${sign > 0 ? "+" : "−"}` : "";
      text(`${named}${sign ? 12 : 0}°`, x(sign * maxAngle), top + tall + 17, colours.ink);
      text(`${named}${sign ? 2 : 0}`, left - 6, y(sign * maxSpeed) + 4 + 8 * sign, colours.ink, "end");
    }
    text("棒の角度", x(0), top + tall + 35, colours.ink);
    context.save();
    context.translate(12, y(0));
    context.rotate(-Math.PI / 2);
    text("角速度 [rad/s]", 0, 0, colours.ink);
    context.restore();

    context.beginPath();
    context.rect(left, top, wide, tall);
    context.save();
    context.clip();
    const steps = Math.floor(this.time);
    const trail = this.point.states.slice(Math.max(steps - TRAIL, 0), steps + 1).concat([this.state]);
    line(colours.soft, 0.8, [], ...trail.map(([, angle, speed]) => [x(angle), y(speed)]));
    const [, angle, speed] = this.state;
    dot(x(angle), y(speed), 6, colours[PUSHES[this.action].colour], colours.paper);
    context.restore();
  }

  paintPole(context, width, height, colours) {
    const { text, line } = this.prepare(context);
    const [position, angle] = this.state;
    const unit = width / 5.4;
    const ground = height - 26;
    const middle = width / 2 + position * unit;
    const pivot = ground - 0.34 * unit;
    const length = pivot - 14;
    line(colours.grey, 1.5, [], [0, ground], [width, ground]);
    for (const limit of [-2.4, 2.4]) {
      const at = width / 2 + limit * unit;
      line(colours.red, 1.5, [], [at, ground - 0.7 * unit], [at, ground]);
      text(live.number(limit, 1), at, height - 6, colours.red);
    }
    line(colours.ink, Math.max(0.07 * unit, 5), [], [middle, pivot],
      [middle + length * Math.sin(angle), pivot - length * Math.cos(angle)]);
    context.fillStyle = colours.cart;
    context.strokeStyle = colours.ink;
    context.lineWidth = 1.5;
    context.beginPath();
    context.roundRect(middle - 0.31 * unit, pivot, 0.62 * unit, 0.34 * unit, 4);
    context.fill();
    context.stroke();
    if (this.finished) {
      text(this.ending, width / 2, height - 6, colours.red);
      return;
    }
    const { name, colour } = PUSHES[this.action];
    const side = this.action ? 1 : -1;
    const [from, to, y] = [middle + side * 0.4 * unit, middle + side * 0.9 * unit, pivot + 0.17 * unit];
    line(colours[colour], 2.5, [], [from, y], [to, y], [to - side * 7, y - 6], [to, y], [to - side * 7, y + 6]);
  }
}

live.define("rewind", Rewind);

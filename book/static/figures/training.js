"use strict";

// 学習を見る: PQN learns to balance poles in a worker, with its parts on switches.

/** What tools/figures/training.py computes. A worker has a copy of it, so it knows nothing of the page. */
class Learner {
  constructor({ target, replay, norm }, random) {
    Object.assign(this, { target, replay, norm, random, rounds: 0, updates: 0, kept: [], totals: [] });
    this.weights = [[4, 32], [32, 32], [32, 2]].flatMap(([inputs, outputs]) => [
      Float64Array.from({ length: inputs * outputs }, () => (2 * random() - 1) * Math.sqrt(3 / inputs)),
      new Float64Array(outputs), // of each layer W (inputs, outputs), then b
    ]);
    this.old = this.weights.map((w) => w.slice()); // of the target network
    [this.means, this.squares] = [0, 1].map(() => this.zeros()); // Adam
    this.poles = Array.from({ length: 16 }, () => this.start());
    this.lengths = Array(16).fill(0);
  }

  zeros() {
    return this.weights.map((w) => new Float64Array(w.length));
  }

  start() {
    return Array.from({ length: 4 }, () => 0.1 * this.random() - 0.05);
  }

  /** CartPole-v1, one step later; a state is [x, ẋ, θ, θ̇]. */
  move([x, velocity, theta, spin], action) {
    const [cos, sin] = [Math.cos(theta), Math.sin(theta)];
    const push = ((action ? 10 : -10) + 0.05 * spin ** 2 * sin) / 1.1;
    const turn = (9.8 * sin - cos * push) / (0.5 * (4 / 3 - (0.1 * cos ** 2) / 1.1));
    const speedUp = push - (0.05 * turn * cos) / 1.1;
    return [x + 0.02 * velocity, velocity + 0.02 * speedUp, theta + 0.02 * spin, spin + 0.02 * turn];
  }

  fallen([x, , theta]) {
    return Math.abs(x) > 2.4 || Math.abs(theta) > (12 * 2 * Math.PI) / 360;
  }

  /** Of the two actions. passed: what the way back needs of each layer. */
  values(weights, state, passed = []) {
    for (let h = state, layer = 0; ; layer += 2) {
      const [W, z] = [weights[layer], weights[layer + 1].slice()];
      const size = z.length;
      for (let i = 0; i < h.length; i++) for (let j = 0; j < size; j++) z[j] += h[i] * W[i * size + j];
      if (layer === 4) {
        passed.push({ h });
        return z;
      }
      let s = 1;
      if (this.norm) {
        let [mean, square] = [0, 0];
        for (const v of z) mean += v / size;
        for (const v of z) square += (v - mean) ** 2 / size;
        s = Math.sqrt(square + 1e-5);
        for (let j = 0; j < size; j++) z[j] = (z[j] - mean) / s;
      }
      passed.push({ h, z, s });
      h = z.map((v) => (v > 0 ? v : 0));
    }
  }

  greedy(state) {
    const [left, right] = this.values(this.weights, state);
    return Number(right > left);
  }

  /** 16 steps of 16 poles, and what is learnt of them. The mean of the last 20 totals. */
  round() {
    const epsilon = Math.max(0.05, 1 - (0.95 * this.rounds) / 40);
    let pieces = this.poles.map(() => []);
    for (let t = 0; t < 16; t++) {
      const chances = this.poles.map(() => this.random());
      this.poles = this.poles.map((state, k) => {
        const action = chances[k] < epsilon ? Number(chances[k] < epsilon / 2) : this.greedy(state);
        const after = this.move(state, action);
        const [terminated, truncated] = [this.fallen(after), ++this.lengths[k] === 500];
        pieces[k].push({ state, action, after, terminated, truncated });
        if (!terminated && !truncated) return after;
        this.totals.push(this.lengths[k]);
        this.lengths[k] = 0;
        return this.start();
      });
    }
    if (this.replay) {
      this.kept = [...this.kept, ...pieces].slice(-640);
      pieces = pieces.map(() => this.kept[Math.floor(this.random() * this.kept.length)]);
    }
    this.learn(pieces);
    this.rounds += 1;
    if (this.rounds % 4 === 0) this.old = this.weights.map((w) => w.slice());
    const last = this.totals.slice(-20);
    return last.reduce((sum, total) => sum + total, 0) / Math.max(last.length, 1);
  }

  /** From pieces of 16 transitions, by their λ-returns. */
  learn(pieces) {
    const weights = this.target ? this.old : this.weights;
    const samples = pieces.flatMap((piece) => {
      let following;
      return piece.map((step) => step).reverse().map(({ state, action, after, terminated, truncated }) => {
        const v = Math.max(...this.values(weights, after));
        following ??= v;
        const future = terminated ? 0 : truncated ? v : (1 - 0.9) * v + 0.9 * following;
        following = 0.05 + 0.99 * future;
        return { state, action, y: following };
      }).reverse();
    });
    for (let epoch = 0; epoch < 2; epoch++) {
      const order = samples.map((sample) => ({ sample, key: this.random() }));
      order.sort((one, other) => one.key - other.key);
      for (let k = 0; k < 256; k += 64) this.fit(order.slice(k, k + 64).map(({ sample }) => sample));
    }
  }

  /** One step of Adam. */
  fit(samples) {
    const gradients = this.zeros();
    for (const { state, action, y } of samples) {
      const passed = [];
      const q = this.values(this.weights, state, passed);
      let g = new Float64Array(2);
      g[action] = (2 * (q[action] - y)) / samples.length;
      for (let layer = 2; layer >= 0; layer--) {
        const { h, z, s } = passed[layer];
        const size = g.length;
        if (z) for (let j = 0; j < size; j++) if (z[j] <= 0) g[j] = 0;
        if (z && this.norm) {
          let [mean, along] = [0, 0];
          for (let j = 0; j < size; j++) {
            mean += g[j] / size;
            along += (g[j] * z[j]) / size;
          }
          for (let j = 0; j < size; j++) g[j] = (g[j] - mean - z[j] * along) / s;
        }
        const [W, gW, gb] = [this.weights[2 * layer], gradients[2 * layer], gradients[2 * layer + 1]];
        const below = new Float64Array(h.length);
        for (let j = 0; j < size; j++) gb[j] += g[j];
        for (let i = 0; i < h.length; i++) {
          for (let j = 0; j < size; j++) {
            gW[i * size + j] += h[i] * g[j];
            below[i] += W[i * size + j] * g[j];
          }
        }
        g = below;
      }
    }
    this.updates += 1;
    const rate = (0.003 * (1 - this.rounds / 200) * Math.sqrt(1 - 0.999 ** this.updates)) / (1 - 0.9 ** this.updates);
    this.weights.forEach((w, layer) => {
      const [g, m, v] = [gradients[layer], this.means[layer], this.squares[layer]];
      for (let k = 0; k < w.length; k++) {
        m[k] += 0.1 * (g[k] - m[k]);
        v[k] += 0.001 * (g[k] ** 2 - v[k]);
        w[k] -= (rate * m[k]) / (Math.sqrt(v[k]) + 1e-8);
      }
    });
  }

  /** The mean of 20 totals of the greedy policy. */
  score() {
    const starts = Array.from({ length: 20 }, () => this.start());
    return starts.reduce((sum, state) => {
      let length = 0;
      for (let up = true; up && length < 500; length++) {
        state = this.move(state, this.greedy(state));
        up = !this.fallen(state);
      }
      return sum + length / 20;
    }, 0);
  }
}

const PARTS = { target: "ターゲットネットワーク", replay: "経験再生", norm: "層正規化" };
const ROUNDS = 200; // of a training, of 256 steps each

class Training extends live.Figure {
  build() {
    this.root.setAttribute("aria-label", "動く図：目の前で学習する倒立振子");
    this.seed = 1;
    this.boxes = {};
    this.row(...Object.entries(PARTS).map(([part, name]) => {
      this.boxes[part] = live.make("input", { type: "checkbox", checked: part === "norm", onchange: () => this.renew() });
      return live.make("label", { className: "live-check" }, this.boxes[part], name);
    }));
    this.scene = this.canvas(() => 190, this.paintPole.bind(this));
    this.chart = this.canvas(() => 190, this.paintCurves.bind(this));
    this.add("div", { className: "live-learning" }, this.scene, this.chart);
    this.row(this.slider("シード", { min: 1, max: 30, step: 1, value: 1 }, (seed) => {
      this.seed = seed;
      this.renew();
    }));
    this.playButton = this.button("", () => this.toggle());
    this.row(this.playButton, this.button("はじめから", () => this.restart()));
    this.status();
    this.results = this.add("p", { className: "live-note", style: "white-space: pre-line" });
    this.restart();
  }

  get parts() {
    return Object.fromEntries(Object.entries(this.boxes).map(([part, box]) => [part, box.checked]));
  }

  get run() {
    return this.runs.at(-1);
  }

  restart() {
    this.runs = [];
    this.renew();
  }

  /** Another training: with this seed and these parts, beside the curves so far. */
  renew() {
    const names = Object.keys(PARTS).filter((part) => this.boxes[part].checked).map((part) => PARTS[part]);
    const run = { name: names.join("、") || "どれもなし", seed: this.seed, curve: [] };
    this.runs = [...this.runs.filter(({ curve }) => curve.length), run];
    this.worker?.terminate();
    this.worker = this.policy = null;
    this.asked = false;
    this.due = this.part = 0; // of a round, of a step, that have passed
    this.stand();
    this.play(false);
    this.say("「学ぶ」を押すと、何も知らないネットワークが学びはじめます。");
    this.draw();
  }

  /** A new episode of the pole that is seen. */
  stand() {
    this.state = Array.from({ length: 4 }, () => 0.1 * Math.random() - 0.05);
    this.steps = this.rest = 0; // rest: seconds, to see the fallen pole
  }

  /** A page from a file has no address for a worker, so it gets the text. */
  hire() {
    const source = `${Learner}
      const seeded = ${live.seeded};
      let learner;
      onmessage = ({ data: { parts, seed } }) => {
        learner ??= new Learner(parts, seeded(seed));
        const mean = learner.round();
        const { rounds, weights, norm } = learner;
        postMessage({ mean, weights, norm, score: rounds === ${ROUNDS} ? learner.score() : undefined });
      };`;
    this.address ??= URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    const worker = new Worker(this.address);
    this.worker = worker;
    worker.onmessage = ({ data }) => {
      if (worker === this.worker) this.hear(data); // not one that was dismissed
    };
    worker.onerror = () => this.say("このブラウザでは、学習を動かせませんでした。");
  }

  toggle() {
    this.play(!this.playing);
    if (this.playing && !this.done) this.say("学んでいます。棒は、いまの貪欲な方策が支えます。", !this.run.curve.length);
  }

  play(on) {
    super.play(on);
    live.write(this.playButton, on ? "止める" : this.done ? "動かす" : "学ぶ");
  }

  get done() {
    return this.run.score !== undefined;
  }

  /** What the worker tells after each round. */
  hear({ mean, weights, norm, score }) {
    this.asked = false;
    this.policy = Object.assign(Object.create(Learner.prototype), { weights, norm });
    this.run.curve.push(mean);
    this.run.score = score;
    if (this.done) this.say(`学び終えました。探索をやめて 20 本の棒を支えると、平均 ${live.number(score, 0)} ステップでした。`);
    this.draw();
  }

  frame(seconds) {
    this.due += 20 * seconds;
    if (this.due >= 1 && !this.asked && !this.done) {
      if (!this.worker) this.hire();
      this.asked = true;
      this.due = 0;
      this.worker.postMessage({ parts: this.parts, seed: this.seed });
    }
    if (!this.policy) return;
    if (this.rest) {
      this.rest -= seconds;
      if (this.rest <= 0) this.stand();
      return;
    }
    for (this.part += 50 * seconds; this.part >= 1 && !this.rest; this.part -= 1) {
      this.state = this.policy.move(this.state, this.policy.greedy(this.state));
      this.steps += 1;
      if (this.policy.fallen(this.state) || this.steps === 500) this.rest = 0.5;
    }
  }

  draw() {
    this.scene.paint();
    this.chart.paint();
    const told = {};
    for (const { name, seed, score } of this.runs) {
      if (score !== undefined) (told[name] ??= []).push(`${live.number(score, 0)}（シード ${seed}）`);
    }
    live.write(this.results, Object.entries(told).map(([name, scores]) =>
      `${name}：${scores.join("、")}`).join("\n") || "学び終えた平均を、ここに並べます。");
  }

  paintPole(context, width, height, colours) {
    const unit = width / 5.4;
    const ground = height - 24;
    const [x, , theta] = this.state;
    const [middle, pivot] = [width / 2 + x * unit, ground - 22];
    const length = Math.min(pivot - 30, width / 2);
    const line = live.pen(context);
    context.lineCap = "round";
    line(colours.grey, 1.5, [], [0, ground], [width, ground]);
    for (const side of [-1, 1]) {
      const edge = width / 2 + 2.4 * side * unit;
      line(colours.red, 1.5, [5, 5], [edge, ground - 40], [edge, ground]);
    }
    line(this.policy?.fallen(this.state) ? colours.red : colours.orange, 6, [],
      [middle, pivot], [middle + length * Math.sin(theta), pivot - length * Math.cos(theta)]);
    context.fillStyle = colours.cart;
    context.strokeStyle = colours.blue;
    context.lineWidth = 2;
    context.beginPath();
    context.rect(middle - 0.35 * unit, pivot, 0.7 * unit, 16);
    for (const side of [-1, 1]) {
      context.moveTo(middle + 0.2 * side * unit + 5, ground - 5);
      context.arc(middle + 0.2 * side * unit, ground - 5, 5, 0, 2 * Math.PI);
    }
    context.fill();
    context.stroke();
    context.font = `13px ${colours.font}`;
    context.textAlign = "center";
    context.fillStyle = colours.ink;
    context.fillText(`${this.steps} ステップ`, width / 2, 14);
    context.fillStyle = colours.soft;
    context.fillText("いまの貪欲な方策", width / 2, height - 6);
  }

  paintCurves(context, width, height, colours) {
    const [left, right, top, bottom] = [34, width - 12, 22, height - 24];
    const x = (round) => left + ((right - left) * round) / ROUNDS;
    const y = (mean) => bottom - ((bottom - top) * mean) / 500;
    const line = live.pen(context);
    context.font = `13px ${colours.font}`;
    context.fillStyle = colours.soft;
    const write = (text, align, px, py) => {
      context.textAlign = align;
      context.fillText(text, px, py);
    };
    write("直近 20 エピソードの平均", "left", left, 14);
    for (const mean of [0, 250, 500]) {
      line(colours.line, 1, [], [left, y(mean)], [right, y(mean)]);
      write(mean, "right", left - 5, y(mean) + 4);
    }
    write("ステップ", "left", left, height - 6);
    for (const steps of [25600, 51200]) {
      write(steps.toLocaleString("en"), steps > 3e4 ? "right" : "center", steps > 3e4 ? right : x(100), height - 6);
    }
    for (const run of this.runs) {
      const same = run.name === this.run.name;
      const colour = run === this.run ? colours.blue : same ? colours.green : colours.grey;
      line(colour, run === this.run ? 2.5 : 1.5, [], ...run.curve.map((mean, k) => [x(k + 1), y(mean)]));
    }
  }
}

live.define("training", Training);

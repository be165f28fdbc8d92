"use strict";

// リプレイバッファ: a ring that is written in order, and minibatches taken from it in two ways.

/** Where transitions are kept, as in rlbook_helpers/replay_buffer.py; here each is one number. */
class RingBuffer {
  constructor(size) {
    this.slots = Array(size);
    this.added = 0; // num_added
  }

  get length() {
    return Math.min(this.added, this.slots.length);
  }

  /** The slot that is written next; in a full buffer it holds the oldest. */
  get next() {
    return this.added % this.slots.length;
  }

  add(value) {
    this.slots[this.next] = value;
    this.added += 1;
  }

  /** So many slots, each at most once, all equally likely. */
  sample(count) {
    const all = [...Array(this.length).keys()];
    return Array.from({ length: count }, (_, k) => {
      const other = k + Math.floor(Math.random() * (all.length - k));
      [all[k], all[other]] = [all[other], all[k]];
      return all[k];
    });
  }

  /** So many slots that were written one after the other. */
  consecutive(count) {
    const oldest = this.added - this.length;
    const start = oldest + Math.floor(Math.random() * (this.length - count + 1));
    return Array.from({ length: count }, (_, k) => (start + k) % this.slots.length);
  }
}

/** What chapter 3 measures, of minibatches: the numbers in each, in the order in which they came. */
const likeness = {
  mean: (values) => values.reduce((sum, value) => sum + value, 0) / values.length,

  /** The coefficient of correlation of neighbours. */
  correlation(batches) {
    const pairs = batches.flatMap((batch) => batch.slice(1).map((value, k) => [batch[k], value]));
    const means = [0, 1].map((side) => this.mean(pairs.map((pair) => pair[side])));
    const product = (a, b) =>
      this.mean(pairs.map((pair) => (pair[a] - means[a]) * (pair[b] - means[b])));
    return product(0, 1) / Math.sqrt(product(0, 0) * product(1, 1));
  },

  /** The variance of all numbers, divided by that of the means of the batches. */
  effectiveSize(batches, all) {
    const whole = this.mean(all);
    const variance = (values) => this.mean(values.map((value) => (value - whole) ** 2));
    return variance(all) / variance(batches.map((batch) => this.mean(batch)));
  },
};

const BATCH = 16;
const LARGEST_BATCH = 12; // degrees
const WAYS = { consecutive: "連続した", sample: "無作為な" };

class RingFigure extends live.Figure {
  build() {
    this.root.setAttribute("aria-label", "動く図：リプレイバッファ");
    this.way = "consecutive";
    const choices = Object.fromEntries(
      Object.entries(WAYS).map(([way, name]) => [way, `${name} ${BATCH} 個`]));
    this.add("div", { className: "live-head" },
      this.choice("取り出し方", choices, this.way, (way) => { this.way = way; }));
    this.scene = this.canvas(
      (width) => (width < 520 ? 0.9 * width + 170 : Math.max(0.45 * width, 280)),
      this.paint.bind(this));
    this.root.append(this.scene);
    const style = "grid-template-columns: repeat(auto-fit, minmax(15em, 1fr))";
    const list = this.add("dl", { className: "live-numbers", style });
    this.measured = {};
    for (const [way, name] of Object.entries(choices)) {
      this.measured[way] = live.make("dd");
      list.append(live.make("div", {}, live.make("dt", {}, name), this.measured[way]));
    }
    this.takers = [1, 1000].map((count) => this.button(
      count === 1 ? "取り出す" : "1,000 回取り出す", () => this.take(count)));
    this.writers = [1, 50].map((count) => this.button(`${count} 個書く`, () => this.write(count)));
    this.row(...this.writers, ...this.takers, this.button("はじめから", () => this.restart()));
    this.status();
    this.add("p", { className: "live-note" },
      "色は棒の角度です。橙は左、青は右に傾いた棒で、濃いほど大きく傾いています。"
      + `横線は、取り出した ${BATCH} 個の平均（実線）と、バッファ全体の平均（破線）です。`);
    this.restart();
  }

  async begin() {
    this.angles = await live.load("angles");
    this.write(150, false);
  }

  restart() {
    this.play(false);
    this.buffer = new RingBuffer(200);
    this.waiting = 0; // to be written
    this.forget();
    this.say("「書く」を押すと、遷移が順に書かれます。");
    this.draw();
  }

  /** Measurements are of one content of the buffer. */
  forget() {
    this.taken = []; // the slots of the last minibatch
    this.batches = { consecutive: [], sample: [] };
  }

  write(count, aloud = true) {
    this.forget();
    this.waiting += count;
    this.aloud = aloud;
    this.rate = count / 1.5; // in a second
    this.part = 1;
    this.play(true);
    if (live.calm.matches || count === 1) this.frame(Infinity);
    this.draw();
  }

  frame(seconds) {
    this.part += this.rate * seconds;
    for (; this.part >= 1 && this.waiting; this.part--, this.waiting--) {
      this.buffer.add(this.angles[this.buffer.added % this.angles.length]);
    }
    if (this.waiting) return;
    this.play(false);
    const { added, length, slots } = this.buffer;
    const lost = added > slots.length ? `古い ${added - length} 個は、上書きされました。` : "";
    this.say(`${added} 個の遷移を書き、${length} 個を覚えています。${lost}`, this.aloud);
    this.draw();
  }

  take(count) {
    for (let k = 0; k < count; k++) {
      this.taken = this.buffer[this.way](BATCH);
      this.batches[this.way].push(this.taken.map((slot) => this.buffer.slots[slot]));
    }
    const batches = this.batches[this.way];
    const average = live.number(likeness.mean(batches.at(-1)), 1);
    const whole = live.number(likeness.mean(this.buffer.slots.slice(0, this.buffer.length)), 1);
    this.say(`${WAYS[this.way]} ${BATCH} 個を取り出しました（${batches.length.toLocaleString("ja")} 回目）。`
      + `角度の平均は ${average}°、バッファ全体の平均は ${whole}° です。`);
    this.draw();
  }

  draw() {
    this.scene.paint();
    const all = this.buffer.slots.slice(0, this.buffer.length);
    this.writers.forEach((button) => { button.disabled = !this.angles; });
    this.takers.forEach((button) => { button.disabled = this.waiting > 0 || all.length < BATCH; });
    for (const [way, batches] of Object.entries(this.batches)) {
      const correlation = batches.length ? live.number(likeness.correlation(batches), 2) : "–";
      const size = batches.length > 1 ? live.number(likeness.effectiveSize(batches, all), 1) : "–";
      this.measured[way].textContent = `となりの相関 ${correlation}、有効サンプル数 ${size}`;
    }
  }

  paint(context, width, height, colours) {
    const narrow = width < 520;
    const radius = narrow ? 0.4 * width : Math.min(height / 2, 0.24 * width) - 14;
    const middle = narrow ? [width / 2, 0.45 * width] : [radius + 18, height / 2];
    context.font = `13px ${colours.font}`;
    this.paintRing(context, middle, radius, colours);
    const left = narrow ? 40 : 2 * radius + 90;
    const top = narrow ? 0.9 * width + 10 : 24;
    this.paintBatch(context, [left, width - 10, top, height - 26], colours);
  }

  /** The slots, clockwise from the top; outside of them what is written next, and what was taken. */
  paintRing(context, [x, y], radius, colours) {
    if (radius < 30) return; // not laid out yet
    const { slots, added, length, next } = this.buffer;
    const angle = (slot) => ((slot + 0.5) / slots.length - 0.25) * 2 * Math.PI;
    const half = Math.PI / slots.length;
    const thickness = 0.3 * radius;
    const arc = (slot, at, thick, colour, alpha) => {
      context.globalAlpha = alpha;
      context.strokeStyle = colour;
      context.lineWidth = thick;
      context.beginPath();
      context.arc(x, y, at, angle(slot) - 0.9 * half, angle(slot) + 0.9 * half);
      context.stroke();
      context.globalAlpha = 1;
    };
    const inside = radius - thickness - 12;
    for (let slot = 0; slot < slots.length; slot++) {
      const at = inside + thickness / 2;
      arc(slot, at, thickness, colours.line, slot < length ? 0.35 : 1);
      if (slot >= length) continue;
      const value = slots[slot];
      arc(slot, at, thickness, value < 0 ? colours.orange : colours.blue, Math.abs(value) / LARGEST_BATCH);
    }
    this.taken.forEach((slot) => arc(slot, inside + thickness + 6, 6, colours.ink, 1));
    context.fillStyle = colours.red;
    context.beginPath();
    for (const [at, side] of [[2, 0], [13, 0.05], [13, -0.05]]) {
      const [r, a] = [inside + thickness + at, angle(next) + side];
      context.lineTo(x + r * Math.cos(a), y + r * Math.sin(a));
    }
    context.fill();
    context.textAlign = "center";
    const lines = [`num_added = ${added}`, `${added} % ${slots.length} = ${next}`, `次は場所 ${next}`];
    lines.forEach((text, k) => {
      context.fillStyle = k ? colours.red : colours.ink;
      context.fillText(text, x, y + 22 * (k - 1) + 5);
    });
  }

  /** The angles of the last minibatch in their order, its mean, and that of the whole buffer. */
  paintBatch(context, [left, right, top, bottom], colours) {
    const y = (value) => (top + bottom) / 2 - (value / LARGEST_BATCH) * ((bottom - top) / 2);
    const line = live.pen(context);
    const level = (colour, thickness, dashes, value) =>
      line(colour, thickness, dashes, [left, y(value)], [right, y(value)]);
    context.textAlign = "right";
    context.fillStyle = colours.soft;
    for (const value of [-LARGEST_BATCH, 0, LARGEST_BATCH]) {
      level(colours.line, 1, [], value);
      context.fillText(`${live.number(value, 0)}°`, left - 6, y(value) + 5);
    }
    context.textAlign = "center";
    const batch = this.taken.map((slot) => this.buffer.slots[slot]);
    context.fillText(batch.length ? "取り出した順 →" : "取り出すと、角度がここに並びます", (left + right) / 2, batch.length ? bottom + 20 : y(0) - 12);
    if (!batch.length) return;
    batch.forEach((value, k) => {
      const x = left + ((k + 0.5) / BATCH) * (right - left);
      const colour = value < 0 ? colours.orange : colours.blue;
      line(colour, 2, [], [x, y(0)], [x, y(value)]);
      context.fillStyle = colour;
      context.beginPath();
      context.arc(x, y(value), 4, 0, 2 * Math.PI);
      context.fill();
    });
    level(colours.ink, 2, [], likeness.mean(batch));
    level(colours.ink, 1.5, [5, 4], likeness.mean(this.buffer.slots.slice(0, this.buffer.length)));
  }
}

live.define("ring-buffer", RingFigure);

"use strict";

// シードのくじ: so many of the recorded seeds are drawn, again and again, and summed up in three ways.

const RESAMPLES = 2_000; // of one interval, as rlbook_helpers.statistics has it

/** What rlbook_helpers.statistics computes. */
const statistics = {
  mean: (values) => values.reduce((sum, value) => sum + value, 0) / values.length,

  interquartileMean(values) {
    const sorted = new Float64Array(values).sort();
    const cut = Math.floor(sorted.length / 4);
    return this.mean(sorted.subarray(cut, sorted.length - cut));
  },

  /** Of sorted values, between two of them where need be; part: 0 to 1. */
  percentile(sorted, part) {
    const at = part * (sorted.length - 1);
    const [low, high] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]];
    return low + (at - Math.floor(at)) * (high - low);
  },

  /** 95 % of the interquartile mean. random() gives a number from 0 to below 1. */
  bootstrapInterval(values, random) {
    const means = Float64Array.from({ length: RESAMPLES }, () =>
      this.interquartileMean(resample(values, random))).sort();
    return [this.percentile(means, 0.025), this.percentile(means, 0.975)];
  },
};

/** So many of the values, each of which may come again. */
function resample(values, random, count = values.length) {
  const chosen = new Float64Array(count);
  for (let k = 0; k < count; k++) chosen[k] = values[Math.floor(random() * values.length)];
  return chosen;
}

const CELL = "padding: 0.15rem 0.3rem; text-align: end; font-weight: 400; word-break: auto-phrase";
const COUNTS = [1, 2, 3, 5, 10, 20, 40]; // of the seeds in one draw
const SUMMARIES = [
  { key: "best", name: "いちばんよいシード", colour: "orange" },
  { key: "mean", name: "平均", colour: "green" },
  { key: "iqm", name: "四分位平均と 95 % 信頼区間", colour: "blue" },
];
const BIN = 10; // points of the score in one bar
const LARGEST = 500;
const EDGE = 14; // pixels beside the axis
const [STRIP, ROW, BAND] = [92, 60, 34]; // pixels: all seeds, one summary, its bars

class SeedLottery extends live.Figure {
  build() {
    this.root.setAttribute("aria-label", "動く図：シードのくじ");
    this.count = COUNTS[3];
    this.draws = {}; // by count: all of its draws
    this.left = 0; // to be drawn, while running
    this.random = Math.random;
    this.row(
      this.slider("シードの数", {
        min: 0, max: COUNTS.length - 1, step: 1, value: 3, show: (k) => `${COUNTS[k]} 個`,
      }, (k) => this.choose(COUNTS[k])),
    );
    this.scene = this.canvas(() => STRIP + SUMMARIES.length * ROW + 44, this.paint.bind(this));
    this.root.append(this.scene);
    this.row(
      this.button("くじを引く", () => this.pullOne()),
      this.button("100 回引く", () => this.pullMany()),
      this.button("はじめから", () => this.restart()),
    );
    this.status();
    this.buildTable();
  }

  buildTable() {
    const heads = ["個数", "引いた回数", "いちばんよい", "平均", "四分位平均", "区間に入った"];
    const cells = heads.map((text) => live.make("th", { scope: "col", style: CELL }, text));
    this.body = live.make("tbody");
    this.add("table", { style: "width: 100%; font-size: 0.8rem; margin: 0.5rem 0" },
      live.make("caption", { style: "caption-side: top; text-align: start" },
        "これまでに引いたくじの平均。右端は、区間に 40 個すべての四分位平均が入った回数です。"),
      live.make("thead", {}, live.make("tr", {}, ...cells)), this.body);
  }

  async begin() {
    this.scores = (await live.load("seed-scores")).scores;
    this.truth = statistics.interquartileMean(this.scores);
    this.pullOne(false);
  }

  choose(count) {
    this.count = count;
    this.left = 0;
    this.pullOne();
  }

  restart() {
    this.draws = {};
    this.left = 0;
    this.pullOne();
  }

  pullOne(aloud = true) {
    if (!this.scores) return;
    this.pull();
    this.report(aloud);
    this.draw();
  }

  pullMany() {
    if (!this.scores) return;
    this.left = 100;
    this.play(true);
  }

  frame() {
    const end = performance.now() + 10; // milliseconds: the page stays awake
    do {
      this.pull();
      this.left -= 1;
    } while (this.left > 0 && performance.now() < end);
    this.report(this.left <= 0); // the words are those of the draw that is seen
    if (this.left <= 0) this.play(false);
  }

  /** One draw, and what is said of it. */
  pull() {
    const chosen = [...resample([...this.scores.keys()], this.random, this.count)];
    const values = chosen.map((k) => this.scores[k]);
    const all = (this.draws[this.count] ??= []);
    const one = {
      chosen,
      best: Math.max(...values),
      mean: statistics.mean(values),
      iqm: statistics.interquartileMean(values),
    };
    if (this.count > 1) {
      const [low, high] = statistics.bootstrapInterval(values, live.seeded(all.length));
      Object.assign(one, { low, high, hit: low <= this.truth && this.truth <= high });
    }
    all.push(one);
  }

  get all() {
    return this.draws[this.count] ?? [];
  }

  report(aloud) {
    const { best, mean, iqm, low, high } = this.all.at(-1);
    const whole = (value) => live.number(value, 0);
    const interval = this.count > 1
      ? `95 % 信頼区間は ${whole(low)} から ${whole(high)} です`
      : "1 個では、信頼区間を求められません";
    this.say(`${this.count} 個のシード：いちばんよいシード ${whole(best)}、平均 ${whole(mean)}、`
      + `四分位平均 ${whole(iqm)}。${interval}。`, aloud);
  }

  draw() {
    this.scene.paint();
    this.body.replaceChildren(...COUNTS.filter((n) => this.draws[n]).map((n) => {
      const all = this.draws[n];
      const averages = SUMMARIES.map(({ key }) =>
        live.number(statistics.mean(all.map((one) => one[key])), 0));
      const hits = all.filter((one) => one.hit).length;
      const texts = [all.length, ...averages, n > 1 ? `${hits} / ${all.length}` : "—"];
      return live.make("tr", {}, live.make("th", { scope: "row", style: CELL }, String(n)),
        ...texts.map((text) => live.make("td", { style: CELL }, String(text))));
    }));
  }

  paint(context, width, height, colours) {
    const at = (score) => EDGE + (score / LARGEST) * (width - 2 * EDGE);
    const last = this.all.at(-1);
    context.font = `13px ${getComputedStyle(this.root).fontFamily}`;
    const text = (words, x, y, colour, align = "start") => {
      context.fillStyle = colour;
      context.textAlign = align;
      context.fillText(words, x, y);
    };
    const line = live.pen(context);
    const dot = (x, y, radius, fill, stroke) => {
      context.beginPath();
      context.arc(x, y, radius, 0, 2 * Math.PI);
      context.fillStyle = fill;
      context.fill();
      context.strokeStyle = stroke;
      context.lineWidth = 1.5;
      context.stroke();
    };

    const bottom = STRIP + SUMMARIES.length * ROW;
    for (let score = 0; score <= LARGEST; score += 100) {
      line(colours.line, 1, [], [at(score), 24], [at(score), bottom + 5]);
      text(String(score), at(score), bottom + 20, colours.ink, "center");
    }
    text("貪欲な方策の報酬の合計", width / 2, bottom + 38, colours.ink, "center");
    if (!last) return;
    const truth = (top, end) => line(colours.ink, 1.5, [5, 4], [at(this.truth), top], [at(this.truth), end]);
    truth(22, STRIP);
    text(`40 個すべての四分位平均 ${live.number(this.truth, 0)}`, at(this.truth), 14, colours.ink, "center");

    this.paintSeeds(at, dot, colours, last, width);
    SUMMARIES.forEach(({ key, name, colour }, k) => {
      const base = STRIP + (k + 1) * ROW - 6;
      text(name, EDGE, base - BAND - 6, colours.ink);
      text(live.number(last[key], 0), width - EDGE, base - BAND - 6, colours[colour], "end");
      context.fillStyle = colours[colour];
      context.globalAlpha = 0.35;
      const counts = binned(this.all.map((one) => one[key]));
      const unit = Math.min(BAND / Math.max(...counts), 6);
      counts.forEach((count, bin) => {
        const tall = count * unit;
        context.fillRect(at(bin * BIN) + 0.5, base - tall, at(BIN) - at(0) - 1, tall);
      });
      context.globalAlpha = 1;
      truth(base - BAND, base);
      line(colours.grey, 1, [], [EDGE, base], [width - EDGE, base]);
      if (key === "iqm" && this.count > 1) line(colours[colour], 4, [], [at(last.low), base], [at(last.high), base]);
      dot(at(last[key]), base, 5, colours[colour], colours.paper);
    });
  }

  /** All of the seeds, those with nearly the same score above each other, and the drawn ones in colour. */
  paintSeeds(at, dot, colours, { chosen, best }, width) {
    const radius = width < 480 ? 3 : 4.5;
    const ends = []; // by level: where its last dot ends
    [...this.scores.keys()].sort((a, b) => this.scores[a] - this.scores[b]).forEach((k) => {
      const x = at(this.scores[k]);
      const free = ends.findIndex((end) => end <= x - radius);
      const level = free < 0 ? ends.length : free;
      ends[level] = x + radius + 1;
      const y = STRIP - 12 - level * (2 * radius + 3);
      const times = chosen.filter((other) => other === k).length;
      const colour = this.scores[k] === best ? colours.orange : colours.blue;
      dot(x, y, radius, times ? colour : colours.paper, times ? colour : colours.grey);
      if (times > 1) { // drawn more than once
        dot(x, y, radius + 1.5, colours.paper, colour);
        dot(x, y, radius - 1, colour, colour);
      }
    });
  }
}

/** How many of the values fall into each bin; the largest of all belongs to the last one. */
function binned(values) {
  const counts = new Array(LARGEST / BIN).fill(0);
  for (const value of values) counts[Math.min(Math.floor(value / BIN), counts.length - 1)] += 1;
  return counts;
}

live.define("seed-lottery", SeedLottery);

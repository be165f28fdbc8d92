"use strict";

// 一度の更新で動く値: of a table one, of a network all. On the page of q-learning.js, whose grid it uses.

/** QNet1 of chapter 2 in one array: W (12, 100), b (100), W (100, 4), b (4). */
const qnet1 = {
  hidden: (w, s) => Array.from({ length: 100 }, (_, j) => Math.max(w[100 * s + j] + w[1200 + j], 0)),

  values(w, s) {
    const h = this.hidden(w, s);
    return [0, 1, 2, 3].map((a) => h.reduce((sum, v, j) => sum + v * w[1300 + 4 * j + a], w[1700 + a]));
  },

  table(w) {
    return zeros().map((_, s) => this.values(w, s));
  },

  /** The weights after one step of gradient descent on (Q(s, a) − y)². */
  step(w, s, a, y) {
    const after = w.slice();
    const g = 2 * 0.01 * (this.values(w, s)[a] - y);
    this.hidden(w, s).forEach((v, j) => {
      const back = v > 0 ? g * w[1300 + 4 * j + a] : 0;
      after[1300 + 4 * j + a] -= g * v;
      after[100 * s + j] -= back;
      after[1200 + j] -= back;
    });
    after[1700 + a] -= g;
    return after;
  },
};

const LEARNERS = { table: "表", fresh: "学習前のネットワーク", trained: "学習後のネットワーク" };

class Spread extends GridFigure {
  build() {
    this.root.setAttribute("aria-label", "動く図：一度の更新で動く値");
    Object.assign(this, { learner: "fresh", state: 2, action: 3 });
    this.buildBoard("");
    this.triangles.forEach((triangle, k) => {
      triangle.onclick = () => this.set(`マス=${square(gridworld.squares[Math.floor(k / 4)])}; ${NAMES[k % 4]}`);
    });
    const side = live.make("div", { className: "live-side" });
    const choose = (field) => (value) => {
      this[field] = Number.isNaN(Number(value)) ? value : Number(value);
      this.draw();
    };
    this.row(this.choice("見積もり", LEARNERS, this.learner, choose("learner")));
    this.add("div", { className: "live-columns" }, this.board, side);
    side.append(
      this.slider("マス", {
        min: 0, max: 9, step: 1, value: 2, show: (k) => square(gridworld.squares[k]),
      }, (k) => choose("state")(gridworld.squares[k])),
      this.choice("行動", { ...NAMES }, "3", choose("action")),
    );
    this.status(side);
  }

  async begin() {
    const { largest, ...weights } = await live.load("spread");
    this.weights = Object.fromEntries(Object.entries(weights).map(([name, text]) => [name, live.floats(text, largest)]));
    this.draw();
  }

  /** All values before and after the update. */
  update() {
    const weights = this.weights[this.learner] ?? this.weights.fresh; // a table that begins with the same values
    const [before, after] = [0, 1].map(() => qnet1.table(weights));
    const { target } = qUpdate(after, gridworld.step(this.state, this.action), 0.9, 0.1);
    if (this.learner === "table") return { before, after };
    return { before, after: qnet1.table(qnet1.step(weights, this.state, this.action, target)) };
  }

  draw() {
    if (!this.weights) return;
    const { before, after } = this.update();
    const [s, a] = [this.state, this.action];
    const own = after[s][a] - before[s][a];
    const part = (state, action) => (after[state][action] - before[state][action]) / own;
    this.fill((state, action) => {
      const dark = part(state, action);
      return { dark, text: live.number(100 * dark, 0), greedy: state === s && action === a };
    });
    this.mark(this.moved, s, a);
    const all = gridworld.squares.flatMap((state) => before[state].map((_, action) => part(state, action)));
    const same = gridworld.squares.filter((state) => state !== s).map((state) => 100 * part(state, a));
    const [low, high] = [Math.min(...same), Math.max(...same)].map((share) => live.number(share, 0));
    this.say(`${square(s)} の「${NAMES[a]}」は ${three(before[s][a])} から ${three(after[s][a])} へ動きました。`
      + `40 個の値のうち、動いたのは ${all.filter((share) => share).length} 個です。`
      + `ほかのマスの「${NAMES[a]}」は、その ${low === high ? low : `${low}〜${high}`} % 動きました。`);
  }
}

live.define("spread", Spread);

"use strict";

// 一歩ずつ Q 学習: the table of chapter 2, one transition after the other. No network takes part.

/** The grid world of dezerogym. A state is the number 4 y + x of a square; actions are ↑ ↓ ← →. */
const gridworld = {
  start: 8,
  goal: 3,
  bomb: 7,
  wall: 5,
  squares: [0, 1, 2, 4, 6, 7, 8, 9, 10, 11], // where the agent acts
  moves: [[-1, 0], [1, 0], [0, -1], [0, 1]],

  place: (state) => [Math.floor(state / 4), state % 4],

  step(state, action) {
    const [y, x] = this.place(state).map((k, axis) => k + this.moves[action][axis]);
    const outside = y < 0 || y >= 3 || x < 0 || x >= 4;
    const next = outside || 4 * y + x === this.wall ? state : 4 * y + x;
    const reward = next === this.goal ? 1 : next === this.bomb ? -1 : 0;
    return { state, action, reward, next, done: next === this.goal };
  },
};

const zeros = () => Array.from({ length: 12 }, () => [0, 0, 0, 0]);

/** The first action whose value is the largest, as argmax. */
const argmax = (values) => values.indexOf(Math.max(...values));

/** One update of Q learning, which changes the table; with the numbers in it. */
function qUpdate(Q, transition, gamma, alpha) {
  const { state, action, reward, next, done } = transition;
  const before = Q[state][action];
  const nextAction = argmax(Q[next]);
  const nextMax = Q[next][nextAction];
  const target = reward + (done ? 0 : gamma * nextMax);
  Q[state][action] += alpha * (target - before);
  return { ...transition, nextAction, nextMax, target, before, after: Q[state][action], gamma, alpha };
}

const epsilonGreedy = (values, epsilon) =>
  (Math.random() < epsilon ? Math.floor(4 * Math.random()) : argmax(values));

/** The values that satisfy Bellman's equation, by value iteration; no way is longer than 20 steps. */
function exactValues(gamma) {
  let Q = zeros();
  for (let sweep = 0; sweep < 20; sweep++) {
    const V = Q.map((values) => Math.max(...values));
    Q = zeros();
    for (const s of gridworld.squares) {
      gridworld.moves.forEach((_, a) => {
        const { reward, next } = gridworld.step(s, a);
        Q[s][a] = reward + gamma * V[next];
      });
    }
  }
  return Q;
}

function greatestDifference(Q, P) {
  return Math.max(...Q.flatMap((values, s) => values.map((q, a) => Math.abs(q - P[s][a]))));
}

const NAMES = "上下左右";
const MOST_STEPS = 1000; // of an episode: with ε = 0 there are some without an end

// Of a square of 100 by 100, by action: a triangle, and where its number stands
const TRIANGLES = ["0,0 100,0", "0,100 100,100", "0,0 0,100", "100,0 100,100"].map((side) => `${side} 50,50`);
const NUMBERS_AT = [[50, 36], [50, 88], [24, 61], [76, 61]];
const WRITTEN = {
  3: '<text x="50" y="55" class="name">ゴール +1</text>',
  5: '<text x="50" y="55" class="name">壁</text>',
  7: '<text x="4" y="14" class="corner">爆弾 −1</text>',
  8: '<text x="4" y="14" class="corner">スタート</text>',
};

const two = (value) => live.number(value, 2);
const three = (value) => live.number(value, 3);
const square = (state) => `(${gridworld.place(state).join(", ")})`;
/** The corner of a square, or a point in it, on the board. */
const at = (state, within = 0) => gridworld.place(state).reverse().map((k) => 100 * k + within);

/** A figure with the board, whose squares are four triangles with a number each. */
class GridFigure extends live.Figure {
  /** marks: SVG between the triangles and the numbers. */
  buildBoard(marks) {
    this.board = live.make("div", { className: "live-board", role: "img",
      "aria-label": "3 行 4 列の盤。どのマスにも、上下左右の行動の数を書いた四つの三角形がある。" });
    const each = (content) => [...Array(12).keys()].map((s) =>
      `<g transform="translate(${at(s)})">${content(s, gridworld.squares.includes(s))}</g>`).join("");
    this.board.innerHTML = `<svg viewBox="-2 -2 404 304">
      ${each((s, acts) => `<rect width="100" height="100" class="${s === gridworld.wall ? "wall" : ""}"/>${
        acts ? TRIANGLES.map((points) => `<polygon points="${points}" class="value"/>`).join("") : ""}`)}
      ${marks}<polygon class="moved"/>
      ${each((s, acts) => (WRITTEN[s] ?? "") + (acts ? NUMBERS_AT.map(([x, y]) =>
        `<text x="${x}" y="${y}" class="value"></text>`).join("") : ""))}</svg>`;
    const all = (selector) => [...this.board.querySelectorAll(selector)];
    this.triangles = all("polygon.value");
    this.numbers = all("text.value");
    [this.moved, this.path, this.best, this.agent] = all(".moved").concat(all("path, .best, circle"));
  }

  /** The numbers of all squares and actions: how dark, from -1 to 1, and what stands there. */
  fill(show) {
    gridworld.squares.forEach((s, k) => NUMBERS_AT.forEach((_, a) => {
      const { dark, text, greedy } = show(s, a);
      const share = 100 * Math.min(Math.abs(dark), 1);
      this.triangles[4 * k + a].style.fill =
        `color-mix(in oklab, var(--q-${dark > 0 ? "high" : "low"}) ${share}%, var(--q-zero))`;
      const number = this.numbers[4 * k + a];
      live.write(number, text);
      number.classList.toggle("greedy", greedy);
    }));
  }

  /** A triangle that stands out; s is null for none. */
  mark(element, s, a) {
    element.setAttribute("points", s === null ? "" : TRIANGLES[a]);
    element.setAttribute("transform", `translate(${at(s)})`);
  }
}

class QLearning extends GridFigure {
  build() {
    this.root.setAttribute("aria-label", "動く図：表を使う Q 学習");
    Object.assign(this, { epsilon: 0.1, gamma: 0.9, alpha: 0.1 });
    this.formulas = [0, 1, 2].map(() => live.make("dd"));
    this.summary = live.make("p", { className: "live-note" });
    const formulas = [
      ["遷移", "s, a → r, s′"],
      ["TD ターゲット", "y = r + γ max Q(s′, ·)"],
      ["更新", "Q(s, a) ← Q(s, a) + α (y − Q(s, a))"],
    ].map(([name, symbols], k) => live.make("div", {},
      live.make("dt", {}, live.make("b", {}, name), live.make("span", {}, symbols)), this.formulas[k]));
    this.buildBoard('<path/><polygon class="best"/><circle r="8"/>');
    this.add("div", { className: "live-columns" }, this.board,
      live.make("div", {}, live.make("dl", { className: "live-formulas" }, ...formulas), this.summary));

    this.row(
      this.button("一歩", () => this.once()),
      this.button("1 エピソード", () => this.episode()),
      this.button("100 エピソード", () => this.many(100)),
      this.button("はじめから", () => this.restart()),
    );
    const knob = (name, field) => this.slider(name, {
      min: 0, max: 1, step: 0.05, value: this[field], show: two,
    }, (value) => {
      this[field] = value;
      this.exact = exactValues(this.gamma);
      this.draw();
    });
    this.row(knob("探索 ε", "epsilon"), knob("割引率 γ", "gamma"), knob("学習率 α", "alpha"));
    this.overlay = live.make("input", { type: "checkbox", onchange: () => this.draw() });
    this.row(live.make("label", { className: "live-check" }, this.overlay, "正しい値を重ねる（色は見積もり、数は正しい値）"));
    this.status();
    this.exact = exactValues(this.gamma);
    this.restart();
  }

  restart() {
    this.play(false);
    this.Q = zeros();
    this.state = gridworld.start;
    this.episodes = 0; // that have ended
    this.steps = 0; // of this one
    this.last = null; // the last update
    this.say("「一歩」を押すと、エージェントが動き、値を一つ更新します。");
    this.draw();
  }

  /** A transition and its update; whether the episode goes on. */
  step() {
    if (this.steps === 0) this.atStart = structuredClone(this.Q);
    const action = epsilonGreedy(this.Q[this.state], this.epsilon);
    const transition = gridworld.step(this.state, action);
    this.last = qUpdate(this.Q, transition, this.gamma, this.alpha);
    this.steps += 1;
    this.state = transition.next;
    if (!transition.done && this.steps < MOST_STEPS) return true;
    this.episodes += 1;
    const moved = this.Q.flat().filter((q, k) => q !== this.atStart.flat()[k]).length;
    const end = transition.done ? "ゴールに着きました" : "着かないので打ち切りました";
    this.ended = `エピソード ${this.episodes}：${this.steps} 歩で${end}。動いた値は ${moved} 個です。`;
    this.steps = 0;
    this.state = gridworld.start;
    return false;
  }

  once() {
    this.play(false);
    const on = this.step();
    const { state, action, before, after } = this.last;
    const change = `${square(state)} で${NAMES[action]}：${three(before)} → ${three(after)}`;
    this.say(on ? change : `${change}。${this.ended}`);
    this.draw();
  }

  /** To the end of this episode: before the reader's eyes, faster and faster. */
  episode() {
    this.pause = this.wait = 0.15;
    this.play(true);
    if (!live.calm.matches) return;
    while (this.step());
    this.finish();
  }

  frame(seconds) {
    for (this.wait -= seconds; this.wait <= 0; this.wait += this.pause) {
      this.pause = Math.max(0.95 * this.pause, 0.004);
      if (!this.step()) {
        this.finish();
        return;
      }
    }
  }

  finish() {
    this.play(false);
    this.say(this.ended);
    this.draw();
  }

  many(count) {
    this.play(false);
    for (let k = 0; k < count; k++) while (this.step());
    this.say(`${this.episodes} エピソードが終わりました。正しい値との差の最大は ${three(this.error)} です。`);
    this.draw();
  }

  get error() {
    return greatestDifference(this.Q, this.exact);
  }

  // What is seen

  draw() {
    const exact = this.overlay.checked;
    this.board.classList.toggle("exact", exact);
    this.fill((s, a) => {
      const q = this.Q[s][a];
      const most = Math.max(...this.Q[s]);
      const greedy = !exact && q === most && most > Math.min(...this.Q[s]);
      return { dark: q, text: two(exact ? this.exact[s][a] : q), greedy };
    });
    this.agent.setAttribute("transform", `translate(${at(this.last?.next ?? gridworld.start, 50)})`);
    this.drawUpdate();
    live.write(this.summary, `終わったエピソード ${this.episodes}、いまのエピソード ${this.steps} 歩。`
      + `正しい値との差の最大 ${three(this.error)}。`);
  }

  /** The last transition on the board and in numbers. */
  drawUpdate() {
    const u = this.last;
    this.path.setAttribute("d", u ? `M${at(u.state, 50)} L${at(u.next, 50)}` : "");
    this.mark(this.moved, u ? u.state : null, u?.action);
    this.mark(this.best, u && !u.done ? u.next : null, u?.nextAction);
    if (!u) {
      this.formulas.forEach((numbers) => numbers.replaceChildren("—"));
      return;
    }
    const part = (name, value) => live.make("span", { className: name }, three(value));
    const reward = live.number(u.reward, 0);
    const stayed = u.next === u.state ? "（そのまま）" : "";
    const future = u.done ? ["（終端なので、その先はない）"]
      : [` + ${two(u.gamma)} × `, part("best", u.nextMax), " = ", part("target", u.target)];
    [
      [`${square(u.state)} で${NAMES[u.action]} → 報酬 ${reward}、${square(u.next)} へ${stayed}`],
      [`y = ${reward}`, ...future],
      [part("moved", u.before), ` + ${two(u.alpha)} × (`, part("target", u.target), " − ",
        part("moved", u.before), ") = ", part("moved", u.after)],
    ].forEach((parts, k) => this.formulas[k].replaceChildren(...parts));
  }
}

live.define("q-learning", QLearning);

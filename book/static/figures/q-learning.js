"use strict";

// 一歩ずつ Q 学習: the table of chapter 2, one transition after the other. No network takes part.

/** The grid world of dezerogym. A state is the number 4 y + x of a square; actions are ↑ ↓ ← →. */
const gridworld = {
  rows: 3,
  columns: 4,
  start: 8,
  goal: 3,
  bomb: 7,
  wall: 5,
  moves: [[-1, 0], [1, 0], [0, -1], [0, 1]],

  /** The squares where the agent acts. */
  get squares() {
    return [...Array(12).keys()].filter((s) => s !== this.wall && s !== this.goal);
  },

  place: (state) => [Math.floor(state / 4), state % 4],

  step(state, action) {
    const [y, x] = this.place(state).map((k, axis) => k + this.moves[action][axis]);
    const outside = y < 0 || y >= this.rows || x < 0 || x >= this.columns;
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

function epsilonGreedy(values, epsilon) {
  if (Math.random() < epsilon) return Math.floor(4 * Math.random());
  return argmax(values);
}

/** The values that satisfy Bellman's equation. */
function exactValues(gamma) {
  let Q = zeros();
  for (let change = 1; change > 0;) {
    const V = Q.map((values) => Math.max(...values));
    const next = zeros();
    for (const s of gridworld.squares) {
      next[s] = gridworld.moves.map((_, a) => {
        const step = gridworld.step(s, a);
        return step.reward + gamma * V[step.next];
      });
    }
    change = greatestDifference(next, Q);
    Q = next;
  }
  return Q;
}

function greatestDifference(Q, P) {
  return Math.max(...Q.flatMap((values, s) => values.map((q, a) => Math.abs(q - P[s][a]))));
}

const ARROWS = ["↑", "↓", "←", "→"];
const NAMES = ["上", "下", "左", "右"];
const MOST_STEPS = 1000; // of an episode: with ε = 0 there are some without an end
const SVG = "http://www.w3.org/2000/svg";

/** An element of a drawing. */
function svg(tag, attributes = {}, text = "") {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
}

const square = (state) => `(${gridworld.place(state).join(", ")})`;
const points = (...pairs) => pairs.map((pair) => pair.join(",")).join(" ");

class QLearning extends live.Figure {
  build() {
    this.root.setAttribute("aria-label", "動く図：表を使う Q 学習");
    this.epsilon = 0.1;
    this.gamma = 0.9;
    this.alpha = 0.1;
    const side = live.make("div", { className: "live-side" });
    this.board = this.buildBoard();
    this.add("div", { className: "live-columns" }, this.board, side);
    this.formulas = [
      ["遷移", "s, a → r, s′"],
      ["TD ターゲット", "y = r + γ max Q(s′, ·)"],
      ["更新", "Q(s, a) ← Q(s, a) + α (y − Q(s, a))"],
    ].map(([name, symbols]) => {
      const numbers = live.make("dd");
      const head = live.make("dt", {}, live.make("b", {}, name), live.make("span", {}, symbols));
      return { numbers, pair: live.make("div", {}, head, numbers) };
    });
    side.append(live.make("dl", { className: "live-formulas" }, ...this.formulas.map(({ pair }) => pair)));
    this.summary = live.make("p", { className: "live-note" });
    side.append(this.summary);

    this.row(
      this.button("一歩", () => this.once()),
      this.button("1 エピソード", () => this.episode()),
      this.button("100 エピソード", () => this.many(100)),
      this.button("はじめから", () => this.restart()),
    );
    const knob = (name, field) => this.slider(name, {
      min: 0, max: 1, step: 0.05, value: this[field], show: (v) => live.number(v, 2),
    }, (value) => {
      this[field] = value;
      this.exact = exactValues(this.gamma);
      this.draw();
    });
    this.row(knob("探索 ε", "epsilon"), knob("割引率 γ", "gamma"), knob("学習率 α", "alpha"));
    this.overlay = live.make("input", { type: "checkbox", onchange: () => this.draw() });
    this.row(live.make("label", { className: "live-check" }, this.overlay, "正しい値を重ねる（色と矢印は見積もり、数は正しい値）"));
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

  buildBoard() {
    const board = svg("svg", { viewBox: "-2 -2 404 304", class: "live-board", role: "img",
      "aria-label": "3 行 4 列の盤。どのマスにも、上下左右の行動価値を書いた四つの三角形がある。" });
    this.triangles = zeros();
    this.labels = zeros();
    const corners = [[0, 0], [100, 0], [100, 100], [0, 100]];
    const sides = [[0, 1], [3, 2], [0, 3], [1, 2]];
    const at = [[50, 32], [50, 85], [23, 56], [77, 56]];
    this.path = svg("path", { class: "path" });
    this.best = svg("polygon", { class: "best" });
    this.moved = svg("polygon", { class: "moved" });
    this.agent = svg("circle", { r: 8, class: "agent" });
    const [below, above] = [svg("g"), svg("g")]; // the numbers stand above the marks
    board.append(below, this.path, this.best, this.moved, this.agent, above);
    for (let s = 0; s < 12; s++) {
      const [y, x] = gridworld.place(s).map((k) => 100 * k);
      const [ground, texts] = [below, above].map((layer) =>
        layer.appendChild(svg("g", { transform: `translate(${x} ${y})` })));
      ground.append(svg("rect", { width: 100, height: 100, class: s === gridworld.wall ? "wall" : "square" }));
      const name = { 3: "ゴール +1", 5: "壁" }[s];
      const corner = { 7: "爆弾 −1", 8: "スタート" }[s];
      if (name) texts.append(svg("text", { x: 50, y: 55, class: "name" }, name));
      if (corner) texts.append(svg("text", { x: 4, y: 14, class: "corner" }, corner));
      if (!gridworld.squares.includes(s)) continue;
      for (let a = 0; a < 4; a++) {
        const shape = points(...sides[a].map((k) => corners[k]), [50, 50]);
        const [px, py] = at[a];
        this.triangles[s][a] = ground.appendChild(svg("polygon", { points: shape }));
        this.labels[s][a] = texts.appendChild(svg("text", { x: px, y: py }));
      }
    }
    return board;
  }

  draw() {
    this.board.classList.toggle("exact", this.overlay.checked);
    for (const s of gridworld.squares) {
      const most = Math.max(...this.Q[s]);
      const told = most > Math.min(...this.Q[s]);
      this.Q[s].forEach((q, a) => {
        const share = 100 * Math.min(Math.abs(q), 1);
        const end = q > 0 ? "high" : "low";
        this.triangles[s][a].style.fill = `color-mix(in oklab, var(--q-${end}) ${share}%, var(--q-zero))`;
        const greedy = told && q === most;
        const shown = this.overlay.checked ? this.exact[s][a] : q;
        this.labels[s][a].textContent = (greedy ? ARROWS[a] : "") + live.number(shown, 2);
        this.labels[s][a].classList.toggle("greedy", greedy);
      });
    }
    const move = (element, s, dx = 0, dy = 0) => {
      const [y, x] = gridworld.place(s);
      element.setAttribute("transform", `translate(${100 * x + dx} ${100 * y + dy})`);
    };
    move(this.agent, this.last?.next ?? gridworld.start, 50, 50);
    this.drawUpdate(move);
    this.summary.textContent = `終わったエピソード ${this.episodes}、いまのエピソード ${this.steps} 歩。`
      + `正しい値との差の最大 ${three(this.error)}。`;
  }

  /** The last transition on the board and in numbers. */
  drawUpdate(move) {
    const marks = [this.best, this.moved, this.path];
    marks.forEach((mark) => mark.setAttribute("visibility", this.last ? "visible" : "hidden"));
    if (!this.last) {
      this.formulas.forEach(({ numbers }) => numbers.replaceChildren("—"));
      return;
    }
    const u = this.last;
    const shape = (s, a) => this.triangles[s][a].getAttribute("points");
    this.moved.setAttribute("points", shape(u.state, u.action));
    move(this.moved, u.state);
    if (u.done) this.best.setAttribute("visibility", "hidden");
    else this.best.setAttribute("points", shape(u.next, u.nextAction));
    move(this.best, u.next);
    const [[y, x], [nextY, nextX]] = [u.state, u.next].map((s) => gridworld.place(s).map((k) => 100 * k + 50));
    this.path.setAttribute("d", `M${x},${y} L${nextX},${nextY}`);

    const part = (name, value) => live.make("span", { className: name }, three(value));
    const two = (value) => live.number(value, 2);
    const [transition, target, update] = this.formulas.map(({ numbers }) => numbers);
    const stayed = u.next === u.state ? "（そのまま）" : "";
    transition.replaceChildren(
      `${square(u.state)} で${NAMES[u.action]} → 報酬 ${live.number(u.reward, 0)}、${square(u.next)} へ${stayed}`);
    const future = u.done ? ["（終端なので、その先はない）"]
      : [` + ${two(u.gamma)} × `, part("best", u.nextMax), " = ", part("target", u.target)];
    target.replaceChildren(`y = ${live.number(u.reward, 0)}`, ...future);
    update.replaceChildren(part("moved", u.before), ` + ${two(u.alpha)} × (`, part("target", u.target), " − ",
      part("moved", u.before), ") = ", part("moved", u.after));
  }
}

const three = (value) => live.number(value, 3);

live.define("q-learning", QLearning);

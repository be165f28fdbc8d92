"use strict";

// ブロックくずし: the game of chapter 9, played by the reader or by a recorded network.

/** The rules of rlbook_helpers/beyond/breakout.py, for one board. A square is 10 y + x. */
const breakout = {
  side: 10,
  maxSteps: 1000,
  wide: 3, // the paddle
  slip: 0.25,
  wall: () => Array.from({ length: 100 }, (_, square) => square >= 10 && square < 40),

  reset(random = Math.random) {
    const [x, y, dx] = [1 + Math.floor(8 * random()), 6 + Math.floor(3 * random()), random() < 0.5 ? -1 : 1];
    const paddle = Math.floor(8 * random());
    return { x, y, dx, dy: -1, oldX: x - dx, oldY: y + 1, paddle, t: 0, bricks: this.wall() };
  },

  /** The board after an action, and what it brought: reward, terminated, truncated. */
  step(board, action, slips = Math.random() < this.slip) {
    const next = { ...board, bricks: [...board.bricks], oldX: board.x, oldY: board.y, t: board.t + 1 };
    next.paddle = Math.min(Math.max(board.paddle + action - 1, 0), 10 - this.wide);
    if (board.x + board.dx < 0 || board.x + board.dx > 9) next.dx = -board.dx;
    if (board.y + board.dy < 0) next.dy = 1;
    next.x += next.dx;
    const y = board.y + next.dy;
    const square = 10 * y + next.x;
    const [hit, place] = [next.bricks[square], next.x - next.paddle];
    const caught = y === 9 && place >= 0 && place < this.wide;
    const terminated = y === 9 && !caught;
    next.bricks[square] = false;
    if (hit || caught) next.dy = -next.dy;
    else next.y = y;
    const aim = [-1, next.dx, 1][place];
    if (caught) next.dx = slips ? -aim : aim;
    if (caught && !next.bricks.includes(true)) next.bricks = this.wall();
    return { next, reward: Number(hit), terminated, truncated: !terminated && next.t === this.maxSteps };
  },

  /** The four layers of 100 squares: paddle, ball, where it was, bricks. */
  screen({ x, y, oldX, oldY, paddle, bricks }) {
    const layers = new Float64Array(400);
    for (const k of [90, 91, 92].map((k) => k + paddle)) layers[k] = 1;
    for (const k of [100 + 10 * y + x, 200 + 10 * oldY + oldX]) layers[k] = 1;
    bricks.forEach((brick, square) => { layers[300 + square] = Number(brick); });
    return layers;
  },
};

/** A trained network whose hidden layers are normalized: the values of the actions, and their gradient. */
class ScreenPolicy {
  constructor({ sizes, scales, weights }) {
    const bytes = atob(weights);
    let at = 0; // of each layer W (inputs, outputs), then b (outputs); whole numbers times a scale
    const take = (count, scale) => Float64Array.from({ length: count }, () => {
      const byte = bytes.charCodeAt(at++);
      return (byte < 128 ? byte : byte - 256) * scale;
    });
    this.layers = sizes.slice(1).map((size, k) =>
      ({ size, W: take(sizes[k] * size, scales[k][0]), b: take(size, scales[k][1]) }));
  }

  forward(screen) {
    let h = screen;
    return this.layers.map(({ size, W, b }, k) => {
      const z = Float64Array.from(b);
      h.forEach((value, i) => {
        if (value) for (let j = 0; j < size; j++) z[j] += value * W[i * size + j];
      });
      if (k === this.layers.length - 1) return { y: z };
      const mean = z.reduce((sum, v) => sum + v, 0) / size;
      const deviation = Math.sqrt(z.reduce((sum, v) => sum + (v - mean) ** 2, 0) / size + 1e-5);
      const y = z.map((v) => (v - mean) / deviation);
      h = y.map((v) => Math.max(v, 0));
      return { y, deviation };
    });
  }

  actionValues(screen) {
    return [...this.forward(screen).at(-1).y];
  }

  /** Of the largest value, with respect to the 400 numbers of the screen. */
  gradient(screen) {
    const passed = this.forward(screen);
    const values = passed.at(-1).y;
    let g = values.map((_, k) => Number(k === values.indexOf(Math.max(...values))));
    for (let k = this.layers.length - 1; k >= 0; k--) {
      const { y, deviation } = passed[k];
      const { size, W } = this.layers[k];
      if (deviation) { // back through ReLU and normalization
        const cut = g.map((v, j) => (y[j] > 0 ? v : 0));
        const mean = cut.reduce((sum, v) => sum + v, 0) / size;
        const along = cut.reduce((sum, v, j) => sum + v * y[j], 0) / size;
        g = cut.map((v, j) => (v - mean - y[j] * along) / deviation);
      }
      const above = g;
      g = Float64Array.from({ length: W.length / size }, (_, i) => {
        let sum = 0;
        for (let j = 0; j < size; j++) sum += above[j] * W[i * size + j];
        return sum;
      });
    }
    return g;
  }
}

const [LEFT, STAY, RIGHT] = [0, 1, 2];
const MOVES = ["左", "そのまま", "右"]; // by action

class BreakoutGame extends live.Game {
  build() {
    this.root.setAttribute("aria-label", "動く図：ブロックくずし");
    this.best = 0;
    this.policies = {};
    this.overlay = "none";
    const head = this.add("div", { className: "live-head" });
    head.append(this.choice("動かす人", { you: "あなた", network: "学習したネットワーク" }, "you",
      (name) => this.hand(name)));
    this.status(head);
    this.counter = live.make("span", { className: "live-counter" });
    head.append(this.counter);
    this.scene = this.canvas((width) => width, this.paint.bind(this));
    this.stage = this.add("div", { className: "live-stage live-screen", tabIndex: 0, role: "application" }, this.scene);
    this.stage.setAttribute("aria-label",
      "ブロックくずし。左右の矢印キーで皿を動かします。スペースキーで、止めたり動かしたりします。");
    const side = ({ offsetX }) => (offsetX < this.scene.clientWidth / 2 ? LEFT : RIGHT);
    this.stage.onkeydown = (event) => this.key(event, [LEFT, RIGHT]);
    this.stage.onkeyup = () => this.release();
    this.holds(this.stage, side);
    this.moves = [this.button("← 左へ", () => {}), this.button("右へ →", () => {})];
    this.moves.forEach((button, k) => {
      this.holds(button, () => 2 * k);
      button.onclick = ({ detail }) => { if (!detail) this.press(2 * k, false); }; // by the keyboard
    });
    this.playButton = this.button("", () => this.toggle());
    this.row(...this.moves, this.playButton, this.button("はじめから", () => this.restart()));
    this.speedSlider = this.slider("速さ", {
      min: 1, max: 20, step: 1, value: 5, show: (v) => `1 秒に ${v} ステップ`,
    }, (value) => { this.pace = value; });
    this.overlays = this.choice("盤に重ねるもの", { none: "盤だけ", gradient: "価値の勾配を重ねる" }, "none",
      (name) => { this.overlay = name; this.ask(); });
    this.row(this.speedSlider, this.overlays);
    this.bars = MOVES.map(() => live.make("span", { className: "live-bar" }));
    this.barTexts = MOVES.map(() => live.make("span"));
    this.values = this.add("div", { className: "live-bars" }, ...MOVES.flatMap((move, k) => [
      live.make("span", {}, `Q(${move})`),
      live.make("span", { className: "live-axis" }, this.bars[k]),
      this.barTexts[k],
    ]));
    this.hand("you");
  }

  /** Pressed on an element, and held until let go. */
  holds(element, action) {
    element.onpointerdown = (event) => { if (event.button === 0) this.press(action(event)); };
    element.onpointerup = element.onpointerleave = element.onpointercancel = () => this.release();
  }

  get policy() {
    return this.policies.breakout;
  }

  /** Give the paddle to a player. Until the weights are there, the network does not move it. */
  hand(name) {
    this.driver = name;
    this.speedSlider.move(this.byHand ? 5 : 10);
    this.moves.forEach((button) => { button.hidden = !this.byHand; });
    this.restart();
    this.ask();
  }

  /** For the weights, where the network plays or is looked at. */
  ask() {
    this.draw();
    if (!this.byHand || this.overlay !== "none") this.need("breakout", ScreenPolicy);
  }

  /** A new game. aloud: because the reader asked for it. */
  restart(aloud = true) {
    this.board = this.before = breakout.reset();
    this.bricks = this.part = 0;
    this.held = this.tapped = null;
    this.ended = "";
    this.waiting = this.byHand; // for the first move of the reader
    if (aloud) this.say(this.byHand ? "左か右へ動かすと始まります。" : "ネットワークが、価値の最も大きい行動を選びます。");
    this.play(this.begun && !this.byHand && !live.calm.matches);
    this.draw();
  }

  play(on) {
    super.play(on);
    if (on) this.waiting = false;
  }

  /** The reader moves the paddle, by one square or as long as he holds. */
  press(action, hold = true) {
    if (!this.byHand) return;
    if (this.ended && performance.now() < this.restUntil) return; // it came too late
    if (this.ended) this.restart();
    if (this.waiting) {
      this.say("皿の左の端で受けると左上へ、右の端では右上へ、はねかえります（たまに逆へ）。");
      this.play(true);
    }
    this.tapped = action;
    this.held = hold ? action : null;
  }

  release() {
    this.held = null;
  }

  /** Of the network: it plays, or the reader asks what it would do in his place. */
  actionValues() {
    const asked = !this.byHand || this.overlay !== "none";
    return asked ? this.policy?.actionValues(breakout.screen(this.board)) : undefined;
  }

  /** The action of the player; null while there is none. */
  act() {
    if (this.byHand) return this.tapped ?? this.held ?? STAY;
    const values = this.actionValues();
    return values ? values.indexOf(Math.max(...values)) : null;
  }

  step() {
    const action = this.act();
    if (action === null) return;
    this.tapped = null;
    const { next, reward, terminated, truncated } = breakout.step(this.board, action);
    this.board = next;
    this.bricks += reward;
    if (terminated) this.end("玉を落としました");
    else if (truncated) this.end(`${breakout.maxSteps} ステップで打ち切りました`);
  }

  end(how) {
    super.end(how, this.bricks);
    const best = this.byHand ? `いちばん多くて ${this.best} 個。もう一度動かすと始まります。` : "";
    this.say(`${this.bricks} 個のブロックを壊し、${how}。${best}`, this.byHand);
  }

  draw() {
    this.scene.paint();
    live.write(this.counter, `${this.bricks} 個`);
    const values = this.actionValues();
    this.values.style.visibility = values ? "" : "hidden"; // its place is kept free
    if (!values) return;
    const largest = Math.max(...values);
    values.forEach((value, k) => {
      this.bars[k].classList.toggle("best", k === values.indexOf(largest));
      this.bars[k].style.transform = `scaleX(${Math.min(Math.max(value / 25, 0), 1)})`;
      live.write(this.barTexts[k], live.number(value, 2));
    });
  }

  paint(context, width, height, colours) {
    const unit = width / breakout.side;
    const fill = (colour, square, share = 1) => {
      const [x, y] = [square % 10, Math.floor(square / 10)];
      const gap = ((1 - share) * unit) / 2;
      context.fillStyle = colour;
      context.fillRect(x * unit + gap + 1, y * unit + gap + 1, share * unit - 2, share * unit - 2);
    };
    const { x, y, oldX, oldY, paddle, bricks } = this.board;
    const line = live.pen(context);
    for (let k = 0; k <= 10; k++) {
      line(colours.line, 1, [], [k * unit, 0], [k * unit, height]);
      line(colours.line, 1, [], [0, k * unit], [width, k * unit]);
    }
    bricks.forEach((brick, square) => { if (brick) fill(colours.blue, square); });
    context.globalAlpha = 0.4;
    fill(colours.orange, 10 * oldY + oldX, 0.7);
    context.globalAlpha = 1;
    fill(this.ended ? colours.red : colours.orange, 10 * y + x, 0.7);
    for (let k = 0; k < breakout.wide; k++) fill(colours.ink, 90 + paddle + k);
    if (this.overlay === "none" || !this.policy) return;
    const screen = breakout.screen(this.board);
    const looked = squares(this.policy.gradient(screen), screen);
    const largest = Math.max(...looked);
    looked.forEach((size, square) => {
      const side = (0.9 * unit * size) / largest;
      const [left, top] = [(square % 10 + 0.5) * unit - side / 2, (Math.floor(square / 10) + 0.5) * unit - side / 2];
      if (size < 0.05 * largest) return;
      for (const [colour, thickness] of [[colours.paper, 5], [colours.green, 2.5]]) {
        context.strokeStyle = colour;
        context.lineWidth = thickness;
        context.strokeRect(left, top, side, side);
      }
    });
  }
}

/** The gradient of what stands in each square, over its four layers; 0 where nothing is. */
function squares(gradient, screen) {
  return Array.from({ length: 100 }, (_, k) => [0, 100, 200, 300]
    .reduce((sum, layer) => sum + Math.abs(gradient[layer + k]) * screen[layer + k], 0));
}

live.define("breakout", BreakoutGame);

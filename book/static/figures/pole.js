"use strict";

// 棒を押す: CartPole-v1, driven by the reader or by a policy, whose pole the reader may knock.

/** CartPole-v1 as Gymnasium computes it; a state is [x, ẋ, θ, θ̇]. */
const cartpole = {
  maxX: 2.4,
  maxTheta: (12 * 2 * Math.PI) / 360,
  maxSteps: 500,
  seconds: 0.02, // of one step

  reset: () => Array.from({ length: 4 }, () => 0.1 * Math.random() - 0.05),

  step([x, xDot, theta, thetaDot], action) {
    const [gravity, length, poleMass, totalMass] = [9.8, 0.5, 0.1, 1.1]; // half of the pole's length
    const force = action === 1 ? 10 : -10;
    const [cos, sin] = [Math.cos(theta), Math.sin(theta)];
    const push = (force + poleMass * length * thetaDot ** 2 * sin) / totalMass;
    const thetaAcc = (gravity * sin - cos * push)
      / (length * (4 / 3 - (poleMass * cos ** 2) / totalMass));
    const xAcc = push - (poleMass * length * thetaAcc * cos) / totalMass;
    const tau = this.seconds;
    return [x + tau * xDot, xDot + tau * xAcc, theta + tau * thetaDot, thetaDot + tau * thetaAcc];
  },

  terminated([x, , theta]) {
    return Math.abs(x) > this.maxX || Math.abs(theta) > this.maxTheta;
  },
};

/** A trained network: the values of the actions, by layers of ReLU. */
class Policy {
  constructor({ gamma, mean, deviation, sizes, largest, weights }) {
    Object.assign(this, { gamma, mean, deviation, sizes });
    this.weights = live.floats(weights, largest);
  }

  actionValues(state) {
    let values = state.map((s, i) => (Math.fround(s) - this.mean[i]) / this.deviation[i]);
    let at = 0; // in the weights: of each layer W (inputs, outputs), then b (outputs)
    this.sizes.slice(1).forEach((size, layer) => {
      const inputs = values;
      const bias = at + inputs.length * size;
      values = Array.from({ length: size }, (_, j) => {
        let sum = this.weights[bias + j];
        for (let i = 0; i < inputs.length; i++) sum += inputs[i] * this.weights[at + i * size + j];
        return layer < this.sizes.length - 2 ? Math.max(sum, 0) : sum;
      });
      at = bias + size;
    });
    return values;
  }
}

const SIDES = ["左", "右"];
const DRIVERS = { you: "あなた", random: "ランダム", chapter4: "第 4 章", stable: "stable" };
const SPEEDS = [0.1, 0.2, 0.5, 1];
const RECOVERED = 50; // so many steps after a knock, the pole has recovered

class Pole extends live.Figure {
  build() {
    const drivers = this.options("driver"); // the last one begins
    this.policies = {}; // by driver, as they come
    this.driver = drivers.at(-1);
    this.knock = 1; // rad/s
    this.best = 0;
    this.root.setAttribute("aria-label", "動く図：倒立振子");

    const head = this.add("div", { className: "live-head" });
    if (drivers.length > 1) {
      const choices = Object.fromEntries(drivers.map((name) => [name, DRIVERS[name]]));
      head.append(this.choice("動かす人", choices, this.driver, (name) => this.hand(name)));
    }
    this.status(head);
    this.counter = live.make("output", { className: "live-counter", "aria-live": "off" });
    head.append(this.counter);
    this.buildStage();
    this.buildControls();
    this.buildReadings(drivers.length > 1);
    this.hand(this.driver);
  }

  buildStage() {
    this.scene = this.canvas((width) => Math.max(0.38 * width, 180), this.paint.bind(this));
    this.stage = this.add("div", { className: "live-stage", tabIndex: 0, role: "application" }, this.scene);
    this.stage.onkeydown = (event) => {
      const action = ["ArrowLeft", "ArrowRight"].indexOf(event.key);
      if (action >= 0) this.press(action);
      else if (event.key === " ") this.toggle();
      else return;
      event.preventDefault();
    };
    this.stage.onpointerdown = ({ offsetX }) =>
      this.press(offsetX < this.scene.clientWidth / 2 ? 0 : 1);
  }

  /** The state and the values; with their ceiling, where the reader knows what that is. */
  buildReadings(ceiling) {
    const names = ["カートの位置", "カートの速度", "棒の角度", "棒の角速度"];
    this.numbers = names.map(() => live.make("dd"));
    this.add("dl", { className: "live-numbers" }, ...names.map((name, k) =>
      live.make("div", {}, live.make("dt", {}, name), this.numbers[k])));
    this.bars = SIDES.map(() => live.make("span", { className: "live-bar" }));
    this.barTexts = SIDES.map(() => live.make("span"));
    this.values = this.add("div", { className: "live-bars" });
    SIDES.forEach((side, k) => this.values.append(live.make("span", {}, `Q(${side})`),
      live.make("span", { className: "live-axis" }, this.bars[k]), this.barTexts[k]));
    this.values.classList.toggle("with-ceiling", ceiling);
    this.explained = this.add("p", { className: "live-note" });
  }

  buildControls() {
    this.pushes = [0, 1].map((side) => this.button("", () => this.press(side)));
    this.playButton = this.button("", () => this.toggle());
    this.row(...this.pushes, this.playButton, this.button("はじめから", () => this.restart()));
    this.knockSlider = this.slider("押す強さ", {
      min: 0.2, max: 3, step: 0.2, value: this.knock, show: (v) => `${live.number(v, 1)} rad/s`,
    }, (value) => { this.knock = value; });
    this.speedSlider = this.slider("速さ", {
      min: 0, max: 3, step: 1, value: 3, show: (k) => `実際の ${SPEEDS[k]} 倍`,
    }, (k) => { this.speed = SPEEDS[k]; });
    this.row(this.knockSlider, this.speedSlider);
  }

  get byHand() {
    return this.driver === "you";
  }

  /** Give the cart to a driver. */
  hand(driver) {
    this.driver = driver;
    const what = this.byHand ? "カート" : "棒";
    this.pushes[0].textContent = `← ${what}を左へ`;
    this.pushes[1].textContent = `${what}を右へ →`;
    this.knockSlider.hidden = this.byHand;
    this.speedSlider.move(this.byHand ? 1 : 3);
    this.stage.setAttribute("aria-label",
      `倒立振子。左右の矢印キーで${what}を押します。スペースキーで、止めたり動かしたりします。`);
    this.restart();
    if (this.begun) this.fetch();
  }

  begin() {
    this.fetch();
    this.play(!live.calm.matches);
  }

  /** The weights of the driver, if it has any; until they are there, nothing moves. */
  async fetch() {
    const name = this.driver;
    if (this.byHand || name === "random" || this.policies[name]) return;
    this.policies[name] = new Policy(await live.load(name));
    this.draw();
  }

  /** A new episode. aloud: because the reader asked for it. */
  restart(aloud = true) {
    this.state = cartpole.reset();
    this.before = this.state;
    this.steps = 0;
    this.part = 0; // of the next step, that has passed
    this.action = null;
    this.ended = "";
    this.pushed = null; // the last knock: its side, its step, the largest angle since
    if (aloud) {
      this.say(this.byHand
        ? "カートを左か右へ押すと始まります。"
        : "棒を左か右へ押してみてください。");
    }
    this.play(this.begun && !this.byHand && !live.calm.matches);
    this.draw();
  }

  toggle() {
    const on = !this.playing;
    if (this.ended) this.restart();
    this.play(on);
  }

  play(on) {
    super.play(on);
    this.playButton.textContent = on ? "止める" : "動かす";
    this.playButton.disabled = this.byHand && this.action === null;
  }

  /** The reader pushes to the side: the cart, if it is his, else the pole. */
  press(side) {
    if (this.byHand) {
      if (this.ended) this.restart();
      this.say("次に押すまで、同じほうへ押しつづけます。");
      this.action = side;
      this.play(true);
    } else if (!this.ended) {
      const [x, xDot, theta, thetaDot] = this.state;
      this.state = [x, xDot, theta, thetaDot + (side ? 1 : -1) * this.knock];
      this.pushed = { side, step: this.steps, largest: 0 };
      this.say(`棒を${SIDES[side]}へ押しました（角速度 ${side ? "+" : "−"}${live.number(this.knock, 1)} rad/s）。`);
    }
    this.draw();
  }

  /** The action of the driver; null while there is none. */
  act() {
    if (this.byHand) return this.action;
    if (this.driver === "random") return Math.random() < 0.5 ? 0 : 1;
    const values = this.actionValues();
    return values && (values[1] > values[0] ? 1 : 0);
  }

  actionValues() {
    return this.policies[this.driver]?.actionValues(this.state) ?? null;
  }

  frame(seconds) {
    if (this.ended) {
      this.rest -= seconds;
      if (this.rest < 0) this.restart(false);
      return;
    }
    this.part += (this.speed * seconds) / cartpole.seconds;
    while (this.part >= 1 && !this.ended) {
      this.part -= 1;
      this.step();
    }
  }

  step() {
    const action = this.act();
    if (action === null) return;
    this.action = action;
    this.before = this.state;
    this.state = cartpole.step(this.state, action);
    this.steps += 1;
    if (cartpole.terminated(this.state)) {
      const fallen = Math.abs(this.state[2]) > cartpole.maxTheta;
      this.end(fallen ? "棒が倒れました" : "カートが端を越えました");
    } else if (this.steps === cartpole.maxSteps) {
      this.end("打ち切りまで支えました");
    } else {
      this.watchKnock();
    }
  }

  watchKnock() {
    if (!this.pushed) return;
    this.pushed.largest = Math.max(this.pushed.largest, Math.abs(this.state[2]));
    if (this.steps - this.pushed.step < RECOVERED) return;
    this.say(`立てなおしました。いちばん傾いたとき ${live.number(degrees(this.pushed.largest), 1)}°。`);
    this.pushed = null;
  }

  end(how) {
    this.ended = how;
    this.rest = 2; // seconds, before a policy begins anew
    this.best = Math.max(this.best, this.byHand ? this.steps : 0);
    const best = this.byHand ? `いちばん長くて ${this.best} ステップ。もう一度押すと始まります。` : "";
    this.say(`${this.steps} ステップ：${how}。${best}`, this.byHand || this.pushed !== null);
    this.part = 0;
    if (this.byHand) this.play(false);
  }

  draw() {
    this.scene.paint();
    if (this.running && this.frames % 6) return; // what changes faster cannot be read
    this.counter.textContent = `${this.steps} ステップ`;
    const [x, xDot, theta, thetaDot] = this.state;
    const texts = [live.number(x, 2), live.number(xDot, 2), `${live.number(degrees(theta), 1)}°`,
      `${live.number(thetaDot, 2)} rad/s`];
    this.numbers.forEach((element, k) => { element.textContent = texts[k]; });
    const values = this.actionValues();
    this.values.hidden = this.explained.hidden = !values;
    if (!values) return;
    const best = values[1] > values[0] ? 1 : 0;
    const ceiling = 1 / (1 - this.policies[this.driver].gamma); // a reward of 1 for ever
    this.bars.forEach((bar, k) => {
      bar.classList.toggle("best", k === best);
      bar.style.transform = `scaleX(${Math.max((0.8 * values[k]) / ceiling, 0)})`;
      this.barTexts[k].textContent = live.number(values[k], 2);
    });
    const line = this.values.classList.contains("with-ceiling")
      ? `縦の線は、価値の上限 1 / (1 − γ) = ${live.number(ceiling, 0)} です。` : "";
    this.explained.textContent = `カートを左右へ押すことの価値の見積もり。大きいほうへ押します。${line}`;
  }

  /** The scene: in the middle x = 0, angles as they are, the pole longer than it is. */
  paint(context, width, height, colours) {
    const unit = width / 5.4; // of x
    const ground = height - 26;
    const between = this.ended ? 1 : this.part;
    const [x, , theta] = this.state.map((s, k) => this.before[k] + between * (s - this.before[k]));
    const middle = width / 2 + x * unit;
    const [cartWidth, cartHeight, wheel] = [0.62 * unit, 0.25 * unit, 0.07 * unit];
    const pivot = ground - cartHeight - wheel;
    const length = pivot - 18;

    const line = (colour, thickness, dashes, ...points) => {
      context.strokeStyle = colour;
      context.lineWidth = thickness;
      context.setLineDash(dashes);
      context.beginPath();
      points.forEach(([px, py]) => context.lineTo(px, py));
      context.stroke();
    };
    const arrow = (colour, fromX, y, span) => {
      const side = Math.sign(span);
      line(colour, 2.5, [], [fromX, y], [fromX + span, y]);
      const tip = fromX + span;
      line(colour, 2.5, [], [tip - 7 * side, y - 6], [tip, y], [tip - 7 * side, y + 6]);
    };
    context.lineCap = "round";
    context.lineJoin = "round";
    context.textAlign = "center";
    context.font = `13px ${getComputedStyle(this.root).fontFamily}`;

    line(colours.grey, 1.5, [], [0, ground], [width, ground]);
    for (const limit of [-cartpole.maxX, 0, cartpole.maxX]) {
      const at = width / 2 + limit * unit;
      context.fillStyle = limit ? colours.red : colours.ink;
      context.fillText(live.number(limit, limit ? 1 : 0), at, height - 6);
      if (limit) line(colours.red, 1.5, [5, 5], [at, ground - 0.9 * unit], [at, ground]);
      else line(colours.grey, 1.5, [], [at, ground], [at, ground + 5]);
    }
    for (const side of [-1, 1]) {
      const end = [middle + side * length * Math.sin(cartpole.maxTheta), pivot - length * Math.cos(cartpole.maxTheta)];
      line(colours.red, 1.5, [5, 5], [middle, pivot], end);
      context.fillStyle = colours.red;
      context.fillText("12°", end[0] + side * 14, end[1] + 2);
    }

    const tip = [middle + length * Math.sin(theta), pivot - length * Math.cos(theta)];
    line(this.ended.startsWith("棒") ? colours.red : colours.orange, Math.max(0.07 * unit, 5), [], [middle, pivot], tip);
    context.fillStyle = colours.cart;
    context.strokeStyle = colours.blue;
    context.lineWidth = 2;
    context.beginPath();
    context.roundRect(middle - cartWidth / 2, pivot, cartWidth, cartHeight, 4);
    context.fill();
    context.stroke();
    for (const side of [-1, 1]) {
      context.beginPath();
      context.arc(middle + 0.28 * cartWidth * side, ground - wheel, wheel, 0, 2 * Math.PI);
      context.fill();
      context.stroke();
    }
    if (this.action !== null && !this.ended) {
      const side = this.action ? 1 : -1;
      arrow(colours.blue, middle + side * (cartWidth / 2 + 5), pivot + cartHeight / 2, side * 26);
    }
    if (this.pushed && this.steps - this.pushed.step < 15) {
      const side = this.pushed.side ? 1 : -1;
      arrow(colours.ink, tip[0] - side * 52, tip[1] + 24, side * 42);
    }
  }
}

function degrees(radians) {
  return (radians * 180) / Math.PI;
}

live.define("pole", Pole);

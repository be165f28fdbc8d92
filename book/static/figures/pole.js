"use strict";

// 棒を押す: CartPole-v1, driven by the reader or by a policy, whose pole the reader may knock.

/** CartPole-v1 as Gymnasium computes it; a state is [x, ẋ, θ, θ̇]. */
const cartpole = {
  maxX: 2.4,
  maxTheta: (12 * 2 * Math.PI) / 360,
  maxSteps: 500,
  tau: 0.02, // seconds of a step

  reset: () => Array.from({ length: 4 }, () => 0.1 * Math.random() - 0.05),

  step([x, xDot, theta, thetaDot], action) {
    const [gravity, length, poleMass, totalMass] = [9.8, 0.5, 0.1, 1.1]; // half of the pole's length
    const force = action === 1 ? 10 : -10;
    const [cos, sin, tau] = [Math.cos(theta), Math.sin(theta), this.tau];
    const push = (force + poleMass * length * thetaDot ** 2 * sin) / totalMass;
    const thetaAcc = (gravity * sin - cos * push) / (length * (4 / 3 - (poleMass * cos ** 2) / totalMass));
    const xAcc = push - (poleMass * length * thetaAcc * cos) / totalMass;
    return [x + tau * xDot, xDot + tau * xAcc, theta + tau * thetaDot, thetaDot + tau * thetaAcc];
  },

  terminated([x, , theta]) {
    return Math.abs(x) > this.maxX || Math.abs(theta) > this.maxTheta;
  },
};

/** A trained network: the values of the actions, by layers of ReLU. */
class Policy {
  constructor(data) {
    Object.assign(this, data, { weights: live.floats(data.weights, data.largest) });
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

const SIDES = ["左", "右"]; // by action
const DRIVERS = { you: "あなた", random: "ランダム", chapter4: "第 4 章", stable: "stable" };
const SPEEDS = [0.1, 0.2, 0.5, 1];
const RECOVERED = 50; // so many steps after a knock, the pole has recovered

const degrees = (radians) => live.number((radians * 180) / Math.PI, 1);

class Pole extends live.Game {
  build() {
    const drivers = this.options("driver"); // the last one begins
    this.policies = {}; // by driver, as they come
    this.best = 0;
    this.root.setAttribute("aria-label", "動く図：倒立振子");

    const head = this.add("div", { className: "live-head" });
    if (drivers.length > 1) {
      const choices = Object.fromEntries(drivers.map((name) => [name, DRIVERS[name]]));
      head.append(this.choice("動かす人", choices, drivers.at(-1), (name) => this.hand(name)));
    }
    this.status(head);
    this.counter = live.make("span", { className: "live-counter" });
    head.append(this.counter);
    this.scene = this.canvas((width) => Math.max(0.38 * width, 180), this.paint.bind(this));
    this.stage = this.add("div", { className: "live-stage", tabIndex: 0, role: "application" }, this.scene);
    this.stage.onkeydown = (event) => this.key(event, [0, 1]);
    this.stage.onclick = ({ offsetX }) => this.press(offsetX < this.scene.clientWidth / 2 ? 0 : 1);
    this.buildControls();
    this.buildReadings(drivers);
    this.hand(drivers.at(-1));
  }

  buildControls() {
    this.pushes = SIDES.map((_, action) => this.button("", () => this.press(action)));
    this.playButton = this.button("", () => this.toggle());
    this.row(...this.pushes, this.playButton, this.button("はじめから", () => this.restart()));
    this.knock = 1;
    this.knockSlider = this.slider("押す強さ", {
      min: 0.2, max: 3, step: 0.2, value: this.knock, show: (v) => `${live.number(v, 1)} rad/s`,
    }, (value) => { this.knock = value; });
    this.speedSlider = this.slider("速さ", {
      min: 0, max: 3, step: 1, value: 3, show: (k) => (k === 3 ? "実際と同じ" : `実際の ${SPEEDS[k]} 倍`),
    }, (k) => { this.pace = SPEEDS[k] / cartpole.tau; });
    this.row(this.knockSlider, this.speedSlider);
    this.readings = this.root;
    if (!this.options("readings").includes("folded")) return;
    this.readings = this.add("details", { className: "live-more" },
      live.make("summary", {}, "速さと、状態の数値"), this.speedSlider);
  }

  buildReadings(drivers) {
    const names = ["カートの位置", "カートの速度", "棒の角度", "棒の角速度"];
    this.numbers = names.map(() => live.make("dd"));
    this.readings.append(live.make("dl", { className: "live-numbers" }, ...names.map((name, k) =>
      live.make("div", {}, live.make("dt", {}, name), this.numbers[k]))));
    this.bars = SIDES.map(() => live.make("span", { className: "live-bar" }));
    this.barTexts = SIDES.map(() => live.make("span"));
    this.withCeiling = drivers.length > 1; // in chapter 5 the reader knows what that is
    const className = `live-bars ${this.withCeiling ? "with-ceiling" : ""}`;
    this.difference = live.make("span", { className: "live-bar best" });
    this.differenceText = live.make("span");
    this.values = live.make("div", { className }, ...(this.withCeiling ? SIDES : []).flatMap((side, k) => [
      live.make("span", {}, `Q(${side})`),
      live.make("span", { className: "live-axis" }, this.bars[k]),
      this.barTexts[k],
    ]), live.make("span", {}, "Q(右) − Q(左)"),
    live.make("span", { className: "live-axis difference" }, this.difference), this.differenceText);
    this.explained = live.make("p", { className: "live-note" });
    this.readings.append(this.values, this.explained);
    this.explain(100);
    // Their place is kept free, so that the text below does not jump
    this.values.hidden = this.explained.hidden = drivers.at(-1) === "you";
  }

  explain(ceiling) {
    const line = `縦の線は、価値の上限 1 / (1 − γ) = ${live.number(ceiling, 0)} です。`;
    live.write(this.explained,
      `カートを左右へ押すことの価値の見積もり。大きいほうへ押します。差は、小さくても見えるように、対数に近い目盛りで描きます。${this.withCeiling ? line : ""}`);
  }

  /** Give the cart to a driver. Until its weights are there, nothing moves. */
  hand(name) {
    this.driver = name;
    const what = this.byHand ? "カート" : "棒";
    live.write(this.pushes[0], `← ${what}を左へ`);
    live.write(this.pushes[1], `${what}を右へ →`);
    this.knockSlider.hidden = this.byHand;
    this.speedSlider.move(this.byHand ? 1 : 3);
    this.stage.setAttribute("aria-label",
      `倒立振子。左右の矢印キーで${what}を押します。スペースキーで、止めたり動かしたりします。`);
    this.restart();
    if (!this.byHand && name !== "random") this.need(name, Policy);
  }

  /** A new episode. aloud: because the reader asked for it. */
  restart(aloud = true) {
    this.state = this.before = cartpole.reset();
    this.steps = 0;
    this.part = 0; // of the next step, that has passed
    this.action = null;
    this.ended = "";
    this.pushed = null; // the last knock: its action, its step, the largest angle since
    if (aloud) this.say(this.byHand ? "カートを左か右へ押すと始まります。" : "棒を左か右へ押してみてください。");
    this.play(this.begun && !this.byHand && !live.calm.matches);
    this.draw();
  }

  play(on) {
    super.play(on);
    if (!on) this.part = 1; // the picture shows the state whose numbers stand below
    this.playButton.disabled = this.byHand && this.action === null;
  }

  /** The reader pushes to a side: the cart, if it is his, else the pole. */
  press(action) {
    if (this.byHand) {
      if (this.ended && performance.now() < this.restUntil) return; // it came too late
      if (this.ended) this.restart();
      this.say("次に押すまで、同じほうへ押しつづけます。");
      this.action = action;
      this.play(true);
    } else if (!this.ended) {
      const change = action ? this.knock : -this.knock;
      this.state = this.state.map((s, k) => (k === 3 ? s + change : s));
      this.pushed = { action, step: this.steps, largest: 0 };
      this.say(`棒を${SIDES[action]}へ押しました（角速度の変化 ${live.number(change, 1)} rad/s）。`);
    }
    this.draw();
  }

  actionValues() {
    return this.policies[this.driver]?.actionValues(this.state);
  }

  /** The action of the driver; null while there is none. */
  act() {
    if (this.byHand) return this.action;
    const values = this.driver === "random" ? [Math.random(), Math.random()] : this.actionValues();
    return values ? Number(values[1] > values[0]) : null;
  }

  step() {
    const action = this.act();
    if (action === null) return;
    this.action = action;
    this.before = this.state;
    this.state = cartpole.step(this.state, action);
    this.steps += 1;
    const theta = Math.abs(this.state[2]);
    if (cartpole.terminated(this.state)) {
      this.end(theta > cartpole.maxTheta ? "棒が倒れました" : "カートが端を越えました");
    } else if (this.steps === cartpole.maxSteps) {
      this.end("打ち切りまで支えました");
    } else if (this.pushed) {
      this.pushed.largest = Math.max(this.pushed.largest, theta);
      if (this.steps - this.pushed.step < RECOVERED) return;
      this.say(`立てなおしました。いちばん傾いたとき ${degrees(this.pushed.largest)}°。`);
      this.pushed = null;
    }
  }

  end(how) {
    super.end(how, this.steps);
    const best = this.byHand ? `いちばん長くて ${this.best} ステップ。もう一度押すと始まります。` : "";
    this.say(`${this.steps} ステップ：${how}。${best}`, this.byHand || this.pushed !== null);
  }

  draw() {
    this.scene.paint();
    if (this.running && this.frames % 6) return; // what changes faster cannot be read
    live.write(this.counter, `${this.steps} ステップ`);
    const [x, xDot, theta, thetaDot] = this.state;
    [live.number(x, 2), live.number(xDot, 2), `${degrees(theta)}°`, `${live.number(thetaDot, 2)} rad/s`]
      .forEach((text, k) => live.write(this.numbers[k], text));
    const values = this.actionValues();
    this.values.style.visibility = this.explained.style.visibility = values ? "" : "hidden";
    if (!values) return;
    const ceiling = 1 / (1 - this.policies[this.driver].gamma); // a reward of 1 for ever
    values.forEach((value, k) => {
      this.bars[k].classList.toggle("best", (values[1] > values[0]) === (k === 1));
      this.bars[k].style.transform = `scaleX(${Math.max((0.8 * value) / ceiling, 0)})`;
      live.write(this.barTexts[k], live.number(value, 2));
    });
    const difference = values[1] - values[0];
    const drawn = Math.asinh(10 * difference) / Math.asinh(300) / 2; // 30 fills a half
    this.difference.style.transform = `translateX(50%) scaleX(${drawn})`;
    live.write(this.differenceText, live.number(difference, 2));
    this.explain(ceiling);
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
    const along = (angle) => [middle + length * Math.sin(angle), pivot - length * Math.cos(angle)];

    const line = live.pen(context);
    const limit = (...points) => line(colours.red, 1.5, [5, 5], ...points);
    const arrow = (colour, fromX, y, span) => {
      const [tip, barb] = [fromX + span, fromX + span - 7 * Math.sign(span)];
      line(colour, 2.5, [], [fromX, y], [tip, y], [barb, y - 6], [tip, y], [barb, y + 6]);
    };
    const label = (colour, text, px, py) => {
      context.fillStyle = colour;
      context.fillText(text, px, py);
    };
    context.lineCap = context.lineJoin = "round";
    context.textAlign = "center";
    context.font = `13px ${colours.font}`;

    line(colours.grey, 1.5, [], [0, ground], [width, ground]);
    line(colours.grey, 1.5, [], [width / 2, ground], [width / 2, ground + 5]);
    label(colours.ink, "0", width / 2, height - 6);
    for (const side of [-1, 1]) {
      const edge = width / 2 + side * cartpole.maxX * unit;
      limit([edge, ground - 0.9 * unit], [edge, ground]);
      label(colours.red, live.number(side * cartpole.maxX, 1), edge, height - 6);
      const end = along(side * cartpole.maxTheta);
      limit([middle, pivot], end);
      label(colours.red, side < 0 ? "−12°" : "12°", end[0] + side * 16, end[1] + 2);
    }

    const tip = along(theta);
    const fallen = Math.abs(theta) > cartpole.maxTheta;
    line(fallen ? colours.red : colours.orange, Math.max(0.07 * unit, 5), [], [middle, pivot], tip);
    context.fillStyle = colours.cart;
    context.strokeStyle = colours.blue;
    context.lineWidth = 2;
    const cart = new Path2D();
    cart.rect(middle - cartWidth / 2, pivot, cartWidth, cartHeight);
    const wheels = [-1, 1].map((side) => {
      const path = new Path2D();
      path.arc(middle + 0.28 * cartWidth * side, ground - wheel, wheel, 0, 2 * Math.PI);
      return path;
    });
    for (const path of [cart, ...wheels]) {
      context.fill(path);
      context.stroke(path);
    }
    const side = this.action ? 1 : -1;
    if (this.action !== null && !this.ended) {
      arrow(colours.blue, middle + side * (cartWidth / 2 + 5), pivot + cartHeight / 2, side * 26);
    }
    if (this.pushed && this.steps - this.pushed.step < 15) {
      const from = this.pushed.action ? 1 : -1;
      arrow(colours.ink, tip[0] - from * 52, tip[1] + 24, from * 42);
    }
  }
}

live.define("pole", Pole);

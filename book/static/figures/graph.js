"use strict";

// 計算グラフ: values go forward through linear regression with one datum, then gradients go back.

const regression = {
  /** By name, as in DeZero: all values, the factors of the functions, the gradients. */
  numbers({ x, W, b, y }) {
    const xW = x * W;
    const ŷ = xW + b;
    const slope = 2 * (ŷ - y);
    return { x, W, b, y, xW, ŷ, loss: (ŷ - y) ** 2, slope, one: 1,
      "loss.grad": 1, "ŷ.grad": slope, "xW.grad": slope, "b.grad": slope, "W.grad": slope * x };
  },

  /** What each step does; n: the numbers as the figure writes them. */
  steps: [
    () => "わかっているのは、まだ入力だけです。「進む」を押すと、順伝播が始まります。",
    (n) => `順伝播：MatMul が、xW = ${n.x} × ${n.W} = ${n.xW} を求めました。`,
    (n) => `順伝播：Add が、ŷ = ${n.xW} + ${n.b} = ${n.ŷ} を求めました。`,
    (n) => `順伝播：MeanSquaredError が、loss = (${n.ŷ} − ${n.y})² = ${n.loss} を求めました。`,
    () => "逆伝播：loss を loss 自身で微分すると 1 なので、勾配 1 から始めます。",
    (n) => `逆伝播：MeanSquaredError を ŷ で微分すると 2(ŷ − y) = ${n.slope} なので、ŷ の勾配は 1 × ${n.slope} = ${n["ŷ.grad"]} です。`,
    (n) => `逆伝播：Add の微分はどちらの入力でも 1 なので、xW と b の勾配は、ŷ の勾配と同じ ${n["b.grad"]} です。`,
    (n) => `逆伝播：MatMul を W で微分すると x = ${n.x} なので、W の勾配は ${n["xW.grad"]} × ${n.x} = ${n["W.grad"]} です。`,
  ],
};

class Graph extends live.Figure {
  build() {
    this.root.setAttribute("aria-label", "動く図：計算グラフの順伝播と逆伝播");
    Object.assign(this, { given: { x: 2, W: 0.5, b: 3, y: 7 }, at: 0 });
    this.board = this.add("div", { className: "live-graph-board", "aria-hidden": "true" });
    const last = regression.steps.length - 1;
    this.row(
      this.button("戻る", () => this.go(Math.max(this.at - 1, 0))),
      this.button("進む", () => this.go(Math.min(this.at + 1, last))),
      this.button("最後まで", () => this.go(last)),
    );
    this.row(...["x", "W"].map((name) => this.slider(name, {
      min: -2, max: 3, step: 0.5, value: this.given[name], show: (value) => live.number(value, 2),
    }, (value) => {
      this.given[name] = value;
      this.draw();
    })));
    this.status();
    this.draw();
  }

  /** The drawing is that of the printed picture. */
  async begin() {
    this.board.innerHTML = `<svg viewBox="0 0 492 258">${(await live.load("graph")).drawing}</svg>`;
    this.draw();
  }

  go(step) {
    this.at = step;
    this.draw();
  }

  draw() {
    const written = Object.entries(regression.numbers(this.given)).map(([name, value]) => [name, live.number(value, 2)]);
    const numbers = Object.fromEntries(written);
    for (const part of this.board.querySelectorAll("[data-step]")) {
      const steps = part.dataset.step.split(" ").map(Number);
      part.classList.toggle("later", steps[0] > this.at);
      part.classList.toggle("now", this.at > 0 && steps.includes(this.at));
    }
    for (const part of this.board.querySelectorAll("[data-name]")) live.write(part, numbers[part.dataset.name]);
    this.say(regression.steps[this.at](numbers));
  }
}

live.define("graph", Graph);

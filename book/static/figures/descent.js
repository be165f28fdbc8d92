"use strict";

// 谷を降りる: gradient descent on Rosenbrock's function, from a start that the reader drags.

const rosenbrock = {
  value: ([x, y]) => 100 * (y - x ** 2) ** 2 + (x - 1) ** 2,
  gradient: ([x, y]) => [-400 * x * (y - x ** 2) + 2 * (x - 1), 200 * (y - x ** 2)],

  /** The points of so many steps; fewer where they leave every map. */
  descend(start, rate, steps) {
    const path = [start];
    for (let point = start; path.length <= steps && Math.abs(point[0]) < 1000; path.push(point)) {
      const gradient = this.gradient(point);
      point = point.map((x, k) => x - rate * gradient[k]);
    }
    return path;
  },

  /** Where the value is this, and what of it the map shows; the curve is closed. */
  contour(value) {
    const [low, high] = [Math.max(1 - Math.sqrt(value), -2.1), Math.min(1 + Math.sqrt(value), 2.1)];
    return Array.from({ length: 121 }, (_, k) => {
      const turn = (k * Math.PI) / 60;
      const x = (low + high + (high - low) * Math.cos(turn)) / 2;
      const off = Math.sqrt(Math.max(value - (x - 1) ** 2, 0)) / 10;
      return [x, x ** 2 + (k < 60 ? off : -off)];
    });
  },
};

const RATES = [0.0002, 0.0005, 0.001, 0.0015, 0.002, 0.0025, 0.003, 0.004, 0.005];
const TIMES = [0, 1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000];
const MAP = { left: -2, right: 2, bottom: -1, top: 3 };

class Descent extends live.Figure {
  build() {
    this.root.setAttribute("aria-label", "動く図：ローゼンブロック関数の上の勾配降下法");
    Object.assign(this, { start: [0, 2], rate: 0.001, steps: 10000 });
    this.scene = this.canvas((width) => Math.max(0.5 * width, 230), this.paint.bind(this));
    this.scene.onclick = (event) => this.drop(event);
    this.handle = live.make("div", { className: "live-handle" });
    this.handle.onpointerdown = ({ pointerId }) => this.handle.setPointerCapture(pointerId);
    this.handle.onpointermove = (event) => {
      if (this.handle.hasPointerCapture(event.pointerId)) this.drop(event);
    };
    this.add("div", { className: "live-map" }, this.scene, this.handle);
    const change = (set) => (value) => {
      set(value);
      this.draw();
    };
    this.sliders = ["x₀", "x₁"].map((name, k) => this.slider(`出発点 ${name}`, {
      min: [MAP.left, MAP.bottom][k], max: [MAP.right, MAP.top][k], step: 0.05, value: this.start[k],
      show: (x) => live.number(x, 2),
    }, change((x) => { this.start = this.start.with(k, x); })));
    const list = (name, values, value, set) => this.slider(name, {
      min: 0, max: values.length - 1, step: 1, value: values.indexOf(value), show: (k) => values[k].toLocaleString("en", { maximumFractionDigits: 4 }),
    }, change((k) => set(values[k])));
    this.row(...this.sliders);
    this.row(
      list("学習率", RATES, this.rate, (rate) => { this.rate = rate; }),
      list("回数", TIMES, this.steps, (steps) => { this.steps = steps; }),
    );
    this.row(this.button("はじめから", () => this.set("出発点 x₀=0.00; 出発点 x₁=2.00; 学習率=0.001; 回数=10,000")));
    this.status();
    this.draw();
  }

  /** The start is where the pointer is. */
  drop({ clientX, clientY }) {
    const { left, top, width, height } = this.scene.getBoundingClientRect();
    this.sliders[0].move(MAP.left + ((clientX - left) / width) * (MAP.right - MAP.left));
    this.sliders[1].move(MAP.top - ((clientY - top) / height) * (MAP.top - MAP.bottom));
  }

  draw() {
    this.path = rosenbrock.descend(this.start, this.rate, this.steps);
    this.scene.paint();
    const [x, y] = this.path.at(-1);
    const done = this.path.length - 1;
    const distance = Math.hypot(x - 1, y - 1);
    this.say(done < this.steps ? `${done} 回で遠くへ飛びだし、発散しました。`
      : `${done.toLocaleString("en")} 回のあとは (${live.number(x, 3)}, ${live.number(y, 3)}) にいて、`
        + `最小点までの距離は ${live.number(distance, distance < 0.01 ? 5 : 3)} です。`);
  }

  paint(context, width, height, colours) {
    const place = ([x, y]) => [
      ((x - MAP.left) / (MAP.right - MAP.left)) * width,
      ((MAP.top - y) / (MAP.top - MAP.bottom)) * height,
    ];
    const line = live.pen(context);
    context.globalAlpha = 0.6;
    for (let k = -1; k <= 3.5; k += 0.5) line(colours.blue, 1, [], ...rosenbrock.contour(10 ** k).map(place));
    context.globalAlpha = 1;
    const path = this.path.map(place);
    line(colours.orange, 1.5, [], ...path);
    context.fillStyle = colours.orange;
    const dot = ([x, y], radius) => {
      context.beginPath();
      context.arc(x, y, radius, 0, 2 * Math.PI);
      context.fill();
    };
    path.slice(0, 200).forEach((point) => dot(point, 2.5));
    dot(path.at(-1), 5);
    context.fillStyle = colours.ink;
    dot(path[0], 7);
    const [x, y] = path[0];
    Object.assign(this.handle.style, { left: `${x}px`, top: `${y}px` });
    const [bestX, bestY] = place([1, 1]);
    line(colours.red, 2.5, [], [bestX - 6, bestY], [bestX + 6, bestY]);
    line(colours.red, 2.5, [], [bestX, bestY - 6], [bestX, bestY + 6]);
    context.font = `13px ${colours.font}`;
    context.lineWidth = 4;
    context.strokeStyle = colours.paper;
    const write = (text, colour, px, py, align) => {
      context.textAlign = align;
      context.fillStyle = colour;
      context.strokeText(text, px, py);
      context.fillText(text, px, py);
    };
    write("出発点", colours.ink, x + (x > width - 70 ? -12 : 12), y + (y < 20 ? 16 : -8), x > width - 70 ? "right" : "left");
    write("最小点", colours.red, bestX + 10, bestY + 5, "left");
    for (const k of [-1, 0, 1]) write(live.number(k, 0), colours.soft, place([k, 0])[0], height - 4, "center");
    for (const k of [0, 1, 2]) write(k, colours.soft, 4, place([0, k])[1] + 4, "left");
    write("x₀", colours.soft, width - 4, height - 4, "right");
    write("x₁", colours.soft, 4, 14, "left");
  }
}

live.define("descent", Descent);

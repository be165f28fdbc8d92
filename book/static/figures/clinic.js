"use strict";

// 診察室: recorded patients are examined step by step, and a diagnosis is given.

const EXAMINATIONS = [ // TITLES of rlbook_helpers.clinic, here so that nothing moves when the data come
  "最初の点検", "ループが渡す遷移", "バッファから出る遷移", "学ぶ時期", "TD ターゲット", "勾配の向き", "最初の一歩",
  "ターゲットネットワーク", "探索", "評価の方策", "報酬が一定の環境", "状態で決まる環境", "行動で決まる環境", "状態と行動で決まる環境",
  "少ない遷移を覚えこむ", "遅れてもらう環境", "選びなおす環境", "打ち切られる環境", "基準の方策",
];
const LETTERS = "ABCDE";

class ClinicFigure extends live.Figure {
  build() {
    this.root.setAttribute("aria-label", "動く図：診察室");
    this.letter = "A";
    this.counter = live.make("span", { className: "live-counter" });
    const letters = Object.fromEntries([...LETTERS].map((x) => [x, `患者 ${x}`]));
    const head = this.add("div", { className: "live-head live-case" },
      this.choice("患者", letters, "A", (x) => this.call(x)), this.counter);
    this.status(head);
    this.tests = EXAMINATIONS.map((title, k) => this.button(title, () => this.examine(k)));
    this.add("div", { className: "live-tests", role: "group", "aria-label": "検査" }, ...this.tests);
    this.select = live.make("select", { className: "live-button", "aria-label": "診断" },
      live.make("option", { value: "" }, "診断を選ぶ"));
    this.giveUp = this.button("答えを見る", () => this.show(true));
    this.row(this.select, this.button("診断する", () => this.diagnose()), this.giveUp,
      this.button("はじめから", () => this.restart()));
    this.answer = this.add("div", { className: "live-answer" });
    this.chart = this.add("div", { className: "live-chart" });
    this.restart(false);
  }

  async begin() {
    this.data = await live.load("clinic");
    for (const [value, { title }] of Object.entries(this.data.diagnoses)) {
      this.select.append(live.make("option", { value }, title));
    }
    this.call(this.letter, false);
  }

  /** Forget all examinations and diagnoses. */
  restart(aloud) {
    this.cases = Object.fromEntries([...LETTERS].map((x) => [x, { done: [] }]));
    this.call(this.letter, aloud);
  }

  /** The case of the patient in the room: done, the examinations; first, whether the first diagnosis was
   * right; solved. */
  get case() {
    return this.cases[this.letter];
  }

  get patient() {
    return this.data?.patients[this.letter];
  }

  /** The next patient, please. */
  call(letter, aloud) {
    this.letter = letter;
    this.select.value = "";
    const { healthy } = this.data ?? {};
    if (this.data) {
      this.tell(`患者 ${letter} を 20 個のシードで学習させると、最後の 100 エピソードの報酬の合計の中央値は `
        + `${this.patient.total}、正しいプログラムでは ${healthy} です。検査を選んでください。`, "", aloud);
    } else this.tell("検査を選ぶと、所見が出ます。", "", false);
    this.draw();
  }

  tell(text, kind, aloud) {
    this.told.className = `live-status ${kind}`;
    this.say(text, aloud);
  }

  finding(k) {
    return `「${EXAMINATIONS[k]}」は${this.word(this.patient, k)}です。${this.patient.sentences[k]}`;
  }

  word({ ill }, k) {
    return ill.includes(k) ? "異常" : "正常";
  }

  kind(k) {
    return this.patient.ill.includes(k) ? "ill" : "well";
  }

  examine(k) {
    if (!this.data) return;
    this.note(k);
    this.tell(this.finding(k), this.kind(k));
    this.draw();
  }

  note(k) {
    if (!this.case.done.includes(k)) this.case.done.push(k);
  }

  diagnose() {
    const given = this.data?.diagnoses[this.select.value];
    if (!given) return this.tell("診断を、一つ選んでください。", "");
    const right = this.select.value === this.patient.answer;
    this.case.first ??= right;
    const firsts = Object.values(this.cases).map((c) => c.first).filter((first) => first !== undefined);
    const score = `最初の診断が正しかったのは、${firsts.length} 人のうち ${firsts.filter(Boolean).length} 人です。`;
    if (right) {
      this.show(false);
      this.tell(`正解です。${this.case.done.length} 個の検査で「${given.title}」とわかりました。${score}`, "well");
    } else { // where it differs from the patient: best in what the reader has seen
      const k = [...this.case.done, given.shown, ...EXAMINATIONS.keys()].find((k) =>
        k !== undefined && this.word(given, k) !== this.word(this.patient, k));
      this.note(k);
      this.tell(`違います。「${given.title}」なら、検査「${EXAMINATIONS[k]}」は${this.word(given, k)}のはずですが、`
        + `この患者では${this.word(this.patient, k)}です。${score}`, "ill");
    }
    this.draw();
  }

  /** The answer, asked for or found. */
  show(asked) {
    this.case.solved = true;
    this.draw();
    if (asked) this.tell(`患者 ${this.letter} は「${this.data.diagnoses[this.patient.answer].title}」でした。`, "");
  }

  draw() {
    const { done, first, solved } = this.case;
    live.write(this.counter, `検査 ${done.length} 個`);
    this.tests.forEach((button, k) => {
      button.className = `live-button ${done.includes(k) ? this.kind(k) : ""}`;
    });
    this.giveUp.disabled = first === undefined || solved;
    this.chart.replaceChildren(...done.map((k) => live.make("p", {},
      live.make("b", { className: this.kind(k) }, this.word(this.patient, k)),
      ` ${EXAMINATIONS[k]}：${this.patient.sentences[k]}`)));
    const { why, broken, line } = this.patient ?? {};
    const code = (name, text) => live.make("p", {}, `${name}：`, live.make("code", {}, text));
    this.answer.replaceChildren(...(solved
      ? [live.make("p", {}, why), code("患者の行", broken), code("正しい行", line)] : []));
  }
}

live.define("clinic", ClinicFigure);

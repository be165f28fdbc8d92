// 確認クイズ: an answer is a <details> that unfolds its explanation by itself. This shows one question
// at a time, counts those whose first choice was right, and tells a screen reader what a choice has shown.

document.addEventListener("DOMContentLoaded", () => {
  for (const quiz of document.querySelectorAll(".quiz")) {
    const questions = [...quiz.querySelectorAll(".quiz-question")];
    const total = questions.length;
    const pager = document.createElement("p");
    pager.className = "quiz-pager";
    const place = document.createElement("span");
    place.setAttribute("role", "status");
    const turns = [["前の問い", -1], ["次の問い", 1]].map(([name, step]) => {
      const button = document.createElement("button");
      button.append(name);
      button.addEventListener("click", () => show(questions.findIndex((q) => !q.hidden) + step));
      return button;
    });
    const show = (k) => {
      questions.forEach((question, j) => { question.hidden = j !== k; });
      place.textContent = `${k + 1} / ${total}`;
      [turns[0].disabled, turns[1].disabled] = [k === 0, k === total - 1];
    };
    show(0);
    pager.append(turns[0], place, turns[1]);
    questions[0].before(pager);
    const firstChoices = new Map(); // was it right, by question
    const status = document.createElement("p");
    status.className = "quiz-status";
    status.setAttribute("role", "status");
    const verdict = document.createElement("span");
    verdict.className = "visually-hidden"; // it stands in the explanation too
    quiz.append(status);

    // Not "toggle", which comes also when the page is printed or a browser finds a word in it.
    quiz.addEventListener("click", (event) => {
      const answer = event.target.closest("summary")?.parentElement;
      if (!answer || answer.open) return; // it is being folded again
      const question = answer.closest(".quiz-question");
      const right = answer.classList.contains("quiz-right");
      if (!firstChoices.has(question)) firstChoices.set(question, right);
      const answered = firstChoices.size;
      const good = [...firstChoices.values()].filter(Boolean).length;
      verdict.textContent = right ? "正解です。" : "不正解です。";
      status.replaceChildren(verdict, answered < total
        ? `${total} 問のうち ${answered} 問に答えました。一回目で正解したのは ${good} 問です。`
        : `${total} 問のすべてに答えました。一回目で正解したのは ${good} 問です。`);
    });
  }
});

// 確認クイズ: an answer is a <details> that unfolds its explanation by itself. This counts the
// questions whose first choice was right, and tells a screen reader what a choice has shown.

document.addEventListener("DOMContentLoaded", () => {
  for (const quiz of document.querySelectorAll(".quiz")) {
    const total = quiz.querySelectorAll(".quiz-question").length;
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

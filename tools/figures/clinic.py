"""Write what the live figure 診察室 shows: five recorded patients, and the printed table of their findings.

After a new record of `python -m rlbook_helpers.clinic`, run this again.
"""

import json
from pathlib import Path

import numpy as np

from rlbook_helpers.clinic.examinations import TITLES
from rlbook_helpers.clinic.judge import DIAGNOSES, SHOWN_BY
from rlbook_helpers.clinic.patients import PATIENTS
from rlbook_helpers.experiments.records import read

ROOT = Path(__file__).resolve().parents[2]
RECORD = ROOT / "chapters" / "data" / "clinic.json"
RUNS = ROOT / "chapters" / "data" / "runs" / "07_clinic"
DATA = ROOT / "book" / "static" / "figures" / "data" / "clinic.js"
PICTURE = ROOT / "book" / "figures" / "clinic_room.svg"
SHOWN = {  # by the letter that readers see
    "A": "never_synced",
    "B": "exploring_evaluation",
    "C": "no_mask",
    "D": "hundredfold_lr",
    "E": "state_out_of_step",
}


def recorded() -> dict[str, dict[str, list[str]]]:
    """The findings of the diagnoses, by name and by examination."""
    record = json.loads(RECORD.read_text("utf-8"))
    return {name: record[name]["findings"] for name in DIAGNOSES}


def total(name: str) -> int:
    """The median of the seeds' mean totals in the last 100 of 300 episodes, kept as means of 20."""
    _, runs = read(RUNS / f"{name}.jsonl")
    return round(float(np.median([np.mean(run["returns"][-5:]) for run in runs])))


def script(findings: dict) -> str:
    order = list(TITLES)

    def ill(name: str) -> list[int]:
        return [k for k, e in enumerate(order) if findings[name][e][0] == "異常"]

    def patient(name: str) -> dict:
        known = PATIENTS[name]
        return {
            "answer": name,
            "total": total(name),
            "ill": ill(name),
            "sentences": [findings[name][e][1] for e in order],
            "why": known.why,
            "broken": known.broken,
            "line": known.line,
        }

    def diagnosis(name: str, title: str) -> dict:
        shown = {"shown": order.index(SHOWN_BY[name])} if name in SHOWN_BY else {}
        return {"title": title, "ill": ill(name)} | shown

    data = {
        "healthy": total("healthy"),
        "patients": {letter: patient(name) for letter, name in SHOWN.items()},
        "diagnoses": {name: diagnosis(name, t) for name, t in DIAGNOSES.items()},
    }
    return f'live.keep("clinic", {json.dumps(data, ensure_ascii=False)});\n'


def picture(findings: dict) -> str:
    """A row for each examination, a column for each patient."""
    parts = []
    columns = dict(zip(SHOWN, range(336, 680, 70)))
    for letter, x in columns.items():
        parts.append(f'<text class="m b" x="{x}" y="26">{letter}</text>')
    for row, (examination, title) in enumerate(TITLES.items()):
        y = 54 + 25 * row
        parts.append(f'<path class="grid" d="M20,{y - 18} H660"/>')
        parts.append(f'<text x="20" y="{y}">{title}</text>')
        for letter, x in columns.items():
            bad = findings[SHOWN[letter]][examination][0] == "異常"
            kind, mark = ("bad", "×") if bad else ("good", "○")
            parts.append(f'<text class="m {kind}" x="{x}" y="{y}">{mark}</text>')
    height = 54 + 25 * len(TITLES) - 8
    return FRAME.replace("PARTS", "\n  ".join(parts)).replace("HEIGHT", str(height))


FRAME = """\
<svg xmlns="http://www.w3.org/2000/svg" class="fig" role="img" aria-labelledby="room-title room-desc" width="680" height="HEIGHT" viewBox="0 0 680 HEIGHT">
  <title id="room-title">診察室：五人の患者の、すべての検査の結果</title>
  <desc id="room-desc">行は検査、列は患者 A から E。正常は緑の ○、異常は赤い × で示す。</desc>
  <style>
    .fig { font-family: "Hiragino Sans", "Yu Gothic", "Noto Sans CJK JP", "Noto Sans JP", sans-serif; }
    .fig text { font-size: 16px; fill: #1f2933; }
    .fig .m { text-anchor: middle; }
    .fig .b { font-weight: 700; }
    .fig .good { fill: #2f7d4f; }
    .fig .bad { fill: #b3261e; font-weight: 700; font-size: 20px; }
    .fig .grid { stroke: #d5dae0; }
  </style>
  PARTS
</svg>
"""


def main() -> None:
    DATA.parent.mkdir(parents=True, exist_ok=True)
    findings = recorded()
    for path, text in [(DATA, script(findings)), (PICTURE, picture(findings))]:
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(ROOT))

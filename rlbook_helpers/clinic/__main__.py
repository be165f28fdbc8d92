"""すべての患者の所見を、ファイルに残します。章の地図と、ページの診察室が使います。

python -m rlbook_helpers.clinic chapters/data/clinic.json
"""

import json
import sys
from pathlib import Path

from rlbook_helpers.clinic import examine
from rlbook_helpers.clinic.advice import suspects
from rlbook_helpers.clinic.judge import HEALTHY
from rlbook_helpers.clinic.patients import PATIENTS, UNLISTED


def record() -> dict:
    """患者の名前から、検査の名前から、(結果、所見)。疑う所も添えます。"""
    programs = {"healthy": HEALTHY}
    programs |= {name: p.program for name, p in (PATIENTS | UNLISTED).items()}
    found = {name: examine(program) for name, program in programs.items()}
    return {
        name: {
            "findings": {k: [f.result, f.sentence] for k, f in findings.items()},
            "suspects": suspects(findings),
        }
        for name, findings in found.items()
    }


if __name__ == "__main__":
    rows = [json.dumps({k: v}, ensure_ascii=False)[1:-1] for k, v in record().items()]
    text = "{\n" + ",\n".join(rows) + "\n}\n"
    Path(sys.argv[1]).write_text(text, encoding="utf-8")

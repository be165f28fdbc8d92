"""バグ診療所 (第 7 章)。読者のプログラムを検査し、疑う所を伝え、患者を出し、診断に答えます。"""

from rlbook_helpers.clinic.advice import advise
from rlbook_helpers.clinic.examinations import examine
from rlbook_helpers.clinic.judge import (
    DIAGNOSES,
    PLACES,
    SHOWN_BY,
    Rounds,
    grade,
    unknown_patient,
)
from rlbook_helpers.clinic.program import Program, adapt

"""バグ診療所 (第 7 章)。読者のプログラムを検査し、患者を出し、診断に答えます。"""

from rlbook_helpers.clinic.examinations import Program
from rlbook_helpers.clinic.judge import (
    DIAGNOSES,
    SHOWN_BY,
    examine,
    grade,
    unknown_patient,
)

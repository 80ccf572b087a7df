"""Judge the texts of a JSON Lines file in memory and store nothing. The peer in ``ingest``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from nlp.bundle import shipped
from nlp.judgement import Item
from nlp.runtime import Runtime

if __name__ == "__main__":
    lines = Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()
    items = [Item(text=json.loads(line)["text"], title="", entities=("云桥金融",)) for line in lines]
    Runtime.load(shipped()).judge(items)

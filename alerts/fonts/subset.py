"""Makes the bundled chart font: Noto Sans CJK SC Regular, cut down to GB 2312 and punctuation.

    python alerts/fonts/subset.py /usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc

The source is Debian's ``fonts-noto-cjk`` 1:20220127+repack1-1 (OFL 1.1, see ``OFL.txt``). Needs fontTools
(extra ``dev``). Layout tables are dropped: the charts draw single lines, left to right.
"""

from __future__ import annotations

import sys
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTCollection, TTFont

TARGET = Path(__file__).with_name("NotoSansSC-subset.otf")
FAMILY = "Noto Sans CJK SC"
RANGES = (
    (0x20, 0x7E),
    (0xA0, 0xFF),
    (0x2010, 0x2027),
    (0x2030, 0x203B),
    (0x2190, 0x2193),
    (0x2500, 0x257F),
    (0x2580, 0x259F),
    (0x25A0, 0x25CF),
    (0x3000, 0x301F),
    (0xFF01, 0xFF5E),
    (0xFFE0, 0xFFE5),
)


def characters() -> set[int]:
    """Code points kept: every character of GB 2312, Latin-1, punctuation, arrows, full-width forms."""
    points = {point for first, last in RANGES for point in range(first, last + 1)}
    for high in range(0xA1, 0xFF):
        for low in range(0xA1, 0xFF):
            text = bytes((high, low)).decode("gb2312", "ignore")
            points.update(map(ord, text))
    return points


def face(path: Path) -> TTFont:
    """The simplified-Chinese face of the collection. Raises ``LookupError`` when it is not there."""
    for font in TTCollection(str(path)).fonts:
        if font["name"].getDebugName(1) == FAMILY:
            return font
    raise LookupError(f"{path} holds no face named {FAMILY}")


def main(source: str) -> None:
    """Write the subset beside this file."""
    options = subset.Options(layout_features=[], hinting=False, desubroutinize=False, name_IDs=["*"])
    options.drop_tables += ["GSUB", "GPOS", "GDEF", "BASE", "VORG", "vhea", "vmtx"]
    font = face(Path(source))
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=characters())
    subsetter.subset(font)
    font.save(str(TARGET))
    sys.stdout.write(f"{TARGET} {TARGET.stat().st_size} bytes\n")


if __name__ == "__main__":
    main(sys.argv[1])

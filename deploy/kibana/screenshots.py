"""Pictures of the previews for the documentation: ``python -m deploy.kibana.screenshots DIR OUT``.

Needs Chromium. A page tells how high it is; the picture is then taken of all of it, in 256 colours.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

WIDTH = 1440
_HEIGHT = re.compile(r'data-height="(\d+)"')


def chromium(*arguments: str) -> str:
    """What Chromium prints, run without a window. Raises ``RuntimeError``."""
    program = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
    if program is None:
        raise RuntimeError("Chromium is not installed")
    with TemporaryDirectory() as profile:
        done = subprocess.run(
            [
                program,
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                f"--user-data-dir={profile}",
                "--virtual-time-budget=10000",
                *arguments,
            ],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(done.stderr[-500:])
    return done.stdout


def screenshot(page: Path, picture: Path) -> None:
    """All of a page as PNG."""
    address = page.absolute().as_uri()
    found = _HEIGHT.search(chromium(f"--window-size={WIDTH},900", "--dump-dom", address))
    if found is None:
        raise RuntimeError(f"{page} was not drawn")
    # Headless Chromium counts the frame of a window that has none: a little is added and cut off again.
    height = int(found[1])
    chromium(f"--window-size={WIDTH},{height + 100}", f"--screenshot={picture.absolute()}", address)
    with Image.open(picture) as taken:
        whole = taken.convert("RGB").crop((0, 0, WIDTH, height))
    whole.quantize(256, dither=Image.Dither.NONE).save(picture, optimize=True)


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:3])
    for html in sorted(source.glob("*.html")):
        screenshot(html, target / f"kibana-{html.stem}.png")
        print(target / f"kibana-{html.stem}.png")

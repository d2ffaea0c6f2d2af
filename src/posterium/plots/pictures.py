"""Pictures as files: a figure as a PNG, and many of them as a GIF or an MP4."""

import io
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from posterium.posterior.container import replace_file

DPI = 100


def png_of(figure: Any) -> bytes:
    """Return a figure as a PNG."""
    held = io.BytesIO()
    figure.savefig(held, format="png", dpi=DPI)
    return held.getvalue()


def write_gif(path: Path, frames: Sequence[bytes], fps: float) -> None:
    """Write pictures as a GIF that begins anew at its end."""
    first, *others = _pictures(frames)
    held = io.BytesIO()
    first.save(held, format="GIF", save_all=True, append_images=others, duration=1000 / fps, loop=0)
    replace_file(path, [held.getvalue()])


def _pictures(frames: Sequence[bytes]) -> Iterator[Any]:
    """Yield pictures in 256 colours each."""
    from PIL import Image

    for frame in frames:
        picture = Image.open(io.BytesIO(frame)).convert("RGB")
        yield picture.quantize(256, dither=Image.Dither.NONE)


def write_mp4(path: Path, frames: Sequence[bytes], fps: float) -> None:
    """Write pictures as an MP4, by ffmpeg.

    Raises
    ------
    RuntimeError
        With what ffmpeg said, when it failed.
    """
    part = path.with_name(f".{path.stem}.{os.getpid()}.part.mp4")
    command = [
        "ffmpeg", "-y", "-loglevel", "error", "-f", "image2pipe", "-framerate", f"{fps:g}",
        "-c:v", "png", "-i", "-", "-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-pix_fmt", "yuv420p",
        "-movflags", "+faststart", str(part),
    ]  # fmt: skip
    try:
        run = subprocess.run(command, input=b"".join(frames), capture_output=True, check=False)
        if run.returncode:
            said = run.stderr.decode(errors="replace").strip()
            raise RuntimeError(f"ffmpeg could not write {path}: {said}. Write a GIF instead.")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)

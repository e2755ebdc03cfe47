"""The pictures of the emoji world: five published sets, brought by `npm pack`, checked, and read as one tensor.

None of them is shipped: what is here brings them when a model is trained anew.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor

from experiments.embedded.world.emoji.concepts import CONCEPTS
from experiments.embedded.world.world import SIDE

# Where the sets keep a file for each emoji, by its code points; the others are one file of SVG drawings by name.
_FILES = {"noto": "package/img/google/64/", "twemoji": "package/img/twitter/64/", "glossy": "package/assets/"}
_FINE = 4 * SIDE  # SVG is drawn larger and made smaller, as the published bitmaps were


@dataclass(frozen=True)
class Package:
    """A package of the npm registry, pinned.

    Attributes:
        name: in the registry.
        version: of the package.
        sha512: of its archive, base64, as the registry states it.
        licence: of the pictures in it.
        credit: whose they are.
    """

    name: str
    version: str
    sha512: str
    licence: str
    credit: str

    @property
    def archive(self) -> str:
        """File name that `npm pack` gives the archive."""
        return f"{self.name.lstrip('@').replace('/', '-')}-{self.version}.tgz"


# By the hand that drew them; the names are those of the attribute "hand".
SETS: dict[str, Package] = {
    "noto": Package(
        "emoji-datasource-google",
        "16.0.0",
        "ZRexfzs7MVoLnmzZmNsO4TKhnAJp5D++Vm6PpUpH/jEQQlemp3l88CjZ+DoZ2faM9R4QxZkOPJCoT8DlPhfQ3A==",
        "Apache-2.0",
        "Noto Emoji, Google",
    ),
    "twemoji": Package(
        "emoji-datasource-twitter",
        "16.0.0",
        "7F+uCuHH+7Qnrc15P5tnbvKkg9E6tlzi4MnT2uW1RlN4pLYTza6cP/dstIfSDMtpjFLWuZewWg8jBbuL2eyELQ==",
        "CC-BY-4.0",
        "Twemoji, Twitter and contributors",
    ),
    "glossy": Package(
        "@lobehub/fluent-emoji-3d",
        "1.1.0",
        "Wlq2lVStTnr8BDpIJ0pEnTKO4LuDxxqTEhTvRtD1DLRF0me7ogeRQjKoehDHXuVJ2Qaecgl5wRBv60lUAG3h7g==",
        "MIT",
        "Fluent Emoji (3D), Microsoft",
    ),
    "flat": Package(
        "@iconify-json/fluent-emoji-flat",
        "1.2.6",
        "RY47RgPb47fYUiyrA64sIOL0+UU02s29sXpNBbIQRBUlPlfNFTKUmZDERGuxDs/7yNGWqQYvuaSYM1M4fRXlUw==",
        "MIT",
        "Fluent Emoji (flat), Microsoft",
    ),
    "blob": Package(
        "@iconify-json/noto-v1",
        "1.2.5",
        "/DsVMius69Q0fRS53z7QK1TROSuar606jiIx+laXtdsYGMXpf6LtHBx6CGfoo3UHHb/XpBsw+1L1x3eyPqMuVA==",
        "Apache-2.0",
        "Noto Emoji before 2017 (blobs), Google",
    ),
}
NAMES = Package(
    "unicode-emoji-json",
    "0.9.0",
    "HdrQW/7SdbXUsTd8uTATv7LvQJkCSgbAgRCDCtOhQ6xn3EAx+xZHQtRniOXWJK3ywIqPegkNhP4U4EbuFsiQng==",
    "MIT",
    "names of the emoji, Unicode",
)


def fetch(folder: Path) -> None:
    """Brings the archives that are not in `folder` yet, by `npm pack`.

    Raises:
        FileNotFoundError: there is no npm, or it brought nothing; the message says what to run.
        ValueError: an archive is not the one that is pinned.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for package in (NAMES, *SETS.values()):
        path = folder / package.archive
        if not path.exists():
            _npm_pack(package, folder)
        digest = base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
        if digest != package.sha512:
            raise ValueError(f"{path}: not {package.name} {package.version} as published; delete it and start again")


def _npm_pack(package: Package, folder: Path) -> None:
    wanted = f"{package.name}@{package.version}"
    npm = shutil.which("npm")
    by_hand = f"install npm, or bring it with: npm pack {wanted} --pack-destination {folder}"
    if npm is None:
        raise FileNotFoundError(f"{folder / package.archive} is missing, and there is no npm to bring it: {by_hand}")
    done = subprocess.run(
        [npm, "pack", wanted, "--silent", "--pack-destination", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or not (folder / package.archive).exists():
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise FileNotFoundError(f"npm could not bring {wanted} ({last}): {by_hand}")


def read_art(folder: Path) -> Tensor:
    """The drawings of all concepts by all hands.

    Args:
        folder: that `fetch` filled.

    Returns:
        C x 5 x 4 x 64 x 64 bytes, RGBA, in the order of `CONCEPTS` and `SETS`.

    Raises:
        FileNotFoundError: resvg-py, which draws the SVG sets, is missing; the message says how to get it.
        KeyError: a set has no picture of a concept.
    """
    about = json.loads(_files(folder / NAMES.archive, "package/")["data-by-emoji"])
    codes = {entry["name"]: _code(text) for text, entry in about.items()}
    slugs = {entry["name"]: entry["slug"].replace("_", "-") for entry in about.values()}
    columns = []
    for hand, package in SETS.items():
        archive, below = folder / package.archive, _FILES.get(hand)
        if below is None:
            drawings = _vector_drawings(archive)
            pictures = [_drawn(drawings[slugs[name]]) for name in CONCEPTS]
        else:
            files = _files(archive, below)
            pictures = [Image.open(io.BytesIO(files[codes[name]])) for name in CONCEPTS]
        columns.append(torch.stack([pil_to_tensor(_square(picture)) for picture in pictures]))
    return torch.stack(columns, dim=1)


def _code(text: str) -> str:
    """Code points joined by "-", without the variation selector, which the sets put in or leave out as they like."""
    return "-".join(f"{ord(point):04x}" for point in text if point != "\ufe0f")


def _files(path: Path, below: str) -> dict[str, bytes]:
    """Files of an archive in one folder, by their stems without the variation selector."""
    found = {}
    with tarfile.open(path) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.name.startswith(below) else None
            if content is not None:
                found[Path(member.name).stem.replace("-fe0f", "")] = content.read()
    return found


def _vector_drawings(path: Path) -> dict[str, str]:
    """SVG documents by the names of the emoji, out of the file format of Iconify."""
    icons = json.loads(_files(path, "package/")["icons"])
    return {
        name: f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="0 0 {icons["width"]} {icons["height"]}">{icon["body"]}</svg>'
        for name, icon in icons["icons"].items()
    }


def _drawn(svg: str) -> Image.Image:
    try:
        import resvg_py
    except ImportError as error:
        raise FileNotFoundError("drawing SVG emoji needs resvg-py: pip install 'fabric-bo[train]'") from error
    return Image.open(io.BytesIO(resvg_py.svg_to_bytes(svg_string=svg, width=_FINE, height=_FINE)))


def _square(picture: Image.Image) -> Image.Image:
    """RGBA of 64 x 64; the colour of transparent pixels does not bleed into the edges."""
    return picture.convert("RGBA").convert("RGBa").resize((SIDE, SIDE), Image.Resampling.LANCZOS).convert("RGBA")

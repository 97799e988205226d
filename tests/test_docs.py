"""What the documentation links exists, and its pictures are small."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"""\]\(([^)\s]+)\)|<img [^>]*src="([^"]+)\"""")
LARGEST = 200_000  # bytes of a picture
PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def links(page: Path) -> list[tuple[str, str]]:
    """The (file, anchor) of every relative link and picture of a page, code left out."""
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = [link or picture for link, picture in LINK.findall(text)]
    parts = [unquote(target).partition("#") for target in targets if not re.match(r"[a-z]+:", target)]
    return [(file, anchor) for file, _, anchor in parts]


def headings(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@PAGE
def test_relative_links_resolve(page):
    for file, anchor in links(page):
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), f"{page.relative_to(ROOT)} links {file}, which is not there"
        assert target.is_relative_to(ROOT), f"{page.relative_to(ROOT)} links {file}, outside the project"
        assert not anchor or anchor in headings(target), f"{page.relative_to(ROOT)} links {file}#{anchor}, no such heading"


@PAGE
def test_linked_pictures_are_small(page):
    for picture in [page.parent / file for file, _ in links(page) if file.endswith(".png")]:
        assert picture.stat().st_size < LARGEST, f"{picture.name} has {picture.stat().st_size} bytes"


def test_links_are_found_at_all():
    assert {"docs/data.md", "CONTRIBUTING.md"} <= {file for file, _ in links(ROOT / "README.md")}
    assert ("../pictures/orders.png", "") in links(ROOT / "docs" / "models" / "nade.md")


def test_every_picture_is_shown_somewhere():
    shown = {(page.parent / file).resolve() for page in PAGES for file, _ in links(page)}
    assert {picture.name for picture in (ROOT / "docs" / "pictures").glob("*.png") if picture not in shown} == set()

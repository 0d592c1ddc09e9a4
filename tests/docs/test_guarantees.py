"""The guarantees are numbered, told in the README, and each is held by tests that exist."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import ROOT, anchors, page, rows, section

PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")))
GUARANTEES = "docs/guarantees.md"


def titles() -> dict[str, str]:
    """Return the title of each guarantee by its id, in their order."""
    return dict(words.split(". ", 1) for words in anchors(page(GUARANTEES)).values() if re.match(r"G\d+\. ", words))


def test_the_ids_are_numbered_without_a_gap() -> None:
    """G1, G2, G3 …, each once."""
    headings = re.findall(r"^## (G\d+)\. ", page(GUARANTEES), re.MULTILINE)
    assert headings == [f"G{number}" for number in range(1, len(headings) + 1)]


def test_the_readme_tells_each_guarantee_once() -> None:
    """By its id and its title, with a link to its words."""
    links = {words.split(".")[0]: anchor for anchor, words in anchors(page(GUARANTEES)).items()}
    listed = [row[:2] for row in rows(section(page("README.md"), "Guarantees"))]
    assert listed == [[f"[{key}]({GUARANTEES}#{links[key]})", title] for key, title in titles().items()]


def held_by(key: str) -> list[str]:
    """Return the files whose tests hold a guarantee."""
    held = re.search(
        r"^\*Held by\* (.+?)(?:\n\n|\Z)", section(page(GUARANTEES), f"{key}. {titles()[key]}"), re.M | re.S
    )
    return re.findall(r"`([^`]+)`", held[1]) if held else []


@pytest.mark.parametrize("key", titles())
def test_a_guarantee_is_held_on_every_topology(key: str) -> None:
    """One of the files is marked for it: `make test-topologies` runs these."""
    texts = [(ROOT / path).read_text(encoding="utf-8") for path in held_by(key)]
    assert any("pytest.mark.guarantee" in text for text in texts), "mark a quick one: pytest.mark.guarantee"


@pytest.mark.parametrize("key", titles())
def test_a_guarantee_is_held_by_tests_that_exist(key: str) -> None:
    """It says by which, and each of them is there, has tests in it and cites the guarantee."""
    paths = held_by(key)
    assert paths, f"{key} is held by no test"
    for path in paths:
        assert (ROOT / path).is_file(), path
        text = (ROOT / path).read_text(encoding="utf-8")
        assert "def test_" in text, path
        assert re.search(rf"\b{key}\b", text), f"{path} does not cite {key}"


def test_tests_speak_of_guarantees_that_there_are() -> None:
    """An id in a test is one of the page's."""
    for path in sorted(ROOT.glob("tests/**/*.py")):
        spoken = set(re.findall(r"\bG\d+\b", path.read_text(encoding="utf-8")))
        assert spoken <= set(titles()), path


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    """A link inside the project names a file that is there and, where it names a heading, one that the file has."""
    for link in re.findall(r"\]\(([^)\s]+)\)", page(name)):
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), link

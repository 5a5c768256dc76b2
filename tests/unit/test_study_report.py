"""The report of a study: one page that is whole, loads nothing, and says what the study says."""

import re
from collections import Counter
from html.parser import HTMLParser

import numpy as np
import pytest
from made_studies import Again, made_dataset, made_study

import qfast.reports.report as report_module
from qfast.errors import InvalidInput
from qfast.reports import check_target, render_report, write_report, write_whole
from qfast.reports.html import Sketchbook, definitions, table

pytest.importorskip("matplotlib")

from matplotlib.figure import Figure

VOID = {"meta", "br", "img", "link", "input", "hr"}


class Page(HTMLParser):
    """What a browser would see: a tree that closes, ids, addresses, tables."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.links, self.tables, self.tags = [], Counter(), [], [], Counter()
        self.texts, self.headings = [], []
        self.feed(text)
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags[tag] += 1
        if tag not in VOID:
            self.open.append(tag)
        if "id" in attrs:
            self.ids[attrs["id"]] += 1
        self.links += [attrs[name] for name in ("src", "href", "xlink:href", "action", "data") if name in attrs]
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" in self.open:
            return
        self.texts.append(data)
        if self.open and self.open[-1] in ("td", "th"):
            self.tables[-1][-1][-1] += data
        if self.open and self.open[-1] in ("h1", "h2"):
            self.headings.append(data)

    @property
    def text(self):
        return " ".join(self.texts)


@pytest.fixture(scope="module")
def study():
    return Again(made_dataset())


@pytest.fixture(scope="module")
def text(study):
    return render_report(study)


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def test_the_page_loads_nothing(text, page):
    assert "://" not in text
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in page.links)
    assert page.tags["script"] == page.tags["link"] == page.tags["iframe"] == 0
    assert not re.search(r"@import|url\((?!#)", text)
    assert "default-src 'none'" in text


def test_the_page_is_sound(page):
    assert max(page.ids.values()) == 1, [name for name, n in page.ids.items() if n > 1]
    inside = {link[1:] for link in page.links if link.startswith("#")}
    assert inside <= set(page.ids)
    assert page.tags["h1"] == page.tags["main"] == page.tags["header"] == page.tags["footer"] == 1
    assert page.headings == [
        "Which alpha and epsilon learn best on corridor, and how many seeds does it take to know?",
        "Settings", "Every configuration", "Learning curves", "Sensitivity to the settings", "Distribution over agents",
        "Which differ, and by how much", "The winner on fresh seeds", "How many seeds does it take?",
        "Share of optimal agents", "How the intervals were made", "How to get it again",
    ]  # fmt: skip


def test_every_picture_is_inside_and_has_words(text, page):
    pictures = re.findall(r"<svg (.*?)>(<title.*?>)(.*?)</title>", text, re.DOTALL)
    assert len(pictures) == page.tags["svg"] == 11
    assert all('role="img"' in head and "aria-labelledby" in head and len(alt) > 30 for head, _, alt in pictures)
    captions = re.findall(r"</svg>\s*<figcaption>([^<]+)", text)
    assert len(captions) == 11
    assert all(re.search(r"\d", caption) for caption in captions)


def test_tables_are_complete(study, page):
    for rows in page.tables:
        assert len({len(row) for row in rows}) == 1
        assert all(len(row) > 1 for row in rows)
    known = page.tables[1]
    assert [row[0] for row in known[1:]] == study.labels
    header, rows = study.summary().certainty()
    assert known == [header, *rows]
    pairs = next(rows for rows in page.tables if rows[0][0] == "better ranked (a)")
    assert len(pairs) == 1 + 15


def test_the_page_says_what_the_answers_say(study, page):
    assert study.compare_all().pairs[0].sentence in page.text
    assert study.best().sentence in page.text
    assert "with independent seeds an experiment of 1 seed of each names the wrong winner in 35 % of cases" in page.text
    assert "Student's t" in page.text
    assert "agents for which" not in page.text
    assert "qfast.study(vary={...}, seed=0)" in page.text
    assert "agent i has the same random numbers in every configuration of a problem (paired)" in page.text


def test_pictures_are_the_same_again_but_for_their_ids(study):
    book = Sketchbook()
    first = Sketchbook().draw("alt", lambda ax: study.plot_profile(ax=ax))
    second, third = (book.draw("alt", lambda ax: study.plot_profile(ax=ax)) for _ in range(2))
    assert first == second
    assert third.replace("f2-", "f1-") == first
    assert 'id="f2-' in third


def test_texts_in_pictures_keep_their_digits():
    def paint(ax):
        ax.plot([0.123456, 2], [1, 3])
        ax.set_xlabel("alpha=0.51789")

    svg = Sketchbook().draw("alt", paint)
    assert "alpha=0.51789" in svg
    assert not re.search(r'd="[^"]*\.\d{3}', svg)


@pytest.fixture
def quick(monkeypatch):
    """Pictures that are not looked at are not drawn."""
    monkeypatch.setattr(Sketchbook, "compose", lambda *_, **__: "<svg></svg>")


def test_another_metric_and_title(study, quick):
    text = render_report(study, metric="first_optimal", title="A <b> & c", level=0.9, rerun=False)
    page = Page(text)
    assert page.headings[0] == "A <b> & c"
    assert "<b>" not in text
    assert "first optimal episode (episodes)" in page.text
    assert "count as 100 in means (restricted mean)" in page.text
    assert "90 % confidence intervals" in page.text
    assert "was not run again on fresh seeds: its mean above is the one by which it was chosen" in page.text


def test_several_problems_have_sections_of_their_own(quick):
    study = made_study({"problem": ["lake", "taxi"], "alpha": [0.1, 0.2, 0.3]}, n_agents=50)
    study.dataset.attrs["problems"] = '{"lake": "16 states", "taxi": "500 states"}'
    page = Page(render_report(study, rerun=False))
    assert max(page.ids.values()) == 1
    assert "lake: How many seeds does it take?" in page.headings
    assert "taxi: Learning curves" in page.headings
    assert page.headings[0].startswith("Which alpha learns best on lake and taxi")


@pytest.mark.parametrize("vary", [{"alpha": [0.1]}, {"alpha": [0.1, 0.2]}, {"rule": ["sarsa", "q_learning", "<odd>"]}])
def test_small_studies_have_a_page(vary):
    page = Page(render_report(made_study(vary, n_agents=30, curves=False), rerun=False))
    assert "Learning curves" not in page.headings
    assert ("How many seeds does it take?" in page.headings) == (len(next(iter(vary.values()))) > 1)


def test_agents_that_are_all_equal_have_a_page():
    study = made_study({"alpha": [0.1, 0.2, 0.3]}, n_agents=20, metrics={"auc": np.full((3, 20), 5.0)})
    page = Page(render_report(study, rerun=False))
    assert "How many seeds it takes cannot be said: a and b have the same mean (5)" in page.text
    assert "No difference in mean return is found" in page.text


def test_settings_that_only_some_have_are_drawn_where_they_are():
    study = made_study({"alpha": [0.1, 0.3], "epsilon": [0.05, 0.2]}, n_agents=20, curves=False)
    study.dataset["alpha"][2:] = np.nan
    study.dataset["epsilon"][:2] = np.nan
    page = Page(render_report(study, rerun=False))
    assert "Sensitivity to the settings" in page.headings
    assert "Over epsilon the mean goes from" in page.text
    assert "The best pair is" not in page.text
    with pytest.raises(InvalidInput, match="leaves no configuration that has alpha and epsilon"):
        study.plot_sensitivity("alpha", lines="epsilon")
    assert study.plot_sensitivity("epsilon", ax=Figure().add_subplot()).get_legend() is None


def test_many_configurations_stay_readable(quick):
    study = made_study({"alpha": [round(0.05 * i, 2) for i in range(1, 21)], "epsilon": [0.1]}, n_agents=40)
    page = Page(render_report(study, rerun=False))
    pairs = next(rows for rows in page.tables if rows[0][0] == "better ranked (a)")
    assert len(pairs) == 1 + 19  # with the best only
    assert "Shown are the 6 best of 20." in page.text


# --- writing ---------------------------------------------------------------------------------------------------------


def test_a_report_is_written_in_one_step(study, tmp_path, monkeypatch):
    monkeypatch.setattr(report_module, "render_report", lambda *_, **__: "whole")
    target = tmp_path / "study.html"
    target.write_text("old")
    assert write_report(study, target) == target
    assert target.read_text() == "whole"
    assert [path.name for path in tmp_path.iterdir()] == ["study.html"]


def test_a_report_that_fails_leaves_the_old_one(tmp_path):
    target = tmp_path / "study.html"
    target.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(target, "half \ud800")
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["study.html"]


def test_paths_that_cannot_be_written_are_refused_before_any_work(study, tmp_path, monkeypatch):
    monkeypatch.setattr(report_module, "render_report", lambda *_, **__: pytest.fail("worked first"))
    (tmp_path / "a.html").mkdir()
    for path, message in (
        ("study.pdf", "does not end in .html or .htm; a report is an HTML page, such as study.html"),
        ("missing/study.html", "cannot be written (No such file or directory)"),
        ("a.html", "is a folder; name a file in it"),
        ("n" * 300 + ".html", "cannot be written (File name too long)"),
    ):
        with pytest.raises(InvalidInput) as caught:
            study.report(tmp_path / path)
        assert message in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["a.html"]
    with pytest.raises(InvalidInput, match="is a device or a pipe"):
        check_target(_pipe(tmp_path / "pipe.html"))


def _pipe(path):
    import os

    os.mkfifo(path)
    return path


def test_bad_options_of_a_report_are_refused(study):
    with pytest.raises(InvalidInput, match="metric='speed' is not in the study"):
        render_report(study, metric="speed")
    with pytest.raises(InvalidInput, match=r"level=1\.5 is outside"):
        render_report(study, level=1.5)


def test_texts_cannot_become_tags():
    assert "<i>" not in table("<i>", ["<i>", "n"], [["<i>", "<i>"]])
    assert "<i>" not in definitions({"<i>": "<i>"})

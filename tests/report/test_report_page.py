"""The page: self-contained, complete, escaped, bounded in size."""

from __future__ import annotations

import base64
import dataclasses
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from vidpretrain.errors import InputError
from vidpretrain.report import (
    Chart,
    ClipRow,
    Comparison,
    Curve,
    Estimate,
    Figure,
    LabelError,
    Licence,
    Picture,
    ReportData,
    jpeg,
    pair_videos,
    write_report,
)
from vidpretrain.report.write import estimate, number

VOID = {"meta", "link", "img", "br", "source", "input", "hr", "line", "circle", "polyline"}


class Page(HTMLParser):
    """Collects elements and checks that they nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(text)
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def frames(count: int, height: int, width: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    base = rng.integers(0, 255, (height, width, 3), dtype=np.uint8)
    return [np.roll(base, 2 * k, axis=1) for k in range(count)]


@pytest.fixture
def data(tmp_path) -> ReportData:
    movie = pair_videos(frames(12, 48, 64), frames(12, 40, 40), tmp_path / "pair.mp4", rate_hz=10, height_px=48)
    still = Picture(data=jpeg(frames(1, 24, 32)[0]), alt="a <noisy> still")
    good = ClipRow(
        clip_id="a_s00",
        source="a.mp4",
        accepted=True,
        frames=1234,
        seconds=41.1,
        license="MIT",
        quality={"wrist error, cm": 1.9, "seen, share": float("nan")},
        stills=(still,),
        movie=movie,
    )
    bad = ClipRow(clip_id="<b>&", source="b.mp4", accepted=False, reason="too_short", detail="3 frames, 20 needed")
    curve = Curve(name="loss", steps=tuple(map(float, range(50))), values=tuple(1 / (1 + s) for s in range(50)))
    comparison = Comparison(
        title="Chunk error",
        policies=("ours", "hold"),
        groups=("left_arm", "left_hand"),
        units={"left_arm": "rad"},
        cells={
            "left_arm": {"ours": Estimate(value=0.04, low=0.03, high=0.05), "hold": Estimate(value=0.07)},
            "left_hand": {"hold": Estimate(value=0.2)},
        },
        ours="ours",
    )
    return ReportData(
        title="A run",
        created="2026-11-24",
        summary=(Figure(label="clips in", value="2"),),
        clips=(good, bad),
        label_errors=(LabelError(quantity="wrist", unit="cm", median=1.91, p90=4.2, frames=100),),
        charts=(Chart(title="Pretraining", curves=(curve,)),),
        comparisons=(comparison,),
        versions={"torch": "2"},
        licences=(Licence(what="model", license="Apache-2.0"),),
        config_yaml="a: <1>",
        reproduce=("make demo",),
    )


def test_page_is_well_formed_and_needs_nothing_else(data, tmp_path):
    text = write_report(data, tmp_path / "out" / "report.html").read_text()
    page = Page(text)
    links = [value for _, attributes in page.elements for key, value in attributes.items() if key in ("src", "href")]
    assert links
    assert all(link and link.startswith(("data:", "#")) for link in links)
    anchors = {link[1:] for link in links if link and link.startswith("#")}
    assert anchors <= {attributes.get("id") for _, attributes in page.elements}
    assert "@import" not in text
    assert "url(" not in text
    assert not list((tmp_path / "out").glob("*.tmp"))


def test_every_part_is_there(data, tmp_path):
    words = "".join(Page(write_report(data, tmp_path / "r.html").read_text()).text)
    for expected in ("a_s00", "1,234", "1.9", "too_short", "3 frames, 20 needed", "1.91", "0.03 to 0.05", "Apache-2.0"):
        assert expected in words, expected
    assert "make demo" in words


def test_names_are_escaped(data, tmp_path):
    text = write_report(data, tmp_path / "r.html").read_text()
    assert "<b>&" not in text
    assert "&lt;b&gt;&amp;" in text
    assert "a &lt;noisy&gt; still" in text


def test_pictures_have_words_and_movies_are_h264(data, tmp_path):
    page = Page(write_report(data, tmp_path / "r.html").read_text())
    assert all(image.get("alt") for image in page.all("img"))
    assert all(picture.get("aria-label") and picture.get("role") == "img" for picture in page.all("svg"))
    (video,) = page.all("video")
    assert str(video["poster"]).startswith("data:image/jpeg;base64,")
    assert {"muted", "playsinline", "controls"} <= set(video)
    (source,) = page.all("source")
    kind, _, payload = str(source["src"]).partition(";base64,")
    assert kind == "data:video/mp4"
    path = tmp_path / "back.mp4"
    path.write_bytes(base64.b64decode(payload))
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"  # the one that every browser plays
        assert sum(1 for _ in container.decode(stream)) == 12


def test_size_is_bounded_and_the_page_says_so(data, tmp_path):
    text = write_report(data, tmp_path / "r.html", max_bytes=1_000_100).read_text()
    page = Page(text)
    assert not page.all("video")
    assert not page.all("img")
    assert "3 pictures or clips were left out" in "".join(page.text)
    assert len(text) < 100_000


def test_an_empty_run_is_a_page_too(tmp_path):
    page = Page(write_report(ReportData(title="Nothing", created="today"), tmp_path / "r.html").read_text())
    assert [attributes.get("id") for attributes in page.all("section")] == ["provenance"]


def test_a_clip_whose_movie_is_gone_is_still_listed(data, tmp_path):
    clip = dataclasses.replace(data.clips[0], movie=tmp_path / "gone.mp4", stills=())
    text = write_report(dataclasses.replace(data, clips=(clip,)), tmp_path / "r.html").read_text()
    assert "a_s00" in text
    assert not Page(text).all("video")


def test_best_value_of_a_row_is_marked(data, tmp_path):
    text = write_report(data, tmp_path / "r.html").read_text()
    assert [m.strip() for m in re.findall(r'<td class="n best">([^<]*)<', text)] == ["0.04", "0.2"]


def test_a_page_that_cannot_be_written_is_an_input_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_report(ReportData(title="x", created="x"), tmp_path / "file" / "r.html")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.04137, "0.0414"), (1.0, "1"), (12345, "12,345"), (1234.6, "1,235"), (1.2e-7, "1.2e-07"), (3, "3"), (0, "0")],
)
def test_numbers(value, text):
    assert number(value) == text


def test_missing_numbers_are_a_dash():
    assert number(None) == number(float("nan")) == "\N{EN DASH}"
    assert estimate(Estimate(value=1.0)) == ""


def test_verdicts_flaws_and_faults_of_the_input_are_shown(data, tmp_path):
    good, bad = data.clips
    good = dataclasses.replace(
        good,
        verdict="doubtful",
        flaws=("balance: 40.0% of frames beyond 0 m", "foot_slide: <b>"),
        faults=("mirrored: left hand in 4 of 30 frames dropped",),
    )
    bad = dataclasses.replace(bad, faults=("upside_down: world in 9 of 9 frames refused",))
    page = write_report(dataclasses.replace(data, clips=(good, bad)), tmp_path / "r.html").read_text()
    assert page.count('<span class="verdict doubtful">doubtful</span>') == 2  # under the movie and in the table
    assert "1 doubtful" in page
    assert "balance: 40.0% of frames beyond 0 m" in page
    assert "foot_slide: &lt;b&gt;" in page
    assert "mirrored: left hand in 4 of 30 frames dropped" in page
    assert "upside_down: world in 9 of 9 frames refused" in page


def test_clips_that_nobody_judged_have_no_verdict(data, tmp_path):
    page = write_report(data, tmp_path / "r.html").read_text()
    assert 'class="verdict' not in page
    assert "What the robot can do of it" not in page

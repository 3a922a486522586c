"""The statistics in a real browser: plots under the site's strict policy, and sliders that judge as the engine does."""

import re

import pytest

from models.verdict.calibration import Calibration
from tests.browser.conftest import DESK, PHONE, check_accessibility, shot, sign_in, until
from tests.web import runs
from tests.web.test_statistics import asked, pairs, run  # noqa: F401  (fixtures)
from web.statistics import measures
from web.statistics import runs as read_runs

EVALUATION = "/statistics/evaluation"
SLIDERS = {
    "found_inliers": 11,
    "found_agreement": 0.2,
    "sure_inliers": 30,
    "sure_area": 0.4,
    "maybe_inliers": 3,
    "maybe_similarity": 0.2,
}


def figures(page) -> dict[str, str]:
    """What the page tells of the verdicts, by name."""
    places = page.locator("[data-panel='0'] [data-out]")
    return dict(
        zip(places.evaluate_all("all => all.map(one => one.dataset.out)"), places.all_inner_texts(), strict=True)
    )


def move(page, name: str, value: float) -> None:
    """Move a slider, and let the page follow."""
    page.locator(f"input[name={name}][type=range]").evaluate(
        "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input', { bubbles: true })); }",
        str(value),
    )
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def layout(page, plot: str, path: str):
    """Something of a drawn plot, as Plotly has it."""
    return page.locator(f"[data-plot='{plot}']").evaluate(f"plot => plot.{path}")


@pytest.fixture
def at_evaluation(site, address, visit):
    """at_evaluation(): the page, with an administrator before it."""

    def open_page(**options):
        page = visit(address, **options)
        sign_in(page, site, address, "root", admin=True)
        page.goto(address + EVALUATION)
        return page

    return open_page


@pytest.mark.parametrize("moved", [{}, SLIDERS, {"found_inliers": 0, "found_agreement": 0}, {"found_inliers": 100}])
def test_sliders_show_at_once_what_the_engine_would_say(at_evaluation, run, settings, moved):  # noqa: F811
    page = at_evaluation()
    for name, value in moved.items():
        move(page, name, value)
    values = {slider.name: slider.value for slider in measures.sliders(None)} | moved
    judged = measures.judge(read_runs.read(settings.output, "museum").known, values, None)
    told = figures(page)
    for name in ("found", "right_found", "wrong_found", "false_found", "maybe", "not_found"):
        assert told[name] == str(judged.counts[name]), name
    assert told["precision"] == measures.percent(judged.counts["precision"])
    assert told["recall"] == measures.percent(judged.counts["recall"])
    assert told["precision-interval"] == measures.percent_range(judged.precision_interval)
    assert told["recall-interval"] == measures.percent_range(judged.recall_interval)
    # The same values without the script: the page as the server draws it.
    page.goto(page.url + "?" + "&".join(f"{name}={value}" for name, value in values.items()))
    assert figures(page) == told


def test_sliders_are_marked_in_the_plots_and_go_back(at_evaluation, run):  # noqa: F811
    page = at_evaluation()
    before = figures(page)
    move(page, "found_inliers", 50)
    move(page, "sure_inliers", 60)
    shapes = layout(page, "0-inliers", "layout.shapes.map(shape => [shape.name, shape.x0])")
    assert dict(shapes) == {"found_inliers": 50, "sure_inliers": 60, "maybe_inliers": 6}
    assert layout(page, "0-precision-recall", "data[1].x[0]") == pytest.approx(0.2)
    assert layout(page, "0-precision-recall", "data[1].y[0]") == 1
    assert page.locator("output[data-value=found_inliers]").inner_text() == "50"
    page.get_by_role("link", name="Reset to current values").click()
    page.evaluate("new Promise(requestAnimationFrame)")
    assert figures(page) == before


def test_sliders_by_keyboard(at_evaluation, run):  # noqa: F811
    page = at_evaluation()
    slider = page.get_by_label("Found: minimum inliers")
    slider.focus()
    for _ in range(4):
        slider.press("ArrowRight")
    page.evaluate("new Promise(requestAnimationFrame)")
    assert page.locator("output[data-value=found_inliers]").inner_text() == "12"
    assert slider.get_attribute("aria-valuetext") == "12"
    assert figures(page)["found"] == "2"
    assert "recall" in page.locator("#told").inner_text()


def test_chosen_thresholds_are_written(at_evaluation, run, engine, settings):  # noqa: F811
    runs.calibration(engine).write(settings.output)
    page = at_evaluation()
    before = figures(page)
    assert (before["found"], before["maybe"]) == ("2", "4")
    chosen = runs.log_odds(12) - 0.01
    move(page, "found", chosen)
    assert figures(page)["found"] == "3"
    assert dict(layout(page, "0-logistic", "layout.shapes.map(shape => [shape.name, shape.x0])"))[
        "found"
    ] == pytest.approx(chosen)
    page.get_by_role("button", name="Use these").click()
    page.get_by_text("Thresholds saved").wait_for()
    assert measures.logit(Calibration.read(settings.output).found) == pytest.approx(chosen)
    assert figures(page)["found"] == "3"
    shot(page, "statistics-calibrated")


def test_plots_are_drawn_and_follow_the_colours(at_evaluation, run):  # noqa: F811
    page = at_evaluation(color_scheme="light")
    assert page.locator("[data-plot] svg.main-svg").count() >= 5
    light = layout(page, "0-inliers", "data[0].marker.color")
    page.get_by_role("button", name="Switch to dark colours").click()
    until(page, f"document.querySelector('[data-plot]').data[0].marker.color !== '{light}'")
    assert layout(page, "0-inliers", "data[0].marker.color") != light
    page.locator("[data-plot='0-inliers']").hover()


def test_without_scripts_tables_say_the_same(site, address, visit, run):  # noqa: F811
    page = visit(address, java_script_enabled=False)
    sign_in(page, site, address, "root", admin=True)
    page.goto(address + EVALUATION)
    assert page.locator("[data-plot]:visible").count() == 0
    page.get_by_text("As a table").first.click()
    assert page.get_by_role("table", name="Similarity of first answers").is_visible()
    page.get_by_role("button", name="Show the effect").click()
    assert "found_inliers=8" in page.url


def test_days_are_in_the_zone_of_the_viewer(site, address, visit, asked):  # noqa: F811
    page = visit(address, timezone_id="Asia/Tokyo")
    sign_in(page, site, address, "chief", admin=True)
    page.goto(f"{address}/statistics/usage")
    page.wait_for_url(re.compile("tz=Asia%2FTokyo"))
    assert page.get_by_text("time zone Asia/Tokyo").is_visible()
    assert page.locator("[data-plot=days] svg.main-svg").count() >= 1


@pytest.mark.parametrize(("size", "colours"), [(PHONE, "dark"), (PHONE, "light"), (DESK, "light"), (DESK, "dark")])
def test_every_page_fits_and_can_be_read_by_everybody(at_evaluation, run, asked, pairs, address, size, colours):  # noqa: F811
    page = at_evaluation(viewport=size, color_scheme=colours)
    for name, path in {
        "evaluation": EVALUATION,
        "usage": "/statistics/usage",
        "state": "/statistics/collection",
    }.items():
        page.goto(address + path)
        page.wait_for_load_state("networkidle")
        shot(page, f"statistics-{name}-{size['width']}-{colours}")
        assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0, name
        page.evaluate("document.querySelectorAll('main details').forEach((details) => (details.open = true))")
        check_accessibility(page)

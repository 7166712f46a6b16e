"""The web page in a real browser, with a real server: what it shows in each state, and that its buttons do what they say.

Pictures of every state, light and dark, wide and narrow, land in out/web/.
"""

from __future__ import annotations

import re
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from overpaint.client import Client
from overpaint.clip import Clip, Rate, Size
from overpaint.codec import digest
from overpaint.edit import Edit, Task
from overpaint.job import EventKind, JobSpec
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.remote.webelement import WebElement

from tests.fakes import held_mask
from tests.serving import Serving, guard, serving
from tests.web.place import OBSTACLE, chromium

pytestmark = [pytest.mark.web, pytest.mark.skipif(chromium() is None, reason=OBSTACLE)]
OUT = Path(__file__).parents[2] / "out" / "web"
SIZE = Size(width=256, height=144)
SIZES = {"wide": (1280, 860), "narrow": (390, 844)}
PROMPT = "A man in a red raincoat walks along a path in the rain, and the wet stones shine"


def _frames(length: int) -> list[np.ndarray]:
    """A small landscape in which a disc goes by, so that a picture of it can be judged."""
    rows, columns = np.mgrid[: SIZE.height, : SIZE.width]
    frames = []
    for frame in range(length):
        sky = np.stack([90 + rows * 0.6, 130 + rows * 0.5, 200 - rows * 0.4], axis=-1)
        sky[rows > 96 + 8 * np.sin(columns / 30)] = (60, 110, 70)
        sky[(columns - 60 - 3 * frame) ** 2 + (rows - 72) ** 2 < 900] = (230, 210, 120)
        frames.append(sky.clip(0, 255).astype(np.uint8))
    return frames


FRAMES = _frames(60)
MASK = np.zeros((SIZE.height, SIZE.width), np.uint8)
MASK[30:120, 90:190] = 255


def submit(client: Client, *, delay: float, mask: np.ndarray = MASK, frames: int = 40, prompt: str = PROMPT) -> str:
    clip = Clip(size=SIZE, rate=Rate(numerator=24), depth=8, frames=tuple(map(digest, FRAMES[:frames])))
    seed = uuid.uuid4().int % 2**32  # so that no window was painted before
    options = {"delay": delay, "steps": 8}
    edit = Edit(task=Task.REPAINT, prompt=prompt, guides=(held_mask(mask),), options=options, seed=seed)
    spec = JobSpec(id=uuid.uuid4().hex, engine="toy", clip=clip, edit=edit)
    pixels = {digest(one): one for one in (*FRAMES, mask)}
    _, missing = client.open_job(spec)
    client.upload(spec.id, [pixels[one] for one in missing]) if missing else None
    client.seal_job(spec.id)
    return spec.id


def ended(client: Client, job: str) -> EventKind:
    return list(client.watch(job))[-1].kind


@dataclass(frozen=True, slots=True)
class Page:
    browser: WebDriver

    def one(self, css: str) -> WebElement:
        return self.until(lambda: self.browser.find_elements(By.CSS_SELECTOR, css), f"{css} is not there")[0]

    def text(self, css: str) -> str:
        return self.one(css).text

    def job(self, job: str, css: str = "") -> str:
        return f'li[data-job="{job}"] {css}'.strip()

    def shown(self, css: str) -> bool:
        return any(one.is_displayed() for one in self.browser.find_elements(By.CSS_SELECTOR, css))

    def until(self, condition: Callable[[], Any], words: str = "it did not come to pass", seconds: float = 20) -> Any:
        stop = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < stop, words
            time.sleep(0.05)
        return found

    def press(self, job: str, act: str) -> None:
        css = self.job(job, f'button[data-act="{act}"]')
        self.until(lambda: self.browser.find_elements(By.CSS_SELECTOR, css), f"{act} is not offered")[0].click()

    def pictures(self, name: str) -> None:
        """Of the page as it is, in both sizes and both schemes; fails where it is wider than its window."""
        for size, (width, height) in SIZES.items():
            for scheme in ("light", "dark"):
                self._emulate(width, height, scheme)
                whole = self.browser.execute_script("return document.documentElement.scrollHeight")
                self._emulate(width, max(height, whole), scheme)
                wider = self.browser.execute_script("return document.documentElement.scrollWidth > innerWidth")
                self.browser.save_screenshot(str(OUT / f"{name}-{size}-{scheme}.png"))
                assert not wider, f"{name} is wider than {width} pixels"
        self._emulate(*SIZES["wide"], "light")

    def _emulate(self, width: int, height: int, scheme: str) -> None:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        drive: Any = self.browser
        drive.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        drive.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        time.sleep(0.15)  # for the page to be laid out


@pytest.fixture(scope="module")
def browser() -> Iterator[WebDriver]:
    found = chromium()
    assert found is not None
    options = webdriver.ChromeOptions()
    options.binary_location = found[0]
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--lang=en-GB"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    OUT.mkdir(parents=True, exist_ok=True)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(found[1]))
    yield driver
    driver.quit()


@pytest.fixture
def page(browser: WebDriver) -> Iterator[Page]:
    drive: Any = browser
    drive.get_log("browser")
    yield Page(browser)
    said = [entry["message"] for entry in drive.get_log("browser")]
    ours = [
        words for words in said if "Content Security Policy" in words or "Uncaught" in words or "TypeError" in words
    ]
    browser.get("about:blank")
    assert not ours  # what the browser itself refused, or what broke in our script


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Serving]:
    with serving(tmp_path / "jobs", "--web", "127.0.0.1:0") as one:
        yield one


def test_an_empty_queue_says_what_to_do(page: Page, server: Serving) -> None:
    page.browser.get(server.web)
    page.until(lambda: page.shown("#welcome"))
    assert page.text("#link-words") == "Connected" and "0.1" in page.text("#server")
    assert not page.shown("#door") and not page.shown("#notice") and not page.shown("#forget")
    page.pictures("empty")


def test_jobs_run_wait_and_end_before_ones_eyes(page: Page, server: Serving) -> None:
    empty = np.zeros_like(MASK)
    with Client(server.address) as client:
        failed = submit(client, delay=0, mask=empty)
        ended(client, failed)
        finished = submit(client, delay=0, frames=20, prompt="")
        ended(client, finished)
        cancelled = submit(client, delay=0.4, prompt="A large blue circle with yellow dots")
        running = submit(client, delay=0.4)
        waiting, last = submit(client, delay=0.4, prompt="Nothing but rain"), submit(client, delay=0.4, frames=30)
        page.browser.get(server.web)
        page.until(lambda: page.shown(page.job(cancelled, "progress")))
        page.press(cancelled, "cancel")
        page.pictures("sure")
        page.one("#keep").click()
        assert not page.shown("#sure") and client.jobs()[3].state == "running"
        page.press(cancelled, "cancel")
        page.one("#do").click()
        page.until(lambda: "cancelled" in page.text(page.job(cancelled, ".chip")))
        page.until(lambda: page.shown(page.job(running, ".picture img")), "no picture came", 40)
        width = "return document.querySelector(arguments[0]).naturalWidth"
        page.until(lambda: page.browser.execute_script(width, page.job(running, "img")) == 256)
        page.until(
            lambda: re.fullmatch(r"Painting, window \d of 3, step \d of 8", page.text(page.job(running, ".doing")))
        )
        page.until(lambda: "left" in page.text(page.job(running, ".left")))
        assert "empty on every frame" in page.text(page.job(failed, ".message"))
        assert "Draw a mask" in page.text(page.job(failed, ".remedy"))
        assert page.text(page.job(waiting, ".place")) == "1" and page.text(page.job(last, ".place")) == "2"
        page.press(last, "pause")
        page.until(lambda: "paused" in page.text(page.job(last, ".chip")))
        page.pictures("queue")
        page.press(last, "resume")
        page.press(last, "front")
        page.until(lambda: page.text(page.job(last, ".place")) == "1")
        page.press(cancelled, "retry")
        page.until(lambda: "waiting" in page.text(page.job(cancelled, ".chip")))
        for job in (waiting, last, cancelled, running):
            client.cancel(job)
        page.until(lambda: page.text("#ended-count") == "6")
        page.pictures("ended")


def test_the_page_is_driven_by_the_keyboard(page: Page, server: Serving) -> None:
    with Client(server.address) as client:
        job = submit(client, delay=0.4)
        page.browser.get(server.web)
        page.until(lambda: page.shown(page.job(job, 'button[data-act="cancel"]')))
        page.browser.execute_script(
            "document.querySelector(arguments[0]).focus()", page.job(job, '[data-act="cancel"]')
        )
        time.sleep(2.5)  # two answers later
        focused = page.browser.switch_to.active_element
        assert focused.get_attribute("data-act") == "cancel" and job[:8] in (focused.get_attribute("aria-label") or "")
        focused.send_keys(Keys.ENTER)
        page.until(lambda: page.shown("#sure"))
        assert page.browser.switch_to.active_element.get_attribute("id") == "keep"  # the harmless one
        page.browser.switch_to.active_element.send_keys(Keys.ESCAPE)
        page.until(lambda: not page.shown("#sure"))
        assert client.jobs()[0].state == "running"
        page.press(job, "cancel")
        page.browser.switch_to.active_element.send_keys(Keys.TAB, Keys.ENTER)
        page.until(lambda: page.browser.find_elements(By.CSS_SELECTOR, f"#ended {page.job(job)}"))
        assert ended(client, job) is EventKind.CANCELLED


def test_a_token_is_asked_for_and_kept_in_the_tab_alone(page: Page, tmp_path: Path) -> None:
    guard(tmp_path / "jobs", "open-sesame", "anna")
    guard(tmp_path / "jobs", "by-order", "boss", ("paint", "admin"))
    with (
        serving(tmp_path / "jobs", "--web", "127.0.0.1:0") as server,
        Client(server.address, token="open-sesame") as client,
    ):
        job = submit(client, delay=0.4)
        page.browser.get(server.web)
        page.until(lambda: page.shown("#door"))
        assert page.browser.switch_to.active_element.get_attribute("id") == "token" and not page.shown("#board")
        page.pictures("token")
        page.one("#token").send_keys("guess", Keys.ENTER)
        page.until(lambda: "missing or wrong" in page.text("#door-trouble"))
        page.pictures("token-wrong")
        page.one("#token").send_keys("Schlüssel", Keys.ENTER)
        page.until(lambda: "neither spaces nor accents" in page.text("#door-trouble"))
        page.one("#token").clear()
        page.one("#token").send_keys("open-sesame", Keys.ENTER)
        page.until(lambda: page.shown(page.job(job, ".prompt")))
        assert "you are anna" in page.text("#server") and PROMPT in page.text(page.job(job, ".prompt"))
        kept = page.browser.execute_script(
            "return [localStorage.length, document.cookie, location.href, sessionStorage.length]"
        )
        assert kept == [0, "", server.web, 1]
        page.browser.refresh()
        page.until(lambda: page.shown(page.job(job)))
        page.one("#forget").click()
        page.until(lambda: page.shown("#door"))
        assert page.browser.execute_script("return sessionStorage.length") == 0 and page.text("#door-trouble") == ""
        page.one("#token").send_keys("by-order", Keys.ENTER)
        page.until(lambda: "anna" in page.text(page.job(job, ".facts")))
        client.cancel(job)


def test_a_server_that_is_gone_is_said_and_found_again(page: Page, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        web = f"127.0.0.1:{free.getsockname()[1]}"
    with serving(tmp_path / "jobs", "--web", web) as server, Client(server.address) as client:
        job = submit(client, delay=0.4, frames=60)
        page.browser.get(server.web)
        page.until(lambda: page.shown(page.job(job, ".picture img")), "no picture came", 40)
        server.process.terminate()
        page.until(lambda: page.shown("#again"))
        assert page.text("#link-words") == "Server gone" and "does not answer" in page.text("#notice-words")
        page.until(lambda: "4 s" in page.text("#notice-words"))  # it backs off
        assert not page.one(page.job(job, 'button[data-act="cancel"]')).is_enabled()
        page.pictures("gone")
    with serving(tmp_path / "jobs", "--web", web) as server, Client(server.address) as client:
        page.one("#again").click()
        page.until(lambda: page.text("#link-words") == "Connected")
        assert page.one(page.job(job, 'button[data-act="cancel"]')).is_enabled() and not page.shown("#notice")
        client.cancel(job)

"""Pages in a real browser: what was opened, what it did, and what is drawn on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, Page, Request


@dataclass
class Visit:
    """A page that was opened, and everything it did that a report must not do."""

    page: Page
    console: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    @property
    def silent(self) -> bool:
        return not (self.console or self.errors or self.dialogs or self.requests)

    def __repr__(self) -> str:
        return f"console {self.console}, errors {self.errors}, dialogs {self.dialogs}, requests {self.requests}"


def visit(browser: Browser, path: Path, width: int = 1280, scheme: str = "light") -> Visit:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    seen = Visit(page)

    def record(request: Request) -> None:
        if request.url != path.as_uri() and not request.url.startswith("data:"):
            seen.requests.append(request.url)

    def allow_the_report_only(route) -> None:
        if route.request.url == path.as_uri():
            route.continue_()
        else:
            route.abort()

    def dismiss(dialog) -> None:
        seen.dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("console", lambda message: seen.console.append(message.text))
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    page.on("request", record)
    page.on("dialog", dismiss)
    page.route("**/*", allow_the_report_only)
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready=true]", timeout=60_000)
    return seen


def drawn(page: Page) -> tuple[int, int]:
    """Return how many places for figures are visible, and in how many of them something is drawn."""
    return page.evaluate(
        """() => {
            const visible = [...document.querySelectorAll(".plot")].filter((plot) => plot.offsetParent !== null);
            return [visible.length, visible.filter((plot) => plot.querySelector("svg.main-svg .xtick")).length];
        }"""
    )

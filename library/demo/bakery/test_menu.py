"""The menu can be reached from the first page and shows bread with prices."""

import re

from playwright.sync_api import Page, expect


def test_the_first_page_leads_to_the_menu(page: Page, base_url: str) -> None:
    page.goto(f"{base_url.rstrip('/')}/")
    page.get_by_role("navigation").get_by_role("link", name="Menu").click()
    expect(page).to_have_title(re.compile("Menu"))


def test_the_menu_lists_bread_with_a_price(page: Page, base_url: str) -> None:
    page.goto(f"{base_url.rstrip('/')}/menu.html")
    bread = page.get_by_role("row", name="Country sourdough")
    expect(bread).to_contain_text(re.compile(r"\d+\.\d\d"))

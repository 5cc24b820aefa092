"""A visitor can sign the guest book and reads the entry."""

from playwright.sync_api import Page, expect


def test_a_signed_entry_is_shown(page: Page, base_url: str) -> None:
    page.goto(f"{base_url.rstrip('/')}/")
    page.get_by_label("Your name").fill("Grace <b>")
    page.get_by_label("Your words").fill("It works.")
    page.get_by_role("button", name="Sign").click()
    expect(page.get_by_role("listitem").first).to_contain_text("Grace <b>")

"""The shipped library keeps its own rules and says only what is true."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from core.injection.brief import starter_brief
from core.injection.catalogue import Item, read_catalogue
from core.injection.inject import InjectionPlan, plan_injection
from core.injection.rules import read_rules
from core.injection.templates import SessionFacts
from core.injection.validate import INJECTION_LIMIT_BYTES, validate
from core.models.user import HostProvider, SiteType
from core.paths import library_folder
from tui.cli.shapes import command_line

LIBRARY = library_folder()
PANE_VERBS = frozenset({"deploy", "check", "screenshot", "test", "status", "rollback"})
AGENTS = {"site-builder", "site-reviewer", "e2e", "health-check", "screenshot"}
TESTING = {
    "testing-e2e-tests", "testing-health-check", "testing-reading-failures", "testing-screenshot",
}  # fmt: skip
SITE = {
    "site-accessibility", "site-forms", "site-images", "site-responsive-layout", "site-seo",
    "site-structure",
}  # fmt: skip
PROGRAM = {"site-dynamic-app"}
CLOUD = re.compile(r"(?:deployers/)?(?:aws|azure)[/-]")
WITHOUT_RESULTS = {"builders/site-builder", "reviewers/site-reviewer"}
"""They run nothing, so nothing has to be tried again."""

RULES = {
    ("aws", "static"): (
        {"aws-s3-static", "cache-invalidator"},
        {"aws-s3-upload", "aws-cloudfront-create", "aws-cloudfront-invalidate"},
    ),
    ("aws", "dynamic"): (
        {"aws-ec2-dynamic", "cache-invalidator"},
        {"aws-ec2-launch", "aws-ec2-ssh", "aws-route53"} | PROGRAM,
    ),
    ("azure", "static"): (
        {"azure-blob-static"},
        {"azure-blob-upload", "azure-cdn-create", "azure-cdn-purge"},
    ),
    ("azure", "dynamic"): (
        {"azure-vm-dynamic"},
        {"azure-vm-launch", "azure-vm-ssh", "azure-dns-zone"} | PROGRAM,
    ),
    ("local", "static"): ({"local"}, set()),
    ("local", "dynamic"): ({"local"}, PROGRAM),
}
LONGEST_BYTES = {"site/dynamic-app": 3_400}
"""Most are read in the middle of a turn; one that brings a whole program may be longer."""

ITEMS = read_catalogue(LIBRARY).items
FACTS = SessionFacts(
    user_id="7f3c9e01-5b1d-5c7e-9a43-2f6f0a6f11aa",
    session_id="sess_20260112_142233",
    host_provider=HostProvider.LOCAL,
    site_type=SiteType.STATIC,
    product_version="0.1.0",
)


def plan_for(host: str, site: str) -> InjectionPlan:
    facts = replace(FACTS, host_provider=HostProvider(host), site_type=SiteType(site))
    return plan_injection(LIBRARY, facts)


def test_the_shipped_library_has_no_problem_even_strictly() -> None:
    found = validate(LIBRARY, verbs=command_line(), strict=True)
    assert [str(problem) for problem in found] == []


def test_the_rules_are_named_after_host_and_type() -> None:
    assert [rule.name for rule in read_rules(LIBRARY)] == [f"{h}/{s}" for h, s in RULES]


@pytest.mark.parametrize(("host", "site"), RULES)
def test_each_host_and_type_gets_its_items_and_no_others(host: str, site: str) -> None:
    plan = plan_for(host, site)
    agents, skills = RULES[host, site]
    assert set(plan.agents) == agents | AGENTS
    assert set(plan.skills) == skills | SITE | TESTING
    assert plan.lock.rules == (f"{host}/{site}",)


@pytest.mark.parametrize(("host", "site"), RULES)
def test_a_full_rule_stays_light(host: str, site: str) -> None:
    assert plan_for(host, site).size_bytes < INJECTION_LIMIT_BYTES


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.path)
def test_each_helper_is_short_and_fits_a_screen(item: Item) -> None:
    assert len(item.content) < LONGEST_BYTES.get(item.path, 2_400)
    lines = item.content.decode().split("---\n", 2)[2].split("\n")
    too_long = [line for line in lines if len(line) > 100 and not is_one_span(line)]
    assert too_long == []


def is_one_span(line: str) -> bool:
    """A command that must not be broken."""
    return line.strip().startswith("`") and line.strip().endswith("`") and line.count("`") == 2


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.path)
def test_each_helper_says_what_to_do_with_errors_and_where_results_are(item: Item) -> None:
    text = " ".join(item.content.decode().split())
    if item.path in WITHOUT_RESULTS:
        return
    assert re.search(r"\b3 (?:times|tries|rounds)\b", text), "how often to try again"
    assert re.search(r"`(?:logs/|deployment/tests/)", text), "where the details are"


@pytest.mark.parametrize("item", [i for i in ITEMS if CLOUD.match(i.path)], ids=lambda i: i.path)
def test_what_is_about_a_cloud_takes_its_parameters_from_the_configuration(item: Item) -> None:
    text = item.content.decode()
    assert "tmux-builder deploy" in text
    assert "`url`" in text or "`deployment/config.json`" in text


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.path)
def test_each_description_says_when_to_use_it(item: Item) -> None:
    assert "Use it " in item.description


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.path)
def test_raw_cloud_commands_are_for_the_operator_only(item: Item) -> None:
    """There is none of `az`: it is 733 MB, too much to run its commands in every test run."""
    for paragraph in item.content.decode().split("\n\n"):
        assert not re.search(r"`az [a-z]", paragraph)
        if re.search(r"`aws [a-z]", paragraph):
            assert "operator" in paragraph


@pytest.mark.parametrize("path", ["aws/ec2-ssh", "azure/vm-ssh"])
def test_the_ssh_skills_say_why_no_port_is_open(path: str) -> None:
    text = " ".join(next(i for i in ITEMS if i.path == path).content.decode().split())
    assert "Port 22 stays closed" in text
    assert "An open SSH port is scanned within minutes" in text
    assert "needs no inbound port" in text


@pytest.mark.parametrize("path", ["reviewers/site-reviewer"])
def test_the_reviewer_can_change_nothing(path: str) -> None:
    text = next(item for item in ITEMS if item.path == path).content.decode()
    assert "\ntools: Read, Grep, Glob\n" in text


@pytest.mark.parametrize("site_type", list(SiteType))
def test_a_starter_brief_is_short_enough_to_arrive_unwrapped(site_type: SiteType) -> None:
    brief = starter_brief(LIBRARY, site_type)
    assert len(brief) <= 800
    assert brief.count("\n") <= 2


def test_the_session_page_holds_what_claude_must_know() -> None:
    page = next(file for file in plan_for("aws", "static").files if file.path == "CLAUDE.md")
    text = page.content.decode()
    for word in (
        FACTS.user_id,
        FACTS.session_id,
        "| host provider | `aws` |",
        "| site type | `static` |",
        "`sunwaretech`",
        ".claude/agents/",
        ".claude/skills/",
        "generate, deploy, test, report, repeat",
        "tmux-{guid prefix}-{session}",
        "tmux-7f3c9e01-20260112142233",
        "Project=tmux-builder",
        "Environment",
        f"UserGUID={FACTS.user_id}",
        f"SessionID={FACTS.session_id}",
        "ExecutionID",
        "SiteType=static",
        "CreatedAt",
        "InstallationID",
        "CreatedBy=tmux-builder-automation",
        "CostCenter=user-sites",
        *(f"tmux-builder {verb}" for verb in PANE_VERBS),
    ):
        assert word in text, word
    assert "{{" not in text


def test_the_settings_are_json_and_reach_the_session_unchanged() -> None:
    shipped = (LIBRARY / "templates/settings.json").read_bytes()
    files = {file.path: file for file in plan_for("local", "static").files}
    assert files["settings.json"].content == shipped
    assert isinstance(json.loads(shipped), dict)
    assert files["hooks/event.sh"].mode == 0o700

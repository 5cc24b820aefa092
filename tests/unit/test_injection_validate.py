"""What `validate` finds, what the list says, and the first prompt."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.injection.brief import first_prompt, starter_brief
from core.injection.catalogue import ItemKind
from core.injection.problems import LibraryError
from core.injection.validate import INJECTION_LIMIT_BYTES, validate
from core.injection.why import list_items
from core.models.user import HostProvider, SiteType
from tests.unit.injection_library import make_library, rule, write, write_item, write_rules

VERBS = frozenset({"deploy", "check"})


def problems(library: Path, *, strict: bool = False) -> list[str]:
    return [str(problem) for problem in validate(library, verbs=VERBS, strict=strict)]


def test_a_good_library_has_no_problems(tmp_path: Path) -> None:
    assert problems(make_library(tmp_path), strict=True) == []


def test_several_faults_are_found_in_one_go(tmp_path: Path) -> None:
    library = make_library(tmp_path)
    write(library, "agents/testers/broken.md", "x\n")
    write(library, "templates/settings.json", '{\n"a": }\n')
    write(library, "templates/CLAUDE.md", "x\n{{nobody}}\n")
    write(library, "templates/hooks/event.sh", "exit 0\n")
    (library / "briefs/starter-static.md").unlink()
    found = "\n".join(problems(library))
    for place in (
        "agents/testers/broken.md:1: the first line must be ---",
        "templates/settings.json:2: not JSON",
        "templates/CLAUDE.md:2: unknown placeholder {{nobody}}",
        "templates/hooks/event.sh:1: ",
        "briefs/starter-static.md:1: missing",
    ):
        assert place in found


def test_rules_that_cannot_be_kept_are_problems(tmp_path: Path) -> None:
    library = make_library(tmp_path)
    write_rules(library, rule("all", {}, agents=["testers/*", "gone"], skills=["testing/*"]))
    found = problems(library)
    assert found[0] == "agents/deployers/local.md:1: no rule injects it"
    assert "the rule all names the agent gone" in found[1]


def test_a_broken_rules_file_is_one_problem_among_others(tmp_path: Path) -> None:
    library = make_library(tmp_path)
    write(library, "injection_rules.json", "{\n]")
    write(library, "agents/testers/broken.md", "x\n")
    found = problems(library)
    assert [text.partition(":")[0] for text in found] == [
        "agents/testers/broken.md",
        "injection_rules.json",
    ]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("Run `tmux-builder explode now`.", "tmux-builder has no verb explode"),
        ("```sh\ncd x && tmux-builder explode\n```", "tmux-builder has no verb explode"),
        ("Run `tmux-builder deploy|explode`.", "tmux-builder has no verb explode"),
        ("See `library/skills/gone.md`.", "the file library/skills/gone.md does not exist"),
        ("See library/../../etc/passwd.", "does not exist"),
        ("Use skill `gone`.", "the skill gone does not exist"),
        ("It lies in `.claude/agents/gone.md`.", "the agent gone does not exist"),
    ],
)
def test_a_dead_reference_is_a_problem_with_its_line(
    tmp_path: Path, body: str, problem: str
) -> None:
    library = make_library(tmp_path)
    write_item(library, "agents/testers/e2e.md", "e2e", body)
    found = problems(library)
    assert len(found) == 1
    assert problem in found[0]
    assert found[0].startswith(("agents/testers/e2e.md:5: ", "agents/testers/e2e.md:6: "))


@pytest.mark.parametrize(
    "body",
    [
        "Prose says that tmux-builder explodes.",
        "Run `tmux-builder deploy`, `tmux-builder check --json` and `tmux-builder --help`.",
        "See `library/skills/testing/look.md`, library/injection_rules.json.",
        "Use skill `testing-look`, agent `local` and `.claude/skills/testing-check/SKILL.md`.",
    ],
)
def test_a_living_reference_is_no_problem(tmp_path: Path, body: str) -> None:
    library = make_library(tmp_path)
    write_item(library, "agents/testers/e2e.md", "e2e", body)
    assert problems(library, strict=True) == []


def test_a_helper_that_the_rule_leaves_out_is_a_problem(tmp_path: Path) -> None:
    library = make_library(tmp_path)
    write_item(library, "agents/testers/e2e.md", "e2e", "Use skill `testing-look`.")
    write_rules(
        library,
        rule("full", {"site_type": "static"}, agents=["deployers/local"], skills=["testing/*"]),
        rule("thin", {"site_type": "dynamic"}, agents=["testers/e2e"], skills=["testing/check"]),
    )
    assert problems(library) == [
        "agents/testers/e2e.md:5: the skill testing-look is not injected by rule thin"
    ]


def test_strict_also_reports_strays_unserved_hosts_and_weight(tmp_path: Path) -> None:
    library = make_library(tmp_path)
    write(library, "agents/.swap", "x")
    for number in range(1 + INJECTION_LIMIT_BYTES // 7500):
        name = f"big-{number}"
        write_item(library, f"agents/testers/{name}.md", name, "word " * 1500)
    everything = {"agents": ["testers/*", "deployers/local"], "skills": ["testing/*"]}
    write_rules(library, rule("one", {"host_provider": "local"}, **everything))
    assert problems(library) == []
    found = "\n".join(problems(library, strict=True))
    assert "agents/.swap:1: hidden" in found
    assert "no rule serves host_provider aws, site_type static" in found
    assert "the rule one gives" in found


def test_the_list_says_which_rule_and_pattern_bring_each_item(tmp_path: Path) -> None:
    library = make_library(tmp_path)
    write_item(library, "agents/unused.md", "unused")
    rows = list_items(library)
    assert [(row.name, row.rule) for row in rows] == [
        ("local", "all"),
        ("e2e", "all"),
        ("testing-check", "all"),
        ("testing-look", "all"),
        ("unused", None),
    ]
    assert rows[1].why.endswith("testers/* holds testers/e2e")
    assert rows[0].why.startswith("injection_rules.json:")
    assert rows[4].why == "no rule injects it"
    assert rows[0].bytes == (library / rows[0].path).stat().st_size


def test_the_list_can_be_narrowed_to_a_host_a_type_and_a_kind(tmp_path: Path) -> None:
    library = make_library(tmp_path)
    write_rules(
        library,
        rule("a", {"host_provider": "aws"}, agents=["testers/*"], skills=["testing/look"]),
        rule("b", {"host_provider": "local"}, agents=["testers/e2e", "testers/*"]),
    )
    aws = list_items(library, host_provider=HostProvider.AWS, site_type=SiteType.STATIC)
    assert [row.name for row in aws] == ["e2e", "testing-look"]
    skills = list_items(library, host_provider=HostProvider.AWS, kind=ItemKind.SKILL)
    assert [row.name for row in skills] == ["testing-look"]
    local = list_items(library, host_provider=HostProvider.LOCAL)
    assert [(row.name, row.rule) for row in local] == [("e2e", "b")]
    assert list_items(library, host_provider=HostProvider.AZURE) == []


def test_a_wish_is_told_word_for_word_and_no_wish_is_the_starter_brief(tmp_path: Path) -> None:
    library = make_library(tmp_path)
    wish = "  A bakery, {{user_id}} & `more`\n"
    assert first_prompt(library, SiteType.STATIC, wish) == wish
    for nothing in (None, "", " \n"):
        assert first_prompt(library, SiteType.DYNAMIC, nothing) == "Build a dynamic site."


def test_a_starter_brief_that_is_missing_or_empty_is_an_error(tmp_path: Path) -> None:
    library = make_library(tmp_path)
    write(library, "briefs/starter-static.md", " \n")
    with pytest.raises(LibraryError, match=r"briefs/starter-static\.md"):
        starter_brief(library, SiteType.STATIC)

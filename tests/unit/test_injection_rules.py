"""Rules: what matches, what a wildcard holds, and what no rule may name."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.injection.catalogue import read_catalogue
from core.injection.problems import LibraryError
from core.injection.rules import choose, read_rules
from core.models.user import HostProvider, SiteType
from tests.unit.injection_library import make_library, rule, write, write_item, write_rules

FIRST_RULE = '{"version": 1, "rules": [\n{"name": "a", "match": {}, "inject": {}},\n'


def chosen(library: Path, host: HostProvider, site: SiteType) -> list[str]:
    choices = choose(read_rules(library), read_catalogue(library), host, site)
    return [choice.item.path for choice in choices]


def refusal(library: Path) -> str:
    with pytest.raises(LibraryError) as caught:
        chosen(library, HostProvider.LOCAL, SiteType.STATIC)
    assert caught.value.exit_code == 6
    return caught.value.message


def test_a_rule_gives_its_items_to_its_host_and_type_only(tmp_path: Path) -> None:
    library = make_library(tmp_path)
    write_rules(
        library,
        rule("a", {"host_provider": "aws", "site_type": "static"}, agents=["testers/e2e"]),
        rule("b", {"host_provider": "aws", "site_type": "dynamic"}, skills=["testing/look"]),
    )
    assert chosen(library, HostProvider.AWS, SiteType.STATIC) == ["testers/e2e"]
    assert chosen(library, HostProvider.AWS, SiteType.DYNAMIC) == ["testing/look"]
    with pytest.raises(LibraryError, match="no rule serves host_provider local"):
        chosen(library, HostProvider.LOCAL, SiteType.STATIC)


def test_any_and_a_missing_key_match_everything_and_no_item_comes_twice(tmp_path: Path) -> None:
    library = make_library(tmp_path)
    write_rules(
        library,
        rule("a", {"host_provider": "any", "site_type": "static"}, agents=["testers/*"]),
        rule("b", {}, agents=["testers/e2e", "deployers/local"]),
    )
    assert chosen(library, HostProvider.AZURE, SiteType.STATIC) == [
        "testers/e2e",
        "deployers/local",
    ]
    assert chosen(library, HostProvider.LOCAL, SiteType.DYNAMIC) == [
        "testers/e2e",
        "deployers/local",
    ]


def test_a_wildcard_holds_the_items_of_its_folder_and_no_deeper_ones(tmp_path: Path) -> None:
    library = make_library(tmp_path)
    write_item(library, "skills/testing/deep/one.md", "testing-deep-one")
    write_rules(library, rule("a", {}, skills=["testing/*"]))
    expected = ["testing/check", "testing/look"]
    assert chosen(library, HostProvider.LOCAL, SiteType.STATIC) == expected


@pytest.mark.parametrize("name", ["testers/gone", "gone/*", "check"])
def test_a_rule_that_names_a_missing_item_is_an_error_with_rule_item_and_line(
    tmp_path: Path, name: str
) -> None:
    library = make_library(tmp_path)
    path = write_rules(library, rule("my/rule", {}, agents=["testers/e2e", name]))
    line = next(n for n, text in enumerate(path.read_text().split("\n"), 1) if f'"{name}"' in text)
    message = refusal(library)
    assert f"injection_rules.json:{line}: the rule my/rule names the agent {name}" in message


def test_an_item_with_a_problem_is_never_chosen(tmp_path: Path) -> None:
    library = make_library(tmp_path)
    write(library, "agents/testers/broken.md", "no front matter\n")
    assert "agents/testers/broken.md:1: " in refusal(library)


def test_a_wildcard_does_not_pass_over_what_was_refused_in_its_folder(tmp_path: Path) -> None:
    library = make_library(tmp_path)
    (library / "skills/testing/linked").symlink_to(tmp_path)
    assert "skills/testing/linked:1: a symbolic link" in refusal(library)


def test_a_broken_item_that_the_rule_does_not_name_stops_nobody(tmp_path: Path) -> None:
    library = make_library(tmp_path)
    write(library, "agents/other/broken.md", "no front matter\n")
    assert "testers/e2e" in chosen(library, HostProvider.LOCAL, SiteType.STATIC)


@pytest.mark.parametrize(
    "name", ["../x", "/etc/passwd", ".hidden", "a/../b", "a/.b", "a//b", "*", "a/*/b", "A/b", "a/"]
)
def test_a_name_that_climbs_is_absolute_or_hidden_is_refused(tmp_path: Path, name: str) -> None:
    library = make_library(tmp_path)
    write_rules(library, rule("all", {}, agents=[name]))
    assert f"the rule all names {name!r}" in refusal(library)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    name=st.lists(
        st.sampled_from(["..", ".", "/", "a", ".a", "~", "\\", "testers", "*", "\0", "e2e"]),
        min_size=1,
        max_size=5,
    ).map("/".join)
)
def test_no_name_finds_anything_outside_the_library(tmp_path: Path, name: str) -> None:
    library = tmp_path / "library"
    if not library.exists():
        make_library(tmp_path)
        write_item(tmp_path, "agents/outside.md", "outside")
        write_item(tmp_path, "a.md", "a")
    write_rules(library, rule("all", {}, agents=[name]))
    try:
        found = chosen(library, HostProvider.LOCAL, SiteType.STATIC)
    except LibraryError:
        return
    assert set(found) <= {"testers/e2e"}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"version": 1,\n "rules": [,]}', "injection_rules.json:2: not JSON"),
        ('{"version": 2, "rules": []}', "injection_rules.json:1: "),
        ('{"version": 1, "rules": [], "more": 1}', "unknown field `more`"),
        (
            FIRST_RULE + '{"name": "b", "match": {"site_type": "round"}, "inject": {}}]}',
            "injection_rules.json:3: ",
        ),
        (
            FIRST_RULE + '{"name": "a", "match": {}, "inject": {}}]}',
            "injection_rules.json:3: two rules are called a",
        ),
        ('{"version": 1, "rules": [{"name": "A b", "match": {}, "inject": {}}]}', "'A b'"),
    ],
)
def test_a_rules_file_of_another_form_is_refused_with_its_line(
    tmp_path: Path, text: str, place: str
) -> None:
    library = make_library(tmp_path)
    write(library, "injection_rules.json", text)
    assert place in refusal(library)


def test_a_missing_or_linked_rules_file_is_refused(tmp_path: Path) -> None:
    library = make_library(tmp_path)
    rules = library / "injection_rules.json"
    rules.rename(tmp_path / "rules.json")
    assert "missing" in refusal(library)
    rules.symlink_to(tmp_path / "rules.json")
    assert "symbolic link" in refusal(library)

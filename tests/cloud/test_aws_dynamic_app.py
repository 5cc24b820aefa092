"""Dynamic sites on AWS with machines that really run the agent and the site's program."""

from __future__ import annotations

import pytest

from core.errors import AnswerIsNoError
from tests.cloud.aws.instance_place import InstancePlace
from tests.cloud.aws.instance_site import app_host, dynamic_site, said, write_app

SECRET = "correct horse battery staple"


def test_a_site_is_made_redeployed_and_rolled_back(instance_place: InstancePlace) -> None:
    with dynamic_site(word="one") as site:
        first = site.publish()
        assert (said(site), first.files_total, first.files_changed) == ("one -", 2, 2)
        assert site.host.serving(site.session) == site.releases[0].release_id
        write_app(site, "two")
        assert site.publish().files_changed == 1
        assert said(site) == "two -"
        site.publish(site.releases[0])
        assert said(site) == "one -"
        assert site.host.drift(site.session) == ()
        assert instance_place.untagged() == []
        assert site.destroy().left == ()
        assert not instance_place.ec2.violations


def test_an_unchanged_redeploy_lists_once_and_asks_the_instance_once(
    instance_place: InstancePlace,
) -> None:
    with dynamic_site() as site:
        site.publish()
        instance_place.aws.standin.forget_calls()
        assert site.publish().files_changed == 0
        calls = instance_place.aws.standin.calls
        assert (calls["s3", "ListObjectsV2"], calls["ssm", "SendCommand"]) == (1, 1)
        assert {name for _service, name in calls} == {
            "ListObjectsV2", "SendCommand", "GetCommandInvocation", "GetParametersByPath",
        }  # fmt: skip


def test_a_program_that_does_not_start_leaves_the_former_one_and_shows_its_lines(
    instance_place: InstancePlace,
) -> None:
    with dynamic_site(word="one") as site:
        site.publish()
        write_app(site, "two", before="raise SystemExit('no database')")
        with pytest.raises(AnswerIsNoError, match="no database") as caught:
            site.publish()
        assert caught.value.code == "app_not_started"
        assert said(site) == "one -"


def test_a_variable_reaches_the_program_and_no_command(instance_place: InstancePlace) -> None:
    with dynamic_site() as site:
        app_host(site).set_variable(site.session, "API_KEY", SECRET)
        site.publish()
        assert said(site) == f"one {SECRET}"
        assert app_host(site).variables(site.session) == ("API_KEY",)
        sent = [one.text for one in instance_place.ssm.invocations.values()]
        assert not [text for text in sent if SECRET in text]
        app_host(site).unset_variable(site.session, "API_KEY")
        assert (said(site), app_host(site).variables(site.session)) == ("one -", ())


def test_a_variable_that_the_program_does_not_come_up_with_is_taken_back(
    instance_place: InstancePlace,
) -> None:
    with dynamic_site() as site:
        write_app(site, "one", before="if os.environ.get('API_KEY') == 'bad': raise SystemExit(3)")
        site.publish()
        app_host(site).set_variable(site.session, "API_KEY", "good")
        with pytest.raises(AnswerIsNoError):
            app_host(site).set_variable(site.session, "API_KEY", "bad")
        assert said(site) == "one good"
        parameters = instance_place.ssm.parameters
        assert [one.value for name, one in parameters.items() if "API_KEY" in name] == ["good"]


def test_the_programs_output_is_shown(instance_place: InstancePlace) -> None:
    with dynamic_site(word="hello") as site:
        assert app_host(site).app_log(site.session, lines=10) == ""
        site.publish()
        assert "starting hello" in app_host(site).app_log(site.session, lines=10)


def test_what_the_instance_serves_is_part_of_the_drift(instance_place: InstancePlace) -> None:
    with dynamic_site(word="one") as site:
        site.publish()
        write_app(site, "two")
        site.publish()
        machine = instance_place.machine()
        agent = f"python3 {machine.root}/agent.pyz --root {machine.root}"
        machine.run(f"{agent} rollback --id {site.releases[0].release_id}", 60)
        (found,) = site.host.drift(site.session)
        assert (found.what, found.found) == ("release", site.releases[0].release_id)


def test_the_first_start_masks_ssh_and_switches_updates_on(instance_place: InstancePlace) -> None:
    with dynamic_site() as site:
        site.publish()
        started = instance_place.machine().first_start
        assert "systemctl mask sshd.service" in started
        assert any("dnf-automatic.timer" in line for line in started)

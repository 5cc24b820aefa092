"""Groups and verbs for click: lazy, with the common flags on every level and examples first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from tui.cli.call import Call
from tui.cli.catalog import BY_NAME, DAILY_LOOP, EXIT_CODES, members
from tui.cli.version import PROGRAM

if TYPE_CHECKING:
    from tui.cli.outcome import Outcome

if TYPE_CHECKING:
    WordType = click.ParamType[str]
else:
    WordType = click.ParamType

LONGEST_WAIT_S = 10_000_000.0


def _note(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """Keep a common flag in the call, wherever on the line it stood."""
    if isinstance(ctx.obj, Call) and value:
        name = str(param.name)
        setattr(ctx.obj, name, ctx.obj.verbose + value if name == "verbose" else value)
    return value


def _note_timeout(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    if value is not None and not 0 < value <= LONGEST_WAIT_S:
        raise click.BadParameter("a number of seconds above 0 is needed.", ctx=ctx, param=param)
    return float(_note(ctx, param, value)) if value is not None else None


def _flag(*names: str, text: str, **more: Any) -> click.Option:
    more.setdefault("callback", _note)
    return click.Option(names, help=text, expose_value=False, **more)


COMMON: tuple[click.Option, ...] = (
    _flag("--json", text="One document on stdout.", is_flag=True),
    _flag("--plain", text="Tab separated records, nothing cut.", is_flag=True),
    _flag("-q", "--quiet", text="Only the result.", is_flag=True),
    _flag("-v", "--verbose", text="More detail; twice for debugging.", count=True),
    _flag("--no-color", text="No colour.", is_flag=True),
    _flag("--no-input", text="Never ask.", is_flag=True),
    _flag("--data-dir", text="The data root.", metavar="DIR"),
    _flag("--config", text="The settings file.", metavar="FILE"),
    _flag(
        "--timeout", text="Longest wait; the work goes on.", type=float, metavar="SEC",
        callback=_note_timeout,
    ),
    _flag("-n", "--dry-run", text="Show the plan, change nothing.", is_flag=True),
    _flag("-y", "--yes", text="Answer moderate questions with yes.", is_flag=True),
)  # fmt: skip


class OneOf(WordType):
    """A closed set for help and completion; the services refuse what is not in it."""

    name = "choice"

    def __init__(self, *words: str) -> None:
        self.words = words

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002
        return "|".join(self.words)

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[Any]:
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - on completion only

        return [CompletionItem(word) for word in self.words if word.startswith(incomplete)]


class VerbCommand(click.Command):
    """One verb: its own parameters and the common ones; `run` gets the call and the own ones."""

    def __init__(
        self, name: str, run: Callable[..., Outcome], params: Sequence[click.Parameter]
    ) -> None:
        self.entry = BY_NAME[name]
        self.run = run
        self.own = tuple(params)
        super().__init__(
            name.rsplit(" ", maxsplit=1)[-1], params=[*params, *COMMON], add_help_option=False,
            short_help=self.entry.summary,
        )  # fmt: skip

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if isinstance(ctx.obj, Call):
            ctx.obj.command = self.entry.name
        return super().parse_args(ctx, _bare_wait(args) if self.name == "send" else args)

    def invoke(self, ctx: click.Context) -> Outcome:
        call = ctx.obj
        assert isinstance(call, Call)  # noqa: S101 - the program always gives one
        self._check(call)
        return self.run(call, **ctx.params)

    def _check(self, call: Call) -> None:
        """Refuse what this verb cannot do, before it does anything."""
        if call.json and call.plain:
            raise click.UsageError("--json and --plain exclude each other.")
        if call.dry_run and not self.entry.dry_run:
            raise click.UsageError(f"{self.entry.name} knows no --dry-run.")
        if call.json and not self.entry.has_document:
            raise click.UsageError(f"{self.entry.name} has no document, so --json is refused.")
        if call.pane and not self.entry.in_pane:
            words = ", ".join(name for name, entry in BY_NAME.items() if entry.in_pane)
            raise click.UsageError(
                f"{self.entry.name} cannot be asked for from inside a session; these can: {words}."
            )

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        _format_examples(formatter, self.entry.examples)
        self.format_usage(ctx, formatter)
        formatter.write_paragraph()
        formatter.write_text(self.entry.summary)
        self.format_options(ctx, formatter)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own = [row for param in self.own if (row := param.get_help_record(ctx)) is not None]
        if own:
            with formatter.section("Options"):
                formatter.write_dl(own)
        _format_common(ctx, formatter)


class WordGroup(click.Group):
    """The program itself, or a noun: knows its members' names without loading them."""

    def __init__(self, noun: str | None) -> None:
        self.noun = noun
        super().__init__(
            noun or PROGRAM, params=list(COMMON), add_help_option=False,
            invoke_without_command=True, callback=None if noun is None else _need_verb,
        )  # fmt: skip

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return [word for word, _ in members(self.noun)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        name = cmd_name if self.noun is None else f"{self.noun} {cmd_name}"
        if name in BY_NAME:
            return load(name)
        is_noun = any(known.startswith(f"{name} ") for known in BY_NAME)
        return WordGroup(name) if is_noun else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if isinstance(ctx.obj, Call):
            ctx.obj.command = self.noun
        command = self.get_command(ctx, args[0])
        if command is None and not ctx.resilient_parsing:
            raise UnknownVerbError(args[0], self.noun, ctx)
        return args[0] if command else None, command, args[1:]

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        _format_examples(formatter, _examples(self.noun))
        formatter.write_usage(ctx.command_path, "[FLAGS] VERB ...")
        with formatter.section("Verbs"):
            formatter.write_dl(members(self.noun))
        _format_common(ctx, formatter)
        if self.noun is None:
            with formatter.section("Exit codes"):
                formatter.write_dl([(str(code), text) for code, text in EXIT_CODES])


class UnknownVerbError(click.UsageError):
    """A word that is no verb; the nearest one is in the message."""

    def __init__(self, word: str, noun: str | None, ctx: click.Context) -> None:
        import difflib  # noqa: PLC0415 - only a wrong word needs it

        known = [name for name, _ in members(noun)]
        near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
        hint = f"Did you mean {near[0]}?" if near else f"Use one of: {', '.join(known)}."
        what = f"verb of {noun}" if noun else "verb"
        super().__init__(f"There is no {what} {word[:60]!r}. {hint}", ctx=ctx)


def verb(name: str, *params: click.Parameter) -> Callable[[Callable[..., Outcome]], VerbCommand]:
    """Make a function the verb of that name; its parameters are those of the command line."""

    def make(run: Callable[..., Outcome]) -> VerbCommand:
        return VerbCommand(name, run, params)

    return make


def option(*names: str, text: str = "", **more: Any) -> click.Option:
    return click.Option(names, help=text, **more)


def argument(name: str, **more: Any) -> click.Argument:
    return click.Argument([name], **more)


def load(name: str) -> VerbCommand:
    """The verb's command; imports its module."""
    import importlib  # noqa: PLC0415 - help of a group loads none

    module = importlib.import_module(f"tui.cli.verbs.{BY_NAME[name].module}")
    command = module.COMMANDS[name]
    assert isinstance(command, VerbCommand)  # noqa: S101 - a table of ours
    return command


def root() -> WordGroup:
    return WordGroup(None)


def _bare_wait(args: list[str]) -> list[str]:
    """`--wait` takes its value only after `=`, so that a following message is none."""
    end = args.index("--") if "--" in args else len(args)
    return ["--wait=idle" if arg == "--wait" and n < end else arg for n, arg in enumerate(args)]


@click.pass_context
def _need_verb(ctx: click.Context) -> None:
    """A noun alone does nothing."""
    noun = ctx.command.noun if isinstance(ctx.command, WordGroup) else None
    if ctx.invoked_subcommand is None:
        if isinstance(ctx.obj, Call):
            ctx.obj.command = noun
        words = ", ".join(word for word, _ in members(noun))
        raise click.UsageError(f"{noun} needs a verb: {words}.", ctx=ctx)


def _examples(noun: str | None) -> Sequence[str]:
    if noun is None:
        return DAILY_LOOP
    return [entry.examples[0] for name, entry in BY_NAME.items() if name.startswith(f"{noun} ")]


def _format_examples(formatter: click.HelpFormatter, examples: Sequence[str]) -> None:
    formatter.write("Examples:\n")
    for example in examples:
        formatter.write(f"  {example}\n")
    formatter.write_paragraph()


def _format_common(ctx: click.Context, formatter: click.HelpFormatter) -> None:
    rows = [("-h, --help", "This text; anywhere on the line."), ("--version", "The version.")]
    records = (param.get_help_record(ctx) for param in COMMON)
    with formatter.section("Common flags, before or after the verb"):
        formatter.write_dl([*rows, *(row for row in records if row is not None)])

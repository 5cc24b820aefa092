"""Every verb with the module that implements it, so that help needs none of them."""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """One verb. `name` is its full name, such as `user create`.

    Attributes:
        module: Below `tui.cli.verbs`; its `COMMANDS` hold the verb under its full name.
        dry_run: Knows `--dry-run`.
        in_pane: Can be asked for from inside a session's own pane.
        has_document: Knows `--json`.
    """

    name: str
    module: str
    summary: str
    examples: tuple[str, ...]
    dry_run: bool = False
    in_pane: bool = False
    has_document: bool = True


NOUNS = {
    "user": "Customers: one per e-mail and phone.",
    "session": "Sites: a folder and a Claude each.",
    "session env": "Variables of a dynamic site's program.",
    "library": "What is handed to Claude.",
    "config": "Settings.",
}

ENTRIES = (
    Entry(
        "tui", "app", "Open the full-screen app (the default in a terminal).",
        ("tmux-builder", "tmux-builder tui --session ana@example.org"),
        has_document=False,
    ),
    Entry(
        "user create", "user", "Make a user, and its first session and run.",
        (
            'tmux-builder user create --email ana@example.org --phone "+1 555 010 0199"',
            "tmux-builder user create --email ana@example.org --phone 5550100199 --no-start --json",
        ),
    ),
    Entry(
        "user list", "user", "List users.",
        ("tmux-builder user list", "tmux-builder user list --host local --sort email --plain"),
    ),
    Entry(
        "user show", "user", "Show a user and its sessions.",
        ("tmux-builder user show ana@example.org",),
    ),
    Entry(
        "session create", "session", "Make another session of a user and start it.",
        (
            'tmux-builder session create ana@example.org --prompt "A page for the summer sale"',
            "tmux-builder session create ana@example.org --from ana@example.org --no-start",
        ),
    ),
    Entry(
        "session list", "session", "List sessions, those that need you first.",
        ("tmux-builder session list", "tmux-builder session list --state needs_you,failed --json"),
    ),
    Entry(
        "session attach", "attach", "Put this terminal on a session's Claude (prefix d leaves).",
        (
            "tmux-builder session attach ana@example.org",
            "tmux-builder session attach ana@example.org --read-only --print-command",
        ),
    ),
    Entry(
        "session send", "talk", "Send Claude a message, word for word.",
        (
            'tmux-builder session send ana@example.org "Make the header blue" --wait',
            "tmux-builder session send ana@example.org --file wish.txt",
            "tmux-builder session send ana@example.org --answer 1",
        ),
    ),
    Entry(
        "session command", "talk", "Run one of Claude's own commands.",
        ("tmux-builder session command ana@example.org /compact",),
    ),
    Entry(
        "session logs", "logs", "Show a session's log, terminal or chat, or its program's output.",
        (
            "tmux-builder session logs ana@example.org --level error",
            "tmux-builder session logs ana@example.org --chat",
            "tmux-builder session logs ana@example.org --app --lines 50",
        ),
    ),
    Entry(
        "session drift", "drift", "Show what somebody changed by hand on the session's host.",
        ("tmux-builder session drift ana@example.org",),
    ),
    Entry(
        "session env set", "variables", "Give the program a variable; its value comes from stdin.",
        (
            "tmux-builder session env set ana@example.org API_KEY < key.txt",
            "tmux-builder session env set ana@example.org API_KEY",
        ),
    ),
    Entry(
        "session env unset", "variables", "Take a variable from the program.",
        ("tmux-builder session env unset ana@example.org API_KEY",),
    ),
    Entry(
        "session env list", "variables", "List the names of the program's variables.",
        ("tmux-builder session env list ana@example.org",),
    ),
    Entry(
        "session mode", "approvals",
        "Say who decides about what the settings do not allow: nobody, or you.",
        ("tmux-builder session mode ana@example.org supervised",),
    ),
    Entry(
        "session approvals", "approvals", "List what supervised Claudes ask you, or were allowed.",
        (
            "tmux-builder session approvals",
            "tmux-builder session approvals ana@example.org --rules",
        ),
    ),
    Entry(
        "session approve", "approvals", "Allow what a supervised Claude asks.",
        (
            "tmux-builder session approve ana@example.org",
            "tmux-builder session approve ana@example.org --for-session",
        ),
    ),
    Entry(
        "session deny", "approvals", "Deny what a supervised Claude asks, with a sentence for it.",
        ('tmux-builder session deny ana@example.org --message "Use the picture in source"',),
    ),
    Entry(
        "session forget-rule", "approvals", "Take back what was allowed for a session.",
        (
            'tmux-builder session forget-rule ana@example.org --tool Bash --subject "npm install"',
            "tmux-builder session forget-rule ana@example.org --all",
        ),
    ),
    Entry(
        "session kill", "session", "End a session's Claude; its files stay.",
        ("tmux-builder session kill ana@example.org -y",),
    ),
    Entry(
        "deploy", "deploy", "Put the site on its host, check, photograph and test it.",
        (
            "tmux-builder deploy ana@example.org",
            "tmux-builder deploy ana@example.org -n",
            "tmux-builder deploy ana@example.org --suffix x1",
        ),
        dry_run=True, in_pane=True,
    ),
    Entry(
        "rollback", "deploy", "Bring an earlier deploy back.",
        ("tmux-builder rollback ana@example.org", "tmux-builder rollback ana@example.org --to 2"),
        dry_run=True, in_pane=True,
    ),
    Entry(
        "destroy", "destroy", "Delete what the session has on its host; local files stay.",
        (
            "tmux-builder destroy ana@example.org --confirm sess_20260112_142233",
            "tmux-builder destroy ana@example.org -n",
        ),
        dry_run=True,
    ),
    Entry(
        "status", "status", "Show a run, or how many sessions are in which state.",
        (
            "tmux-builder status",
            "tmux-builder status ana@example.org --watch",
            "tmux-builder status -q",
        ),
        in_pane=True,
    ),
    Entry(
        "cost", "cost", "Show what Claude and the clouds cost, and what the ceilings say.",
        (
            "tmux-builder cost",
            "tmux-builder cost --by user --since 30d",
            "tmux-builder cost ana@example.org --by session --json",
        ),
    ),
    Entry(
        "check", "checks", "Ask the deployed site once and judge the answer.",
        ("tmux-builder check ana@example.org",), in_pane=True,
    ),
    Entry(
        "screenshot", "checks", "Photograph the deployed site.",
        ("tmux-builder screenshot ana@example.org --out page.png",), in_pane=True,
    ),
    Entry(
        "test", "checks", "Run the end-to-end tests over the deployed site.",
        ("tmux-builder test ana@example.org --grep menu",), in_pane=True,
    ),
    Entry(
        "library list", "library", "List what the rules inject.",
        ("tmux-builder library list --host local --site static --why",),
    ),
    Entry(
        "library validate", "library", "Look for faults in the library.",
        ("tmux-builder library validate --strict",),
    ),
    Entry(
        "library diff", "injections", "Compare what a session has with the library of now.",
        (
            "tmux-builder library diff ana@example.org",
            "tmux-builder library diff ana@example.org --patch",
        ),
    ),
    Entry(
        "library update", "injections", "Give sessions what the library holds now.",
        (
            "tmux-builder library update ana@example.org",
            "tmux-builder library update --all -n",
        ),
        dry_run=True,
    ),
    Entry(
        "doctor", "doctor", "Check this computer; each fault comes with its fix.",
        (
            "tmux-builder doctor",
            "tmux-builder doctor --for aws --json",
            "tmux-builder doctor --policy aws > policy.json",
        ),
    ),
    Entry(
        "login", "login", "Keep the token with which every Claude starts; it comes from stdin.",
        (
            "tmux-builder login < token.txt",
            "tmux-builder login --status",
            "tmux-builder login --remove",
        ),
    ),
    Entry(
        "demo", "demo", "Build, deploy and change a site; the model is scripted.",
        ("tmux-builder demo", "tmux-builder demo --no-tui --keep"),
    ),
    Entry(
        "serve", "serve", "Serve what the local host has deployed, until Ctrl+C.",
        ("tmux-builder serve ana@example.org --open",),
    ),
    Entry(
        "worker", "worker", "Run the worker; the other verbs start it by themselves.",
        ("tmux-builder worker", "tmux-builder worker --foreground"),
    ),
    Entry(
        "config show", "config", "Show every setting.", ("tmux-builder config show --origin",)
    ),
    Entry("config get", "config", "Show one setting.", ("tmux-builder config get limits.runs",)),
    Entry(
        "config set", "config", "Change one setting in the account's file.",
        ("tmux-builder config set claude.park_after 30m",),
    ),
    Entry(
        "config unset", "config", "Take one setting out of the account's file.",
        ("tmux-builder config unset domain.zone",),
    ),
    Entry("config path", "config", "Show where the settings lie.", ("tmux-builder config path",)),
    Entry(
        "completion", "completion", "Print the completion script of a shell.",
        ('eval "$(tmux-builder completion bash)"', "tmux-builder completion fish | source"),
    ),
    Entry(
        "report", "report", "Write a redacted bundle for a fault report.", ("tmux-builder report",)
    ),
)  # fmt: skip

BY_NAME = {entry.name: entry for entry in ENTRIES}

DAILY_LOOP = (
    "tmux-builder demo",
    'tmux-builder user create --email ana@example.org --phone "+1 555 010 0199"',
    "tmux-builder status ana@example.org --watch",
    'tmux-builder session send ana@example.org "Make the header blue" --wait',
    "tmux-builder deploy ana@example.org",
    "tmux-builder session attach ana@example.org",
)

EXIT_CODES = (
    (0, "done, healthy, or it was so already"),
    (1, "failed unexpectedly; the trace's place is printed"),
    (2, "wrong usage or ambiguous name"),
    (3, "not found"),
    (4, "login needed"),
    (5, "conflict or busy"),
    (6, "ran fine, the answer is no"),
    (7, "timed out; the work goes on and can be resumed"),
    (8, "something is missing on this computer"),
    (9, "confirmation needed and none possible"),
    (10, "the cloud refused"),
    (11, "partly done; run it again to go on"),
    (12, "a limit is reached"),
    (130, "interrupted"),
    (143, "terminated"),
)


def members(noun: str | None) -> list[tuple[str, str]]:
    """(word, summary) of what may follow `noun`; of the first word for None."""
    before = "" if noun is None else f"{noun} "
    found: dict[str, str] = {}
    for entry in ENTRIES:
        if entry.name.startswith(before):
            word = entry.name.removeprefix(before).split(" ")[0]
            found.setdefault(word, NOUNS.get(f"{before}{word}", entry.summary))
    return list(found.items())


def first_words() -> tuple[str, ...]:
    """Every word that may follow the program's name."""
    return tuple(word for word, _ in members(None))

"""The tables, as numbered migrations that only ever grow. One portable SQL for both databases."""

from __future__ import annotations

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
        "INSERT INTO meta (key, value) VALUES ('change', '0')",
        """CREATE TABLE users (
            user_id TEXT PRIMARY KEY, email TEXT NOT NULL, phone TEXT NOT NULL, name TEXT,
            created_at TEXT NOT NULL, host_provider TEXT NOT NULL, site_type TEXT NOT NULL,
            UNIQUE (email, phone))""",
        """CREATE TABLE sessions (
            user_id TEXT NOT NULL REFERENCES users (user_id), session_id TEXT NOT NULL,
            host_provider TEXT NOT NULL, site_type TEXT NOT NULL,
            created_at TEXT NOT NULL, updated_at TEXT NOT NULL,
            brief TEXT, simulated INTEGER NOT NULL DEFAULT 0, archived INTEGER NOT NULL DEFAULT 0,
            url TEXT, last_deployed_at TEXT, deploy_count INTEGER NOT NULL DEFAULT 0, port INTEGER,
            model_url TEXT, aws_profile TEXT NOT NULL DEFAULT 'sunwaretech',
            azure_profile TEXT NOT NULL DEFAULT 'sunwaretech',
            provider_block TEXT NOT NULL DEFAULT '{}',
            resources TEXT NOT NULL DEFAULT '[]', change INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (user_id, session_id))""",
        "CREATE INDEX sessions_by_change ON sessions (change)",
        "CREATE INDEX sessions_by_id ON sessions (session_id)",
        "CREATE UNIQUE INDEX sessions_by_port ON sessions (port) WHERE port IS NOT NULL",
        """CREATE TABLE agents (
            user_id TEXT NOT NULL, session_id TEXT NOT NULL, state TEXT NOT NULL, needs TEXT,
            source TEXT NOT NULL, evidence TEXT NOT NULL, since TEXT, claude_session_id TEXT,
            transcript_path TEXT, server_pid INTEGER, pane_id TEXT, pane_pid INTEGER,
            question TEXT, PRIMARY KEY (user_id, session_id))""",
        """CREATE TABLE claude_ids (
            user_id TEXT NOT NULL, session_id TEXT NOT NULL, claude_session_id TEXT NOT NULL,
            transcript_path TEXT, created_at TEXT NOT NULL,
            PRIMARY KEY (user_id, session_id, claude_session_id))""",
        """CREATE TABLE prompts (
            prompt_id TEXT PRIMARY KEY, user_id TEXT NOT NULL, session_id TEXT NOT NULL,
            seq INTEGER NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL, receipt TEXT NOT NULL,
            reason TEXT, created_at TEXT NOT NULL, settled_at TEXT, execution_id TEXT,
            claude_prompt_id TEXT, server_pid INTEGER, mark TEXT,
            UNIQUE (user_id, session_id, seq))""",
        "CREATE INDEX prompts_open ON prompts (receipt)",
        """CREATE TABLE turns (
            prompt_id TEXT PRIMARY KEY REFERENCES prompts (prompt_id), user_id TEXT NOT NULL,
            session_id TEXT NOT NULL, started_at TEXT NOT NULL, ended_at TEXT, outcome TEXT,
            message TEXT)""",
        "CREATE INDEX turns_by_session ON turns (user_id, session_id)",
        """CREATE TABLE executions (
            execution_id TEXT PRIMARY KEY, user_id TEXT NOT NULL, session_id TEXT NOT NULL,
            run INTEGER NOT NULL, kind TEXT NOT NULL, status TEXT NOT NULL,
            current_step INTEGER NOT NULL, from_step INTEGER NOT NULL, to_step INTEGER NOT NULL,
            skip_tests INTEGER NOT NULL DEFAULT 0, cancel_requested INTEGER NOT NULL DEFAULT 0,
            release_id TEXT, created_at TEXT NOT NULL, updated_at TEXT NOT NULL,
            error TEXT, error_code TEXT, error_exit INTEGER, error_remedy TEXT,
            result TEXT NOT NULL DEFAULT '{}',
            UNIQUE (user_id, session_id, run))""",
        """CREATE UNIQUE INDEX one_running_execution ON executions (user_id, session_id)
            WHERE status IN ('pending', 'running')""",
        "CREATE INDEX executions_by_status ON executions (status)",
        """CREATE TABLE steps (
            execution_id TEXT NOT NULL REFERENCES executions (execution_id), n INTEGER NOT NULL,
            name TEXT NOT NULL, state TEXT NOT NULL, tries INTEGER NOT NULL DEFAULT 0,
            started_at TEXT, ended_at TEXT, ms INTEGER, detail TEXT, log_line INTEGER,
            PRIMARY KEY (execution_id, n))""",
        """CREATE TABLE intents (
            intent_key TEXT PRIMARY KEY, attempt INTEGER NOT NULL, worker TEXT NOT NULL,
            created_at TEXT NOT NULL, data TEXT NOT NULL, outcome TEXT)""",
        """CREATE TABLE log_entries (
            execution_id TEXT NOT NULL, line INTEGER NOT NULL, timestamp TEXT NOT NULL,
            level TEXT NOT NULL, message TEXT NOT NULL, step INTEGER, step_name TEXT,
            details TEXT NOT NULL, trace_id TEXT NOT NULL, PRIMARY KEY (execution_id, line))""",
        """CREATE TABLE releases (
            user_id TEXT NOT NULL, session_id TEXT NOT NULL, release_id TEXT NOT NULL,
            tree TEXT NOT NULL, manifest TEXT NOT NULL, created_at TEXT NOT NULL,
            PRIMARY KEY (user_id, session_id, release_id))""",
        """CREATE TABLE deploys (
            user_id TEXT NOT NULL, session_id TEXT NOT NULL, deploy INTEGER NOT NULL,
            release_id TEXT NOT NULL, execution_id TEXT NOT NULL, url TEXT NOT NULL,
            files_total INTEGER NOT NULL, files_changed INTEGER NOT NULL,
            size_bytes INTEGER NOT NULL, created_at TEXT NOT NULL,
            PRIMARY KEY (user_id, session_id, deploy), UNIQUE (execution_id))""",
        """CREATE TABLE requests (
            request_id TEXT PRIMARY KEY, kind TEXT NOT NULL, user_id TEXT NOT NULL,
            session_id TEXT NOT NULL, payload TEXT NOT NULL, state TEXT NOT NULL,
            created_at TEXT NOT NULL, result TEXT, error_code TEXT, error_exit INTEGER,
            error_message TEXT, error_remedy TEXT)""",
        "CREATE INDEX requests_by_state ON requests (state)",
    ),
    (
        "ALTER TABLE sessions ADD COLUMN account_id TEXT",
        "ALTER TABLE sessions ADD COLUMN name_suffix TEXT",
        "ALTER TABLE executions ADD COLUMN max_delete INTEGER",
        """CREATE TABLE published_sites (
            user_id TEXT NOT NULL, session_id TEXT NOT NULL, objects TEXT NOT NULL,
            PRIMARY KEY (user_id, session_id))""",
    ),
    ("ALTER TABLE sessions ADD COLUMN model_speed TEXT NOT NULL DEFAULT 'normal'",),
    ("ALTER TABLE prompts ADD COLUMN error_exit INTEGER",),
    (
        "ALTER TABLE sessions ADD COLUMN mode TEXT NOT NULL DEFAULT 'unattended'",
        "ALTER TABLE sessions ADD COLUMN injection_sha256 TEXT",
        """CREATE TABLE approvals (
            user_id TEXT NOT NULL, session_id TEXT NOT NULL, approval_id TEXT NOT NULL,
            tool_name TEXT NOT NULL, subject TEXT NOT NULL, tool_input TEXT NOT NULL,
            rule_subject TEXT, event_sha256 TEXT NOT NULL,
            state TEXT NOT NULL, message TEXT, answered_by TEXT,
            created_at TEXT NOT NULL, deadline_at TEXT NOT NULL, answered_at TEXT,
            PRIMARY KEY (user_id, session_id, approval_id))""",
        "CREATE INDEX approvals_by_state ON approvals (state)",
        "ALTER TABLE agents ADD COLUMN mode TEXT",
        """CREATE TABLE allowances (
            user_id TEXT NOT NULL, session_id TEXT NOT NULL, tool_name TEXT NOT NULL,
            subject TEXT NOT NULL, created_at TEXT NOT NULL,
            PRIMARY KEY (user_id, session_id, tool_name, subject))""",
    ),
    (
        """CREATE TABLE usage (
            user_id TEXT NOT NULL, session_id TEXT NOT NULL, entry_id TEXT NOT NULL,
            claude_session_id TEXT NOT NULL, claude_prompt_id TEXT,
            at TEXT NOT NULL, source TEXT NOT NULL, model TEXT,
            input_tokens INTEGER NOT NULL DEFAULT 0, output_tokens INTEGER NOT NULL DEFAULT 0,
            cache_read_tokens INTEGER NOT NULL DEFAULT 0,
            cache_write_tokens INTEGER NOT NULL DEFAULT 0, usd REAL,
            PRIMARY KEY (user_id, session_id, entry_id))""",
        "CREATE INDEX usage_by_time ON usage (user_id, session_id, at)",
        """CREATE TABLE usage_days (
            user_id TEXT NOT NULL, session_id TEXT NOT NULL, day TEXT NOT NULL,
            input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL,
            cache_read_tokens INTEGER NOT NULL, cache_write_tokens INTEGER NOT NULL,
            usd REAL, unpriced INTEGER NOT NULL, PRIMARY KEY (user_id, session_id, day))""",
        "CREATE INDEX usage_days_by_day ON usage_days (day)",
        """CREATE TABLE claude_totals (
            user_id TEXT NOT NULL, session_id TEXT NOT NULL, claude_session_id TEXT NOT NULL,
            before_usd REAL NOT NULL, now_usd REAL NOT NULL,
            PRIMARY KEY (user_id, session_id, claude_session_id))""",
    ),
)

-- Times are microseconds since 1970-01-01 UTC; days are days since then.

-- The lake's journal. A set's parts are visible to readers from its 'published' on.
CREATE TABLE sets (
    set_id    TEXT PRIMARY KEY,
    kind      TEXT NOT NULL,
    sensor    TEXT NOT NULL,
    state     TEXT NOT NULL CHECK (state IN ('staging', 'publishing', 'published')),
    created   INTEGER NOT NULL,
    published INTEGER,
    detail    TEXT NOT NULL DEFAULT '{}'
) STRICT;
CREATE INDEX sets_open ON sets (state) WHERE state <> 'published';

CREATE TABLE parts (
    path    TEXT PRIMARY KEY,            -- relative to the lake
    set_id  TEXT NOT NULL REFERENCES sets,
    tbl     TEXT NOT NULL,
    date    INTEGER NOT NULL,
    hour    INTEGER,
    sensor  TEXT NOT NULL,
    run_id  TEXT,
    rows    INTEGER NOT NULL,
    bytes   INTEGER NOT NULL,
    first   INTEGER NOT NULL,
    last    INTEGER NOT NULL,
    state   TEXT NOT NULL CHECK (state IN ('staged', 'live', 'doomed')),
    staged  TEXT                         -- file name in the staging folder, while 'staged'
) STRICT, WITHOUT ROWID;
CREATE INDEX parts_place ON parts (tbl, state, date, hour);
CREATE INDEX parts_set ON parts (set_id);
CREATE INDEX parts_doomed ON parts (state) WHERE state <> 'live';

CREATE TABLE imports (
    import_id INTEGER PRIMARY KEY,
    content   TEXT NOT NULL,             -- hash of the bytes of the file
    sensor    TEXT NOT NULL,
    path      TEXT NOT NULL,
    size      INTEGER NOT NULL,
    state     TEXT NOT NULL CHECK (state IN ('running', 'done', 'damaged', 'failed', 'interrupted')),
    set_id    TEXT,
    original  TEXT,                      -- sha256 under LAKE/originals, where it was kept
    started   INTEGER NOT NULL,
    finished  INTEGER,
    counts    TEXT NOT NULL DEFAULT '{}',
    error     TEXT,
    UNIQUE (content, sensor)
) STRICT;

CREATE TABLE offsets (
    source   TEXT PRIMARY KEY,
    position TEXT NOT NULL,
    updated  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE models (
    model_id TEXT PRIMARY KEY,
    source   TEXT NOT NULL CHECK (source IN ('flow', 'dns', 'proxy')),
    words    TEXT NOT NULL,
    file     TEXT,                       -- relative to the lake
    card     TEXT NOT NULL,
    created  INTEGER NOT NULL
) STRICT;

CREATE TABLE runs (
    run_id  TEXT PRIMARY KEY,
    source  TEXT NOT NULL CHECK (source IN ('flow', 'dns', 'proxy')),
    date    INTEGER NOT NULL,
    words   TEXT NOT NULL,
    model   TEXT REFERENCES models,
    card    TEXT NOT NULL,
    created INTEGER NOT NULL,
    current INTEGER NOT NULL DEFAULT 0 CHECK (current IN (0, 1))
) STRICT;
CREATE UNIQUE INDEX runs_current ON runs (source, date) WHERE current = 1;

CREATE TABLE rules (
    rule_id  INTEGER PRIMARY KEY,
    action   TEXT NOT NULL CHECK (action IN ('suppress', 'allow')),
    source   TEXT NOT NULL CHECK (source IN ('flow', 'dns', 'proxy')),
    matcher  TEXT NOT NULL,
    author   TEXT NOT NULL,
    created  INTEGER NOT NULL,
    expires  INTEGER,
    note     TEXT,
    hits     INTEGER NOT NULL DEFAULT 0,
    last_hit INTEGER,
    retired  INTEGER
) STRICT;

CREATE TABLE verdicts (
    verdict_id INTEGER PRIMARY KEY AUTOINCREMENT,
    source     TEXT NOT NULL CHECK (source IN ('flow', 'dns', 'proxy')),
    record_id  BLOB CHECK (record_id IS NULL OR length(record_id) = 16),
    rule_id    INTEGER REFERENCES rules,
    severity   INTEGER NOT NULL CHECK (severity BETWEEN 1 AND 3),
    scope      TEXT NOT NULL,
    author     TEXT NOT NULL,
    time       INTEGER NOT NULL,
    note       TEXT,
    expires    INTEGER,
    supersedes INTEGER REFERENCES verdicts,
    CHECK ((record_id IS NULL) <> (rule_id IS NULL))
) STRICT;
CREATE INDEX verdicts_record ON verdicts (record_id);
CREATE TRIGGER verdicts_are_events BEFORE UPDATE ON verdicts
    BEGIN SELECT raise(ABORT, 'a verdict is never changed: append one that supersedes it'); END;
CREATE TRIGGER verdicts_stay BEFORE DELETE ON verdicts
    BEGIN SELECT raise(ABORT, 'a verdict is never deleted: append one that supersedes it'); END;

CREATE TABLE settings (
    key     TEXT PRIMARY KEY,
    value   TEXT NOT NULL,
    updated INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE jobs (
    job_id   INTEGER PRIMARY KEY,
    kind     TEXT NOT NULL,
    state    TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
    detail   TEXT NOT NULL,
    progress REAL,
    created  INTEGER NOT NULL,
    started  INTEGER,
    finished INTEGER,
    error    TEXT
) STRICT;

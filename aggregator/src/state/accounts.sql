-- Accounts, their sessions and API tokens, and the audit log. Times are microseconds since 1970-01-01 UTC.

CREATE TABLE users (
    user_id  INTEGER PRIMARY KEY,
    name     TEXT NOT NULL UNIQUE COLLATE NOCASE,
    password TEXT NOT NULL,              -- PHC string: algorithm, parameters, salt, hash
    role     TEXT NOT NULL CHECK (role IN ('viewer', 'analyst', 'admin')),
    created  INTEGER NOT NULL,
    changed  INTEGER NOT NULL,           -- of the password
    login    INTEGER,                    -- the last one
    disabled INTEGER                     -- since when
) STRICT;

CREATE TABLE sessions (
    secret  BLOB PRIMARY KEY CHECK (length(secret) = 32),   -- hash of it
    user_id INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
    created INTEGER NOT NULL,
    used    INTEGER NOT NULL,
    expires INTEGER NOT NULL,            -- whatever happens
    address TEXT NOT NULL,
    agent   TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_user ON sessions (user_id);

CREATE TABLE tokens (
    token_id INTEGER PRIMARY KEY,
    secret   BLOB NOT NULL UNIQUE CHECK (length(secret) = 32),
    user_id  INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
    name     TEXT NOT NULL,
    scope    TEXT NOT NULL CHECK (scope IN ('metrics', 'viewer', 'analyst', 'admin')),
    created  INTEGER NOT NULL,
    expires  INTEGER NOT NULL,
    used     INTEGER,
    revoked  INTEGER
) STRICT;
CREATE INDEX tokens_user ON tokens (user_id);

CREATE TABLE audit (
    seq     INTEGER PRIMARY KEY,
    time    INTEGER NOT NULL,
    actor   TEXT NOT NULL,
    address TEXT NOT NULL,
    action  TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail  TEXT NOT NULL,
    hash    BLOB NOT NULL CHECK (length(hash) = 32)         -- of this entry and the hash before it
) STRICT;
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
    BEGIN SELECT raise(ABORT, 'an audit entry is never changed'); END;
CREATE TRIGGER audit_stays BEFORE DELETE ON audit
    BEGIN SELECT raise(ABORT, 'an audit entry is never deleted'); END;
-- INSERT OR REPLACE fires no delete trigger.
CREATE TRIGGER audit_is_appended BEFORE INSERT ON audit WHEN EXISTS (SELECT 1 FROM audit WHERE seq >= new.seq)
    BEGIN SELECT raise(ABORT, 'an audit entry is never replaced'); END;

-- Keys that the server made for itself.
CREATE TABLE secrets (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Queries that analysts keep in the SQL console.
CREATE TABLE queries (
    query_id INTEGER PRIMARY KEY,
    owner    TEXT NOT NULL,
    name     TEXT NOT NULL,
    sql      TEXT NOT NULL,
    updated  INTEGER NOT NULL,
    UNIQUE (owner, name)
) STRICT;

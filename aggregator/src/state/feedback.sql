-- A verdict may say in its own words what it reaches (`reach`, JSON of the analytics crate), with or without a record to begin from;
-- severity 0 takes back what it supersedes. A rule has a name, and says who took it out of force.

CREATE TABLE verdicts_2 (
    verdict_id INTEGER PRIMARY KEY AUTOINCREMENT,
    source     TEXT NOT NULL CHECK (source IN ('flow', 'dns', 'proxy')),
    record_id  BLOB CHECK (record_id IS NULL OR length(record_id) = 16),
    rule_id    INTEGER REFERENCES rules,
    reach      TEXT,
    severity   INTEGER NOT NULL CHECK (severity BETWEEN 0 AND 3),
    scope      TEXT NOT NULL,
    author     TEXT NOT NULL,
    time       INTEGER NOT NULL,
    note       TEXT,
    expires    INTEGER,
    supersedes INTEGER REFERENCES verdicts_2,
    CHECK (record_id IS NULL OR rule_id IS NULL),
    CHECK (record_id IS NOT NULL OR rule_id IS NOT NULL OR reach IS NOT NULL),
    CHECK (severity > 0 OR supersedes IS NOT NULL)
) STRICT;
INSERT INTO verdicts_2
    SELECT verdict_id, source, record_id, rule_id, NULL, severity, scope, author, time, note, expires, supersedes
    FROM verdicts ORDER BY verdict_id;
DROP TABLE verdicts;
ALTER TABLE verdicts_2 RENAME TO verdicts;
CREATE INDEX verdicts_record ON verdicts (record_id);
CREATE INDEX verdicts_supersedes ON verdicts (supersedes) WHERE supersedes IS NOT NULL;
CREATE TRIGGER verdicts_are_events BEFORE UPDATE ON verdicts
    BEGIN SELECT raise(ABORT, 'a verdict is never changed: append one that supersedes it'); END;
CREATE TRIGGER verdicts_stay BEFORE DELETE ON verdicts
    BEGIN SELECT raise(ABORT, 'a verdict is never deleted: append one that supersedes it'); END;

ALTER TABLE rules ADD COLUMN name TEXT;
ALTER TABLE rules ADD COLUMN retired_by TEXT;

-- Verdicts that were given in one go, on what a query found: taken back in one go, too.
CREATE TABLE verdict_batches (
    batch_id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- What was asked, in words for people.
    query    TEXT NOT NULL
) STRICT;
ALTER TABLE verdicts ADD COLUMN batch INTEGER REFERENCES verdict_batches;
CREATE INDEX verdicts_batch ON verdicts (batch) WHERE batch IS NOT NULL;

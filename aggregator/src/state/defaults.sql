-- The saved view that a page begins with, for each account.
CREATE TABLE default_views (
    owner   TEXT NOT NULL,
    page    TEXT NOT NULL,
    view_id INTEGER NOT NULL REFERENCES saved_views ON DELETE CASCADE,
    PRIMARY KEY (owner, page)
) STRICT, WITHOUT ROWID;

-- Views that people saved: what a page's address said, by a name.
CREATE TABLE saved_views (
    id INTEGER PRIMARY KEY,
    page TEXT NOT NULL,
    name TEXT NOT NULL,
    owner TEXT NOT NULL,
    shared INTEGER NOT NULL CHECK (shared IN (0, 1)),
    query TEXT NOT NULL,
    created INTEGER NOT NULL,
    UNIQUE (owner, page, name)
) STRICT;

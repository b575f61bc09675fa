-- How each account wants things shown: theme, contrast, zone, as JSON of the server.
CREATE TABLE displays (
    owner   TEXT PRIMARY KEY,
    value   TEXT NOT NULL,
    updated INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

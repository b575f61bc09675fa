-- What each exporter sent, as of the last set of its collector: when, how late, what its numbering misses.
CREATE TABLE exporters (
    collector        TEXT NOT NULL,
    exporter         TEXT NOT NULL,
    sensor           TEXT NOT NULL,
    last             INTEGER NOT NULL,
    ended            INTEGER,
    messages         INTEGER NOT NULL,
    lost             INTEGER NOT NULL,
    reordered        INTEGER NOT NULL,
    restarts         INTEGER NOT NULL,
    without_template INTEGER NOT NULL,
    flows            INTEGER NOT NULL,
    ahead            INTEGER NOT NULL,
    behind           INTEGER NOT NULL,
    -- Of the last set that had flows with a time.
    recent_flows     INTEGER NOT NULL,
    recent_lag_ms    INTEGER NOT NULL,
    recent_longest_ms INTEGER NOT NULL,
    PRIMARY KEY (collector, exporter)
) STRICT, WITHOUT ROWID;

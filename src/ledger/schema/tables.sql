-- What is kept beside the roll-up, whose tables are made from the list of sums (sums.rs).

CREATE TABLE requests (
    id INTEGER PRIMARY KEY,
    request_id TEXT NOT NULL UNIQUE,
    ts INTEGER NOT NULL,
    provider TEXT NOT NULL,
    api TEXT NOT NULL,
    model TEXT,
    project TEXT,
    client TEXT,
    status INTEGER,
    error TEXT,
    stream INTEGER NOT NULL,
    tokens_before INTEGER,
    tokens_after INTEGER,
    input_tokens INTEGER,
    cache_read_tokens INTEGER,
    cache_write_tokens INTEGER,
    cache_write_1h_tokens INTEGER,
    output_tokens INTEGER,
    reasoning_tokens INTEGER,
    cost_nano INTEGER,
    saved_nano INTEGER,
    basis TEXT NOT NULL,
    mode TEXT NOT NULL,
    level TEXT NOT NULL,
    skip_reason TEXT,
    proxy_us INTEGER NOT NULL,
    ttfb_ms INTEGER,
    total_ms INTEGER NOT NULL,
    -- Why an answer has no footer, or `added`.
    footer TEXT,
    -- What answered, where that has another name than was asked for.
    served_model TEXT,
    -- How it was served, as far as that has a price: `standard`, `flex`, `standard fast` and so on.
    tier TEXT,
    -- Who says what it cost: `provider`, `configured` or `listed`.
    cost_basis TEXT,
    -- What a later price needs beside the other columns: JSON, where there is any.
    billing TEXT,
    -- Why the provider's cache was missed, in its word.
    cache_miss TEXT
) STRICT;

CREATE INDEX requests_ts ON requests (ts);

-- What a counted token is in billed ones: faded sums per model.
CREATE TABLE calibration (
    model TEXT PRIMARY KEY,
    requests INTEGER NOT NULL,
    billed_tokens INTEGER NOT NULL,
    counted_tokens INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- How the last requests were passed on, for tokenpak trace. Not a part of the open format: what
-- `detail` holds may change with any version.
CREATE TABLE traces (
    id INTEGER PRIMARY KEY,
    request_id TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;

-- How the last requests were passed on, for tokenpak trace. Not a part of the open format: what
-- `detail` holds may change with any version.

CREATE TABLE traces (
    id INTEGER PRIMARY KEY,
    request_id TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;

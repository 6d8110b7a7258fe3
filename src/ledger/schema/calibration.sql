-- Why an answer has no footer; and what a counted token is in billed ones: faded sums per model.

ALTER TABLE requests ADD COLUMN footer TEXT;

CREATE TABLE calibration (
    model TEXT PRIMARY KEY,
    requests INTEGER NOT NULL,
    billed_tokens INTEGER NOT NULL,
    counted_tokens INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

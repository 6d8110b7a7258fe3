-- What reports read, and sqlite3(1). Beside these there are the views of sums (schema.rs). Days are
-- local: those of the reader's TZ.

-- By quarter of an hour, with the latencies.
CREATE VIEW quarterly AS SELECT * FROM quarters;

-- By quarter of an hour and whatever there is to group by.
CREATE VIEW parts AS SELECT
    start, provider, nullif(model, '') AS model, nullif(project, '') AS project,
    nullif(client, '') AS client, mode, nullif(status, 0) AS status,
    requests, errors, tokens_before, tokens_after, input_tokens, cache_read_tokens,
    cache_write_tokens, output_tokens, cost_nano, saved_nano, no_usage, no_price
    FROM quarter_parts;

-- By day of UTC and whatever there is to group by: the same requests as in parts.
CREATE VIEW utc_parts AS SELECT
    start, provider, nullif(model, '') AS model, nullif(project, '') AS project,
    nullif(client, '') AS client, mode, nullif(status, 0) AS status,
    requests, errors, tokens_before, tokens_after, input_tokens, cache_read_tokens,
    cache_write_tokens, output_tokens, cost_nano, saved_nano, no_usage, no_price
    FROM day_parts;

-- Why requests are missing from the costs: their model has no price, or their answers no usage.
CREATE VIEW unpriced AS
    SELECT date(start, 'unixepoch', 'localtime') AS date, model, 'price' AS missing,
        sum(no_price) AS requests
        FROM parts GROUP BY 1, 2 HAVING sum(no_price) > 0
    UNION ALL
    SELECT date(start, 'unixepoch', 'localtime'), model, 'usage', sum(no_usage)
        FROM parts GROUP BY 1, 2 HAVING sum(no_usage) > 0;

-- A row for each request that is still kept.
CREATE VIEW latency AS SELECT ts, provider, model, proxy_us, ttfb_ms, total_ms
    FROM requests WHERE api <> 'other';

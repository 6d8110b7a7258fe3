-- What reports read, and sqlite3(1). Days are local: those of the reader's TZ. Money is in dollars, and
-- in nano-dollars (whole numbers, whose sums agree in every grouping) where one would sum it up further.

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

CREATE VIEW hourly AS SELECT strftime('%Y-%m-%d %H:00', start, 'unixepoch', 'localtime') AS hour,
    sum(requests) AS requests,
    sum(errors) AS errors,
    sum(tokens_before) AS tokens_before,
    sum(tokens_after) AS tokens_after,
    sum(tokens_before) - sum(tokens_after) AS tokens_saved,
    sum(input_tokens) AS input_tokens,
    sum(cache_read_tokens) AS cache_read_tokens,
    sum(cache_write_tokens) AS cache_write_tokens,
    sum(output_tokens) AS output_tokens,
    sum(cost_nano) / 1e9 AS cost_usd,
    sum(saved_nano) / 1e9 AS saved_usd
    FROM quarterly GROUP BY 1;

CREATE VIEW daily AS SELECT date(start, 'unixepoch', 'localtime') AS date,
    sum(requests) AS requests,
    sum(errors) AS errors,
    sum(tokens_before) AS tokens_before,
    sum(tokens_after) AS tokens_after,
    sum(tokens_before) - sum(tokens_after) AS tokens_saved,
    sum(input_tokens) AS input_tokens,
    sum(cache_read_tokens) AS cache_read_tokens,
    sum(cache_write_tokens) AS cache_write_tokens,
    sum(output_tokens) AS output_tokens,
    sum(cost_nano) / 1e9 AS cost_usd,
    sum(saved_nano) / 1e9 AS saved_usd
    FROM quarterly GROUP BY 1;

-- A week has the name of its Monday.
CREATE VIEW weekly AS SELECT date(start, 'unixepoch', 'localtime', 'weekday 0', '-6 days') AS week,
    sum(requests) AS requests,
    sum(errors) AS errors,
    sum(tokens_before) AS tokens_before,
    sum(tokens_after) AS tokens_after,
    sum(tokens_before) - sum(tokens_after) AS tokens_saved,
    sum(input_tokens) AS input_tokens,
    sum(cache_read_tokens) AS cache_read_tokens,
    sum(cache_write_tokens) AS cache_write_tokens,
    sum(output_tokens) AS output_tokens,
    sum(cost_nano) / 1e9 AS cost_usd,
    sum(saved_nano) / 1e9 AS saved_usd
    FROM quarterly GROUP BY 1;

CREATE VIEW monthly AS SELECT strftime('%Y-%m', start, 'unixepoch', 'localtime') AS month,
    sum(requests) AS requests,
    sum(errors) AS errors,
    sum(tokens_before) AS tokens_before,
    sum(tokens_after) AS tokens_after,
    sum(tokens_before) - sum(tokens_after) AS tokens_saved,
    sum(input_tokens) AS input_tokens,
    sum(cache_read_tokens) AS cache_read_tokens,
    sum(cache_write_tokens) AS cache_write_tokens,
    sum(output_tokens) AS output_tokens,
    sum(cost_nano) / 1e9 AS cost_usd,
    sum(saved_nano) / 1e9 AS saved_usd
    FROM quarterly GROUP BY 1;

CREATE VIEW by_model AS SELECT model,
    sum(requests) AS requests,
    sum(errors) AS errors,
    sum(tokens_before) AS tokens_before,
    sum(tokens_after) AS tokens_after,
    sum(tokens_before) - sum(tokens_after) AS tokens_saved,
    sum(input_tokens) AS input_tokens,
    sum(cache_read_tokens) AS cache_read_tokens,
    sum(cache_write_tokens) AS cache_write_tokens,
    sum(output_tokens) AS output_tokens,
    sum(cost_nano) / 1e9 AS cost_usd,
    sum(saved_nano) / 1e9 AS saved_usd
    FROM utc_parts GROUP BY 1;

CREATE VIEW by_provider AS SELECT provider,
    sum(requests) AS requests,
    sum(errors) AS errors,
    sum(tokens_before) AS tokens_before,
    sum(tokens_after) AS tokens_after,
    sum(tokens_before) - sum(tokens_after) AS tokens_saved,
    sum(input_tokens) AS input_tokens,
    sum(cache_read_tokens) AS cache_read_tokens,
    sum(cache_write_tokens) AS cache_write_tokens,
    sum(output_tokens) AS output_tokens,
    sum(cost_nano) / 1e9 AS cost_usd,
    sum(saved_nano) / 1e9 AS saved_usd
    FROM utc_parts GROUP BY 1;

CREATE VIEW by_project AS SELECT project,
    sum(requests) AS requests,
    sum(errors) AS errors,
    sum(tokens_before) AS tokens_before,
    sum(tokens_after) AS tokens_after,
    sum(tokens_before) - sum(tokens_after) AS tokens_saved,
    sum(input_tokens) AS input_tokens,
    sum(cache_read_tokens) AS cache_read_tokens,
    sum(cache_write_tokens) AS cache_write_tokens,
    sum(output_tokens) AS output_tokens,
    sum(cost_nano) / 1e9 AS cost_usd,
    sum(saved_nano) / 1e9 AS saved_usd
    FROM utc_parts GROUP BY 1;

CREATE VIEW by_client AS SELECT client,
    sum(requests) AS requests,
    sum(errors) AS errors,
    sum(tokens_before) AS tokens_before,
    sum(tokens_after) AS tokens_after,
    sum(tokens_before) - sum(tokens_after) AS tokens_saved,
    sum(input_tokens) AS input_tokens,
    sum(cache_read_tokens) AS cache_read_tokens,
    sum(cache_write_tokens) AS cache_write_tokens,
    sum(output_tokens) AS output_tokens,
    sum(cost_nano) / 1e9 AS cost_usd,
    sum(saved_nano) / 1e9 AS saved_usd
    FROM utc_parts GROUP BY 1;

CREATE VIEW by_mode AS SELECT mode,
    sum(requests) AS requests,
    sum(errors) AS errors,
    sum(tokens_before) AS tokens_before,
    sum(tokens_after) AS tokens_after,
    sum(tokens_before) - sum(tokens_after) AS tokens_saved,
    sum(input_tokens) AS input_tokens,
    sum(cache_read_tokens) AS cache_read_tokens,
    sum(cache_write_tokens) AS cache_write_tokens,
    sum(output_tokens) AS output_tokens,
    sum(cost_nano) / 1e9 AS cost_usd,
    sum(saved_nano) / 1e9 AS saved_usd
    FROM utc_parts GROUP BY 1;

CREATE VIEW by_status AS SELECT status,
    sum(requests) AS requests,
    sum(errors) AS errors,
    sum(tokens_before) AS tokens_before,
    sum(tokens_after) AS tokens_after,
    sum(tokens_before) - sum(tokens_after) AS tokens_saved,
    sum(input_tokens) AS input_tokens,
    sum(cache_read_tokens) AS cache_read_tokens,
    sum(cache_write_tokens) AS cache_write_tokens,
    sum(output_tokens) AS output_tokens,
    sum(cost_nano) / 1e9 AS cost_usd,
    sum(saved_nano) / 1e9 AS saved_usd
    FROM utc_parts GROUP BY 1;

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

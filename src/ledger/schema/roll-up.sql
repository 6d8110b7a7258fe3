-- The roll-up: reports of years in milliseconds, and true after old requests were deleted. A trigger
-- keeps it, so that it holds for every row, whoever writes it.

-- A request as the roll-up counts it. Names that are not known are '' and a missing status is 0,
-- because NULLs never conflict. A status of 400 or more is an error whoever left first.
CREATE VIEW measured AS SELECT
    id,
    ts - ts % 900 AS quarter,
    ts - ts % 86400 AS day,
    provider,
    coalesce(model, '') AS model,
    coalesce(project, '') AS project,
    coalesce(client, '') AS client,
    mode,
    coalesce(status, 0) AS status,
    1 AS requests,
    CASE WHEN status >= 400 THEN 1 WHEN error IS 'client_gone' THEN 0
        ELSE error IS NOT NULL OR status IS NULL END AS errors,
    tokens_before, tokens_after, input_tokens, cache_read_tokens, cache_write_tokens,
    output_tokens, cost_nano, saved_nano,
    cost_nano IS NULL AND (input_tokens IS NULL OR output_tokens IS NULL) AS no_usage,
    cost_nano IS NULL AND input_tokens IS NOT NULL AND output_tokens IS NOT NULL AS no_price,
    proxy_us
    FROM requests WHERE api <> 'other';

-- Everything of a quarter of an hour (UTC), which any zone's days are made of. us_N: requests whose
-- added latency is at most N microseconds, and more than the column before.
CREATE TABLE quarters (
    start INTEGER PRIMARY KEY,
    requests INTEGER NOT NULL, errors INTEGER NOT NULL, tokens_before INTEGER,
    tokens_after INTEGER, input_tokens INTEGER, cache_read_tokens INTEGER,
    cache_write_tokens INTEGER, output_tokens INTEGER, cost_nano INTEGER, saved_nano INTEGER,
    no_usage INTEGER NOT NULL, no_price INTEGER NOT NULL,
    us_50 INTEGER NOT NULL, us_70 INTEGER NOT NULL, us_100 INTEGER NOT NULL,
    us_150 INTEGER NOT NULL, us_200 INTEGER NOT NULL, us_300 INTEGER NOT NULL,
    us_500 INTEGER NOT NULL, us_700 INTEGER NOT NULL, us_1000 INTEGER NOT NULL,
    us_1500 INTEGER NOT NULL, us_2000 INTEGER NOT NULL, us_3000 INTEGER NOT NULL,
    us_5000 INTEGER NOT NULL, us_7000 INTEGER NOT NULL, us_10000 INTEGER NOT NULL,
    us_15000 INTEGER NOT NULL, us_20000 INTEGER NOT NULL, us_30000 INTEGER NOT NULL,
    us_50000 INTEGER NOT NULL, us_70000 INTEGER NOT NULL, us_100000 INTEGER NOT NULL,
    us_200000 INTEGER NOT NULL, us_500000 INTEGER NOT NULL, us_1000000 INTEGER NOT NULL,
    us_more INTEGER NOT NULL
) STRICT;

-- The same by who and what. A row for each combination that occurred in the quarter.
CREATE TABLE quarter_parts (
    start INTEGER NOT NULL,
    provider TEXT NOT NULL, model TEXT NOT NULL, project TEXT NOT NULL, client TEXT NOT NULL,
    mode TEXT NOT NULL, status INTEGER NOT NULL,
    requests INTEGER NOT NULL, errors INTEGER NOT NULL, tokens_before INTEGER,
    tokens_after INTEGER, input_tokens INTEGER, cache_read_tokens INTEGER,
    cache_write_tokens INTEGER, output_tokens INTEGER, cost_nano INTEGER, saved_nano INTEGER,
    no_usage INTEGER NOT NULL, no_price INTEGER NOT NULL,
    PRIMARY KEY (start, provider, model, project, client, mode, status)
) STRICT, WITHOUT ROWID;

-- The same by days of UTC: what lies inside of a long range.
CREATE TABLE day_parts (
    start INTEGER NOT NULL,
    provider TEXT NOT NULL, model TEXT NOT NULL, project TEXT NOT NULL, client TEXT NOT NULL,
    mode TEXT NOT NULL, status INTEGER NOT NULL,
    requests INTEGER NOT NULL, errors INTEGER NOT NULL, tokens_before INTEGER,
    tokens_after INTEGER, input_tokens INTEGER, cache_read_tokens INTEGER,
    cache_write_tokens INTEGER, output_tokens INTEGER, cost_nano INTEGER, saved_nano INTEGER,
    no_usage INTEGER NOT NULL, no_price INTEGER NOT NULL,
    PRIMARY KEY (start, provider, model, project, client, mode, status)
) STRICT, WITHOUT ROWID;

INSERT INTO quarters SELECT quarter,
    sum(requests), sum(errors), sum(tokens_before), sum(tokens_after), sum(input_tokens),
    sum(cache_read_tokens), sum(cache_write_tokens), sum(output_tokens), sum(cost_nano),
    sum(saved_nano), sum(no_usage), sum(no_price),
    sum(proxy_us <= 50), sum(proxy_us BETWEEN 51 AND 70),
    sum(proxy_us BETWEEN 71 AND 100), sum(proxy_us BETWEEN 101 AND 150),
    sum(proxy_us BETWEEN 151 AND 200), sum(proxy_us BETWEEN 201 AND 300),
    sum(proxy_us BETWEEN 301 AND 500), sum(proxy_us BETWEEN 501 AND 700),
    sum(proxy_us BETWEEN 701 AND 1000), sum(proxy_us BETWEEN 1001 AND 1500),
    sum(proxy_us BETWEEN 1501 AND 2000), sum(proxy_us BETWEEN 2001 AND 3000),
    sum(proxy_us BETWEEN 3001 AND 5000), sum(proxy_us BETWEEN 5001 AND 7000),
    sum(proxy_us BETWEEN 7001 AND 10000), sum(proxy_us BETWEEN 10001 AND 15000),
    sum(proxy_us BETWEEN 15001 AND 20000), sum(proxy_us BETWEEN 20001 AND 30000),
    sum(proxy_us BETWEEN 30001 AND 50000), sum(proxy_us BETWEEN 50001 AND 70000),
    sum(proxy_us BETWEEN 70001 AND 100000),
    sum(proxy_us BETWEEN 100001 AND 200000),
    sum(proxy_us BETWEEN 200001 AND 500000),
    sum(proxy_us BETWEEN 500001 AND 1000000), sum(proxy_us > 1000000)
    FROM measured GROUP BY quarter;

INSERT INTO quarter_parts SELECT quarter, provider, model, project, client, mode, status,
    sum(requests), sum(errors), sum(tokens_before), sum(tokens_after), sum(input_tokens),
    sum(cache_read_tokens), sum(cache_write_tokens), sum(output_tokens), sum(cost_nano),
    sum(saved_nano), sum(no_usage), sum(no_price)
    FROM measured GROUP BY quarter, provider, model, project, client, mode, status;

INSERT INTO day_parts SELECT start - start % 86400, provider, model, project, client, mode, status,
    sum(requests), sum(errors), sum(tokens_before), sum(tokens_after), sum(input_tokens),
    sum(cache_read_tokens), sum(cache_write_tokens), sum(output_tokens), sum(cost_nano),
    sum(saved_nano), sum(no_usage), sum(no_price)
    FROM quarter_parts GROUP BY 1, provider, model, project, client, mode, status;

CREATE TRIGGER roll_up AFTER INSERT ON requests WHEN new.api <> 'other' BEGIN
    INSERT INTO quarters SELECT quarter,
        requests, errors, tokens_before, tokens_after, input_tokens, cache_read_tokens,
        cache_write_tokens, output_tokens, cost_nano, saved_nano, no_usage, no_price,
        proxy_us <= 50, proxy_us BETWEEN 51 AND 70, proxy_us BETWEEN 71 AND 100,
        proxy_us BETWEEN 101 AND 150, proxy_us BETWEEN 151 AND 200,
        proxy_us BETWEEN 201 AND 300, proxy_us BETWEEN 301 AND 500,
        proxy_us BETWEEN 501 AND 700, proxy_us BETWEEN 701 AND 1000,
        proxy_us BETWEEN 1001 AND 1500, proxy_us BETWEEN 1501 AND 2000,
        proxy_us BETWEEN 2001 AND 3000, proxy_us BETWEEN 3001 AND 5000,
        proxy_us BETWEEN 5001 AND 7000, proxy_us BETWEEN 7001 AND 10000,
        proxy_us BETWEEN 10001 AND 15000, proxy_us BETWEEN 15001 AND 20000,
        proxy_us BETWEEN 20001 AND 30000, proxy_us BETWEEN 30001 AND 50000,
        proxy_us BETWEEN 50001 AND 70000, proxy_us BETWEEN 70001 AND 100000,
        proxy_us BETWEEN 100001 AND 200000, proxy_us BETWEEN 200001 AND 500000,
        proxy_us BETWEEN 500001 AND 1000000, proxy_us > 1000000
        FROM measured WHERE id = new.id
        ON CONFLICT (start) DO UPDATE SET
        requests = requests + excluded.requests, errors = errors + excluded.errors,
        no_usage = no_usage + excluded.no_usage, no_price = no_price + excluded.no_price,
        tokens_before =
            coalesce(tokens_before + excluded.tokens_before, tokens_before, excluded.tokens_before),
        tokens_after =
            coalesce(tokens_after + excluded.tokens_after, tokens_after, excluded.tokens_after),
        input_tokens =
            coalesce(input_tokens + excluded.input_tokens, input_tokens, excluded.input_tokens),
        cache_read_tokens =
            coalesce(cache_read_tokens + excluded.cache_read_tokens, cache_read_tokens, excluded.cache_read_tokens),
        cache_write_tokens =
            coalesce(cache_write_tokens + excluded.cache_write_tokens, cache_write_tokens, excluded.cache_write_tokens),
        output_tokens =
            coalesce(output_tokens + excluded.output_tokens, output_tokens, excluded.output_tokens),
        cost_nano = coalesce(cost_nano + excluded.cost_nano, cost_nano, excluded.cost_nano),
        saved_nano = coalesce(saved_nano + excluded.saved_nano, saved_nano, excluded.saved_nano),
        us_50 = us_50 + excluded.us_50, us_70 = us_70 + excluded.us_70,
        us_100 = us_100 + excluded.us_100, us_150 = us_150 + excluded.us_150,
        us_200 = us_200 + excluded.us_200, us_300 = us_300 + excluded.us_300,
        us_500 = us_500 + excluded.us_500, us_700 = us_700 + excluded.us_700,
        us_1000 = us_1000 + excluded.us_1000, us_1500 = us_1500 + excluded.us_1500,
        us_2000 = us_2000 + excluded.us_2000, us_3000 = us_3000 + excluded.us_3000,
        us_5000 = us_5000 + excluded.us_5000, us_7000 = us_7000 + excluded.us_7000,
        us_10000 = us_10000 + excluded.us_10000, us_15000 = us_15000 + excluded.us_15000,
        us_20000 = us_20000 + excluded.us_20000, us_30000 = us_30000 + excluded.us_30000,
        us_50000 = us_50000 + excluded.us_50000, us_70000 = us_70000 + excluded.us_70000,
        us_100000 = us_100000 + excluded.us_100000, us_200000 = us_200000 + excluded.us_200000,
        us_500000 = us_500000 + excluded.us_500000,
        us_1000000 = us_1000000 + excluded.us_1000000, us_more = us_more + excluded.us_more;
    INSERT INTO quarter_parts SELECT quarter, provider, model, project, client, mode, status,
        requests, errors, tokens_before, tokens_after, input_tokens, cache_read_tokens,
        cache_write_tokens, output_tokens, cost_nano, saved_nano, no_usage, no_price
        FROM measured WHERE id = new.id
        ON CONFLICT (start, provider, model, project, client, mode, status) DO UPDATE SET
        requests = requests + excluded.requests, errors = errors + excluded.errors,
        no_usage = no_usage + excluded.no_usage, no_price = no_price + excluded.no_price,
        tokens_before =
            coalesce(tokens_before + excluded.tokens_before, tokens_before, excluded.tokens_before),
        tokens_after =
            coalesce(tokens_after + excluded.tokens_after, tokens_after, excluded.tokens_after),
        input_tokens =
            coalesce(input_tokens + excluded.input_tokens, input_tokens, excluded.input_tokens),
        cache_read_tokens =
            coalesce(cache_read_tokens + excluded.cache_read_tokens, cache_read_tokens, excluded.cache_read_tokens),
        cache_write_tokens =
            coalesce(cache_write_tokens + excluded.cache_write_tokens, cache_write_tokens, excluded.cache_write_tokens),
        output_tokens =
            coalesce(output_tokens + excluded.output_tokens, output_tokens, excluded.output_tokens),
        cost_nano = coalesce(cost_nano + excluded.cost_nano, cost_nano, excluded.cost_nano),
        saved_nano = coalesce(saved_nano + excluded.saved_nano, saved_nano, excluded.saved_nano);
    INSERT INTO day_parts SELECT day, provider, model, project, client, mode, status,
        requests, errors, tokens_before, tokens_after, input_tokens, cache_read_tokens,
        cache_write_tokens, output_tokens, cost_nano, saved_nano, no_usage, no_price
        FROM measured WHERE id = new.id
        ON CONFLICT (start, provider, model, project, client, mode, status) DO UPDATE SET
        requests = requests + excluded.requests, errors = errors + excluded.errors,
        no_usage = no_usage + excluded.no_usage, no_price = no_price + excluded.no_price,
        tokens_before =
            coalesce(tokens_before + excluded.tokens_before, tokens_before, excluded.tokens_before),
        tokens_after =
            coalesce(tokens_after + excluded.tokens_after, tokens_after, excluded.tokens_after),
        input_tokens =
            coalesce(input_tokens + excluded.input_tokens, input_tokens, excluded.input_tokens),
        cache_read_tokens =
            coalesce(cache_read_tokens + excluded.cache_read_tokens, cache_read_tokens, excluded.cache_read_tokens),
        cache_write_tokens =
            coalesce(cache_write_tokens + excluded.cache_write_tokens, cache_write_tokens, excluded.cache_write_tokens),
        output_tokens =
            coalesce(output_tokens + excluded.output_tokens, output_tokens, excluded.output_tokens),
        cost_nano = coalesce(cost_nano + excluded.cost_nano, cost_nano, excluded.cost_nano),
        saved_nano = coalesce(saved_nano + excluded.saved_nano, saved_nano, excluded.saved_nano);
END;

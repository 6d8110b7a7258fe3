#!/usr/bin/env python3
"""Writes src/prices/table.txt: tests/tools/prices.py LITELLM.json VERSION > src/prices/table.txt

Facts only (names and list prices), restated from two public sources:

* the package data of genai-prices (Pydantic Services Inc., MIT licence), which must be installed:
  models, hosts, tiers of context, dated changes, hours of the day, service tiers;
* model_prices_and_context_window_backup.json of the litellm package (Berri AI, MIT licence) of that version:
  what the first one does not have (writes kept for 12 hours, ultrafast, factors for regions and speed).

The format is explained at the top of the file that it writes.
"""

import datetime
import decimal
import importlib.metadata
import json
import re
import sys

from genai_prices import data

# Ours, and theirs. A maker's price stands for its model wherever no host's own one is known.
HOSTS = {
    "anthropic": "anthropic", "openai": "openai", "google": "google", "deepseek": "deepseek",
    "moonshot": "moonshotai", "zai": "zai", "minimax": "minimax", "xai": "x-ai", "mistral": "mistral",
    "groq": "groq", "together": "together", "fireworks": "fireworks", "cerebras": "cerebras",
}
# What the first source has no host for: (host, name of the provider in the second one).
ADDED = {"alibaba": "dashscope"}
MAKERS = ["anthropic", "openai", "google", "deepseek", "moonshot", "zai", "minimax", "xai", "mistral", "alibaba"]

# Letter in the table, field of the first source, field of the second one (dollars per token).
RATES = [
    ("i", "input_mtok", "input_cost_per_token"),
    ("o", "output_mtok", "output_cost_per_token"),
    ("r", "cache_read_mtok", "cache_read_input_token_cost"),
    ("w", "cache_write_mtok", "cache_creation_input_token_cost"),
    ("h", "cache_write_1h_mtok", "cache_creation_input_token_cost_above_1hr"),
    ("d", None, "cache_creation_input_token_cost_above_12hr"),
    ("a", "input_audio_mtok", "input_cost_per_audio_token"),
    ("b", "output_audio_mtok", "output_cost_per_audio_token"),
    ("p", "output_image_mtok", None),
]
TODAY = datetime.date.today()
# OpenAI's own page of prices: what neither source has.
AUDIO = {"gpt-4o-audio-preview": {"a": 40, "b": 80}, "gpt-4o-mini-audio-preview": {"a": 10, "b": 20}}
PER_SEARCH = "web_searches_kcount"
TIERS = ["flex", "priority", "ultrafast"]
MILLION = decimal.Decimal(1_000_000)


def number(value):
    text = f"{decimal.Decimal(value).normalize():f}"
    return text


def pico(value, name):
    """Whole pico-dollars per token: 1e-6 of a dollar per million tokens."""
    value = (decimal.Decimal(value) * MILLION).quantize(decimal.Decimal(1))
    if value >= 2**32 - 1:
        sys.exit(f"{name}: {value} is too large")
    return value / MILLION


def layers(prices, name):
    """Rates of a ModelPrice by their threshold in input tokens; 0 is the base."""
    found = {0: {}}
    for letter, field, _ in RATES:
        price = getattr(prices, field, None) if field else None
        if price is None:
            continue
        base = getattr(price, "base", price)
        found[0][letter] = pico(base, name)
        for tier in getattr(price, "tiers", []):
            found.setdefault(tier.start, {})[letter] = pico(tier.price, name)
    searches = getattr(prices, PER_SEARCH, None)
    if searches is not None:
        # Google asks per request for what is older than Gemini 3, and per search since.
        per_request = re.match(r"gemini-[12]", name)
        found[0]["g" if per_request else "s"] = decimal.Decimal(getattr(searches, "base", searches))
    return found


def sections(model):
    """(condition, rates) in the order in which they are applied."""
    dated = model.prices if isinstance(model.prices, list) else [model.prices]
    out = []
    for item in dated:
        prices, when = getattr(item, "prices", item), []
        constraint = getattr(item, "constraint", None)
        if hasattr(constraint, "start_date") and constraint.start_date > TODAY - datetime.timedelta(days=400):
            when = [f"from={constraint.start_date}"]
        elif hasattr(constraint, "start_time"):
            start, end = constraint.start_time, constraint.end_time
            when = [f"daily={start.hour * 60 + start.minute}-{end.hour * 60 + end.minute}"]
        out += [(when + above(limit), rates) for limit, rates in sorted(layers(prices, model.id).items())]
    oldest = datetime.date(2000, 1, 1)
    for variant in sorted(model.price_variants or [], key=lambda it: getattr(it.constraint, "start_date", oldest)):
        start = getattr(variant.constraint, "start_date", None)
        tier = variant.when.get("service_tier") or variant.when.get("processing") or variant.when.get("speed")
        if "speed" in variant.when:
            tier = "speed"
        if tier in (None, "default", "fast"):
            continue
        # What has begun by now has no day: requests of before are recorded with their own prices.
        when = [f"from={start}"] if start and start > TODAY else []
        found = layers(variant.prices, model.id)
        out += [([tier] + when + above(limit), rates) for limit, rates in sorted(found.items()) if rates]
    return out


def above(limit):
    return [f">{limit}"] if limit else []


def overlay(parts, row):
    """What the second source has more."""
    if not parts or not row:
        return
    tiers = {None: []} | {tier: [tier] for tier in TIERS}
    limits = sorted({int(key) * 1000 for key in re.findall(r"above_(\d+)k_tokens", " ".join(row))})
    known = {word for condition, _ in parts for word in condition}
    for tier, when in tiers.items():
        for limit in [0] + limits:
            suffix = f"_above_{limit // 1000}k_tokens" if limit else ""
            suffix += f"_{tier}" if tier else ""
            found = {}
            for letter, _, field in RATES:
                value = row.get((field or "-") + suffix)
                if value is not None and (letter in "dab" or (tier and tier not in known)):
                    found[letter] = pico(decimal.Decimal(str(value)) * MILLION, field)
            if not found:
                continue
            where = when + above(limit)
            for condition, rates in parts:
                if condition == where:
                    for letter, value in found.items():
                        rates.setdefault(letter, value)
                    break
            else:
                parts.append((where, found))
    factors = row.get("provider_specific_entry") or {}
    if "us" in factors:
        parts.append((["us"], {"x": decimal.Decimal(str(factors["us"]))}))
    if "fast" in factors and not any("speed" in condition for condition, _ in parts):
        parts.append((["speed"], {"x": decimal.Decimal(str(factors["fast"]))}))


def second(row):
    """Sections of a model that only the second source has."""
    base = {}
    for letter, _, field in RATES:
        if field and row.get(field) is not None:
            base[letter] = pico(decimal.Decimal(str(row[field])) * MILLION, field)
    parts = [([], base)]
    for tier in (None, *TIERS, "batch"):
        for limit in sorted({0} | {int(key) * 1000 for key in re.findall(r"above_(\d+)k_tokens", " ".join(row))}):
            if not tier and not limit:
                continue
            suffix = (f"_above_{limit // 1000}k_tokens" if limit else "") + {None: "", "batch": "_batches"}.get(tier, f"_{tier}")
            found = {}
            for letter, _, field in RATES:
                if field and row.get(field + suffix) is not None:
                    found[letter] = pico(decimal.Decimal(str(row[field + suffix])) * MILLION, field)
            if found:
                parts.append((([tier] if tier else []) + above(limit), found))
    return parts


def names(model):
    """Names that clients send: the id, and what is matched whole."""
    found, clauses = [model.id], [model.match]
    while clauses:
        clause = clauses.pop()
        clauses += getattr(clause, "or_", [])
        for kind in ("equals",):
            if getattr(clause, kind, None):
                found.append(getattr(clause, kind))
    return sorted({plain(name) for name in found})


def plain(name):
    name = name.lower().rsplit("/", 1)[-1]
    return name.replace(".", "-") if name.startswith("claude") else name


def text(parts):
    words = []
    for condition, rates in parts:
        if not rates:
            continue
        if condition:
            words.append("[" + ",".join(condition) + "]")
        if "i" in rates and "o" in rates:
            words.append(f"{number(rates['i'])}/{number(rates['o'])}")
        words += [letter + number(value) for letter, value in rates.items() if letter not in "io" or "i" not in rates or "o" not in rates]
    return " ".join(words)


def without_date(name):
    return re.sub(r"-(20\d{2}-\d{2}-\d{2}|20\d{6}|\d{4})$", "", name)


def main():
    litellm = json.load(open(sys.argv[1], encoding="utf-8"))
    providers = {provider.id: provider for provider in data.providers}
    rows = {}
    for host, theirs in HOSTS.items():
        for model in providers[theirs].models:
            parts = sections(model)
            if not parts or "i" not in parts[0][1] or "o" not in parts[0][1]:
                continue
            aliases = {"google": "gemini/", "anthropic": ""}
            for name in names(model):
                # Open weights that OpenAI does not sell: what they cost is for their hosts to say.
                if host == "openai" and name.startswith("gpt-oss"):
                    continue
                row = next((litellm[key] for key in (aliases.get(host, host + "/") + name, name) if key in litellm), None)
                copy = [(list(condition), dict(rates)) for condition, rates in parts]
                # A price that has just changed may not have got there.
                is_new = any(str(TODAY - datetime.timedelta(days=60)) < word[5:] for condition, _ in copy for word in condition if word.startswith("from="))
                if row and host in ("openai", "anthropic", "google") and not is_new:
                    overlay(copy, row)
                copy[0][1].update({letter: decimal.Decimal(value) for letter, value in AUDIO.get(name, {}).items()})
                rows.setdefault((name, host), text(copy))
    for key, row in litellm.items():
        provider = row.get("litellm_provider")
        is_host = [host for host, theirs in ({"openai": "openai", "anthropic": "anthropic"} | ADDED).items() if theirs == provider]
        if not is_host or row.get("mode") not in ("chat", "responses") or not row.get("input_cost_per_token"):
            continue
        if row.get("output_cost_per_token") is None:
            continue
        if (without_date(plain(key)), is_host[0]) not in rows:
            rows.setdefault((plain(key), is_host[0]), text(second(row)))
    for (name, host) in list(rows):
        bare = without_date(name)
        if bare != name and rows.get((bare, host)) == rows[name, host]:
            del rows[name, host]
    version = importlib.metadata.version("genai-prices")
    print(HEAD.format(version=version, as_of=as_of(), litellm=sys.argv[2]), end="")
    for (name, host) in sorted(rows):
        print(name, host, rows[name, host])


def as_of():
    """The newest day that the first source's words on its prices name, not in the future."""
    source = open(data.__file__.replace("data.py", "data_snapshot.py"), encoding="utf-8").read()
    days = re.findall(r"(?:verified|read|checked) on (20\d\d-\d\d-\d\d)", open(data.__file__, encoding="utf-8").read() + source)
    return max(day for day in days if day <= str(TODAY))


HEAD = """\
# List prices by model and host, in order. Written by tests/tools/prices.py; do not edit.
# Facts only, restated from packages of Pydantic Services Inc. and Berri AI (both MIT licence).
# source genai-prices {version} and litellm {litellm}
# as of {as_of}
#
# NAME HOST RATES [CONDITION,...] RATES ...: what stands behind conditions overrules what stands before.
# Dollars per million tokens: IN/OUT, r cache read, w cache write, h kept an hour, d kept twelve hours,
# a audio in, b audio out, p images out; s dollars per 1,000 searches, g per 1,000
# requests that search; x a factor on all of them.
# Conditions: >N input tokens, from=DAY, daily=MINUTE-MINUTE (UTC), a service tier, speed, us.
"""

if __name__ == "__main__":
    main()

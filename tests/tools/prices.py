#!/usr/bin/env python3
"""Writes src/ledger/prices.rs from a price file: tests/tools/prices.py PRICES.json > src/ledger/prices.rs

Facts only: names and list prices, dollars per million tokens turned into pico-dollars per token,
which are whole numbers for every price listed. A row that would need rounding, or that mixes
two kinds of exceptions, stops the run: lookup.rs does not expect either.
"""

import datetime
import decimal
import json
import sys

FIELDS = ["input", "output", "cache_write_5m", "cache_write_1h", "cache_read"]


def rates(*layers):
    """One `rates(...)` term; later layers overrule earlier ones where they say something."""
    values = []
    for field in FIELDS:
        said = [layer[field] for layer in layers if layer.get(field) is not None]
        if not said:
            values.append("NONE")
            continue
        pico = said[-1] * 1_000_000
        if pico != int(pico) or pico >= 2**32 - 1:
            sys.exit(f"{layers[0]['match']}: {field} is not a whole number of pico-dollars")
        values.append(f"{int(pico):_}")
    return f"rates({', '.join(values)})"


def exceptions(row):
    terms = []
    for tier in row.get("tiers", []):
        terms.append(f"Above({tier['above_input_tokens']:_}, {rates(row, tier)})")
    for change in row.get("changes", []):
        day = datetime.datetime.fromisoformat(change["from"]).replace(tzinfo=datetime.timezone.utc)
        terms.append(f"From({int(day.timestamp()):_}, {rates(row, change)})")
    for window in row.get("time_of_day", []):
        terms.append(f"Daily({minute(window['utc_from'])}, {minute(window['utc_to'])}, {rates(row, window)})")
    if sum(kind in row for kind in ("tiers", "changes", "time_of_day")) > 1:
        sys.exit(f"{row['match']}: two kinds of exceptions in one row")
    return terms


def minute(clock):
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        prices = json.load(file, parse_float=decimal.Decimal)
    print(HEAD.format(as_of=prices["as_of"]), end="")
    for row in sorted(prices["models"], key=lambda row: row["match"]):
        terms = exceptions(row)
        print(f'    Row {{ name: "{row["match"]}", base: {rates(row)}, except: &[', end="")
        print("".join(f"\n        {term}," for term in terms), end="\n    " if terms else "")
        print("] },")
    print("];")


HEAD = '''//! The list prices that are built in, one flat table. Made by tests/tools/prices.py; do not edit.
//!
//! Facts only (names and list prices), restated from the package data of genai-prices 0.2.3 by
//! Pydantic Services Inc., MIT licence. Pico-dollars per token (dollars per million tokens times
//! a million): input, output, cache write kept 5 minutes, kept an hour, cache read.

use super::lookup::Except::{{Above, Daily, From}};
use super::lookup::Row;
use super::price::{{NONE, rates}};

/// The newest dated change in the table.
pub(crate) const AS_OF: &str = "{as_of}";

/// Where they come from.
pub(crate) const SOURCE: &str = "genai-prices 0.2.3";

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
'''

if __name__ == "__main__":
    main()

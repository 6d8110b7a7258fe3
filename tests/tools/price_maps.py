#!/usr/bin/env python3
"""Writes tests/maps/prices.txt: tests/tools/price_maps.py LITELLM.json LITELLM-VERSION > tests/maps/prices.txt

Facts only (names and list prices of today), restated from two public sources for the test that compares
every one of them with what tokenpak says:

* model_prices_and_context_window_backup.json of the litellm package (Berri AI, MIT licence), the argument;
* the package data of genai-prices (Pydantic Services Inc., MIT licence), which must be installed.

Lines are `MAP HOST NAME IN OUT`, in dollars per million tokens. The test's day is in the head.
"""

import datetime
import decimal
import importlib.metadata
import json
import sys

from genai_prices import data

# Host as tokenpak names it, and as the maps do.
HOSTS = {
    "openai": ("openai", "openai"), "anthropic": ("anthropic", "anthropic"), "google": ("gemini", "google"),
    "xai": ("xai", "x-ai"), "mistral": ("mistral", "mistral"), "deepseek": ("deepseek", "deepseek"),
    "moonshot": ("moonshot", "moonshotai"), "zai": ("zai", "zai"), "groq": ("groq", "groq"),
    "together": ("together_ai", "together"), "fireworks": ("fireworks_ai", "fireworks"),
    "cerebras": ("cerebras", "cerebras"), "minimax": ("minimax", "minimax"), "alibaba": ("dashscope", None),
}


def number(value):
    text = f"{decimal.Decimal(str(value)) * 1:.6f}"
    return text.rstrip("0").rstrip(".")


def main():
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    rows = []
    litellm = json.load(open(sys.argv[1], encoding="utf-8"))
    ours = {theirs[0]: host for host, theirs in HOSTS.items()}
    for name, row in litellm.items():
        host = ours.get(row.get("litellm_provider"))
        if not host or row.get("mode") not in ("chat", "responses") or not row.get("input_cost_per_token"):
            continue
        million = decimal.Decimal(1_000_000)
        prices = [decimal.Decimal(str(row.get(f"{kind}_cost_per_token") or 0)) * million for kind in ("input", "output")]
        rows.append(("litellm", host, name, *map(number, prices)))
    providers = {provider.id: provider for provider in data.providers}
    for host, (_, theirs) in HOSTS.items():
        for model in providers[theirs].models if theirs else []:
            try:
                prices = model.get_prices(now)
            except Exception:
                continue
            found = [getattr(getattr(prices, kind), "base", getattr(prices, kind)) for kind in ("input_mtok", "output_mtok")]
            if all(price is not None for price in found):
                rows.append(("genai-prices", host, model.id, *map(number, found)))
    version = importlib.metadata.version("genai-prices")
    print("# Names and list prices in public price maps. Written by tests/tools/price_maps.py; do not edit.")
    print(f"# Facts only, restated from litellm {sys.argv[2]} (Berri AI, MIT licence) and")
    print(f"# genai-prices {version} (Pydantic Services Inc., MIT licence).")
    print(f"# at {int(now.timestamp())}")
    for row in sorted(rows):
        print(*row)


if __name__ == "__main__":
    main()

//! The list prices that are built in, one flat table. Made by tests/tools/prices.py; do not edit.
//!
//! Facts only (names and list prices), restated from the package data of genai-prices 0.2.3 by
//! Pydantic Services Inc., MIT licence. Pico-dollars per token (dollars per million tokens times
//! a million): input, output, cache write kept 5 minutes, kept an hour, cache read.

use super::lookup::Except::{Above, Daily, From};
use super::lookup::Row;
use super::price::{NONE, rates};

/// The newest dated change in the table.
pub(crate) const AS_OF: &str = "2026-11-09";

/// Where they come from.
pub(crate) const SOURCE: &str = "genai-prices 0.2.3";

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    Row { name: "chatgpt-4o-latest", base: rates(5_000_000, 15_000_000, NONE, NONE, NONE), except: &[] },
    Row { name: "claude-3-5-haiku", base: rates(800_000, 4_000_000, 1_000_000, 1_600_000, 80_000), except: &[] },
    Row { name: "claude-3-5-sonnet", base: rates(3_000_000, 15_000_000, 3_750_000, 6_000_000, 300_000), except: &[] },
    Row { name: "claude-3-7-sonnet", base: rates(3_000_000, 15_000_000, 3_750_000, 6_000_000, 300_000), except: &[] },
    Row { name: "claude-3-haiku", base: rates(250_000, 1_250_000, 300_000, 500_000, 30_000), except: &[] },
    Row { name: "claude-3-opus", base: rates(15_000_000, 75_000_000, 18_750_000, 30_000_000, 1_500_000), except: &[] },
    Row { name: "claude-3-sonnet", base: rates(3_000_000, 15_000_000, 3_750_000, 6_000_000, 300_000), except: &[] },
    Row { name: "claude-fable-5", base: rates(10_000_000, 50_000_000, 12_500_000, 20_000_000, 1_000_000), except: &[] },
    Row { name: "claude-fable-5-1", base: rates(10_000_000, 50_000_000, 12_500_000, 20_000_000, 250_000), except: &[] },
    Row { name: "claude-fable-5-2", base: rates(8_000_000, 40_000_000, 10_000_000, 16_000_000, 200_000), except: &[] },
    Row { name: "claude-haiku-4-5", base: rates(1_000_000, 5_000_000, 1_250_000, 2_000_000, 100_000), except: &[] },
    Row { name: "claude-haiku-5-5", base: rates(100_000, 500_000, 125_000, 200_000, 10_000), except: &[
        Above(100_000, rates(500_000, 2_500_000, 625_000, 1_000_000, 50_000)),
    ] },
    Row { name: "claude-mythos-5-2", base: rates(8_000_000, 40_000_000, 10_000_000, 16_000_000, 200_000), except: &[] },
    Row { name: "claude-opus-4", base: rates(15_000_000, 75_000_000, 18_750_000, 30_000_000, 1_500_000), except: &[] },
    Row { name: "claude-opus-4-1", base: rates(15_000_000, 75_000_000, 18_750_000, 30_000_000, 1_500_000), except: &[] },
    Row { name: "claude-opus-4-5", base: rates(5_000_000, 25_000_000, 6_250_000, 10_000_000, 500_000), except: &[] },
    Row { name: "claude-opus-4-6", base: rates(5_000_000, 25_000_000, 6_250_000, 10_000_000, 500_000), except: &[] },
    Row { name: "claude-opus-4-7", base: rates(5_000_000, 25_000_000, 6_250_000, 10_000_000, 500_000), except: &[] },
    Row { name: "claude-opus-4-8", base: rates(5_000_000, 25_000_000, 6_250_000, 10_000_000, 500_000), except: &[] },
    Row { name: "claude-opus-5", base: rates(5_000_000, 25_000_000, 6_250_000, 10_000_000, 500_000), except: &[] },
    Row { name: "claude-opus-5-5", base: rates(4_000_000, 20_000_000, 5_000_000, 8_000_000, 200_000), except: &[] },
    Row { name: "claude-sonnet-4", base: rates(3_000_000, 15_000_000, 3_750_000, 6_000_000, 300_000), except: &[] },
    Row { name: "claude-sonnet-4-5", base: rates(3_000_000, 15_000_000, 3_750_000, 6_000_000, 300_000), except: &[
        Above(200_000, rates(6_000_000, 22_500_000, 7_500_000, 12_000_000, 600_000)),
    ] },
    Row { name: "claude-sonnet-4-6", base: rates(3_000_000, 15_000_000, 3_750_000, 6_000_000, 300_000), except: &[] },
    Row { name: "claude-sonnet-5", base: rates(2_000_000, 10_000_000, 2_500_000, 4_000_000, 200_000), except: &[] },
    Row { name: "claude-sonnet-5-5", base: rates(2_000_000, 10_000_000, 2_500_000, 4_000_000, 100_000), except: &[] },
    Row { name: "codestral-2508", base: rates(300_000, 900_000, NONE, NONE, 30_000), except: &[] },
    Row { name: "codestral-latest", base: rates(300_000, 900_000, NONE, NONE, NONE), except: &[] },
    Row { name: "codex-mini", base: rates(1_500_000, 6_000_000, NONE, NONE, 375_000), except: &[] },
    Row { name: "deepseek-chat", base: rates(135_000, 550_000, NONE, NONE, 35_000), except: &[
        Daily(30, 990, rates(270_000, 1_100_000, NONE, NONE, 70_000)),
    ] },
    Row { name: "deepseek-flash", base: rates(150_000, 600_000, NONE, NONE, 3_000), except: &[
        Daily(60, 240, rates(300_000, 1_200_000, NONE, NONE, 6_000)),
        Daily(360, 600, rates(300_000, 1_200_000, NONE, NONE, 6_000)),
    ] },
    Row { name: "deepseek-reasoner", base: rates(135_000, 550_000, NONE, NONE, 35_000), except: &[
        Daily(30, 990, rates(550_000, 2_190_000, NONE, NONE, 140_000)),
    ] },
    Row { name: "deepseek-v3.2", base: rates(228_800, 343_200, NONE, NONE, NONE), except: &[] },
    Row { name: "deepseek-v4-flash", base: rates(150_000, 600_000, NONE, NONE, 3_000), except: &[
        Daily(60, 240, rates(300_000, 1_200_000, NONE, NONE, 6_000)),
        Daily(360, 600, rates(300_000, 1_200_000, NONE, NONE, 6_000)),
    ] },
    Row { name: "deepseek-v4-pro", base: rates(660_000, 1_980_000, NONE, NONE, 22_000), except: &[
        Daily(60, 240, rates(1_320_000, 3_960_000, NONE, NONE, 44_000)),
        Daily(360, 600, rates(1_320_000, 3_960_000, NONE, NONE, 44_000)),
    ] },
    Row { name: "devstral-2512", base: rates(400_000, 2_000_000, NONE, NONE, 40_000), except: &[] },
    Row { name: "devstral-small", base: rates(100_000, 300_000, NONE, NONE, NONE), except: &[] },
    Row { name: "gemini-2.0-flash", base: rates(100_000, 400_000, NONE, NONE, 25_000), except: &[] },
    Row { name: "gemini-2.0-flash-lite", base: rates(75_000, 300_000, NONE, NONE, NONE), except: &[] },
    Row { name: "gemini-2.5-flash", base: rates(300_000, 2_500_000, NONE, NONE, 30_000), except: &[] },
    Row { name: "gemini-2.5-flash-lite", base: rates(100_000, 400_000, NONE, NONE, 10_000), except: &[] },
    Row { name: "gemini-2.5-pro", base: rates(1_250_000, 10_000_000, NONE, NONE, 125_000), except: &[
        Above(200_000, rates(2_500_000, 15_000_000, NONE, NONE, 250_000)),
    ] },
    Row { name: "gemini-3-flash", base: rates(500_000, 3_000_000, NONE, NONE, 50_000), except: &[] },
    Row { name: "gemini-3-pro", base: rates(2_000_000, 12_000_000, NONE, NONE, 200_000), except: &[
        Above(200_000, rates(4_000_000, 18_000_000, NONE, NONE, 400_000)),
    ] },
    Row { name: "gemini-3.1-flash-lite", base: rates(250_000, 1_500_000, NONE, NONE, 25_000), except: &[] },
    Row { name: "gemini-3.1-pro", base: rates(2_000_000, 12_000_000, NONE, NONE, 200_000), except: &[
        Above(200_000, rates(4_000_000, 18_000_000, NONE, NONE, 400_000)),
    ] },
    Row { name: "gemini-3.5-flash", base: rates(1_500_000, 9_000_000, NONE, NONE, 150_000), except: &[] },
    Row { name: "gemini-3.5-flash-lite", base: rates(300_000, 2_500_000, NONE, NONE, 30_000), except: &[] },
    Row { name: "gemini-3.6-flash", base: rates(750_000, 3_750_000, NONE, NONE, 75_000), except: &[
        From(1_798_761_600, rates(1_500_000, 7_500_000, NONE, NONE, 150_000)),
    ] },
    Row { name: "gemini-3.7-flash", base: rates(750_000, 3_750_000, NONE, NONE, 75_000), except: &[
        From(1_798_761_600, rates(1_500_000, 7_500_000, NONE, NONE, 150_000)),
    ] },
    Row { name: "gemini-3.8-flash", base: rates(750_000, 3_750_000, NONE, NONE, 75_000), except: &[
        From(1_798_761_600, rates(1_500_000, 7_500_000, NONE, NONE, 150_000)),
    ] },
    Row { name: "gemini-4-argon", base: rates(2_000_000, 10_000_000, NONE, NONE, 100_000), except: &[
        From(1_796_083_200, rates(4_000_000, 20_000_000, NONE, NONE, 200_000)),
    ] },
    Row { name: "gpt-3.5-turbo", base: rates(500_000, 1_500_000, NONE, NONE, NONE), except: &[] },
    Row { name: "gpt-3.5-turbo-16k", base: rates(3_000_000, 4_000_000, NONE, NONE, NONE), except: &[] },
    Row { name: "gpt-4", base: rates(30_000_000, 60_000_000, NONE, NONE, NONE), except: &[] },
    Row { name: "gpt-4-32k", base: rates(60_000_000, 120_000_000, NONE, NONE, NONE), except: &[] },
    Row { name: "gpt-4-turbo", base: rates(10_000_000, 30_000_000, NONE, NONE, NONE), except: &[] },
    Row { name: "gpt-4.1", base: rates(2_000_000, 8_000_000, NONE, NONE, 500_000), except: &[] },
    Row { name: "gpt-4.1-mini", base: rates(400_000, 1_600_000, NONE, NONE, 100_000), except: &[] },
    Row { name: "gpt-4.1-nano", base: rates(100_000, 400_000, NONE, NONE, 25_000), except: &[] },
    Row { name: "gpt-4.5-preview", base: rates(75_000_000, 150_000_000, NONE, NONE, 37_500_000), except: &[] },
    Row { name: "gpt-4o", base: rates(2_500_000, 10_000_000, NONE, NONE, 1_250_000), except: &[] },
    Row { name: "gpt-4o-2024-05-13", base: rates(5_000_000, 15_000_000, NONE, NONE, NONE), except: &[] },
    Row { name: "gpt-4o-mini", base: rates(150_000, 600_000, NONE, NONE, 75_000), except: &[] },
    Row { name: "gpt-5", base: rates(1_250_000, 10_000_000, NONE, NONE, 125_000), except: &[] },
    Row { name: "gpt-5-mini", base: rates(250_000, 2_000_000, NONE, NONE, 25_000), except: &[] },
    Row { name: "gpt-5-nano", base: rates(50_000, 400_000, NONE, NONE, 5_000), except: &[] },
    Row { name: "gpt-5-pro", base: rates(15_000_000, 120_000_000, NONE, NONE, NONE), except: &[] },
    Row { name: "gpt-5.1", base: rates(1_250_000, 10_000_000, NONE, NONE, 125_000), except: &[] },
    Row { name: "gpt-5.1-codex-mini", base: rates(250_000, 2_000_000, NONE, NONE, 25_000), except: &[] },
    Row { name: "gpt-5.2", base: rates(1_750_000, 14_000_000, NONE, NONE, 175_000), except: &[] },
    Row { name: "gpt-5.2-pro", base: rates(21_000_000, 168_000_000, NONE, NONE, NONE), except: &[] },
    Row { name: "gpt-5.3", base: rates(1_750_000, 14_000_000, NONE, NONE, 175_000), except: &[] },
    Row { name: "gpt-5.3-codex", base: rates(1_750_000, 14_000_000, NONE, NONE, 175_000), except: &[] },
    Row { name: "gpt-5.4", base: rates(2_500_000, 15_000_000, NONE, NONE, 250_000), except: &[
        Above(272_000, rates(5_000_000, 22_500_000, NONE, NONE, 500_000)),
    ] },
    Row { name: "gpt-5.4-mini", base: rates(750_000, 4_500_000, NONE, NONE, 75_000), except: &[] },
    Row { name: "gpt-5.4-nano", base: rates(200_000, 1_250_000, NONE, NONE, 20_000), except: &[] },
    Row { name: "gpt-5.4-pro", base: rates(30_000_000, 180_000_000, NONE, NONE, NONE), except: &[
        Above(272_000, rates(60_000_000, 270_000_000, NONE, NONE, NONE)),
    ] },
    Row { name: "gpt-5.5", base: rates(5_000_000, 30_000_000, NONE, NONE, 500_000), except: &[
        Above(272_000, rates(10_000_000, 45_000_000, NONE, NONE, 1_000_000)),
    ] },
    Row { name: "gpt-5.5-pro", base: rates(30_000_000, 180_000_000, NONE, NONE, NONE), except: &[
        Above(272_000, rates(60_000_000, 270_000_000, NONE, NONE, NONE)),
    ] },
    Row { name: "gpt-5.6-luna", base: rates(200_000, 1_200_000, 250_000, NONE, 20_000), except: &[
        Above(272_000, rates(400_000, 1_800_000, 500_000, NONE, 40_000)),
    ] },
    Row { name: "gpt-5.6-sol", base: rates(4_000_000, 20_000_000, 5_000_000, NONE, 400_000), except: &[
        Above(272_000, rates(8_000_000, 30_000_000, 10_000_000, NONE, 800_000)),
    ] },
    Row { name: "gpt-5.6-terra", base: rates(2_000_000, 12_000_000, 2_500_000, NONE, 200_000), except: &[
        Above(272_000, rates(4_000_000, 18_000_000, 5_000_000, NONE, 400_000)),
    ] },
    Row { name: "gpt-6-astra", base: rates(10_000_000, 50_000_000, 12_500_000, NONE, 1_000_000), except: &[
        Above(272_000, rates(20_000_000, 75_000_000, 25_000_000, NONE, 2_000_000)),
    ] },
    Row { name: "gpt-6-luna", base: rates(100_000, 500_000, 125_000, NONE, 10_000), except: &[
        Above(272_000, rates(200_000, 750_000, 250_000, NONE, 20_000)),
    ] },
    Row { name: "gpt-6-sol", base: rates(2_000_000, 10_000_000, 2_500_000, NONE, 200_000), except: &[
        Above(272_000, rates(4_000_000, 15_000_000, 5_000_000, NONE, 400_000)),
    ] },
    Row { name: "gpt-6.1-sol", base: rates(2_000_000, 10_000_000, 2_500_000, NONE, 100_000), except: &[
        Above(272_000, rates(4_000_000, 15_000_000, 5_000_000, NONE, 200_000)),
    ] },
    Row { name: "gpt-6.1-terra", base: rates(1_000_000, 5_000_000, 1_250_000, NONE, 50_000), except: &[
        Above(272_000, rates(2_000_000, 7_500_000, 2_500_000, NONE, 100_000)),
    ] },
    Row { name: "gpt-chat-latest", base: rates(5_000_000, 30_000_000, NONE, NONE, 500_000), except: &[] },
    Row { name: "gpt-oss-120b", base: rates(39_000, 180_000, NONE, NONE, NONE), except: &[] },
    Row { name: "gpt-oss-20b", base: rates(29_000, 140_000, NONE, NONE, NONE), except: &[] },
    Row { name: "grok-3", base: rates(3_000_000, 15_000_000, NONE, NONE, 750_000), except: &[] },
    Row { name: "grok-3-mini", base: rates(300_000, 500_000, NONE, NONE, 75_000), except: &[] },
    Row { name: "grok-4", base: rates(3_000_000, 15_000_000, NONE, NONE, 750_000), except: &[] },
    Row { name: "grok-4-1-fast-non-reasoning", base: rates(200_000, 500_000, NONE, NONE, 50_000), except: &[] },
    Row { name: "grok-4-1-fast-reasoning", base: rates(200_000, 500_000, NONE, NONE, 50_000), except: &[] },
    Row { name: "grok-4-fast-non-reasoning", base: rates(200_000, 500_000, NONE, NONE, 50_000), except: &[] },
    Row { name: "grok-4-fast-reasoning", base: rates(200_000, 500_000, NONE, NONE, 50_000), except: &[] },
    Row { name: "grok-4.20", base: rates(1_250_000, 2_500_000, NONE, NONE, 200_000), except: &[
        Above(199_999, rates(2_500_000, 5_000_000, NONE, NONE, 400_000)),
    ] },
    Row { name: "grok-4.3", base: rates(1_250_000, 2_500_000, NONE, NONE, 200_000), except: &[
        Above(199_999, rates(2_500_000, 5_000_000, NONE, NONE, 400_000)),
    ] },
    Row { name: "grok-4.5", base: rates(2_000_000, 6_000_000, NONE, NONE, 300_000), except: &[
        Above(199_999, rates(4_000_000, 12_000_000, NONE, NONE, 600_000)),
    ] },
    Row { name: "grok-4.6", base: rates(2_000_000, 6_000_000, NONE, NONE, 500_000), except: &[
        Above(199_999, rates(4_000_000, 12_000_000, NONE, NONE, 1_000_000)),
    ] },
    Row { name: "grok-4.7", base: rates(2_000_000, 6_000_000, NONE, NONE, 500_000), except: &[
        Above(199_999, rates(4_000_000, 12_000_000, NONE, NONE, 1_000_000)),
    ] },
    Row { name: "grok-build-0.1", base: rates(1_000_000, 2_000_000, NONE, NONE, 200_000), except: &[
        Above(199_999, rates(2_000_000, 4_000_000, NONE, NONE, 400_000)),
    ] },
    Row { name: "grok-code-fast-1", base: rates(200_000, 1_500_000, NONE, NONE, 20_000), except: &[] },
    Row { name: "magistral-medium", base: rates(2_000_000, 5_000_000, NONE, NONE, NONE), except: &[] },
    Row { name: "magistral-small", base: rates(500_000, 1_500_000, NONE, NONE, NONE), except: &[] },
    Row { name: "ministral-14b-2512", base: rates(200_000, 200_000, NONE, NONE, 20_000), except: &[] },
    Row { name: "ministral-3b-2512", base: rates(100_000, 100_000, NONE, NONE, 10_000), except: &[] },
    Row { name: "ministral-8b-2512", base: rates(150_000, 150_000, NONE, NONE, 15_000), except: &[] },
    Row { name: "mistral-large-2411", base: rates(2_000_000, 6_000_000, NONE, NONE, NONE), except: &[] },
    Row { name: "mistral-large-2512", base: rates(500_000, 1_500_000, NONE, NONE, 50_000), except: &[] },
    Row { name: "mistral-large-4", base: rates(700_000, 2_100_000, NONE, NONE, 70_000), except: &[] },
    Row { name: "mistral-large-latest", base: rates(2_000_000, 6_000_000, NONE, NONE, NONE), except: &[] },
    Row { name: "mistral-medium-2505", base: rates(400_000, 2_000_000, NONE, NONE, 40_000), except: &[] },
    Row { name: "mistral-medium-2508", base: rates(400_000, 2_000_000, NONE, NONE, 40_000), except: &[] },
    Row { name: "mistral-medium-3-5", base: rates(1_500_000, 7_500_000, NONE, NONE, 150_000), except: &[] },
    Row { name: "mistral-medium-latest", base: rates(1_500_000, 7_500_000, NONE, NONE, 150_000), except: &[] },
    Row { name: "mistral-small-2506", base: rates(100_000, 300_000, NONE, NONE, NONE), except: &[] },
    Row { name: "mistral-small-2603", base: rates(150_000, 600_000, NONE, NONE, 15_000), except: &[] },
    Row { name: "mistral-small-latest", base: rates(150_000, 600_000, NONE, NONE, 15_000), except: &[] },
    Row { name: "o1", base: rates(15_000_000, 60_000_000, NONE, NONE, 7_500_000), except: &[] },
    Row { name: "o1-mini", base: rates(1_100_000, 4_400_000, NONE, NONE, 550_000), except: &[] },
    Row { name: "o1-pro", base: rates(150_000_000, 600_000_000, NONE, NONE, NONE), except: &[] },
    Row { name: "o3", base: rates(2_000_000, 8_000_000, NONE, NONE, 500_000), except: &[] },
    Row { name: "o3-mini", base: rates(1_100_000, 4_400_000, NONE, NONE, 550_000), except: &[] },
    Row { name: "o3-pro", base: rates(20_000_000, 80_000_000, NONE, NONE, NONE), except: &[] },
    Row { name: "o4-mini", base: rates(1_100_000, 4_400_000, NONE, NONE, 275_000), except: &[] },
];

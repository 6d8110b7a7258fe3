//! tokenpak from outside: the real program in a scratch home, between a raw client and a provider
//! stand-in. A file for each kind of behaviour; `support` holds what they share.

#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

#[path = "../hostile/mod.rs"]
mod hostile_prompts;
#[path = "../provider/mod.rs"]
mod provider;
#[path = "../sandbox/mod.rs"]
mod sandbox;
mod support;
#[path = "../wire/mod.rs"]
mod wire;

mod accounts;
mod answer_framing;
mod answers;
mod background;
mod bills;
mod bound_conversations;
mod cache_misses;
mod client_table;
mod clients;
mod command_line;
mod compression;
mod corpus;
mod crowd;
mod dead_paths;
mod doctor;
mod durability;
mod early_answers;
mod encodings;
mod entrance;
mod events;
mod exchanges;
mod exhaustion;
mod exit_codes;
mod extremes;
mod faults;
mod footer;
mod forms;
mod forwarding;
mod framing;
mod headers;
mod holds;
mod hostile;
mod ledger_faults;
mod local_answers;
mod long_conversations;
mod machines;
mod manual;
mod memory;
mod memory_limit;
mod money;
mod names;
mod origins;
mod pages;
mod price_lists;
mod price_records;
mod printed;
mod quick;
mod reload;
mod reports;
mod retries;
mod routing;
mod said_errors;
mod savings;
mod secrets;
mod settings;
mod shared_machine;
mod shutdown;
mod stand_in;
mod static_binary;
mod status;
mod streaming;
mod tls;
mod traces;
mod troubles;
mod unit;
mod uploads;
mod usage;
mod zones;

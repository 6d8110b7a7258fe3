//! Reports: sums of the ledger to text, JSON, CSV, HTML and Prometheus' format. Pure; what is read
//! where is `cmd`'s business.

pub(crate) mod alert;
pub(crate) mod calendar;
pub(crate) mod group;
mod html;
mod machine;
pub(crate) mod overview;
pub(crate) mod prometheus;
pub(crate) mod range;
mod table;
pub(crate) mod text;
mod trace;
pub(crate) mod zone;

#[cfg(test)]
mod tests;

pub(crate) use html::{Page, html};
pub(crate) use machine::{overview_csv, overview_json, table_csv, table_json};
pub(crate) use table::{nothing, oneline, table};
pub(crate) use trace::{brief as trace_brief, full as trace_full, object as trace_object};

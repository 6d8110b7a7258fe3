//! Reports: rows of the ledger to text and JSON. Pure; what is read where is `cmd`'s business.

mod overview;
mod text;
pub(crate) mod zone;

pub(crate) use overview::{json, table};

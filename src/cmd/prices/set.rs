//! `tokenpak prices set` and `unset`: the user's own prices, in the configuration file.

use serde_json::{Map, Value};

use super::arrived;
use crate::cli;
use crate::config::{self, Edit, Environment};
use crate::error::{Error, say};
use crate::prices::{Prices, plain_name};

/// Less than this and more than nothing is a price in another unit.
const DOLLARS_MIN: f64 = 0.001;

pub(super) fn run(args: &cli::PricesSet) -> Result<(), Error> {
    let mut named = Map::new();
    for word in &args.rates {
        let (field, number) = word
            .split_once('=')
            .ok_or_else(|| Error::usage(format!("{word}: not NAME=DOLLARS, such as input=0.95")))?;
        let value = serde_json::from_str(number).unwrap_or_else(|_| number.into());
        if named.insert(field.to_owned(), value).is_some() {
            return Err(Error::usage(format!("{field}: there twice")));
        }
    }
    match named.is_empty() {
        true => Err(Error::usage("prices set needs prices, such as input=0.95 output=4")),
        false => set(&Environment::of_process(), &args.model, named),
    }
}

/// Writes a price; rates that are not named stay as they were.
pub(crate) fn set(
    around: &Environment,
    model: &str,
    named: Map<String, Value>,
) -> Result<(), Error> {
    let mut edit = Edit::open(&config::path(around).0)?;
    let mut fields = Map::new();
    for name in names(&edit, model) {
        if let Some(Value::Object(known)) = edit.section("prices").and_then(|all| all.get(&name)) {
            fields = known.clone();
        }
        edit.unset(&format!("prices.{name}"));
    }
    fields.extend(named);
    check(model, &fields)?;
    edit.set(&format!("prices.{model}"), Value::Object(fields))?;
    edit.save()?;
    overridden(around);
    arrived(around)
}

pub(super) fn run_unset(args: &cli::PricesUnset) -> Result<(), Error> {
    unset(&Environment::of_process(), &args.model)
}

/// Takes a price away; requests that were priced by it keep what they cost.
pub(crate) fn unset(around: &Environment, model: &str) -> Result<(), Error> {
    let mut edit = Edit::open(&config::path(around).0)?;
    let names = names(&edit, model);
    if names.is_empty() {
        return Err(Error::answer(format!("{model} has no price of your own")));
    }
    for name in names {
        edit.unset(&format!("prices.{name}"));
    }
    edit.save()?;
    overridden(around);
    arrived(around)
}

/// The names in the file that are this one to us.
fn names(edit: &Edit, model: &str) -> Vec<String> {
    let known = edit.section("prices").into_iter().flat_map(Map::keys);
    known.filter(|name| plain_name(name) == plain_name(model)).cloned().collect()
}

/// Whether this could be a price, and is one in our unit.
fn check(model: &str, fields: &Map<String, Value>) -> Result<(), Error> {
    let object = Value::Object(Map::from_iter([(model.to_owned(), Value::Object(fields.clone()))]));
    Prices::parse(&object.to_string()).map_err(Error::usage)?;
    let is_small = |value: &Value| value.as_f64().is_some_and(|it| it > 0.0 && it < DOLLARS_MIN);
    let small =
        ["input", "output"].into_iter().find(|field| fields.get(*field).is_some_and(is_small));
    match small {
        Some(field) => {
            let what = format!("{model}: {field}: dollars per million tokens are meant");
            Err(Error::usage(what))
        }
        None => Ok(()),
    }
}

fn overridden(around: &Environment) {
    if around.variable("TOKENPAK_PRICES").is_some() {
        say("tokenpak: note: TOKENPAK_PRICES overrides all prices of the configuration file");
    }
}

//! The one table of clients, `clients.json`: what is installed, how it is set up, what is tested.
//!
//! The README, the manual and the tests take the set-up from it. A row has:
//!
//! - `id`: the client in file names and on the command line of `install`; `name`: as people know it.
//! - `kind`: `sdk` (a library, used by a script here), `cli` (a coding agent) or `tool`.
//! - `from`: `pip`, `npm`, or `machine` for what the system has; then `package`, `version` and `with`
//!   (more packages, as `name@version`). `place`: its folder below that of `install`, if it shares one.
//!   What the system has needs a `package` only if `program` is not its name.
//! - The set-up as users have it, with `http://localhost:8766` as the address, for which a test puts
//!   the real one: `env` (variables), `files` (path below the home to lines), `options` (of the
//!   program).
//! - `keys`: the variables that hold its key. `test_env` and `test_files`: what only a test sets, for
//!   silence; such a file stands in the place of that of the set-up.
//! - `program`: what is run. `agent`: what its name in the ledger begins with; a blank stands between
//!   two possibilities.
//! - `note`: a sentence for its users. `limits`: what is known not to work, and the way round.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

/// Where `install` has put the clients.
const CLIENTS: &str = "TOKENPAK_TEST_CLIENTS";

/// What stands for the proxy in every set-up.
pub(crate) const ADDRESS: &str = "http://localhost:8766";

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Sdk,
    Cli,
    Tool,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Source {
    Pip,
    Npm,
    Machine,
}

/// A row of the table.
#[allow(dead_code)] // Some of it is for `install` and the documents.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) from: Source,
    #[serde(default)]
    pub(crate) package: String,
    #[serde(default)]
    pub(crate) version: String,
    #[serde(default, rename = "with")]
    pub(crate) more: Vec<String>,
    #[serde(default)]
    place: Option<String>,
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) files: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pub(crate) options: Vec<String>,
    #[serde(default)]
    pub(crate) keys: Vec<String>,
    #[serde(default)]
    pub(crate) test_env: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) test_files: BTreeMap<String, Vec<String>>,
    pub(crate) program: String,
    pub(crate) agent: String,
    #[serde(default)]
    pub(crate) note: String,
    #[serde(default)]
    pub(crate) limits: String,
}

/// The whole table, in its order.
pub(crate) fn clients() -> Vec<Client> {
    serde_json::from_str(include_str!("clients.json")).expect("clients.json is a table of clients")
}

impl Client {
    #[track_caller]
    pub(crate) fn by_id(id: &str) -> Client {
        let found = clients().into_iter().find(|client| client.id == id);
        found.unwrap_or_else(|| panic!("{id} is not in clients.json"))
    }

    /// Where its packages are or would be.
    fn place(&self) -> Option<PathBuf> {
        let root = PathBuf::from(std::env::var_os(CLIENTS)?);
        Some(root.join(self.place.as_ref().unwrap_or(&self.id)))
    }

    /// Whether `install` has tried, and the registry did not give it.
    pub(crate) fn is_unavailable(&self) -> bool {
        let is_tried = |place: PathBuf| place.join("install.log").exists();
        self.folder().is_none() && self.place().is_some_and(is_tried)
    }

    /// The folder with its packages; `None` where nothing is installed.
    pub(crate) fn folder(&self) -> Option<PathBuf> {
        let folder = self.place()?;
        let installed = std::fs::read_to_string(folder.join("installed.txt")).ok()?;
        let line = format!("{} {}", self.package, self.version);
        installed.lines().any(|it| it == line).then_some(folder)
    }

    /// What to run, or why that cannot be.
    pub(crate) fn path(&self) -> Result<PathBuf, String> {
        if self.from == Source::Machine {
            let lacking =
                [self.asked(), &self.program].into_iter().find(|it| on_path(it).is_none());
            let path = on_path(&self.program).filter(|_| lacking.is_none());
            return path.ok_or(format!("{} is not here", lacking.unwrap_or_default()));
        }
        let folder = self.folder().ok_or(format!(
            "{} {} is not installed; {CLIENTS} names a folder filled by tests/clients/install",
            self.package, self.version
        ))?;
        let places = [folder.join("bin"), folder.join("node_modules/.bin")];
        let inside = places.iter().map(|place| place.join(&self.program)).find(|it| it.exists());
        let path = inside.or_else(|| on_path(&self.program));
        path.ok_or(format!("{} has no program {}", folder.display(), self.program))
    }

    /// The machine's program that is tested; another one may run it.
    fn asked(&self) -> &str {
        if self.package.is_empty() { &self.program } else { &self.package }
    }

    /// The version that runs: the table's, or what the machine's program says of itself.
    pub(crate) fn running_version(&self) -> String {
        if self.from != Source::Machine {
            return self.version.clone();
        }
        let option = if self.program == "java" { "-version" } else { "--version" };
        let output = Command::new(self.asked()).arg(option).output();
        let said = output.map(|it| [it.stdout, it.stderr].concat()).unwrap_or_default();
        let said = String::from_utf8_lossy(&said).into_owned();
        let is_version = |word: &&str| word.trim_matches(['"', 'v']).starts_with(char::is_numeric);
        let version = said.split_whitespace().find(is_version).unwrap_or("unknown");
        version.trim_matches(['"', 'v']).to_owned()
    }
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|it| it.is_file())
}

#[test]
fn every_row_of_the_table_can_be_used() {
    for client in clients() {
        let setup = format!("{:?} {:?} {:?}", client.env, client.files, client.options);
        assert!(setup.contains(ADDRESS) || client.kind == Kind::Tool, "{}: {setup}", client.id);
        let is_pinned = !client.package.is_empty() && !client.version.is_empty();
        assert_eq!(is_pinned, client.from != Source::Machine, "{}", client.id);
        assert_eq!(clients().iter().filter(|other| other.id == client.id).count(), 1);
    }
}

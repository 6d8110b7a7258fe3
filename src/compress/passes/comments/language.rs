//! How languages write comments, and strings that run over several lines.

/// What the lexer must know of a language.
#[derive(Debug)]
pub(super) struct Language {
    extensions: &'static [&'static str],
    /// Begin a comment up to the end of the line.
    pub(super) line: &'static [&'static str],
    /// Begin and end a comment that may have several lines.
    pub(super) block: Option<(&'static str, &'static str)>,
    /// Begin and end strings that may have several lines, the longest first.
    pub(super) long: &'static [&'static str],
    /// Begin and end strings of one line.
    pub(super) short: &'static [char],
    /// Whether the short ones may run over several lines as well.
    pub(super) short_is_long: bool,
    /// Whether `long` strings that stand alone are documentation.
    pub(super) docstrings: bool,
    /// A file with one of these is left alone: strings of other kinds.
    pub(super) unknown: &'static [&'static str],
}

const C: Language = Language {
    extensions: &["c", "h", "cc", "cpp", "cxx", "hh", "hpp", "m", "mm", "proto", "cu"],
    line: &["//"],
    block: Some(("/*", "*/")),
    long: &[],
    short: &['"', '\''],
    short_is_long: false,
    docstrings: false,
    unknown: &["R\"", "\\\n"],
};

const HASH: Language = Language {
    extensions: &["sh", "bash", "zsh", "fish", "mk", "cmake", "r", "jl", "nim", "gd"],
    line: &["#"],
    block: None,
    long: &[],
    short: &['"', '\''],
    short_is_long: true,
    docstrings: false,
    unknown: &["<<", "\"\"\"", "#=", "#["],
};

const LANGUAGES: &[Language] = &[
    C,
    Language {
        extensions: &["js", "jsx", "mjs", "cjs", "ts", "tsx", "mts", "cts"],
        long: &["`"],
        unknown: &["${`"],
        ..C
    },
    Language { extensions: &["go"], long: &["`"], unknown: &[], ..C },
    Language {
        extensions: &["java", "kt", "kts", "scala", "swift", "groovy", "gradle"],
        long: &["\"\"\""],
        unknown: &["#\""],
        ..C
    },
    Language { extensions: &["dart"], long: &["\"\"\"", "'''"], unknown: &[], ..C },
    Language { extensions: &["cs"], unknown: &["@\"", "\"\"\""], ..C },
    // A lone quote is a lifetime.
    Language {
        extensions: &["rs"],
        short: &['"'],
        short_is_long: true,
        unknown: &["r#", "r\"", "'\"'", "b'\\\"'"],
        ..C
    },
    Language { extensions: &["zig"], block: None, unknown: &["\\\\"], ..C },
    Language { extensions: &["css", "scss", "less"], line: &[], unknown: &[], ..C },
    Language {
        extensions: &["php"],
        line: &["//", "#"],
        short_is_long: true,
        unknown: &["<<<"],
        ..C
    },
    Language {
        extensions: &["py", "pyi"],
        long: &["\"\"\"", "'''"],
        short_is_long: false,
        docstrings: true,
        unknown: &["\\\n"],
        ..HASH
    },
    Language {
        extensions: &["rb", "rake"],
        block: Some(("=begin", "=end")),
        unknown: &["<<", "%q", "%Q", "__END__"],
        ..HASH
    },
    Language { extensions: &["ex", "exs"], long: &["\"\"\"", "'''"], unknown: &["~"], ..HASH },
    HASH,
];

impl Language {
    /// By the extension of its files. `None`: not one of these.
    pub(super) fn of(extension: &str) -> Option<&'static Language> {
        LANGUAGES.iter().find(|language| language.extensions.contains(&extension))
    }
}

/// The language of the file at `path`, by its extension as the table has it.
pub(super) fn of_path(path: &str) -> Option<&'static str> {
    let name = path.rsplit(['/', '\\']).next()?;
    let (_, extension) = name.rsplit_once('.')?;
    let extension = extension.to_ascii_lowercase();
    let mut known = LANGUAGES.iter().flat_map(|language| language.extensions);
    known.find(|known| **known == extension).copied()
}

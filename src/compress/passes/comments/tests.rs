use super::*;

#[track_caller]
fn check(path: &str, text: &str, want: &str) {
    let language = language(path).unwrap_or_default();
    assert_eq!(strip(text, language), want, "{path}");
    assert_eq!(strip(want, language), want, "a second run must change nothing");
}

#[test]
fn comments_that_fill_lines_go() {
    check(
        "a/b.rs",
        "//! What this module does, at some length.\n//! And more.\n\nfn a() {} // stays\n",
        "[... 2 lines of comments left out ...]\n\nfn a() {} // stays\n",
    );
    check(
        "a.ts",
        "/**\n * Adds numbers, carefully, one by one.\n * @param a first\n */\nadd(a);\n/* b */ c();\n",
        "[... 4 lines of comments left out ...]\nadd(a);\n/* b */ c();\n",
    );
    check(
        "a.py",
        "#!/usr/bin/env python\n# Copyright somebody, and a licence that goes on and on.\nimport os\ndef f():\n    \"\"\"Does this and that with all of these.\n\n    And more.\n    \"\"\"\n    return 1  # one\n",
        "#!/usr/bin/env python\n[... 1 line of comments left out ...]\nimport os\ndef f():\n[... 4 lines of comments left out ...]\n    return 1  # one\n",
    );
}

#[test]
fn numbered_files_keep_their_numbers() {
    check(
        "a.go",
        "     1\u{2192}// Package a does what packages do, and it does it well.\n     2\u{2192}// And more of that.\n     3\u{2192}package a\n     4\u{2192}\n",
        &format!("{NUMBERED}\n     3\u{2192}package a\n     4\u{2192}\n"),
    );
}

#[test]
fn notes_to_tools_and_strings_stay() {
    for (path, text) in [
        (
            "a.ts",
            "// eslint-disable-next-line no-console, and a long explanation of why it is so\na();\n",
        ),
        (
            "a.rs",
            "// SAFETY: the pointer is valid because the caller has checked it a line above\na();\n",
        ),
        (
            "a.py",
            "x = \"\"\"\n# not a comment, but text in a string that is long enough to matter\n\"\"\"\n",
        ),
        (
            "a.js",
            "const a = `\n// not a comment, but text in a template that is long enough to matter\n`;\n",
        ),
        (
            "a.sh",
            "cat <<END\n# not a comment, but text in a here-document, which is long enough\nEND\n",
        ),
        ("a.md", "# A heading that is long enough to matter, had it been a comment in some code\n"),
        (
            "a.rs",
            "/* A comment that never ends, so that nobody can know what is in it or behind it\n",
        ),
        (
            "Makefile",
            "# A comment in a file whose name says nothing about the language it is in, really\n",
        ),
    ] {
        check(path, text, text);
    }
}

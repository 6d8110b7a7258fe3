use super::*;

#[test]
fn screens_show_what_a_reader_would_see() {
    for (text, want) in [
        ("\x1b[1;31mred\x1b[0m plain", "red plain"),
        ("10%\r50%\r100%\ndone\n", "100%\ndone\n"),
        ("long line\rshort", "shortline"),
        ("long line\r\x1b[Kshort", "short"),
        ("abc\x08\x08X", "aXc"),
        ("\x08\x08a", "a"),
        ("a\nb\nc\x1b[2A\rX\x1b[2BY", "X\nb\ncY"),
        ("a\nb\nc\x1b[99A\x1b[0JX", "aX"),
        ("abc\x1b[1KX", "   X"),
        ("abc\x1b[2KX", "   X"),
        ("abcdef\x1b[3D\x1b[2XY", "abcY f"),
        ("ab\x1b[5Gx\x1b[Cy", "ab  x y"),
        ("\x1b]0;title\x07a\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "alink"),
        ("\x1b_bk;t=1\x07a\x1b(B\x1b=b\x1b7c\x1b8d\x07\x0f", "abd"),
        ("a\r\r\nb\r\n", "a\nb\n"),
        ("old\n\x1b[H\x1b[2Jnew\x1b[2;3Hx", "old\nnew\n  x"),
        ("old\x1b[2J\x1b[3J\x1b[Hnew", "old\nnew"),
        ("e\u{301}\u{302}a\rX", "Xa"),
        ("\x1b[me\u{301}\u{302}", "e\u{301}\u{302}"),
        ("e\x1b[m\u{301}", "e\u{301}"),
        ("\u{6f22}\u{5b57}\rX", "X\u{5b57}"),
        ("broken \x1b[31\u{e9} \x1b(\u{e9} \x1b", "broken [31\u{e9} (\u{e9} "),
        ("x\x1b[999999999Ba", "xa"),
        ("x\x1b7\ny\ny\x1b[2A\x1b[Ja\x1b8b", "xb"),
    ] {
        let shown = render(text);
        assert_eq!(shown, want, "{text:?}");
        assert!(matches!(render(&shown), Cow::Borrowed(_)), "a second run must change nothing");
    }
}

#[test]
fn text_that_is_no_recording_or_not_understood_is_left_alone() {
    for text in [
        "",
        "plain\ttext\n",
        "crlf\r\nfile\r\n",
        "a\x1b[2Mb",
        "a\x1b[5;20rb",
        "a\x1bMb",
        "a\x1b]0;no end",
        "a\x1b]0;no end\nb\x07",
        "a\x1b[999999999Cx",
        "a\x1b[999999999;999999999Hx",
        "a\x1b[18446744073709551615C\x1b[5Cx",
        "a\x1b[30;1Hx",
    ] {
        assert!(matches!(render(text), Cow::Borrowed(_)), "{text:?}");
    }
}

#[test]
fn lines_that_scrolled_out_of_reach_stay() {
    let lines: String = (0..3 * SCREEN_ROWS).map(|line| format!("{line}\n")).collect();
    let text = format!("{lines}\x1b[99999A\x1b[1;2H");
    assert!(matches!(render(&text), Cow::Borrowed(_)), "the first line is nobody knows where");
    let text = format!("{lines}\x1b[99999A\rX");
    let want = lines.replace(&format!("\n{}\n", 2 * SCREEN_ROWS + 1), "\nX001\n");
    assert_eq!(render(&text), want);
}

#[test]
fn hostile_sequences_cost_no_more_than_their_length() {
    let line = "a".repeat(100_000);
    for unit in [
        "\x1b[1K",
        "\x1b[999X\x1b[999D",
        "\x1b[24B",
        "\x1b[100Cx\n",
        "\x1b[2Jx",
        "\x1b7\x1b8",
        "\x1b]",
    ] {
        let text = format!("{line}{}", unit.repeat(100_000));
        assert!(render(&text).len() <= 2 * text.len());
    }
}

#[test]
fn a_screen_whose_first_row_was_erased_is_left_alone() {
    let text = "a\nb\nc\x1b[2J\x1b[5A\x1b[J\x1b[2;5Hx";
    assert_eq!(render(text), text);
}

use super::literal::first_special;
use super::*;

#[test]
fn whole_texts_are_told_from_others() {
    for text in [
        "0",
        "-0.5e+10",
        "1e400",
        "123456789012345678901234567890",
        "true",
        " null ",
        "\"\"",
        "[]",
        "{}",
        " [ 1 , [ ] , { } ] ",
        r#"{"a":1,"a":2}"#,
        r#""\ud800""#,
        r#""\u00e4\/\b""#,
        "\"caf\u{e9} \u{1f600}\"",
        r#"{"a":{"b":[{"c":null},"]"]}}"#,
    ] {
        assert!(is_value(text), "{text}");
    }
    for text in [
        "",
        " ",
        "01",
        "1.",
        ".5",
        "-",
        "1e",
        "+1",
        "tru",
        "truex",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{a:1}",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":1,}"#,
        "{,}",
        "[}",
        "{]",
        "[",
        "]",
        "1 2",
        "\u{feff}1",
        "\"a",
        "\"\n\"",
        r#""\x""#,
        r#""\u12g4""#,
        r#""\u12"#,
        "'a'",
        "[1]]",
        r#"{"a":[1}"#,
        "NaN",
        "{\"a\":1}garbage",
        "\"\t\"",
        "[\u{a0}]",
    ] {
        assert!(!is_value(text), "{text}");
    }
}

#[test]
fn deep_nesting_is_read_without_recursion() {
    for depth in [1, 63, 64, 65, 128, 129, 100_000] {
        let arrays = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(is_value(&arrays));
        assert!(!is_value(&arrays[1..]));
        assert!(!is_value(&arrays[..arrays.len() - 1]));
        let mixed = format!("{}1{}", r#"[{"a":"#.repeat(depth), "}]".repeat(depth));
        assert!(is_value(&mixed));
        let crossed = format!("{}1{}", r#"[{"a":"#.repeat(depth), "]}".repeat(depth));
        assert!(!is_value(&crossed));
    }
}

#[test]
fn members_are_found_once_or_not_at_all() {
    let find = |text: &str| {
        let [a, b] = members(text, &(0..text.len()), ["a", "b"])?;
        Some((a.map(|span| text[span].to_owned()), b.map(|span| text[span].to_owned())))
    };
    assert_eq!(find(r#"{"x":[{"a":1}], "a" : [1] }"#), Some((Some("[1]".into()), None)));
    assert_eq!(find("{ }"), Some((None, None)));
    assert_eq!(find(r#"{"a":1,"c":2,"c":3,"c\"":4,"\ud800":5}"#), Some((Some("1".into()), None)));
    assert_eq!(find(r#"{"a":1,"a":1}"#), None);
    assert_eq!(find(r#"{"a":1,"\u0062":1}"#), None, "another spelling of b");
    assert_eq!(find("[]"), Some((None, None)), "no object, no members");
    assert_eq!(find("[}"), None);
}

#[test]
fn strings_decode_and_encode() {
    check(r#""plain""#, "plain", r#""plain""#);
    check(r#""\n\t\r\b\f\"\\\/""#, "\n\t\r\u{8}\u{c}\"\\/", r#""\n\t\r\b\f\"\\/""#);
    check(r#""\u00e9\ud83d\ude00\u0001""#, "\u{e9}\u{1f600}\u{1}", "\"\u{e9}\u{1f600}\\u0001\"");
    for lone in [r#""\ud800""#, r#""\ude00""#, r#""\ud800\n""#, r#""\ud800\ud800""#, r#""\ud800x""#]
    {
        assert_eq!(decode(lone), None, "{lone}");
    }

    #[track_caller]
    fn check(literal: &str, text: &str, shortest: &str) {
        assert_eq!(decode(literal).as_deref(), Some(text));
        let mut out = Vec::new();
        encode(text, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), shortest);
        assert_eq!(encoded_len(text), shortest.len());
    }
}

#[test]
fn special_bytes_are_found_at_every_offset() {
    for special in ["\"", "\\", "\n", "\u{0}", "\u{1f}"] {
        for before in 0..20 {
            let text = format!("{}{special}\u{80}\u{7f} !#[]\"\\", "\u{e9}".repeat(before));
            assert_eq!(first_special(text.as_bytes(), 0), 2 * before);
        }
    }
    let plain = "\u{80}\u{7f} !#[]\u{ff}\u{2028}";
    assert_eq!(first_special(plain.as_bytes(), 0), plain.len());
}

/// Against a reader that looks at one byte after the other.
#[test]
fn strings_end_where_they_end_however_long_they_are() {
    for inside in [r#"\""#, r#"\\"#, r#"\n"#, r#"\u00e9"#, "\u{e9}", "x"] {
        for length in 0..140 {
            for at in [0, length / 2, length] {
                let text = "a".repeat(at) + inside + &"b".repeat(length - at);
                let literal = format!("{text}\"");
                let body = format!(" \"{literal},\"more\"");
                assert_eq!(string_end(body.as_bytes(), 1), Some(2 + literal.len()), "{body}");
                assert_eq!(string_end(&body.as_bytes()[..1 + literal.len()], 1), None, "{body}");
                let torn = body.replacen(inside, "\u{1}", 1);
                assert_eq!(string_end(torn.as_bytes(), 1), None, "{torn:?}");
            }
        }
    }
}

use super::*;
use crate::footer::response_filter::{Edit, ResponseFilter};
use crate::wire::Usage;
use crate::wire::answer::UsageObserver;
use crate::wire::framing::StreamFormat;

const ADDED: &str = "added";
const FOOTER: &str = r"\n\n[TokenPak: 2→1 tokens | saved 50% | $0.002]";

/// The saving is the billed input in dollars, so that a test sees which usage was known.
fn text(usage: Option<&Usage>) -> String {
    let input = usage.and_then(|usage| usage.input).filter(|_| usage.is_some());
    crate::footer::line(2, 1, input.map(|input| input as i64 * 1_000_000))
}

/// The stream as it goes on, whole, cut in two at every byte, and byte by byte, with each line break.
#[track_caller]
fn check(format: Format, stream: &str, want: &str, outcome: &str) {
    for line_break in ["\n", "\r\n"] {
        let (stream, want) = (stream.replace('\n', line_break), want.replace('\n', line_break));
        let bytes = stream.as_bytes();
        for cut in 0..=bytes.len() {
            let (first, second) = bytes.split_at(cut);
            let got = pass(format, &[first, second], true);
            assert_eq!(got, (want.clone(), outcome), "cut at {cut}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(pass(format, &single, true), (want, outcome), "byte by byte");
    }
}

fn pass(format: Format, pieces: &[&[u8]], is_whole: bool) -> (String, &'static str) {
    let edit = Edit::new(Some((Stream::new(format), &text)), false);
    let observer = UsageObserver::new(format);
    let mut filter = ResponseFilter::of_stream(StreamFormat::Events, Some(observer), edit);
    let mut out = Vec::new();
    for piece in pieces {
        out.extend_from_slice(filter.feed(piece).unwrap_or(piece));
    }
    out.extend_from_slice(filter.rest(is_whole));
    (String::from_utf8(out).unwrap(), filter.finish().1.unwrap().name())
}

fn chunk(delta: &str, reason: &str) -> String {
    format!(
        "data: {{\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":17,\"model\":\"gpt-4o\",\"choices\":[{{\"index\":0,\"delta\":{{{delta}}},\"finish_reason\":{reason}}}]}}\n\n"
    )
}

fn footer_chunk(text: &str) -> String {
    chunk(&format!("\"content\":\"{text}\""), "null")
}

const HI: &str = r#""content":"Hi.""#;
const USAGE: &str = "data: {\"id\":\"c1\",\"choices\":[],\"usage\":{\"prompt_tokens\":2,\"completion_tokens\":1}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

#[test]
fn chats_get_a_chunk_before_the_reason() {
    let (hi, stop) = (chunk(HI, "null"), chunk("", "\"stop\""));
    let footer = footer_chunk(FOOTER);
    check(
        Format::Chat,
        &format!("{hi}: ping\n\n{stop}: ping\n\n{USAGE}{DONE}"),
        &format!("{hi}: ping\n\n: ping\n\n{footer}{stop}{USAGE}{DONE}"),
        ADDED,
    );
    // Without usage there is no money to speak of.
    let bare = footer_chunk(r"\n\n[TokenPak: 2→1 tokens | saved 50%]");
    check(Format::Chat, &format!("{hi}{stop}{DONE}"), &format!("{hi}{bare}{stop}{DONE}"), ADDED);
    // Some leave out the last empty line.
    let open = "data: [DONE]\n";
    check(
        Format::Chat,
        &format!("{hi}{stop}{open}"),
        &format!("{hi}{bare}{stop}{open}").replace("[DONE]\n\n", "[DONE]\n"),
        ADDED,
    );
    // Some send the usage with the reason.
    let both = stop.replace("}]}", r#"}],"usage":{"prompt_tokens":2,"completion_tokens":1}}"#);
    check(Format::Chat, &format!("{hi}{both}{DONE}"), &format!("{hi}{footer}{both}{DONE}"), ADDED);
}

#[test]
fn texts_of_one_shape_pass_between_events_of_others() {
    let texts = ["Hi", "", " you\\n", "\\\"\u{e9}", "{}"];
    let texts = texts.map(|text| chunk(&format!("\"content\":\"{text}\""), "null")).concat();
    let stop = chunk("", "\"stop\"");
    let footer = footer_chunk(FOOTER);
    check(
        Format::Chat,
        &format!("{texts}: ping\n\n{texts}{stop}{USAGE}{DONE}"),
        &format!("{texts}: ping\n\n{texts}{footer}{stop}{USAGE}{DONE}"),
        ADDED,
    );
    for (other, outcome) in [
        (chunk(r#""refusal":"No.""#, "null"), "no-text"),
        (chunk(r#""content":"x""#, "\"length\""), "unfinished"),
        (chunk(r#""content":"x""#, "null").replace("\"index\":0", "\"index\":1"), "odd"),
        (chunk(r#""content":"x"y"#, "null"), "odd"),
    ] {
        let stream = format!("{texts}{other}{texts}{stop}{DONE}");
        check(Format::Chat, &stream, &stream, outcome);
    }
}

#[test]
fn chats_that_are_not_for_readers_pass_unchanged() {
    let hi = chunk(HI, "null");
    same(&format!("{hi}{}{DONE}", chunk("", "\"length\"")), "unfinished");
    same(&format!("{hi}{}{DONE}", chunk("", "\"tool_calls\"")), "unfinished");
    same(&format!("{hi}{}{DONE}", chunk(r#""content":" Bye.""#, "\"stop\"")), "colocated");
    same(
        &format!("{}{}{DONE}", chunk(r#""content":"{\"a\":""#, "null"), chunk("", "\"stop\"")),
        ADDED,
    );
    same(&format!("{}{}{DONE}", chunk(r#""content":"{}""#, "null"), chunk("", "\"stop\"")), "json");
    same(&format!("{}{DONE}", chunk("", "\"stop\"")), "no-text");
    same(
        &format!("{}{}{DONE}", chunk(r#""refusal":"No.""#, "null"), chunk("", "\"stop\"")),
        "no-text",
    );
    let probable = hi.replace("\"delta\"", "\"logprobs\":{\"content\":[]},\"delta\"");
    same(&format!("{probable}{}{DONE}", chunk("", "\"stop\"")), "no-text");
    same(&format!("{hi}{}{hi}{DONE}", chunk("", "\"stop\"")), "odd");
    same(&format!("{hi}data: {{\"error\":{{}}}}\n\n"), "odd");
    same(&format!("{hi}{DONE}"), "unfinished");
    same(&format!("{hi}{}", chunk("", "\"stop\"")), "unfinished");
    same(&hi, "unfinished");
    same(&format!("{}{DONE}", hi.replace("\"index\":0", "\"index\":1")), "odd");
    same("data: what?\n\n", "odd");

    #[track_caller]
    fn same(stream: &str, outcome: &str) {
        match outcome {
            ADDED => assert_eq!(pass(Format::Chat, &[stream.as_bytes()], true).1, ADDED),
            _ => check(Format::Chat, stream, stream, outcome),
        }
    }
}

#[test]
fn cut_chat_gives_out_what_was_held_back() {
    let stream = format!("{}{}data: {{\"id", chunk(HI, "null"), chunk("", "\"stop\""));
    assert_eq!(pass(Format::Chat, &[stream.as_bytes()], false), (stream, "unfinished"));
}

#[test]
fn what_is_no_event_that_ends_an_answer_ends_the_footers_part() {
    let (hi, stop) = (chunk(HI, "null"), chunk("", "\"stop\""));
    // Longer than what is held back at most.
    let long = format!("{hi}id: {}\n\n{stop}{USAGE}{DONE}", "x".repeat(64 * 1024));
    // Lines that end in CR alone are no fault, and nothing is put between them.
    let bare = format!("{hi}{stop}{USAGE}{DONE}").replace('\n', "\r") + ": \r";
    let comment = format!("{hi}: {}\n{stop}{USAGE}{DONE}", "x".repeat(64 * 1024));
    for stream in [long, comment, bare] {
        for size in [1, 1000, stream.len()] {
            let pieces: Vec<&[u8]> = stream.as_bytes().chunks(size).collect();
            let (out, outcome) = pass(Format::Chat, &pieces, true);
            assert!(out == stream, "changed, in pieces of {size}");
            assert_eq!(outcome, "odd", "in pieces of {size}");
        }
    }
}

fn event(name: &str, rest: &str) -> String {
    format!("event: {name}\ndata: {{\"type\":\"{name}\"{rest}}}\n\n")
}

fn block(index: u64, kind: &str, text: &str) -> String {
    let delta = format!(r#","index":{index},"delta":{{"type":"{kind}_delta","{kind}":"{text}"}}"#);
    let start = format!(r#","index":{index},"content_block":{{"type":"{kind}","{kind}":""}}"#);
    event("content_block_start", &start)
        + &event("content_block_delta", &delta)
        + &event("content_block_stop", &format!(r#","index":{index}"#))
}

fn start() -> String {
    event("message_start", r#","message":{"usage":{"input_tokens":9}}"#)
}

fn end(reason: &str) -> String {
    let delta = format!(
        r#","delta":{{"stop_reason":{reason}}},"usage":{{"input_tokens":2,"output_tokens":1}}"#
    );
    event("message_delta", &delta) + &event("message_stop", "")
}

#[test]
fn messages_get_a_block_before_the_end() {
    let footer = block(2, "text", FOOTER);
    let body =
        start() + &block(0, "thinking", "{}") + &event("ping", "") + &block(1, "text", "Hi.");
    let stop = end("\"end_turn\"");
    check(Format::Messages, &format!("{body}{stop}"), &format!("{body}{footer}{stop}"), ADDED);
}

#[test]
fn messages_that_are_not_for_readers_pass_unchanged() {
    let hi = start() + &block(0, "text", "Hi.");
    same(&(hi.clone() + &end("\"max_tokens\"")), "unfinished");
    same(&(hi.clone() + &end("\"tool_use\"")), "unfinished");
    same(&(hi.clone() + &block(1, "thinking", "x") + &end("\"end_turn\"")), "no-text");
    same(&(start() + &block(0, "text", "[1, 2]") + &end("\"end_turn\"")), "json");
    same(&(start() + &block(0, "text", "") + &end("\"end_turn\"")), "no-text");
    same(&(hi.clone() + &event("error", r#","error":{}"#)), "unfinished");
    same(&hi, "unfinished");
    same("data: 7\n\n", "odd");

    #[track_caller]
    fn same(stream: &str, outcome: &str) {
        check(Format::Messages, stream, stream, outcome);
    }
}

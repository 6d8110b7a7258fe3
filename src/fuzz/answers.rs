//! What puts footers into answers: whatever the provider says, however it is cut, the client gets all of it.

use arbtest::arbitrary::Unstructured;

use super::{below, cut, fuzz, pick};
use crate::footer::response_filter::{Edit, ResponseFilter};
use crate::footer::{self, Stream};
use crate::wire::Format;
use crate::wire::answer::UsageObserver;
use crate::wire::framing::StreamFormat;

const STREAMS: u64 = 600;
const BLOCKS_MAX: usize = 24;

/// A footer and what stands around it in an event.
const GROWTH_BYTES_MAX: usize = 1000;

const BLOCKS: &[&str] = &[
    "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi.\"},\"finish_reason\":null}]}\n\n",
    "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    "data: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":2,\"completion_tokens\":1}}\n\n",
    "data: [DONE]\n\n",
    ": ping\n\n",
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":2}}}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi\"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":1}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    "event: ping\ndata: {\"type\": \"ping\"}\n\n",
    "\n",
    "data: {\n",
    "\u{feff}",
    "data: [[[[",
    "}\r\n\r\n",
];

fn answer(source: &mut Unstructured) -> String {
    let mut text = String::new();
    for _ in 0..below(source, BLOCKS_MAX) {
        let block = *pick(source, BLOCKS);
        match below(source, 10) {
            0 => text += &block[..cut(source, block)],
            1 => text += &block.replace('\n', "\r\n"),
            _ => text += block,
        }
    }
    text
}

fn passed(format: Format, pieces: &[&[u8]]) -> Vec<u8> {
    let line = |_: Option<&_>| footer::line(2, 1, None);
    let edit = Edit::new(Some((Stream::new(format), &line)), false);
    let observer = UsageObserver::new(format);
    let mut filter = ResponseFilter::of_stream(StreamFormat::Events, Some(observer), edit);
    let mut out = Vec::new();
    for piece in pieces {
        out.extend_from_slice(filter.feed(piece).unwrap_or(piece));
    }
    out.extend_from_slice(filter.rest(true));
    filter.finish();
    out
}

/// What stands in an answer, line by line.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split(['\n', '\r']).filter(|line| !line.is_empty())
}

#[test]
fn streams_pass_whole_however_they_are_cut() {
    fuzz(STREAMS, |source| {
        let format = *pick(source, &[Format::Chat, Format::Messages]);
        let text = answer(source);
        let (a, b) = (cut(source, &text), cut(source, &text));
        let (first, rest) = text.as_bytes().split_at(a.min(b));
        let (second, third) = rest.split_at(a.max(b) - a.min(b));
        let whole = passed(format, &[text.as_bytes()]);
        assert_eq!(whole, passed(format, &[first, second, third]), "cut at {a} and {b}: {text:?}");
        assert!(whole.len() <= text.len() + GROWTH_BYTES_MAX, "{text:?}");
        // Nothing of it is missing, and nothing has another place but comments, which pass what is held.
        let out = String::from_utf8_lossy(&whole);
        let (mut sent, is_comment) = (lines(&out), |line: &&str| line.starts_with(':'));
        assert!(
            lines(&text).filter(|it| !is_comment(it)).all(|line| sent.any(|other| other == line)),
            "{text:?}"
        );
        let comments = |text| lines(text).filter(is_comment).count();
        assert_eq!(comments(&out), comments(&text), "{text:?}");
        Ok(())
    });
}

#[test]
fn plain_answers_are_refused_or_grow_by_a_line() {
    fuzz(STREAMS, |source| {
        let format = *pick(source, &[Format::Chat, Format::Messages]);
        let text = answer(source).replace("data: ", "");
        if let Ok(longer) = footer::add(format, text.as_bytes(), &footer::line(2, 1, None)) {
            assert!(longer.len() <= text.len() + GROWTH_BYTES_MAX, "{text:?}");
        }
        Ok(())
    });
}

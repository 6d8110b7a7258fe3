//! Prompts that come encoded: decoded where that is beyond doubt, passed on as they came elsewhere.

use crate::provider::Provider;
use crate::sandbox::{Proxy, Sandbox};
use crate::support::{Api, prose, scene};
use miniz_oxide::deflate::compress_to_vec;
use ruzstd::encoding::{CompressionLevel, compress_to_vec as zstd_to_vec};

/// A gzip member around deflated data (RFC 1952), with the sum and length of `plain`.
fn member(flags: u8, fields: &[u8], deflated: &[u8], plain: &[u8]) -> Vec<u8> {
    let head = [0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 255];
    let length = (plain.len() as u32).to_le_bytes();
    [&head, fields, deflated, &crc32(plain).to_le_bytes(), &length].concat()
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    member(0, b"", &compress_to_vec(plain, 6), plain)
}

fn crc32(bytes: &[u8]) -> u32 {
    let bit = |sum: u32| if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 };
    !bytes.iter().fold(!0, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), |sum, _| bit(sum)))
}

fn zstd(plain: &[u8]) -> Vec<u8> {
    zstd_to_vec(plain, CompressionLevel::Fastest)
}

/// A zstd frame of blocks made by hand: kind (0 raw, 1 one byte repeated), size, content.
fn frame(blocks: &[(u32, u32, &[u8])]) -> Vec<u8> {
    // Magic number; no checksum, no length; a window of 128 KiB.
    let mut out = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0x38];
    for (n, (kind, size, content)) in blocks.iter().enumerate() {
        let is_last = u32::from(n + 1 == blocks.len());
        out.extend_from_slice(&(is_last | kind << 1 | size << 3).to_le_bytes()[..3]);
        out.extend_from_slice(content);
    }
    out
}

struct World {
    provider: Provider,
    _sandbox: Sandbox,
    proxy: Proxy,
}

impl World {
    fn new() -> World {
        let (provider, _sandbox, proxy) = scene();
        World { provider, _sandbox, proxy }
    }

    /// Sends a body with these codings; the reason for which it was not compressed.
    #[track_caller]
    fn send(&self, api: Api, codings: &[&str], body: &[u8]) -> Option<String> {
        let headers =
            [api.headers(), codings.iter().map(|coding| ("content-encoding", *coding)).collect()]
                .concat();
        let answer = self.proxy.post(api.target(false), &headers, body);
        assert_eq!(answer.status(), 200, "{api:?} {codings:?}: {}", answer.text());
        answer.head.header("x-tokenpak-skip")
    }

    #[track_caller]
    fn is_decoded(&self, name: &str, coding: &str, body: &[u8], plain: &[u8]) {
        self.send(Api::Messages, &[coding], body);
        let seen = self.provider.last();
        assert!(seen.body == plain, "{name}: {} bytes arrived", seen.body.len());
        assert_eq!(seen.header("content-encoding"), None, "{name}");
        assert_eq!(seen.header("content-length"), Some(plain.len().to_string()), "{name}");
    }

    #[track_caller]
    fn is_passed(&self, name: &str, codings: &[&str], body: &[u8]) {
        let skip = self.send(Api::Messages, codings, body);
        let seen = self.provider.last();
        assert!(seen.body == body, "{name}: {} of {} bytes arrived", seen.body.len(), body.len());
        let values: Vec<String> = seen
            .all("content-encoding")
            .iter()
            .map(|v| String::from_utf8_lossy(v).into_owned())
            .collect();
        assert_eq!(values, codings, "{name}");
        assert_eq!(skip.as_deref(), Some("encoded"), "{name}");
    }
}

#[test]
fn encoded_prompts_are_compressed_like_plain_ones() {
    let world = World::new();
    for api in Api::ALL {
        let plain = api.large(false);
        assert_eq!(world.send(api, &[], &plain), None, "{api:?}");
        let sent = world.provider.last().body;
        assert!(sent.len() < plain.len());
        for (coding, body) in [
            ("gzip", gzip(&plain)),
            ("zstd", zstd(&plain)),
            ("GZip", gzip(&plain)),
            ("ZSTD", zstd(&plain)),
        ] {
            assert_eq!(world.send(api, &[coding], &body), None, "{api:?} {coding}");
            assert!(
                world.provider.last().body == sent,
                "{api:?} {coding}: not what the plain prompt became"
            );
        }
    }
}

#[test]
fn encoded_prompts_that_gain_nothing_are_sent_plain() {
    let world = World::new();
    let plain = Api::Messages.small(false);
    let long = [
        &plain[..plain.len() - 1],
        b", \"x\": \"",
        prose(40_000).replace('\n', " ").as_bytes(),
        b"\"}",
    ]
    .concat();
    for plain in [&plain, &long] {
        let deflated = compress_to_vec(plain, 6);
        world.is_decoded("gzip", "gzip", &gzip(plain), plain);
        world.is_decoded("x-gzip", "x-gzip", &gzip(plain), plain);
        world.is_decoded(
            "gzip, not compressed",
            "gzip",
            &member(0, b"", &compress_to_vec(plain, 0), plain),
            plain,
        );
        world.is_decoded(
            "gzip with a name",
            "gzip",
            &member(8, b"a.json\0", &deflated, plain),
            plain,
        );
        let fields = b"\x03\0abcname\0comment\0\x12\x34";
        world.is_decoded(
            "gzip with all fields",
            "gzip",
            &member(31, fields, &deflated, plain),
            plain,
        );
        world.is_decoded("zstd", "zstd", &zstd(plain), plain);
        let blocks: Vec<_> = plain.chunks(9000).map(|part| (0, part.len() as u32, part)).collect();
        world.is_decoded("zstd, raw blocks", "zstd", &frame(&blocks), plain);
        let (first, second) = plain.split_at(plain.len() / 2);
        world.is_decoded("zstd, two frames", "zstd", &[zstd(first), zstd(second)].concat(), plain);
    }
    // As Codex sends it: `zstd -3`, with and without a checksum. Made once by the command zstd 1.5.
    let text = br#"{"model":"claude-sonnet-4-5","max_tokens":9,"messages":[{"role":"user","content":"hello hello hello hello hello"}]}"#;
    world.is_decoded(
        "zstd -3",
        "zstd",
        include_bytes!("../../fixtures/wire/prompt.json.zst"),
        text,
    );
    world.is_decoded(
        "zstd -3 --check",
        "zstd",
        include_bytes!("../../fixtures/wire/prompt-check.json.zst"),
        text,
    );
}

#[test]
fn doubtful_encodings_pass_byte_for_byte() {
    let world = World::new();
    let plain = Api::Messages.large(false);
    let (gz, zs) = (gzip(&plain), zstd(&plain));
    let with = |bytes: &[u8], at: usize, byte: u8| {
        let mut bytes = bytes.to_vec();
        let at = if at < bytes.len() { at } else { at.wrapping_add(bytes.len()) };
        bytes[at] ^= byte;
        bytes
    };
    for (name, codings, body) in [
        ("gzip, truncated", &["gzip"][..], gz[..gz.len() - 1].to_vec()),
        ("gzip, half", &["gzip"], gz[..gz.len() / 2].to_vec()),
        ("gzip, only a header", &["gzip"], gz[..10].to_vec()),
        ("gzip, trailing byte", &["gzip"], [&gz[..], b"x"].concat()),
        ("gzip, two members", &["gzip"], [&gz[..], &gz].concat()),
        ("gzip, wrong sum", &["gzip"], with(&gz, gz.len() - 5, 1)),
        ("gzip, wrong length", &["gzip"], with(&gz, gz.len() - 1, 1)),
        ("gzip, damaged", &["gzip"], with(&gz, 40, 255)),
        ("gzip, reserved flag", &["gzip"], with(&gz, 3, 0x80)),
        ("gzip, endless name", &["gzip"], with(&gz[..60], 3, 8)),
        ("gzip that is plain", &["gzip"], plain.clone()),
        ("gzip, empty", &["gzip"], Vec::new()),
        ("zstd, truncated", &["zstd"], zs[..zs.len() - 1].to_vec()),
        ("zstd, half", &["zstd"], zs[..zs.len() / 2].to_vec()),
        ("zstd, only a magic number", &["zstd"], zs[..4].to_vec()),
        ("zstd, trailing byte", &["zstd"], [&zs[..], b"x"].concat()),
        (
            "zstd, skippable frame behind",
            &["zstd"],
            [&zs[..], b"\x50\x2a\x4d\x18\x01\0\0\0x"].concat(),
        ),
        (
            "zstd, wrong sum",
            &["zstd"],
            with(include_bytes!("../../fixtures/wire/prompt-check.json.zst"), usize::MAX, 1),
        ),
        ("zstd that is gzip", &["zstd"], gz.clone()),
        ("zstd, empty", &["zstd"], Vec::new()),
        ("zstd, unknown block", &["zstd"], frame(&[(3, 5, b"hello")])),
        ("zstd, window of 2 GB", &["zstd"], with(&frame(&[(0, 5, b"hello")]), 5, 0x38 ^ 0xa8)),
        ("br", &["br"], gz.clone()),
        ("deflate", &["deflate"], compress_to_vec(&plain, 6)),
        ("unknown", &["snappy"], gz.clone()),
        ("two codings", &["gzip, zstd"], zstd(&gz)),
        ("two headers", &["gzip", "zstd"], zstd(&gz)),
        ("gzip and identity", &["gzip, identity"], gz.clone()),
    ] {
        world.is_passed(name, codings, &body);
    }
}

#[test]
fn bombs_are_passed_on_unopened() {
    let world = World::new();
    // 10 GB of zeros in 300 kB: 128 KiB for each block of four bytes.
    let zeros: Vec<(u32, u32, &[u8])> = vec![(1, 128 << 10, b"\0"); 80_000];
    world.is_passed("10 GB as zstd", &["zstd"], &frame(&zeros));
    // The same in compressed blocks, which do not say what they stand for: 128 KiB of a literal, and no
    // sequences. As far as its limit goes such a bomb is opened, and by many clients at once.
    let literals = 1u32 | 3 << 2 | (128 << 10) << 4;
    let content = [&literals.to_le_bytes()[..3], b" \0"].concat();
    let bomb = frame(&vec![(2, 5, &content[..]); 80_000]);
    world.is_passed("10 GB as compressed zstd", &["zstd"], &bomb);
    let all = (0..20).map(|_| {
        let mut client = world.proxy.connect();
        let headers = [Api::Chat.headers(), vec![("content-encoding", "zstd")]].concat();
        client.request(("POST", Api::Chat.target(false)), &headers, &bomb);
        client
    });
    for mut client in all.collect::<Vec<_>>() {
        assert_eq!(client.answer().status(), 200);
    }
    // Its end says how much it is; or lies, and is opened as far as it says.
    let large = vec![b' '; 600 << 20];
    let deflated = compress_to_vec(&large, 1);
    for length in [600u32 << 20, 11 << 20] {
        let mut bomb = member(0, b"", &deflated, b"");
        let end = bomb.len() - 4;
        bomb[end..].copy_from_slice(&length.to_le_bytes());
        world.is_passed("600 MB as gzip", &["gzip"], &bomb);
    }
    let peak = world.proxy.figure("VmHWM") >> 10;
    crate::support::say(&format!("bombs: at most {peak} MB of memory"));
    // 12 MB are opened, one after the other on one thread; 20 bombs of 640 kB wait meanwhile.
    assert!(peak < 80, "{peak} MB");
    assert_eq!(world.proxy.ask("GET", "/health", &[], b"").status(), 200);
}

#[test]
fn encoded_bodies_are_left_alone_where_nothing_is_to_change() {
    let world = World::new();
    let body = gzip(&Api::Messages.large(false));
    let headers =
        [Api::Messages.headers(), vec![("content-encoding", "gzip"), ("x-tokenpak-mode", "off")]]
            .concat();
    world.proxy.post("/v1/messages", &headers, &body);
    assert!(
        world.provider.last().body == body
            && world.provider.last().header("content-encoding").is_some()
    );
    let headers = [Api::Chat.headers(), vec![("content-encoding", "gzip")]].concat();
    for target in ["/v1/embeddings", "/v1/messages/count_tokens", "/v1/files"] {
        world.proxy.post(target, &headers, &body);
        assert!(world.provider.last().body == body, "{target}");
        assert!(world.provider.last().header("content-encoding").is_some(), "{target}");
    }
}

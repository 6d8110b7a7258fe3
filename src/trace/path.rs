//! What may be said of a request's path.

use crate::name::{NAME_BYTES_MAX, cut};

/// A path without its query, and `*` for each part that is no word of a provider's: clients have been
/// seen to put keys into paths, on purpose and by mistake, and a key may look like a word.
pub(crate) fn path(target: &str) -> String {
    let path = target.split('?').next().unwrap_or_default();
    let mut out = String::with_capacity(path.len().min(2 * NAME_BYTES_MAX));
    for (number, part) in path.split('/').enumerate() {
        out.push_str(if number > 0 { "/" } else { "" });
        let (name, verb) =
            part.split_once(':').map_or((part, None), |(name, verb)| (name, Some(verb)));
        let verb = verb.map(|verb| VERBS.into_iter().find(|known| *known == verb));
        match (is_word(name), verb) {
            (true, None) => out.push_str(name),
            (is_word, Some(Some(verb))) => {
                out.push_str(if is_word { name } else { "*" });
                out.push(':');
                out.push_str(verb);
            }
            _ => out.push('*'),
        }
        if out.len() > NAME_BYTES_MAX {
            break;
        }
    }
    out.truncate(cut(&out).len());
    out
}

fn is_word(part: &str) -> bool {
    part.is_empty() || WORDS.binary_search(&part).is_ok()
}

/// What Gemini is asked to do with a model, behind its name.
const VERBS: [&str; 8] = [
    "batchEmbedContents",
    "batchGenerateContent",
    "countTokens",
    "embedContent",
    "generateContent",
    "predict",
    "rawPredict",
    "streamGenerateContent",
];

/// Words of the providers' paths, in order. Any other part of a path may be a key, a file or the name of
/// a person.
const WORDS: &[&str] = &[
    "anthropic",
    "api",
    "assistants",
    "audio",
    "batch",
    "batches",
    "beta",
    "cachedContents",
    "cancel",
    "chat",
    "checkpoints",
    "client_secrets",
    "compact",
    "complete",
    "completion",
    "completions",
    "containers",
    "content",
    "contents",
    "conversations",
    "corpora",
    "count_tokens",
    "credits",
    "deployments",
    "detokenize",
    "edits",
    "embed",
    "embeddings",
    "engines",
    "events",
    "files",
    "fim",
    "fine_tuning",
    "generate",
    "generations",
    "google",
    "health",
    "hello",
    "images",
    "infill",
    "input_items",
    "input_tokens",
    "items",
    "jobs",
    "key",
    "keys",
    "locations",
    "me",
    "messages",
    "metrics",
    "models",
    "moderations",
    "openai",
    "operations",
    "organizations",
    "p",
    "parts",
    "permissions",
    "projects",
    "publishers",
    "realtime",
    "rerank",
    "responses",
    "results",
    "runs",
    "score",
    "search",
    "sessions",
    "show",
    "skills",
    "speech",
    "stats",
    "steps",
    "submit_tool_outputs",
    "t",
    "tags",
    "threads",
    "tokenize",
    "transcriptions",
    "translations",
    "tunedModels",
    "upload",
    "uploads",
    "usage",
    "v1",
    "v1alpha",
    "v1beta",
    "v1beta1",
    "v1internal",
    "v2",
    "v3",
    "v4",
    "variations",
    "vector_stores",
    "version",
    "versions",
    "videos",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_have_no_secrets() {
        assert!(WORDS.is_sorted());
        for (target, want) in [
            ("/v1/messages/count_tokens?key=dummy", "/v1/messages/count_tokens"),
            ("/v1beta/models/m-1.5:countTokens", "/v1beta/models/*:countTokens"),
            ("/v1internal:streamGenerateContent?alt=sse", "/v1internal:streamGenerateContent"),
            ("/v1beta/models/dummy:secret", "/v1beta/models/*"),
            ("/v1/models/gpt-4o", "/v1/models/*"),
            ("/v1/responses&key=dummy", "/v1/*"),
            ("/v1/responses;dummy", "/v1/*"),
            ("/v1/responses#dummy", "/v1/*"),
            ("/v1/files/file-Ab1/content", "/v1/files/*/content"),
            ("/v1/batches/msgbatch_01/results", "/v1/batches/*/results"),
            ("/v1/organizations/dummy/usage/completions", "/v1/organizations/*/usage/completions"),
            ("/t/hunter/v1/messages", "/t/*/v1/messages"),
            ("/t/correct_horse/p/website/v1/chat/completions", "/t/*/p/*/v1/chat/completions"),
            ("/openai/v1/embeddings", "/openai/v1/embeddings"),
            ("/ourserver/v1/embeddings", "/*/v1/embeddings"),
            ("/hunter", "/*"),
            ("/v123456789/sk-dummy:x", "/*/*"),
            ("/v1/messag%65s", "/v1/*"),
            ("http://me:dummy@here/v1", "*//*/v1"),
            ("//v1//", "//v1//"),
            ("*", "*"),
            ("", ""),
        ] {
            assert_eq!(path(target), want, "{target}");
        }
        assert_eq!(path(&"/x".repeat(8000)), "/*".repeat(100));
    }

    #[test]
    fn only_words_of_the_table_are_kept() {
        // Whatever the alphabet of a key: words of it, and words of ours with something at their ends.
        let mut seed = 1_u64;
        let mut random = |most: u64| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % most
        };
        for alphabet in ["abcdefghijklmnop", "ABCdef0123-_", "v0123456789", "%2Fab.~:@!$&"] {
            let letters: Vec<char> = alphabet.chars().collect();
            for _ in 0..2000 {
                let length = 8 + random(30);
                let key: String =
                    (0..length).map(|_| letters[random(letters.len() as u64) as usize]).collect();
                let key = if WORDS.contains(&&*key) { format!("{key}x") } else { key };
                for target in [
                    format!("/v1/{key}/messages"),
                    format!("/t/{key}/v1/messages"),
                    format!("/v1beta/models/{key}:generateContent"),
                    format!("/v1/messages/messages{key}"),
                ] {
                    assert!(!path(&target).contains(&key), "{target}");
                }
            }
        }
    }
}

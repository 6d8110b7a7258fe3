//! The providers that the program knows: a row each, with all that routing asks of one.
//!
//! The configuration extends it: a provider of any name may be given an address, and one of these
//! another address than its own. Beginnings of keys are those that the providers publish, or print
//! on the page where a key is made; one that several of them use (`sk-`) is nobody's.

/// What is known of a provider without any configuration.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) name: &'static str,
    /// Empty: it has none until the configuration gives one.
    pub(crate) url: &'static str,
    /// What its keys begin with, in any case of letters.
    pub(crate) keys: &'static [&'static str],
    /// Paths, and all below them, that a request has only if it is meant for this provider.
    pub(super) paths: &'static [&'static str],
    /// Its keys go to it before `proxy.passthrough_url` is thought of.
    pub(super) is_first: bool,
}

impl Provider {
    /// An owner of keys whose address is not known.
    const fn owner(name: &'static str, keys: &'static [&'static str]) -> Provider {
        Provider { name, url: "", keys, paths: &[], is_first: false }
    }
}

pub(crate) const PROVIDERS: &[Provider] = &[
    Provider {
        name: "anthropic",
        url: "https://api.anthropic.com",
        keys: &["sk-ant-"],
        // Claude Code opens its connection with the second, before it sends a key.
        paths: &["/v1/messages", "/api/hello"],
        is_first: true,
    },
    Provider {
        name: "openai",
        url: "https://api.openai.com",
        keys: &["sk-proj-", "sk-svcacct-", "sk-admin-"],
        paths: &["/v1/chat/completions", "/v1/responses"],
        is_first: true,
    },
    Provider {
        name: "google",
        url: "https://generativelanguage.googleapis.com",
        // The second is the form of new keys since 2026, the third an access token of OAuth.
        keys: &["AIza", "AQ.", "ya29."],
        paths: &["/v1beta"],
        is_first: false,
    },
    // Its keys have no common beginning: the header `api-key` stands for them.
    Provider {
        name: AZURE,
        url: "",
        keys: &[],
        paths: &["/openai/deployments"],
        // Only where it has been given an address, which then is what the header means.
        is_first: true,
    },
    Provider::owner("bedrock", &["ABSK", "bedrock-api-key-"]),
    Provider::owner("cerebras", &["csk-"]),
    Provider::owner("chutes", &["cpk_"]),
    Provider::owner("fireworks", &["fw_"]),
    Provider::owner("github", &["github_pat_", "ghp_", "gho_", "ghu_", "ghs_"]),
    Provider::owner("groq", &["gsk_"]),
    Provider::owner("helicone", &["sk-helicone-"]),
    Provider::owner("huggingface", &["hf_"]),
    Provider::owner("jina", &["jina_"]),
    Provider::owner("minimax", &["sk-cp-", "sk-api-"]),
    Provider::owner("moonshot", &["sk-kimi-"]),
    Provider::owner("nvidia", &["nvapi-"]),
    Provider::owner("openrouter", &["sk-or-"]),
    Provider::owner("perplexity", &["pplx-"]),
    Provider::owner("replicate", &["r8_"]),
    Provider::owner("together", &["tgp_"]),
    Provider::owner("vercel", &["vck_"]),
    Provider::owner("xai", &["xai-"]),
];

/// Whose keys come in the header `api-key`, if it has an address.
pub(super) const AZURE: &str = "azure";

/// What OpenAI's keys once began with, and those of many others do: it is OpenAI's on its paths.
pub(crate) const BARE: &str = "sk-";

/// What OpenAI has not below `/v1/`, and others have whose keys begin alike. All else there is taken
/// to be OpenAI's, which adds to it more often than this program is built.
const NOT_OPENAIS: &[&str] =
    &["complete", "fim", "generation", "messages", "ocr", "rerank", "tokenizers", "user", "users"];

/// The row of a provider.
pub(crate) fn known(name: &str) -> Option<&'static Provider> {
    PROVIDERS.iter().find(|provider| provider.name == name)
}

/// The provider that alone has this path.
pub(super) fn by_path(path: &str) -> Option<&'static Provider> {
    PROVIDERS.iter().find(|provider| provider.paths.iter().any(|own| is_below(path, own)))
}

/// Whether OpenAI has this path. Its version may be part of the address: `base_url`.
pub(super) fn is_openais(path: &str, base_url: &str) -> bool {
    let inner = path.trim_start_matches('/');
    let is_versioned = || base_url.trim_end_matches('/').ends_with("/v1");
    let rest = inner.strip_prefix("v1/").or_else(|| Some(inner).filter(|_| is_versioned()));
    let rest = rest.map(|rest| rest.trim_start_matches('/'));
    let is_others =
        |rest: &str| rest.is_empty() || NOT_OPENAIS.iter().any(|resource| is_below(rest, resource));
    // The root and `*` are everybody's: what is asked there is whether somebody is there.
    let is_its = matches!(inner, "" | "*") || rest.is_some_and(|rest| !is_others(rest));
    is_its && by_path(path).is_none_or(|own| own.name == "openai")
}

/// Whether `path` is `parent`, or below it.
pub(super) fn is_below(path: &str, parent: &str) -> bool {
    path.strip_prefix(parent).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

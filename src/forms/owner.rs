//! Which credentials tell one user's conversations from another's.
//!
//! Keys do: they stay. What is issued anew every hour or for each request does not, and a conversation
//! outlives it: there the messages alone decide, with the account where its name is sent along. No user of
//! a shared proxy learns anything by that. To find a form takes the whole history, answers of the model
//! included, which only those can send who have it; and a form says how it is sent on, not whose it is.

/// Headers that name the account behind a token of passing value.
pub(crate) const ACCOUNT_HEADERS: [&str; 1] = ["chatgpt-account-id"];

/// How tokens begin that are replaced while a conversation goes on.
const PASSING: [&str; 7] = [
    // Logins of Claude's subscriptions.
    "sk-ant-oat",
    // JSON web tokens: ChatGPT's logins, Entra, service accounts.
    "eyJ",
    // Google's access tokens.
    "ya29.",
    // Sessions of GitHub Copilot, and tokens of GitHub's apps.
    "tid=",
    "ghu_",
    "ghs_",
    // Signatures of one request (AWS Signature Version 4).
    "AWS4-HMAC-SHA256",
];

/// Whether this value of a header will be the same for as long as a conversation lasts.
pub(crate) fn is_lasting(value: &[u8]) -> bool {
    let words = value.split(|byte| byte.is_ascii_whitespace() || *byte == b'"');
    !words.take(2).any(|word| PASSING.iter().any(|start| word.starts_with(start.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_last_and_tokens_do_not() {
        for value in [
            "sk-ant-api03-not-a-key",
            "Bearer sk-not-a-key",
            "AIza-not-a-key",
            "Bearer eye",
            "Basic dXNlcjpub25l",
            "",
        ] {
            assert!(is_lasting(value.as_bytes()), "{value}");
        }
        for value in [
            "Bearer sk-ant-oat01-not-a-token",
            "bearer eyJhbGciOi.not.one",
            "eyJhbGciOi.not.one",
            "Bearer ya29.not-a-token",
            "Bearer tid=none;exp=1",
            "AWS4-HMAC-SHA256 Credential=none/20261201, Signature=0",
            "Bearer ghu_none",
        ] {
            assert!(!is_lasting(value.as_bytes()), "{value}");
        }
    }
}

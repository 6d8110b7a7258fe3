//! The models that each provider says it has.

use super::super::answers::Ask;
use serde_json::{Value, json};

/// A list of models in the words of whoever asks for it.
pub(in super::super) fn models(ask: &Ask) -> Value {
    let list = |ids: [&str; 2]| ids.map(|id| entry(ask, id));
    if ask.google {
        return json!({"models": list(["gemini-2.5-pro", "gemini-2.5-flash"])});
    }
    if ask.anthropic {
        let (first, last) = ("claude-sonnet-4-5", "claude-haiku-4-5");
        return json!({"data": list([first, last]), "has_more": false, "first_id": first, "last_id": last});
    }
    json!({"object": "list", "data": list(["gpt-4o", "gpt-5"])})
}

/// The model that the path names; here every name is one.
pub(in super::super) fn model(ask: &Ask) -> Value {
    entry(ask, &ask.model)
}

fn entry(ask: &Ask, id: &str) -> Value {
    if ask.google {
        return json!({"name": format!("models/{id}"), "displayName": id, "inputTokenLimit": 1_048_576,
            "outputTokenLimit": 65_536, "supportedGenerationMethods": ["generateContent", "countTokens"]});
    }
    if ask.anthropic {
        return json!({"type": "model", "id": id, "display_name": id, "created_at": "2025-09-29T00:00:00Z"});
    }
    json!({"id": id, "object": "model", "created": 1763800000, "owned_by": "system"})
}

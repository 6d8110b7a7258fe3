//! What a request was served as, by the providers' words.

use serde::{Deserialize, Serialize};

use super::Usage;

/// What a request was served as. The answer says it; what the request asked for may not have been given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Tier {
    #[default]
    Standard,
    Flex,
    Priority,
    Ultrafast,
    Batch,
    /// Another one, whose price is not known.
    Unknown,
}

impl Tier {
    /// By the providers' words: OpenAI's and Anthropic's `service_tier`, Google's `trafficType`.
    pub(crate) fn of(word: &str) -> Tier {
        match word {
            "standard" | "default" | "auto" | "on_demand" | "ON_DEMAND" | "STANDARD" => {
                Tier::Standard
            }
            "flex" | "ON_DEMAND_FLEX" | "FLEX" => Tier::Flex,
            "priority" | "fast" | "ON_DEMAND_PRIORITY" | "PRIORITY" => Tier::Priority,
            "ultrafast" => Tier::Ultrafast,
            "batch" => Tier::Batch,
            _ => Tier::Unknown,
        }
    }

    /// In the table and in the ledger.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Tier::Standard => "standard",
            Tier::Flex => "flex",
            Tier::Priority => "priority",
            Tier::Ultrafast => "ultrafast",
            Tier::Batch => "batch",
            Tier::Unknown => "unknown",
        }
    }
}

impl Usage {
    /// Takes over what `terms` has said.
    pub(crate) fn with_terms(self, terms: &str) -> Usage {
        let mut words = terms.split(' ');
        let tier = words.next().map_or(Tier::Standard, Tier::of);
        let (mut is_fast, mut is_regional) = (false, false);
        for word in words {
            is_fast |= word == "fast";
            is_regional |= word == "us";
        }
        Usage { tier, is_fast, is_regional, ..self }
    }

    /// The tier, and what else of how it was served has a price: `priority`, `standard fast`, `standard us`.
    pub(crate) fn terms(&self) -> String {
        let mut terms = self.tier.name().to_owned();
        for (word, is_so) in [(" fast", self.is_fast), (" us", self.is_regional)] {
            terms.push_str(if is_so { word } else { "" });
        }
        terms
    }
}

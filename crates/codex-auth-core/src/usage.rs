//! What one answer of a model took, as its terminal event tells.

/// Tokens of one answer. The backend counts cached ones within the input and reasoning within the output, so the sum is
/// input and output and nothing else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TokenUse {
    /// Read by the model, cached ones included.
    pub input: u64,
    /// Of the input, what came from a cache.
    pub cached_input: u64,
    /// Written by the model, reasoning included.
    pub output: u64,
    /// Of the output, what was reasoning.
    pub reasoning: u64,
}

impl TokenUse {
    /// All tokens, each counted once.
    pub fn total(self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cached_and_reasoning_tokens_are_counted_once() {
        let took = TokenUse { input: 1000, cached_input: 400, output: 200, reasoning: 50 };
        assert_eq!(took.total(), 1200);
        assert_eq!(TokenUse { input: u64::MAX, ..took }.total(), u64::MAX);
    }
}

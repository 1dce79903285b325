//! The words of a ledger's row, as the predecessor spells them.

macro_rules! words {
    ($(#[$doc:meta])* $name:ident, else $other:ident { $($(#[$case_doc:meta])* $case:ident => $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$case_doc])* $case,)+ }

        impl $name {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$case,)+];

            /// The word of the file.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$case => $word,)+ }
            }

            /// What a word means; every other word is the last resort.
            pub fn parse(word: &str) -> Self {
                match word { $($word => Self::$case,)+ _ => Self::$other }
            }
        }
    };
}

words! {
    /// Who asked.
    UsageSource, else Unknown {
        /// The router.
        RuntimeProxy => "runtime-proxy",
        /// A plugin of another program.
        PluginHost => "plugin-host",
        /// A local program, through the bridge.
        LocalBridge => "local-bridge",
        /// A command.
        Cli => "cli",
        /// Somebody else.
        Unknown => "unknown",
    }
}
words! {
    /// What for.
    UsageOperation, else Unknown {
        /// A model's answer.
        Responses => "responses",
        /// The list of models.
        Models => "models",
        /// The aim of a thread.
        ThreadGoal => "thread-goal",
        /// A renewal of tokens.
        AuthRefresh => "auth-refresh",
        /// A question about quotas.
        Diagnostic => "diagnostic",
        /// Whatever else was passed on.
        Relayed => "relayed",
        /// Something else.
        Unknown => "unknown",
    }
}
words! {
    /// How it ended.
    UsageOutcome, else Failure {
        /// Well.
        Success => "success",
        /// Not well.
        Failure => "failure",
        /// Refused by a rule of ours.
        Blocked => "blocked",
        /// Given up by the client.
        Cancelled => "cancelled",
    }
}

impl UsageOperation {
    /// Whether a model is asked for something. Everything else is a question: it takes no tokens, and is in no sum and in
    /// no budget.
    pub fn asks_a_model(self) -> bool {
        match self {
            Self::Responses | Self::Unknown => true,
            Self::Models | Self::ThreadGoal | Self::AuthRefresh | Self::Diagnostic | Self::Relayed => false,
        }
    }
}

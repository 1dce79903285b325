//! The flag of every command that shows something.

/// Text, or one JSON document?
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(crate) struct Json {
    /// Print one JSON document
    #[arg(long, short)]
    json: bool,
}

impl Json {
    /// Whether a document is wanted.
    pub(crate) fn is_wanted(self) -> bool {
        self.json
    }
}

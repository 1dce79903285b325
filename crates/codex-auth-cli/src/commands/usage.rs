//! `usage`: what the requests that went through the agent took. Offline; reads the ledger, archives included.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::ExitCode,
};

use camino::Utf8PathBuf;
use codex_auth_core::{PriceTable, Timestamp, UsageGroup, summed};
use codex_auth_store::{
    OsFs, StateFile,
    documents::usage_ledger::{AccountMark, UsageLedger, UsagePrices, UsageRow},
    write_private,
};
use codex_auth_view::{Named, Usage, UsageRotated, document};

use crate::{assemble::Product, error::CliError};

mod moment;
mod questions;
mod reconcile;

use moment::{MOMENTS, moment};

/// How it was asked for.
#[derive(Debug, Clone, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct UsageArguments {
    #[command(subcommand)]
    what: Option<What>,
    /// From when on: 30m, 24h, 7d, 2w ago, a date, or milliseconds since the epoch
    #[arg(long, value_name = "t")]
    since: Option<String>,
    /// Until when, likewise
    #[arg(long, value_name = "t")]
    until: Option<String>,
    /// What the summary is divided by
    #[arg(long, value_name = "group", value_enum, default_value_t = By::Model)]
    by: By,
    /// Print one JSON document
    #[arg(long, short, global = true)]
    json: bool,
    /// Print a table for other programs
    #[arg(long)]
    csv: bool,
    /// Write the document or the table into this file instead
    #[arg(long, value_name = "path")]
    out: Option<Utf8PathBuf>,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum What {
    /// Begin a new ledger file; the old one is kept and goes on being counted
    Rotate {
        /// Only when the file has more bytes than this
        #[arg(long, value_name = "bytes", alias = "if-larger-than")]
        if_larger_than_bytes: Option<u64>,
    },
    /// Compare the ledger with codex's session logs and the server's numbers
    Reconcile {
        /// From when on
        #[arg(long, value_name = "t")]
        since: Option<String>,
        /// Until when
        #[arg(long, value_name = "t")]
        until: Option<String>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum By {
    Model,
    Account,
    Project,
    Outcome,
    Day,
}

impl From<By> for UsageGroup {
    fn from(by: By) -> Self {
        match by {
            By::Model => Self::Model,
            By::Account => Self::Account,
            By::Project => Self::Project,
            By::Outcome => Self::Outcome,
            By::Day => Self::Day,
        }
    }
}

/// A span of time, open where nothing was said.
#[derive(Debug, Clone, Copy)]
struct Span {
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl Span {
    fn of(product: &Product, since: Option<&str>, until: Option<&str>) -> Result<Self, CliError> {
        let now = product.clock.now();
        let read = |name: &str, text: Option<&str>| {
            let Some(text) = text else { return Ok(None) };
            let wrong = || CliError::usage(format!("`--{name} {text}` is no time this program knows.")).hint(MOMENTS);
            moment(text, now).map(Some).ok_or_else(wrong)
        };
        Ok(Self { since: read("since", since)?, until: read("until", until)? })
    }

    fn ends(self) -> (Timestamp, Timestamp) {
        let (first, last) = (Timestamp::from_millis(i64::MIN), Timestamp::from_millis(i64::MAX));
        (self.since.unwrap_or(first), self.until.unwrap_or(last))
    }
}

impl UsageArguments {
    /// The command's name in documents.
    pub(crate) fn name(&self) -> &'static str {
        match self.what {
            None => "usage",
            Some(What::Rotate { .. }) => "usage rotate",
            Some(What::Reconcile { .. }) => "usage reconcile",
        }
    }

    /// Whether a document is wanted.
    pub(crate) fn wants_json(&self) -> bool {
        self.json
    }
}

/// Does what was asked.
pub(crate) fn usage(product: &Product, arguments: &UsageArguments) -> Result<ExitCode, CliError> {
    match &arguments.what {
        None => summary(product, arguments)?,
        Some(What::Rotate { if_larger_than_bytes }) => {
            let archive = ledger(product).rotate(if_larger_than_bytes.unwrap_or(0), product.clock.now())?;
            product.ui.show(&UsageRotated::new(archive.map(Utf8PathBuf::into_string)), arguments.json);
        }
        Some(What::Reconcile { since, until }) => {
            let span = Span::of(product, since.as_deref(), until.as_deref())?;
            reconcile::reconcile(product, span, arguments.json)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn ledger(product: &Product) -> UsageLedger {
    UsageLedger::under(product.layout.base())
}

fn summary(product: &Product, arguments: &UsageArguments) -> Result<(), CliError> {
    let UsageArguments { json, csv, out, by, .. } = arguments;
    if *json && *csv {
        return Err(CliError::usage("`--json` and `--csv` are two forms of the same.").hint("Give one of them."));
    }
    if out.is_some() && !(*json || *csv) {
        return Err(CliError::usage("`--out` needs `--json` or `--csv`.").hint("Add the form the file is to have."));
    }
    let span = Span::of(product, arguments.since.as_deref(), arguments.until.as_deref())?;
    let (since, until) = span.ends();
    let rows = ledger(product).rows(since, until)?;
    let accounts = Accounts::of(product)?;
    let mut entries: Vec<_> = rows.requests.iter().map(UsageRow::entry).collect();
    for entry in &mut entries {
        accounts.settle(&mut entry.cell.account);
    }
    let groups = summed(&entries, (*by).into());
    let view =
        Usage::new((*by).into(), (span.since, span.until), &groups, |key| accounts.label(key), PriceTable::AS_OF);
    let torn = (rows.unreadable > 0).then(|| format!("{} lines could not be read and are in no sum.", rows.unreadable));
    let view = view.with_note(torn).with_note(unpriced_note(&rows.requests)).with_note(prices_note(product));
    let view = view.with_note(questions::note(&rows.questions));
    let (questions, attempts) = questions::documents(&rows);
    let view =
        view.with_rows(rows.requests.iter().map(UsageRow::document).collect(), attempts).with_questions(questions);
    let text = match (json, csv) {
        (true, _) => document(&view),
        (false, true) => view.csv(),
        (false, false) => {
            product.ui.show(&view, false);
            return Ok(());
        }
    };
    match out {
        Some(path) => write_private(&OsFs, path, text.as_bytes())?,
        None => product.ui.data(&text),
    }
    Ok(())
}

/// A model without a price costs nothing in a sum, which would be a lie unsaid.
fn unpriced_note(rows: &[UsageRow]) -> Option<String> {
    let unpriced = rows.iter().filter(|row| row.cost_e8.is_none() && row.tokens.total > 0);
    let models: BTreeSet<&str> = unpriced.map(|row| row.model.as_deref().unwrap_or("unknown")).collect();
    let models: Vec<&str> = models.into_iter().collect();
    (!models.is_empty())
        .then(|| format!("In no cost, for want of a price: {}. usage-prices.json sets one.", models.join(", ")))
}

/// A table of the user's own that cannot be read sets no price.
fn prices_note(product: &Product) -> Option<String> {
    let read = StateFile::<UsagePrices>::under(product.layout.base()).read();
    read.err().map(|error| format!("Costs are by the built-in prices: {error}."))
}

/// The pool's accounts under the hashes of the ledger, old and new.
struct Accounts {
    names: BTreeMap<String, (String, String)>,
}

impl Accounts {
    fn of(product: &Product) -> Result<Self, CliError> {
        let (pool, salt) = (product.store.read_now()?, ledger(product).salt_if_made()?);
        let mut names = BTreeMap::new();
        for (index, held) in pool.accounts.iter().enumerate() {
            let label = Named::at(index, &held.account).label;
            let old = AccountMark::of(&held.account, index).name().map(str::to_owned);
            let new =
                salt.as_ref().and_then(|salt| AccountMark::salted(&held.account.owner, salt).name().map(str::to_owned));
            let key = new.clone().or(old.clone());
            for hash in [old, new].into_iter().flatten() {
                if let Some(key) = &key {
                    names.entry(hash).or_insert_with(|| (key.clone(), label.clone()));
                }
            }
        }
        Ok(Self { names })
    }

    /// Makes one account of its older and its newer hash.
    fn settle(&self, account: &mut Option<String>) {
        if let Some((key, _)) = account.as_ref().and_then(|hash| self.names.get(hash)) {
            *account = Some(key.clone());
        }
    }

    fn label(&self, key: &str) -> Option<String> {
        self.names.get(key).map(|(_, label)| label.clone())
    }
}

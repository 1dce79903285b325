//! `restore`: the pool goes back to a copy; tokens never do.

use std::process::ExitCode;

use camino::Utf8PathBuf;
use codex_auth_core::{Kind, SavedPool, Timestamp};
use codex_auth_store::Earlier;
use codex_auth_view::{CopyList, CopyRow, Named, Restored, Screen};

use crate::{assemble::Product, error::CliError, json_flag::Json, span::instant};

/// How it was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RestoreArguments {
    /// The copy to go back to; the newest one without it
    #[arg(value_name = "file", conflicts_with_all = ["list", "at"])]
    file: Option<Utf8PathBuf>,
    /// Show the copies, newest first
    #[arg(long, short)]
    list: bool,
    /// Go back to the pool as it was then: an age such as 2h or 3d, or an instant such as 2026-11-27T10:00:00Z
    #[arg(long, value_name = "when", conflicts_with = "list")]
    at: Option<String>,
    /// Only show what would change
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    pub(crate) json: Json,
}

/// Goes back to a copy.
pub(crate) fn restore(product: &Product, arguments: &RestoreArguments) -> Result<ExitCode, CliError> {
    let now = product.clock.now();
    if arguments.list {
        let rows = product.store.earlier().into_iter().map(row).collect();
        product.ui.show(&CopyList::new(rows, now), arguments.json.is_wanted());
        return Ok(ExitCode::SUCCESS);
    }
    let copy = chosen(product, arguments, now)?;
    let unreadable = || {
        CliError::new(Kind::Usage, "no_copy", format!("{} is no copy of a pool.", copy.path))
            .hint("Run `codex-multi-auth restore --list` to see the copies.")
    };
    let earlier = product.store.pool_of_copy(&copy.path).ok_or_else(unreadable)?;
    // A pool that cannot be read is no reason not to go back.
    let today = product.store.read_now().unwrap_or_default();
    let preview = change(&copy, &today, &earlier, now);
    if arguments.dry_run {
        product.ui.show(&preview.dry_run(), arguments.json.is_wanted());
        return Ok(ExitCode::SUCCESS);
    }
    if product.ui.can_ask && !arguments.yes {
        product.ui.say(preview.clone().dry_run().text(product.ui.width).trim_end());
        let answer = product.ui.ask("Go back to it? [y/N] ").unwrap_or_default().to_lowercase();
        if !matches!(answer.as_str(), "y" | "yes") {
            product.ui.say("Nothing was changed.");
            return Ok(ExitCode::FAILURE);
        }
    }
    product.store.restore(&copy.path, &format!("went back to {}", copy.path))?;
    product.tell_the_agent();
    product.ui.show(&preview, arguments.json.is_wanted());
    Ok(ExitCode::SUCCESS)
}

fn chosen(product: &Product, arguments: &RestoreArguments, now: Timestamp) -> Result<Earlier, CliError> {
    if let Some(file) = &arguments.file {
        let accounts = product.store.pool_of_copy(file).map_or(0, |pool| pool.accounts.len());
        let found = product.store.earlier().into_iter().find(|copy| copy.path == *file);
        return Ok(found.unwrap_or(Earlier { path: file.clone(), at: now, accounts }));
    }
    let before = match arguments.at.as_deref() {
        Some(text) => instant(text, now).ok_or_else(|| {
            CliError::usage(format!("{text} is no age such as 2h, and no instant such as 2026-11-27T10:00:00Z."))
        })?,
        None => now,
    };
    // A copy shows the pool as it was until the moment it was made.
    let all = product.store.earlier();
    let then = match arguments.at {
        Some(_) => all.iter().rev().find(|copy| copy.at >= before),
        None => all.first(),
    };
    then.cloned().ok_or_else(|| {
        if all.is_empty() {
            return CliError::new(Kind::Usage, "no_copy", "There are no copies yet.")
                .hint("One is made before accounts come or go, and else once an hour.");
        }
        CliError::new(Kind::Usage, "no_copy", "No copy was made since then.")
            .hint("Run `codex-multi-auth undo --list` to see what was changed since.")
    })
}

fn change(copy: &Earlier, today: &SavedPool, earlier: &SavedPool, now: Timestamp) -> Restored {
    let missing = |mine: &SavedPool, theirs: &SavedPool| -> Vec<String> {
        let gone = mine.accounts.iter().filter(|held| theirs.find(&held.account.record).is_none());
        gone.filter_map(|held| Some(Named::of(mine, &held.account.record)?.label)).collect()
    };
    let (added, removed) = (missing(earlier, today), missing(today, earlier));
    let kept = earlier.accounts.len() - added.len();
    Restored::new(row(copy.clone()), (added, removed), kept, now)
}

fn row(copy: Earlier) -> CopyRow {
    CopyRow { path: copy.path.into_string(), at: copy.at.as_millis(), account_count: copy.accounts }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Option<i64>) {
        assert_eq!(instant(text, Timestamp::from_secs(1_000_000)).map(Timestamp::as_millis), expect, "{text}");
    }

    #[test]
    fn when_can_be_an_age_or_an_instant() {
        check("90s", Some(999_910_000));
        check("2h", Some(992_800_000));
        check("1d", Some(913_600_000));
        check("1970-01-01T00:00:05Z", Some(5000));
        check("yesterday", None);
        check("2é", None);
        check("", None);
        check("9223372036854775807d", None);
    }
}

//! `usage reconcile`: the ledger against the official client's session logs, and beside the server's numbers. Reads only,
//! asks nobody; what differs is shown, and is no error.

use codex_auth_core::{Here, There, Timestamp, count_sessions, reconcile as compared};
use codex_auth_store::{
    OsFs, SessionLogs, StateFile,
    documents::{
        quota_cache::QuotaCache,
        usage_ledger::{AccountMark, Salt, UsageRow, UsageRows},
    },
};
use codex_auth_view::{LogsRead, Named, ServerWindow, UsageReconciled};

use super::{Span, ledger};
use crate::{assemble::Product, error::CliError};

pub(super) fn reconcile(product: &Product, span: Span, as_json: bool) -> Result<(), CliError> {
    let ledger = ledger(product);
    let everything = (Timestamp::from_millis(i64::MIN), Timestamp::from_millis(i64::MAX));
    let rows = ledger.rows(everything.0, everything.1)?;
    let salt = ledger.salt_if_made()?;
    let logs = SessionLogs::of(product.layout.codex_home(), &OsFs)?;
    let counted = count_sessions(&logs.files);
    let here: Vec<Here> = rows.requests.iter().map(row).collect();
    // Without a salt nothing was written down by us yet, and no name of a log can meet one of the ledger.
    let salt = salt.unwrap_or_else(|| Salt::new(""));
    let there: Vec<There> = counted
        .answers
        .into_iter()
        .filter(|answer| !counted.unclear.contains(&answer.thread) || answer.response.is_some())
        .map(|answer| There {
            session: salt.session(&answer.thread),
            response: answer.response.as_deref().map(|response| salt.response(response)),
            thread: answer.thread,
            at: answer.at,
            tokens: answer.tokens,
        })
        .collect();
    let told = compared(&here, &there, span.ends());
    let logs = LogsRead {
        files: logs.files.len(),
        unreadable: logs.unreadable.into_iter().map(camino::Utf8PathBuf::into_string).collect(),
        torn: logs.torn,
    };
    let server = server(product, &rows, &salt)?;
    let ends = (span.since, span.until);
    let view =
        UsageReconciled::new(&told, ends, (logs, counted.unclear, counted.incomplete), server, product.clock.now());
    product.ui.show(&view, as_json);
    Ok(())
}

fn row(row: &UsageRow) -> Here {
    Here {
        id: row.id.clone(),
        at: row.created_at,
        session: row.session.clone(),
        response: row.response.clone(),
        tokens: row.tokens.into(),
    }
}

/// What the server last said of each account's windows, and what the ledger has of the same time.
fn server(product: &Product, rows: &UsageRows, salt: &Salt) -> Result<Vec<ServerWindow>, CliError> {
    let pool = product.store.read_now()?;
    // A cache can be made anew: what is wrong with it is no trouble of this command.
    let cache = StateFile::<QuotaCache>::under(product.layout.base()).read();
    let cache = cache.map(|found| found.document).unwrap_or_default();
    let mut windows = Vec::new();
    for (index, held) in pool.accounts.iter().enumerate() {
        let Some(snapshot) = cache
            .find(&pool, &held.account.record)
            .and_then(codex_auth_store::documents::quota_cache::QuotaEntry::snapshot)
        else {
            continue;
        };
        let marks = [AccountMark::of(&held.account, index), AccountMark::salted(&held.account.owner, salt)];
        for window in [snapshot.primary, snapshot.secondary].into_iter().flatten() {
            let (Some(minutes), Some(ends)) = (window.window_minutes, window.resets_at) else { continue };
            let length = i64::try_from(minutes).unwrap_or(i64::MAX).saturating_mul(60_000);
            let began = Timestamp::from_millis(ends.as_millis().saturating_sub(length));
            let own = rows.requests.iter().filter(|row| {
                let is_own = row.account.as_ref().is_some_and(|mark| marks.iter().any(|own| own.name() == mark.name()));
                is_own && began <= row.created_at && row.created_at < ends
            });
            let (requests, tokens) = own.fold((0, 0), |(requests, tokens): (u64, u64), row| {
                (requests + 1, tokens.saturating_add(row.tokens.total))
            });
            windows.push(ServerWindow {
                number: index + 1,
                label: Named::at(index, &held.account).label,
                window_minutes: minutes,
                began_at: began.as_millis(),
                used_percent: window.used_percent,
                seen_at: snapshot.seen_at.as_millis(),
                tokens_here: tokens,
                requests_here: requests,
            });
        }
    }
    Ok(windows)
}

//! A rotation whose every decision is recorded, over a pool that everything happens to: what was decided comes out once
//! more, and what would have been decided otherwise is counted.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use codex_auth_core::{
    Decision, NeedsLogin, Outcome, Query, QuotaSnapshot, QuotaWindow, RestPolicy, Rotation, SessionKey, Source,
    Strategy, Timestamp,
    record::{Moment, Reader, Supposition, WhatIf, Witness, Writer},
    testing::{SeededEntropy, pool},
};

#[derive(Debug, Default)]
struct Desk(Mutex<Option<Moment>>);

impl Witness for Desk {
    fn saw(&self, moment: Moment) -> bool {
        *self.0.lock().unwrap() = Some(moment);
        true
    }
}

/// The decisions of one seed, live, and the log of them.
fn simulated(seed: u64, accounts: usize, decisions: usize) -> (Vec<Decision>, Vec<Vec<u8>>) {
    let dice = SeededEntropy::new(seed);
    let below = |end: u64| dice.next() % end;
    let (mut saved, desk, mut writer) = (pool(accounts), Arc::new(Desk::default()), Writer::default());
    let rotation = Rotation::new(saved.clone(), Strategy::Hybrid, RestPolicy::default());
    rotation.watched_by(desk.clone());
    let (mut now, mut open) = (Timestamp::from_secs(1_800_000_000), Vec::new());
    let (mut live, mut log) = (Vec::new(), Vec::new());
    while live.len() < decisions {
        now = now.after(Duration::from_millis(below(4000)));
        let place = usize::try_from(below(u64::try_from(accounts).unwrap())).unwrap();
        let record = saved.accounts[place].account.record.clone();
        match below(40) {
            0 => {
                saved.accounts[place].account.enabled = below(9) > 0;
                saved.pin = (below(9) == 0).then(|| record.clone());
                let strategy = Strategy::ALL[usize::try_from(below(6)).unwrap()];
                rotation.reading();
                rotation.adopt(saved.clone(), strategy, now);
            }
            1 if below(4) == 0 => {
                let needs = (below(9) == 0).then(|| NeedsLogin { code: "refresh_token_reused".into(), at: now });
                saved.accounts[place].account.needs_login = needs;
            }
            2..6 => {
                let used_percent = f64::from(u32::try_from(below(1001)).unwrap()) / 10.0;
                let resets_at = Some(now.after(Duration::from_secs(below(9000))));
                let primary = Some(QuotaWindow { used_percent, window_minutes: Some(300), resets_at });
                let told = QuotaSnapshot { primary, secondary: None, seen_at: now };
                let _news = rotation.saw_quota(&record, &told.report(Source::Headers, None));
            }
            _ => {}
        }
        let session = SessionKey::parse(&format!("session-{}", below(12)));
        let quota_key = (below(3) > 0).then(|| "gpt-5.2:gpt-5.5".to_owned());
        let mut query = Query { session, quota_key, ..Query::default() };
        for _ in 0..3 {
            live.push(rotation.decide(&query, now));
            let acquired = rotation.acquire(&query, now);
            let moment = desk.0.lock().unwrap().take().expect("every decision is seen");
            let written = writer.write(moment).expect("it fits").expect("nothing is lost");
            assert!(written.is_faithful, "decision {} of seed {seed}", live.len());
            log.extend(written.entries);
            let Ok(lease) = acquired else { break };
            query.tried.push(lease.held.account.record.clone());
            let is_over = below(9) > 0;
            if is_over {
                open.push(lease);
                break;
            }
            let until = Some(now.after(Duration::from_secs(below(90))));
            let outcome = if below(2) == 0 { Outcome::UsageLimited { until } } else { Outcome::NetworkFault };
            let _settled = rotation.settle(lease, &outcome, false, now);
        }
        while open.len() > usize::try_from(below(9)).unwrap() {
            let lease = open.swap_remove(usize::try_from(below(u64::try_from(open.len()).unwrap())).unwrap());
            let _settled = rotation.settle(lease, &Outcome::Served, false, now);
        }
    }
    (live, log)
}

/// Reads a log and hands every decision on; how many there were.
fn each(log: &[Vec<u8>], mut act: impl FnMut(usize, &codex_auth_core::record::Recorded<'_>)) -> usize {
    let (mut reader, mut number) = (Reader::default(), 0);
    for entry in log {
        if let Some(recorded) = reader.take(entry).expect("it is whole") {
            act(number, &recorded);
            number += 1;
        }
    }
    number
}

#[test]
fn ten_thousand_decisions_of_a_rotation_come_out_once_more() {
    let (live, log) = simulated(1, 12, 10_000);
    let mut refused = 0;
    let count = each(&log, |number, recorded| {
        let again = recorded.replay();
        assert_eq!(again, live[number], "decision {number}");
        assert!(recorded.is_same(&again));
        refused += usize::from(again.choice.is_none());
    });
    let bytes: usize = log.iter().map(Vec::len).sum();
    println!("{count} decisions, {refused} of them refusals, {} bytes each", bytes / count);
    assert!(count == live.len() && count >= 10_000 && refused > 100 && bytes / count < 100);
}

#[test]
fn what_if_changes_nothing_where_nothing_is_supposed_and_moves_everybody_off_who_is_away() {
    let (live, log) = simulated(2, 5, 2000);
    let away = pool(5).accounts[0].account.record.clone();
    let counted = |supposed| {
        let mut counted = WhatIf::supposing(supposed);
        each(&log, |_, recorded| counted.take(recorded));
        counted
    };
    let same = counted(Supposition::default());
    assert_eq!((same.decisions, same.differ, same.avoided, same.new_refusals), (live.len() as u64, 0, 0, 0));
    let without = counted(Supposition { without: Some(away.clone()), ..Supposition::default() });
    let served = without.served[&Some(away.clone())];
    // A session that left the one away by itself may be placed otherwise: there is no move to weigh any more.
    let placed_otherwise = without.differ - served.was;
    assert!(served.was > 0 && served.would == 0 && placed_otherwise * 100 < served.was, "{without:?}");
    let pinned = counted(Supposition { pin: Some(away.clone()), ..Supposition::default() });
    assert!(pinned.served.iter().all(|(who, served)| served.would == 0 || who.as_ref().is_none_or(|who| *who == away)));
    let sum = |of: fn(&codex_auth_core::record::Served) -> u64| pinned.served.values().map(of).sum::<u64>();
    assert_eq!((sum(|served| served.was), sum(|served| served.would)), (pinned.decisions, pinned.decisions));
    let first = counted(Supposition { strategy: Some(Strategy::Sequential), ..Supposition::default() });
    assert!(
        first.differ > 0 && first.new_refusals == 0,
        "no strategy but manual refuses where another serves: {first:?}"
    );
}

//! Owns the page of figures.

use std::fmt::Write as _;

use super::{
    exhaustion::{Ends, compare},
    table::{HYBRID, NAMES, PACKED, ROBIN, Row, STICKY, mean, together, worst},
};

/// What is asked for: so many percent fewer uncached tokens than stickiness.
pub(super) const FEWER: f64 = 10.0;

/// The figures as a page's block.
pub(super) fn page(rows: &[Row]) -> String {
    costs(rows) + &floors(rows) + &ends(rows)
}

/// The figures of so many seeds that each one's end is too much.
pub(super) fn short(rows: &[Row]) -> String {
    costs(rows) + &floors(rows) + "\n" + &in_words(rows)
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(page, "{text}").expect("a string");
}

fn name(row: &Row) -> String {
    if row.family.tuning { row.family.name.to_owned() } else { format!("**{}**", row.family.name) }
}

fn costs(rows: &[Row]) -> String {
    let mut page =
        String::from("| Family | Requests | round robin | sticky | sticky on one | hybrid | hybrid saves |\n");
    page += "|---|---|---|---|---|---|---|\n";
    let three = |saves: &dyn Fn(usize) -> f64| {
        [ROBIN, STICKY, PACKED].map(|than| format!("{:.1}", saves(than))).join(" / ") + " %"
    };
    for row in rows {
        let tokens = row.uncached.map(|tokens| (tokens / 1000).to_string()).join(" | ");
        let (name, requests, saves) = (name(row), row.requests, three(&|than| row.saves(than)));
        line(&mut page, format_args!("| {name} | {requests} | {tokens} | {saves} |"));
    }
    let of_means = three(&|than| mean(rows, |row| row.saves(than)));
    line(&mut page, format_args!("| mean of families | | | | | | {of_means} |"));
    let of_all = three(&|than| together(rows).saves(than));
    line(&mut page, format_args!("| all tokens | | | | | | {of_all} |"));
    let worst = worst(rows);
    let (name, saves) = (worst.family.name, worst.saves(STICKY));
    line(&mut page, format_args!("\nThe worst family is {name}: {saves:.1} % fewer than {}.", NAMES[STICKY]));
    page
}

fn floors(rows: &[Row]) -> String {
    let mut page = String::from(
        "\n| Family | floor | hybrid above the floor | sticky above the floor | at most to be saved against sticky |\n",
    );
    page += "|---|---|---|---|---|\n";
    let mut add = |name: &str, floor: &str, [ours, theirs, most]: [f64; 3]| {
        line(&mut page, format_args!("| {name} | {floor} | {ours:.1} % | {theirs:.1} % | {most:.1} % |"));
    };
    let figures = |row: &Row| [row.above_floor(HYBRID), row.above_floor(STICKY), row.could_save(STICKY)];
    for row in rows {
        add(&name(row), &(row.floor / 1000).to_string(), figures(row));
    }
    add("mean of families", "", [0, 1, 2].map(|figure| mean(rows, |row| figures(row)[figure])));
    add("all tokens", "", figures(&together(rows)));
    let below: Vec<&str> =
        rows.iter().filter(|row| row.could_save(STICKY) < FEWER).map(|row| row.family.name).collect();
    if !below.is_empty() {
        let below = below.join(", ");
        line(&mut page, format_args!("\nNo policy can save {FEWER} % against sticky in: {below}."));
    }
    page
}

fn ends(rows: &[Row]) -> String {
    let mut page = String::from("\n| Family | Moves | The pool runs dry, in minutes |\n|---|---|---|\n");
    for row in rows {
        let moves = row.moves.map(|moves| moves.to_string()).join(" / ");
        let dry = if row.ends.iter().all(|end| end.dry_at.iter().all(Option::is_none)) {
            "never".to_owned()
        } else {
            [ROBIN, STICKY, PACKED, HYBRID].map(|policy| dry(row, policy)).join(" / ")
        };
        line(&mut page, format_args!("| {} | {moves} | {dry} |", row.family.name));
    }
    page + "\n" + &in_words(rows)
}

/// When the pool ran dry under a policy, in minutes and for each seed in which it did so under any.
fn dry(row: &Row, policy: usize) -> String {
    let any = row.ends.iter().filter(|end| end.dry_at.iter().any(Option::is_some));
    let minutes = |at: i64| (at / 60_000).to_string();
    any.map(|end| end.dry_at[policy].map_or("never".to_owned(), minutes)).collect::<Vec<String>>().join(", ")
}

/// How `hybrid` and stickiness compare at the end of their pools.
pub(super) fn in_words(rows: &[Row]) -> String {
    let Ends { pools, later, earlier, refused: [theirs, ours] } = compare(rows);
    let same = pools - later.len() - earlier.len();
    let by = |minutes: &[i64]| match minutes {
        [] => String::new(),
        _ => format!(" (together {} minutes)", minutes.iter().sum::<i64>()),
    };
    format!(
        "{pools} pools ran dry: {}{} later under hybrid than under sticky, {same} at the same time,\n\
         {}{} earlier. To the end of these runs sticky refused {theirs} requests, hybrid {ours}.\n",
        later.len(),
        by(&later),
        earlier.len(),
        by(&earlier),
    )
}

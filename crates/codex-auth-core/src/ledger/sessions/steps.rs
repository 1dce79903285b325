//! The running totals of one log as steps, what a torn line among them may have said, and which of them are copies of
//! another log's.

use std::time::Duration;

use crate::{Timestamp, TokenUse};

use super::{SessionEvent, SessionFile};

/// How far apart two lines of one copy are written at most. An answer takes longer: it comes over the network.
const AT_ONCE: Duration = Duration::from_millis(100);

/// One step of a log's totals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// A total: told, or following from the one after it, since that one tells its last answer too.
    Total { at: Timestamp, total: TokenUse, is_told: bool },
    /// A line is torn, and nothing else in this log tells what it took.
    Lost { at: Timestamp },
}

/// A total that a log has from another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Copied {
    pub(super) total: TokenUse,
    pub(super) means: Means,
}

/// What a copied total means for a torn line, by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Means {
    /// None is torn.
    Nothing,
    /// The original is torn there, and the copy tells what it took.
    Heals(usize),
    /// The copy is torn there, and the original tells what it took.
    IsHealed(usize),
}

/// The steps of a log. Totals that are told again are one.
pub(super) fn steps(file: &SessionFile) -> Vec<Step> {
    let mut found = Vec::new();
    let (mut so_far, mut at, mut is_explained, mut torn) = (None, file.created_at, false, None);
    let writes_ids = file.events.iter().any(|event| match event {
        SessionEvent::Answer { thread, .. } => *thread == file.thread,
        SessionEvent::Torn { is_answer } => *is_answer,
        SessionEvent::Running { .. } => false,
    });
    for event in &file.events {
        match event {
            SessionEvent::Answer { at: written, .. } => (at, is_explained) = (*written, true),
            SessionEvent::Torn { is_answer } => torn = torn.or(takes_along(*is_answer, is_explained).then_some(at)),
            SessionEvent::Running { at: written, total, last, .. } => {
                if so_far != Some(*total) {
                    let before = less(*total, *last);
                    // What a thread without a parent took before its first line can only be torn.
                    let known = so_far.or((torn.is_some() && file.parent.is_none()).then(TokenUse::default));
                    if known.is_some_and(|known| before != known && covers(before, known)) {
                        found.push(Step::Total { at: torn.unwrap_or(at), total: before, is_told: false });
                    } else if let Some(at) = torn.filter(|_| !writes_ids || is_explained) {
                        found.push(Step::Lost { at });
                    }
                    found.push(Step::Total { at: *written, total: *total, is_told: true });
                    (so_far, torn) = (Some(*total), None);
                }
                (at, is_explained) = (*written, false);
            }
        }
    }
    found.extend(torn.map(|at| Step::Lost { at }));
    found
}

/// Whether a torn line may have told an answer that no other line tells. A total after its answer has nothing new.
pub(super) fn takes_along(is_answer: bool, is_explained: bool) -> bool {
    is_answer || !is_explained
}

/// The totals a file begins with that are another log's. What that one wrote later was not copied.
pub(super) fn copied(theirs: &[Step], mine: &[Step], created_at: Timestamp) -> Vec<Copied> {
    let theirs: Vec<(usize, Step)> =
        theirs.iter().copied().enumerate().filter(|(_, step)| step.at() <= created_at).collect();
    let (mut found, mut last, mut next) = (Vec::new(), created_at, 0);
    for (here, step) in mine.iter().enumerate() {
        let Step::Total { at, total, .. } = *step else {
            // A copy is whole: where it is torn, it told what comes next. A thread may also begin without a history.
            let goes_on = |(_, after): &(usize, Step)| matches!(mine.get(here + 1), Some(Step::Total { total, .. }) if after.is_told(*total));
            let is_copy = !found.is_empty() || theirs.get(next + 1).is_some_and(goes_on);
            let Some((_, Step::Total { total, .. })) = theirs.get(next).filter(|_| is_copy) else { break };
            found.push(Copied { total: *total, means: Means::IsHealed(here) });
            next += 1;
            continue;
        };
        // A copy need not have what follows only from a later line, nor what was torn when it was made.
        let is_after = theirs.get(next + 1).is_some_and(|(_, after)| after.is_told(total));
        if is_after && theirs.get(next).is_some_and(|(_, step)| !step.was_told()) {
            next += 1;
        }
        let means = match theirs.get(next) {
            Some((_, Step::Total { total: known, .. })) if *known == total => Means::Nothing,
            Some((there, Step::Lost { .. })) if at <= created_at || at.since(last) <= AT_ONCE => Means::Heals(*there),
            Some((_, Step::Total { .. } | Step::Lost { .. })) | None => break,
        };
        found.push(Copied { total, means });
        (last, next) = (at, next + 1);
    }
    found
}

impl Step {
    pub(super) fn at(self) -> Timestamp {
        match self {
            Self::Total { at, .. } | Self::Lost { at } => at,
        }
    }

    fn was_told(self) -> bool {
        matches!(self, Self::Total { is_told: true, .. })
    }

    fn is_told(self, total: TokenUse) -> bool {
        matches!(self, Self::Total { total: told, is_told: true, .. } if told == total)
    }
}

/// One without the other.
pub(super) fn less(from: TokenUse, part: TokenUse) -> TokenUse {
    TokenUse {
        input: from.input.saturating_sub(part.input),
        cached_input: from.cached_input.saturating_sub(part.cached_input),
        output: from.output.saturating_sub(part.output),
        reasoning: from.reasoning.saturating_sub(part.reasoning),
    }
}

/// Whether one is at least the other, in every kind.
pub(super) fn covers(whole: TokenUse, part: TokenUse) -> bool {
    less(part, whole) == TokenUse::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGAN: Timestamp = Timestamp::from_millis(1_000_000);

    fn took(input: u64) -> TokenUse {
        TokenUse { input, ..TokenUse::default() }
    }

    /// A total and its last answer, so many milliseconds after the beginning.
    fn running(after: u64, total: u64, last: u64) -> SessionEvent {
        let at = BEGAN.after(Duration::from_millis(after));
        SessionEvent::Running { at, model: None, total: took(total), last: took(last) }
    }

    fn torn() -> SessionEvent {
        SessionEvent::Torn { is_answer: false }
    }

    fn answer(input: u64) -> SessionEvent {
        let (thread, response) = ("t".to_owned(), format!("r{input}"));
        SessionEvent::Answer { at: BEGAN, thread, response, model: None, tokens: took(input) }
    }

    fn file(events: &[SessionEvent]) -> SessionFile {
        SessionFile { thread: "t".to_owned(), parent: None, created_at: BEGAN, events: events.to_vec() }
    }

    /// Told totals as they are, those that follow in brackets, what is lost as `?`.
    fn text(steps: &[Step]) -> String {
        let one = |step: &Step| match step {
            Step::Total { total, is_told: true, .. } => total.input.to_string(),
            Step::Total { total, .. } => format!("({})", total.input),
            Step::Lost { .. } => "?".to_owned(),
        };
        steps.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[track_caller]
    fn check(events: &[SessionEvent], expect: &str) {
        assert_eq!(text(&steps(&file(events))), expect);
    }

    #[test]
    fn a_later_total_tells_what_a_torn_line_took() {
        check(&[running(1, 5, 5), running(2, 5, 5), running(3, 8, 3)], "5 8");
        check(&[running(1, 5, 5), torn(), running(3, 15, 3)], "5 (12) 15");
        check(&[torn(), running(3, 15, 3)], "(12) 15");
        // The client began again from what it could read.
        check(&[running(1, 5, 5), torn(), running(3, 8, 3)], "5 ? 8");
        check(&[running(1, 5, 5), torn()], "5 ?");
        // A total after its answer had nothing new; an answer before its total is told by that.
        check(&[answer(5), running(1, 5, 5), answer(3), torn()], "5");
        check(&[answer(5), running(1, 5, 5), SessionEvent::Torn { is_answer: true }, running(2, 8, 3)], "5 8");
        check(&[answer(5), running(1, 5, 5), SessionEvent::Torn { is_answer: true }], "5 ?");
    }

    #[track_caller]
    fn check_copy(parent: &[SessionEvent], child: &[SessionEvent], expect: &[(u64, Means)]) {
        let created_at = BEGAN.after(Duration::from_mins(1));
        let found = copied(&steps(&file(parent)), &steps(&file(child)), created_at);
        let found: Vec<_> = found.iter().map(|one| (one.total.input, one.means)).collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn a_copy_is_told_from_what_came_after_it() {
        use Means::{Heals, IsHealed, Nothing};
        let (at_once, later) = (60_003, 61_000);
        let copy = [running(at_once, 5, 5), running(at_once, 8, 3), running(later, 9, 1)];
        check_copy(&[running(1, 5, 5), running(2, 8, 3)], &copy, &[(5, Nothing), (8, Nothing)]);
        check_copy(&[running(1, 5, 5), torn()], &copy, &[(5, Nothing), (8, Heals(1))]);
        check_copy(&[running(1, 5, 5), torn(), running(90_000, 10, 2)], &copy, &[(5, Nothing), (8, Nothing)]);
        let whole = [running(1, 5, 5), running(2, 8, 3)];
        check_copy(&whole, &[running(at_once, 5, 5), torn()], &[(5, Nothing), (8, IsHealed(1))]);
        check_copy(&whole[..1], &[running(at_once, 5, 5), torn()], &[(5, Nothing)]);
        check_copy(&whole, &[torn()], &[]);
        // What came later than a copy is written is the child's own answer.
        let own = [running(at_once, 5, 5), running(later, 8, 3)];
        check_copy(&[running(1, 5, 5), torn()], &own, &[(5, Nothing)]);
        // The copy was made when the line was torn already.
        let restarted = [running(1, 5, 5), torn(), running(2, 8, 3)];
        check_copy(&restarted, &whole, &[(5, Nothing), (8, Nothing)]);
    }
}

//! A trouble is told once, until it is over: a disk that is full for an hour is one line in the log, not hundreds.

/// What of one kind of work was complained about.
#[derive(Debug, Default)]
pub(crate) struct Complaint {
    is_told: bool,
}

impl Complaint {
    /// What is to be told of a piece of work: its error, unless the work before failed as well.
    pub(crate) fn of<T, E>(&mut self, came_to: Result<T, E>) -> Option<E> {
        let was_told = self.is_told;
        self.is_told = came_to.is_err();
        came_to.err().filter(|_| !was_told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_is_told_once_until_it_is_over() {
        let mut complaint = Complaint::default();
        let work = [Ok(()), Err("full"), Err("full"), Err("full"), Ok(()), Err("full again")];
        let told: Vec<_> = work.into_iter().map(|came_to| complaint.of(came_to)).collect();
        assert_eq!(told, [None, Some("full"), None, None, None, Some("full again")]);
    }
}

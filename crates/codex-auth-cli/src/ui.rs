//! The only place that prints: data on stdout, talk on stderr.

use std::io::{IsTerminal, Write};

use codex_auth_view::{Screen, document, wrapped};

/// The two streams.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ui {
    /// Whether stderr is a terminal.
    pub(crate) talks_to_a_person: bool,
    /// Whether stdin and stdout are terminals, so that a question can be asked.
    pub(crate) can_ask: bool,
    /// Width of the screen in columns; lines for other programs are never broken.
    pub(crate) width: usize,
}

#[expect(clippy::unused_self, reason = "to hold a Ui is the right to print")]
impl Ui {
    /// Looks at the streams of this process.
    pub(crate) fn of_process(columns: Option<usize>) -> Self {
        let shows = std::io::stdout().is_terminal();
        Self {
            talks_to_a_person: std::io::stderr().is_terminal(),
            can_ask: std::io::stdin().is_terminal() && shows,
            width: columns.unwrap_or_else(|| if shows { screen_width() } else { usize::MAX }),
        }
    }

    /// A view, as text or as its document.
    pub(crate) fn show(self, screen: &impl Screen, as_json: bool) {
        self.data(&if as_json { document(screen) } else { screen.text(self.width) });
    }

    /// Data, as it is. A reader that went away is no error of ours.
    pub(crate) fn data(self, text: &str) {
        let mut out = std::io::stdout().lock();
        let _reader_gone = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    /// One line of data.
    pub(crate) fn line(self, text: &str) {
        self.data(&format!("{text}\n"));
    }

    /// Talk, its lines kept to the width where a person reads them.
    pub(crate) fn say(self, text: &str) {
        let width = if self.talks_to_a_person { self.width } else { usize::MAX };
        let mut out = std::io::stderr().lock();
        let _reader_gone = out.write_all(wrapped(text, width).as_bytes());
    }

    /// Talk that the next talk of its kind takes the place of, such as a countdown. Only a terminal can do that; elsewhere
    /// nothing is said.
    pub(crate) fn say_over(self, text: &str) {
        if self.talks_to_a_person {
            let mut out = std::io::stderr().lock();
            let _reader_gone = write!(out, "\r{text}\u{1b}[K").and_then(|()| out.flush());
        }
    }

    /// Lines of the screen a person reads; one that does not say is high enough for anything.
    pub(crate) fn height(self) -> usize {
        let told = rustix::termios::tcgetwinsize(std::io::stderr()).map_or(0, |size| usize::from(size.ws_row));
        if told == 0 { usize::MAX } else { told }
    }

    /// A question whose answer somebody else reads.
    pub(crate) fn prompt(self, question: &str) {
        let mut out = std::io::stderr().lock();
        let _reader_gone = write!(out, "{question}").and_then(|()| out.flush());
    }

    /// Asks a question on the terminal and reads one line.
    pub(crate) fn ask(self, question: &str) -> Option<String> {
        let question = wrapped(question.trim_end(), self.width);
        let mut out = std::io::stderr().lock();
        let _reader_gone = write!(out, "{} ", question.trim_end()).and_then(|()| out.flush());
        drop(out);
        let mut answer = String::new();
        let read = std::io::stdin().read_line(&mut answer).ok()?;
        (read > 0).then(|| answer.trim().to_owned())
    }
}

/// What the terminal says; one that says nothing has the classic width.
fn screen_width() -> usize {
    let told = rustix::termios::tcgetwinsize(std::io::stdout()).map_or(0, |size| usize::from(size.ws_col));
    if told == 0 { 80 } else { told }
}

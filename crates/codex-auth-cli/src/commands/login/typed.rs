//! What a person types while a sign-in waits, line by line. One reader for the whole command: a second one would take
//! lines away from the first.

use std::{io::BufRead as _, thread};

use tokio::sync::{Mutex, mpsc};

/// The lines of stdin, as they come.
#[derive(Debug)]
pub(super) struct Typed(Mutex<mpsc::UnboundedReceiver<String>>);

impl Typed {
    /// Begins to read. The reader ends with stdin or with this program, whichever comes first.
    pub(super) fn begin() -> Self {
        let (tell, lines) = mpsc::unbounded_channel();
        thread::spawn(move || {
            // A line that is no text is no line a person typed.
            for line in std::io::stdin().lock().lines().map_while(Result::ok) {
                if tell.send(line).is_err() {
                    return;
                }
            }
        });
        Self(Mutex::new(lines))
    }

    /// The next line; `None` once nobody can type any more.
    pub(super) async fn line(&self) -> Option<String> {
        self.0.lock().await.recv().await
    }
}

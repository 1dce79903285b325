//! Owns what may be written to a terminal, and how lines are kept within its width.

/// The text without what could steer a terminal: control characters and marks that turn the direction of writing.
pub(crate) fn plain(text: &str) -> String {
    let turns =
        |letter: char| matches!(letter, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().filter(|letter| !letter.is_control() && !turns(*letter)).collect::<String>().trim().to_owned()
}

/// Text broken between words where a line would be wider than `width` columns. Lines that are one word stay whole.
pub fn wrapped(text: &str, width: usize) -> String {
    let mut lines = Lines::new(width);
    for line in text.split('\n') {
        lines.hang(0, line);
    }
    lines.finish()
}

/// Lines of text under construction; long ones are broken between words and continued under `indent`.
#[derive(Debug)]
pub(crate) struct Lines {
    width: usize,
    text: String,
}

impl Lines {
    pub(crate) fn new(width: usize) -> Self {
        Self { width, text: String::new() }
    }

    /// A line whose continuation is indented by `indent` columns.
    pub(crate) fn hang(&mut self, indent: usize, line: &str) -> &mut Self {
        let lead = line.chars().take_while(|letter| *letter == ' ').count();
        self.text.push_str(&line[..lead]);
        let mut column = lead;
        for (place, word) in line.trim_start_matches(' ').split(' ').enumerate() {
            let length = word.chars().count();
            if place > 0 {
                if column + 1 + length > self.width && column > indent {
                    self.text.push('\n');
                    self.text.push_str(&" ".repeat(indent));
                    column = indent;
                } else {
                    self.text.push(' ');
                    column += 1;
                }
            }
            self.text.push_str(word);
            column += length;
        }
        self.text.push('\n');
        self
    }

    /// A line that continues at the margin.
    pub(crate) fn line(&mut self, line: &str) -> &mut Self {
        self.hang(2, line)
    }

    /// A line that must stay whole: something to copy.
    pub(crate) fn whole(&mut self, line: &str) -> &mut Self {
        self.text.push_str(line);
        self.text.push('\n');
        self
    }

    /// An empty line.
    pub(crate) fn gap(&mut self) -> &mut Self {
        self.whole("")
    }

    pub(crate) fn finish(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        assert_eq!(plain("\u{1b}[31mred\u{202e}\n"), "[31mred");
    }

    #[test]
    fn long_lines_break_between_words() {
        let mut lines = Lines::new(20);
        lines.hang(3, "1. one two three four five").whole("a line that stays whole, come what may").hang(2, "  x");
        assert_eq!(lines.finish(), "1. one two three\n   four five\na line that stays whole, come what may\n  x\n");
    }
}

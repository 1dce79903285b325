//! A page's address as a picture for the camera of a phone, two modules to a character.

use qrcode::{EcLevel, QrCode, render::unicode::Dense1x2};

/// The picture of `address`, if it fits into `width` columns and `height` lines.
///
/// What is light on paper is drawn, as terminals are dark; cameras read it either way.
pub(super) fn picture(address: &str, width: usize, height: usize) -> Option<String> {
    let code = QrCode::with_error_correction_level(address, EcLevel::L).ok()?;
    let picture =
        code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).quiet_zone(true).build();
    let columns = picture.lines().map(|line| line.chars().count()).max()?;
    (columns <= width && picture.lines().count() <= height).then_some(picture)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The modules of a picture, dark ones `true`, without its quiet zone.
    fn modules(picture: &str) -> Vec<Vec<bool>> {
        let rows = picture.lines().flat_map(|line| {
            let half = |drawn: [char; 2]| line.chars().map(|letter| !drawn.contains(&letter)).collect::<Vec<bool>>();
            [half(['\u{2580}', '\u{2588}']), half(['\u{2584}', '\u{2588}'])]
        });
        let rows: Vec<Vec<bool>> = rows.collect();
        let side = rows[0].len() - 8;
        rows[4..4 + side].iter().map(|row| row[4..4 + side].to_vec()).collect()
    }

    #[test]
    fn the_picture_is_the_code_of_the_address() {
        let address = "https://auth.openai.com/codex/device";
        let drawn = modules(&picture(address, 80, 24).expect("it fits"));
        let code = QrCode::with_error_correction_level(address, EcLevel::L).expect("short");
        let side = code.width();
        let expect: Vec<Vec<bool>> = code
            .to_colors()
            .chunks(side)
            .map(|row| row.iter().map(|color| *color == qrcode::Color::Dark).collect())
            .collect();
        assert_eq!(drawn, expect);
    }

    #[test]
    fn a_screen_that_is_too_small_has_none() {
        let address = "https://auth.openai.com/codex/device";
        let drawn = picture(address, 80, 24 - 5).expect("the classic screen holds it beside the code");
        let (columns, lines) = (drawn.lines().next().map_or(0, |line| line.chars().count()), drawn.lines().count());
        assert_eq!((columns, lines), (37, 19));
        assert!(picture(address, columns, lines).is_some());
        assert_eq!(picture(address, columns - 1, lines), None);
        assert_eq!(picture(address, columns, lines - 1), None);
        assert_eq!(picture(&"x".repeat(5000), usize::MAX, usize::MAX), None);
    }
}

//! What a person meets on a page: with eyes, with a screen reader, by day and by night.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Browser;

/// The colours a person's system asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Dark letters on light ground.
    Light,
    /// Light letters on dark ground.
    Dark,
}

impl Scheme {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Light, Self::Dark];

    /// Its name, as style sheets spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// A page without its colours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Its title.
    pub title: String,
    /// Its language.
    pub language: String,
    /// The text of its headings of the first order.
    pub headings: Vec<String>,
    /// What can be seen, line by line.
    pub text: String,
    /// What a screen reader is told: a role and a name each line.
    pub spoken: Vec<String>,
    /// Elements the keyboard reaches.
    pub reached: usize,
    /// Elements that name an address, to be fetched now or later.
    pub leading_elsewhere: usize,
    /// Whether it needs scrolling sideways on the narrowest screen of WCAG 1.4.10, 320 pixels.
    pub scrolls_sideways: bool,
}

/// A page in one scheme.
#[derive(Debug, Clone, PartialEq)]
pub struct Looks {
    /// The lowest contrast between letters and the ground behind them, by WCAG's formula.
    pub contrast: f64,
    /// Luminance of the page's ground, from 0 (black) to 1 (white).
    pub ground: f64,
    /// A picture, as PNG.
    pub picture: Vec<u8>,
}

/// The size pictures are taken at, in pixels.
const SIZE: (u32, u32) = (880, 440);

/// Contrast of every element with letters of its own against the nearest ground that is painted.
const COLOURS: &str = "(() => {
  const numbers = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const linear = part => (part /= 255) <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  const luminance = text => { const [r, g, b] = numbers(text).map(linear); return .2126 * r + .7152 * g + .0722 * b; };
  const is_painted = text => { const parts = numbers(text); return parts.length === 3 || parts[3] === 1; };
  const ground = element => {
    for (; element; element = element.parentElement) {
      const colour = getComputedStyle(element).backgroundColor;
      if (is_painted(colour)) return luminance(colour);
    }
    return 1;
  };
  const has_letters = element => [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
  const contrasts = [...document.body.querySelectorAll('*')].filter(has_letters).map(element => {
    const [a, b] = [luminance(getComputedStyle(element).color), ground(element)];
    return (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
  });
  return { contrast: Math.min(...contrasts), ground: ground(document.body) };
})()";

const CONTENT: &str = "({
  title: document.title,
  language: document.documentElement.lang,
  headings: [...document.querySelectorAll('h1')].map(h1 => h1.innerText),
  text: document.body.innerText,
  reached: [...document.querySelectorAll('a, button, input, select, textarea, [tabindex], iframe')].length,
  leading_elsewhere: document.querySelectorAll('link, [src], [href], [action]').length,
})";

impl Browser {
    /// Reads the page that stands.
    #[track_caller]
    #[must_use]
    pub fn page(&self) -> Page {
        let content = self.value(CONTENT);
        let text = |value: &Value| value.as_str().unwrap_or_default().trim().to_owned();
        let count = |name: &str| content[name].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
        let headings = content["headings"].as_array().map(|all| all.iter().map(text).collect());
        self.resize((320, 600));
        let scrolls = self.value("document.documentElement.scrollWidth > 320");
        Page {
            title: text(&content["title"]),
            language: text(&content["language"]),
            headings: headings.unwrap_or_default(),
            text: text(&content["text"]),
            spoken: self.spoken(),
            reached: count("reached"),
            leading_elsewhere: count("leading_elsewhere"),
            scrolls_sideways: scrolls != false,
        }
    }

    /// Looks at the page that stands in one scheme.
    #[track_caller]
    #[must_use]
    pub fn look(&self, scheme: Scheme) -> Looks {
        self.resize(SIZE);
        let wished = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme.name() }] });
        self.order("Emulation.setEmulatedMedia", &wished);
        let colours = self.value(COLOURS);
        let taken = self.order("Page.captureScreenshot", &json!({ "format": "png" }));
        let picture = STANDARD.decode(taken["data"].as_str().unwrap_or_default()).expect("a picture is base64");
        let number = |name: &str| colours[name].as_f64().unwrap_or(f64::NAN);
        Looks { contrast: number("contrast"), ground: number("ground"), picture }
    }

    fn resize(&self, (width, height): (u32, u32)) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.order("Emulation.setDeviceMetricsOverride", &size);
    }

    fn spoken(&self) -> Vec<String> {
        let tree = self.order("Accessibility.getFullAXTree", &json!({}));
        let nodes = tree["nodes"].as_array().cloned().unwrap_or_default();
        let is_told = |node: &&Value| node["ignored"] == false && node["role"]["value"] != "InlineTextBox";
        let line = |node: &Value| {
            let part = |name: &str| node[name]["value"].as_str().unwrap_or_default().to_owned();
            format!("{}: {}", part("role"), part("name")).trim_end_matches(": ").to_owned()
        };
        nodes.iter().filter(is_told).map(line).collect()
    }
}

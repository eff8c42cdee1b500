//! A picture in SVG: rectangles, lines, text, on white, so that it can be read on any page.

use std::fmt::Write;

/// Where a text is anchored.
#[derive(Clone, Copy, Debug)]
pub enum Anchor {
    /// It begins at the point.
    Start,
    /// It is centred on it.
    Middle,
    /// It ends there.
    End,
}

/// A picture.
pub struct Svg {
    width: f64,
    height: f64,
    body: String,
}

impl Svg {
    /// A white one.
    pub fn new(width: f64, height: f64) -> Self {
        let mut svg = Self { width, height, body: String::new() };
        svg.rectangle((0.0, 0.0), (width, height), "#ffffff");
        svg
    }

    /// A rectangle by its upper left corner and its size.
    pub fn rectangle(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), colour: &str) {
        self.put(&format!(
            r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" fill="{colour}"/>"#
        ));
    }

    /// A line.
    pub fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), colour: &str, width: f64) {
        self.put(&format!(
            r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" stroke="{colour}" stroke-width="{width}"/>"#
        ));
    }

    /// A line through points.
    pub fn path(&mut self, points: &[(f64, f64)], colour: &str, dashes: &str) {
        let points = points.iter().fold(String::new(), |mut text, (x, y)| {
            write!(text, "{x:.1},{y:.1} ").expect("a String takes any text");
            text
        });
        self.put(&format!(
            r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dashes}"/>"#,
            points.trim_end()
        ));
    }

    /// A point.
    pub fn dot(&mut self, (x, y): (f64, f64), colour: &str) {
        self.put(&format!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="3" fill="{colour}"/>"#));
    }

    /// A whisker from one value to another, across or upright.
    pub fn whisker(&mut self, from: (f64, f64), to: (f64, f64)) {
        let (dx, dy) = if (from.1 - to.1).abs() < 0.01 { (0.0, 3.0) } else { (3.0, 0.0) };
        self.line(from, to, "#333333", 1.0);
        for (x, y) in [from, to] {
            self.line((x - dx, y - dy), (x + dx, y + dy), "#333333", 1.0);
        }
    }

    /// A text.
    pub fn text(&mut self, (x, y): (f64, f64), size: u32, anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        self.put(&format!(
            r##"<text x="{x:.1}" y="{y:.1}" font-size="{size}" text-anchor="{anchor}" fill="#222222">{text}</text>"##
        ));
    }

    fn put(&mut self, element: &str) {
        self.body.push_str(element);
        self.body.push('\n');
    }

    /// The file.
    pub fn finish(self) -> String {
        let Self { width, height, body } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             width=\"{width}\" height=\"{height}\" font-family=\"Helvetica, Arial, sans-serif\">\n{body}</svg>\n"
        )
    }
}

//! What the README shows is what the program is: its keys, and a picture of the real screen.
//!
//! `STAGEGATE_WRITE_README=1 cargo test readme` writes both anew.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::demo_console::Demo;
use crate::walker::Stop;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn writes() -> bool {
    std::env::var_os("STAGEGATE_WRITE_README").is_some()
}

#[test]
fn the_readme_names_every_key() {
    let (begin, end) = ("<!-- keys -->\n", "<!-- /keys -->");
    let text = std::fs::read_to_string(file("README.md")).unwrap();
    let (head, rest) = text.split_once(begin).unwrap();
    let (keys, tail) = rest.split_once(end).unwrap();
    let wanted = format!(
        "{}\n",
        stagegate::console::keymap::table_markdown().trim_end()
    );
    if writes() {
        let text = format!("{head}{begin}{wanted}{end}{tail}");
        std::fs::write(file("README.md"), text).unwrap();
    } else {
        assert_eq!(keys, wanted);
    }
}

#[test]
fn the_picture_is_of_the_real_screen() {
    let demo = Demo::new(Some("failing-migration"));
    let mut walker = demo.console(&[], (120, 40));
    assert_eq!(walker.walk(), Stop::Refused);
    walker.pty.wait_for("What you can do");
    let picture = svg(walker.pty.screen());
    if writes() {
        std::fs::write(file("assets/screen.svg"), &picture).unwrap();
    }
    let shown = std::fs::read_to_string(file("assets/screen.svg")).unwrap();
    for text in ["PRODUCTION", "Caused by", "23505", "failed", "retry"] {
        assert!(picture.contains(text), "the screen no longer says {text}");
        assert!(
            shown.contains(text),
            "assets/screen.svg does not say {text}; write it anew"
        );
    }
}

const CELL: (f64, f64) = (8.4, 18.0);
const FRONT: &str = "#d4d4d4";
const BACK: &str = "#16181d";

/// Draws a screen as SVG: a run of cells of one look is one text.
fn svg(screen: &vt100::Screen) -> String {
    let (rows, columns) = screen.size();
    let (rows, columns) = (rows.get(), columns.get());
    let (width, height) = (
        f64::from(columns) * CELL.0 + 16.0,
        f64::from(rows) * CELL.1 + 16.0,
    );
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         font-family=\"'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"14\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"{BACK}\"/>\n"
    );
    for row in 0..rows {
        let mut column = 0;
        while column < columns {
            let look = Look::of(screen.cell(row, column).unwrap());
            let start = column;
            let mut text = String::new();
            while column < columns && Look::of(screen.cell(row, column).unwrap()) == look {
                let cell = screen.cell(row, column).unwrap();
                text.push_str(if cell.has_contents() {
                    cell.contents()
                } else {
                    " "
                });
                column += 1;
            }
            look.draw(&mut out, row, start, column - start, &text);
        }
    }
    out.push_str("</svg>\n");
    out
}

#[derive(PartialEq)]
struct Look {
    front: String,
    back: Option<String>,
    bold: bool,
    dim: bool,
}

impl Look {
    fn of(cell: &vt100::Cell) -> Look {
        let front = colour(cell.fgcolor());
        let back = colour(cell.bgcolor());
        let (front, back) = if cell.inverse() {
            let back = back.unwrap_or_else(|| BACK.to_owned());
            (back, Some(front.unwrap_or_else(|| FRONT.to_owned())))
        } else {
            (front.unwrap_or_else(|| FRONT.to_owned()), back)
        };
        Look {
            front,
            back,
            bold: cell.bold(),
            dim: cell.dim(),
        }
    }

    fn draw(&self, out: &mut String, row: u16, column: u16, cells: u16, text: &str) {
        let x = 8.0 + f64::from(column) * CELL.0;
        let y = 8.0 + f64::from(row) * CELL.1;
        let width = f64::from(cells) * CELL.0;
        if let Some(back) = &self.back {
            let height = CELL.1;
            let _ = writeln!(
                out,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" \
                 fill=\"{back}\"/>"
            );
        }
        if text.trim().is_empty() {
            return;
        }
        let text = text
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;");
        let weight = if self.bold {
            " font-weight=\"bold\""
        } else {
            ""
        };
        let dim = if self.dim { " opacity=\"0.6\"" } else { "" };
        let _ = writeln!(
            out,
            "<text x=\"{x:.1}\" y=\"{:.1}\" textLength=\"{width:.1}\" lengthAdjust=\"spacingAndGlyphs\" \
             fill=\"{}\"{weight}{dim} xml:space=\"preserve\">{text}</text>",
            y + 13.5,
            self.front
        );
    }
}

/// The sixteen colours as a quiet dark terminal shows them.
const PALETTE: [&str; 16] = [
    "#2a2d34", "#e05561", "#8cc265", "#d7a13b", "#4aa5f0", "#c162de", "#42b3c2", "#d4d4d4",
    "#6b717d", "#ff616e", "#a5e075", "#f0c266", "#6fbaff", "#de73ff", "#5cd3e3", "#ffffff",
];

fn colour(colour: vt100::Color) -> Option<String> {
    match colour {
        vt100::Color::Default => None,
        vt100::Color::Rgb(red, green, blue) => Some(format!("#{red:02x}{green:02x}{blue:02x}")),
        vt100::Color::Idx(index) if index < 16 => Some(PALETTE[usize::from(index)].to_owned()),
        vt100::Color::Idx(index @ 16..=231) => {
            let index = index - 16;
            let level = |n: u8| if n == 0 { 0 } else { 55 + 40 * n };
            let (red, green, blue) = (level(index / 36), level(index / 6 % 6), level(index % 6));
            Some(format!("#{red:02x}{green:02x}{blue:02x}"))
        }
        vt100::Color::Idx(index) => {
            let grey = 8 + 10 * (index - 232);
            Some(format!("#{grey:02x}{grey:02x}{grey:02x}"))
        }
    }
}

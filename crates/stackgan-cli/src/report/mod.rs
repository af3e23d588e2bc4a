//! Reports: one self-contained HTML file that shows a run or a demo. What is on a page is said by whoever makes it;
//! here are the page, the curves and the drawing.

mod curves;
mod embedded;
mod page;
mod run;
mod svg;

pub(crate) use curves::{Terms, charts, terms};
pub(crate) use embedded::Embedded;
pub(crate) use page::Page;
pub(crate) use run::{Grids, RunReport};
pub(crate) use svg::{Series, bounds, chart, thinned};

/// Text that is safe inside markup and attributes.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            _ => out.push(c),
        }
    }
    out
}

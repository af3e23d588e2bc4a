//! Reports: one self-contained HTML file that shows a run or a demo. Callers provide the contents;
//! the page, the curves and the drawing are here.

mod axis;
mod curves;
mod embedded;
mod grids;
mod measured;
mod numbers;
pub(crate) mod pace;
mod page;
mod run;
mod series;
mod svg;
mod warnings;

pub(crate) use axis::bounds;
pub(crate) use curves::{Terms, charts, others, terms};
pub(crate) use grids::Grids;
pub(crate) use measured::{Measurement, Measurements};
pub(crate) use page::Page;
pub(crate) use run::RunReport;
pub(crate) use series::{Series, thinned};
pub(crate) use svg::{About, chart};

/// Escapes text for markup and attributes.
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

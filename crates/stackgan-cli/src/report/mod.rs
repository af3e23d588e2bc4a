//! Reports: one self-contained HTML file that shows a run or a demo. Callers provide the contents;
//! the page, the curves and the drawing are here.

mod axis;
mod curves;
mod embedded;
mod grids;
mod markup;
mod measured;
mod numbers;
mod page;
mod run;
mod series;
mod svg;
mod warnings;

pub(crate) use axis::bounds;
pub(crate) use curves::{CHARTS, charts, others};
pub(crate) use grids::Grids;
pub(crate) use numbers::number;
pub(crate) use page::Page;
pub(crate) use run::RunReport;
pub(crate) use series::{Series, thinned};
pub(crate) use svg::{About, chart};

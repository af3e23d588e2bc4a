//! A self-contained HTML page: style, pictures and curves are embedded, and no address is opened.

use std::fmt::Write as _;
use std::time::Duration;

use super::embedded::{Embedded, Form};
use super::markup::escape;

const STYLE: &str = include_str!("page.css");

/// The scripts of the page. They fetch nothing; without them the page shows its newest pictures.
const SCRIPT: &str = include_str!("page.js");

/// Number of warnings that are always visible.
const FEW_WARNINGS: usize = 3;

/// A page that is built from top to bottom.
pub(crate) struct Page {
    title: String,
    body: String,
}

impl Page {
    /// Creates a page with its heading and a line below it.
    pub(crate) fn new(title: &str, below: &str) -> Self {
        let body = format!("<header><h1>{}</h1><p>{}</p></header>", escape(title), escape(below));
        Self { title: title.to_owned(), body }
    }

    /// Starts a section.
    pub(crate) fn section(&mut self, heading: &str) {
        let _ = write!(self.body, "<h2>{}</h2>", escape(heading));
    }

    /// A paragraph of plain text.
    pub(crate) fn text(&mut self, text: &str) {
        let _ = write!(self.body, "<p>{}</p>", escape(text));
    }

    /// Adds charts, as markup from [`super::svg`].
    pub(crate) fn charts(&mut self, charts: &[String]) {
        if charts.iter().all(String::is_empty) {
            return self.text("Nothing to draw yet: two reports make a curve.");
        }
        let _ = write!(self.body, "<div class=\"charts\">{}</div>", charts.concat());
    }

    /// Adds key figures: a name and a value each.
    pub(crate) fn tiles(&mut self, tiles: &[(&str, String)]) {
        self.body.push_str("<dl class=\"tiles\">");
        for (name, value) in tiles {
            let (name, value) = (escape(name), escape(value));
            let _ = write!(self.body, "<div><dt>{name}</dt><dd>{value}</dd></div>");
        }
        self.body.push_str("</dl>");
    }

    /// Adds the time at which the page was written, shown in the reader's own time zone. For a run
    /// in progress also: the interval after which the page is rewritten, and the time without an
    /// update after which something is wrong.
    pub(crate) fn written(&mut self, unix_seconds: u64, again: Option<(Duration, Duration)>) {
        let _ = write!(self.body, "<p class=\"written\" data-at=\"{unix_seconds}\"");
        if let Some((again, patience)) = again {
            let (again, patience) = (again.as_secs(), patience.as_secs());
            let _ = write!(self.body, " data-again=\"{again}\" data-patience=\"{patience}\"");
        }
        self.body.push_str("></p>");
    }

    /// Adds an error.
    pub(crate) fn failure(&mut self, heading: &str, error: &str) {
        let (heading, error) = (escape(heading), escape(error));
        let _ = write!(
            self.body,
            "<div class=\"failure\" role=\"alert\"><b>{heading}</b><p>{error}</p></div>"
        );
    }

    /// Adds warnings, the newest last; earlier ones are folded.
    pub(crate) fn warnings(&mut self, lines: &[String]) {
        let (earlier, last) = lines.split_at(lines.len().saturating_sub(FEW_WARNINGS));
        if last.is_empty() {
            return;
        }
        self.body.push_str("<div class=\"warnings\">");
        if !earlier.is_empty() {
            let _ =
                write!(self.body, "<details><summary>{} earlier warnings</summary>", earlier.len());
            self.list("ul", earlier);
            self.body.push_str("</details>");
        }
        self.list("ul", last);
        self.body.push_str("</div>");
    }

    /// Adds the captions of a grid's rows, one per line.
    pub(crate) fn captions(&mut self, lines: &str) {
        let lines: Vec<String> = lines.lines().map(str::to_owned).collect();
        self.body.push_str("<details open><summary>The captions, by rows</summary>");
        self.list("ol", &lines);
        self.body.push_str("</details>");
    }

    fn list(&mut self, tag: &str, lines: &[String]) {
        let lines = lines.iter().map(|line| format!("<li>{}</li>", escape(line)));
        let _ = write!(self.body, "<{tag}>{}</{tag}>", lines.collect::<String>());
    }

    /// Adds a picture (PNG bytes) with a caption.
    pub(crate) fn picture(&mut self, caption: &str, png: &[u8]) {
        let (caption, address) = (escape(caption), Embedded::of(png, Form::Sharp).address());
        let _ = write!(
            self.body,
            "<figure class=\"sheet\"><img alt=\"{caption}\" src=\"{address}\">\
             <figcaption>{caption}</figcaption></figure>"
        );
    }

    /// Adds pictures over time with their labels, shown one at a time with a slider.
    pub(crate) fn slider(&mut self, caption: &str, frames: &[(String, Embedded)]) {
        let Some((last, (label, _))) = frames.iter().enumerate().next_back() else { return };
        let (caption, label) = (escape(caption), escape(label));
        let single = if last == 0 { " hidden" } else { "" };
        let _ = write!(
            self.body,
            "<figure class=\"slider\"><label><input{single} type=\"range\" aria-label=\"Which of the pictures over time\" \
             min=\"0\" max=\"{last}\" value=\"{last}\" aria-valuetext=\"{label}\"> <output>{label}</output></label>\
             <div class=\"frames\" tabindex=\"0\" role=\"group\" aria-label=\"{caption}\" title=\"Full size and back\">"
        );
        for (i, (label, picture)) in frames.iter().enumerate() {
            let hidden = if i == last { "" } else { " hidden" };
            let (label, address) = (escape(label), picture.address());
            let _ = write!(
                self.body,
                "<img data-label=\"{label}\" alt=\"Pictures at {label}. {caption}\" src=\"{address}\"{hidden}>"
            );
        }
        let _ = write!(self.body, "</div><figcaption>{caption}</figcaption></figure>");
    }

    /// Adds a table; the first row is its header, the first column names the rows.
    pub(crate) fn table(&mut self, rows: &[Vec<String>]) {
        self.body.push_str(
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Table\"><table>",
        );
        for (i, row) in rows.iter().enumerate() {
            self.body.push_str("<tr>");
            for (k, cell) in row.iter().enumerate() {
                let (open, close) = match (i, k) {
                    (0, _) => ("th scope=\"col\"", "th"),
                    (_, 0) => ("th scope=\"row\"", "th"),
                    _ => ("td", "td"),
                };
                let _ = write!(self.body, "<{open}>{}</{close}>", escape(cell));
            }
            self.body.push_str("</tr>");
        }
        self.body.push_str("</table></div>");
    }

    /// Adds a long text that is folded.
    pub(crate) fn folded(&mut self, summary: &str, text: &str) {
        let (summary, text) = (escape(summary), escape(text));
        let _ = write!(
            self.body,
            "<details><summary>{summary}</summary><pre tabindex=\"0\">{text}</pre></details>"
        );
    }

    /// The complete page.
    pub(crate) fn finish(self) -> String {
        let Self { title, body } = self;
        format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <meta name=\"color-scheme\" content=\"light dark\"><title>{}</title><style>{STYLE}</style></head>\n\
             <body><main>{body}</main><script>{SCRIPT}</script></body></html>\n",
            escape(&title)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup_and_nothing_is_fetched() {
        let mut page = Page::new("<script>", "a \"quoted\" line");
        page.section("a & b");
        page.table(&[vec!["<td>".to_owned()]]);
        page.folded("config", "<pre>");
        page.picture("<img>", b"png");
        page.slider("frames", &[("step \"1\"".to_owned(), Embedded::of(b"x", Form::Small))]);
        page.tiles(&[("<b>", "<i>".to_owned())]);
        page.warnings(&["<script>".to_owned()]);
        page.failure("<b>", "<script>");
        page.captions("<script>");
        page.written(0, Some((Duration::from_secs(30), Duration::from_secs(150))));
        let html = page.finish();
        assert_eq!(html.matches("<script>").count(), 1);
        assert!(html.contains("&lt;td&gt;") && html.contains("step &quot;1&quot;"));
        assert!(!html.contains("http:") && !html.contains("https:") && !html.contains("url("));
    }
}

//! One HTML page that needs nothing beside it: style, pictures and curves are inside, and no address is ever opened.

use std::fmt::Write as _;

use super::escape;

const STYLE: &str = include_str!("page.css");

/// Moves through pictures with a slider; the only script of the page.
const SCRIPT: &str = "document.querySelectorAll('.slider').forEach(s=>{const f=[...s.querySelectorAll('img')],\
r=s.querySelector('input'),o=s.querySelector('output');const show=()=>{f.forEach((e,i)=>e.hidden=i!=r.value);\
o.textContent=f[r.value].alt};r.oninput=show;show()})";

/// A page that grows downwards.
pub(crate) struct Page {
    title: String,
    body: String,
}

impl Page {
    /// A page with its heading and a line below it.
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

    /// Markup made by [`super::svg`].
    pub(crate) fn charts(&mut self, charts: &[String]) {
        let _ = write!(self.body, "<div class=\"charts\">{}</div>", charts.concat());
    }

    /// A picture (PNG bytes) with a caption.
    pub(crate) fn picture(&mut self, caption: &str, png: &[u8]) {
        let (caption, data) = (escape(caption), base64(png));
        let _ = write!(
            self.body,
            "<figure class=\"sheet\"><img alt=\"{caption}\" src=\"data:image/png;base64,{data}\">\
             <figcaption>{caption}</figcaption></figure>"
        );
    }

    /// Pictures over time, one at a time, with a slider. `frames` are labels and PNG bytes.
    pub(crate) fn slider(&mut self, caption: &str, frames: &[(String, Vec<u8>)]) {
        let Some(last) = frames.len().checked_sub(1) else { return };
        let _ = write!(self.body, "<figure class=\"slider\"><div>");
        for (i, (label, png)) in frames.iter().enumerate() {
            let hidden = if i == last { "" } else { " hidden" };
            let (label, data) = (escape(label), base64(png));
            let _ = write!(
                self.body,
                "<img alt=\"{label}\" src=\"data:image/png;base64,{data}\"{hidden}>"
            );
        }
        let _ = write!(
            self.body,
            "</div><label><input type=\"range\" min=\"0\" max=\"{last}\" value=\"{last}\"> <output></output></label>\
             <figcaption>{}</figcaption></figure>",
            escape(caption)
        );
    }

    /// A table; the first row is its head.
    pub(crate) fn table(&mut self, rows: &[Vec<String>]) {
        self.body.push_str("<div class=\"scroll\"><table>");
        for (i, row) in rows.iter().enumerate() {
            self.body.push_str("<tr>");
            for cell in row {
                let tag = if i == 0 { "th" } else { "td" };
                let _ = write!(self.body, "<{tag}>{}</{tag}>", escape(cell));
            }
            self.body.push_str("</tr>");
        }
        self.body.push_str("</table></div>");
    }

    /// A long text that opens when asked for.
    pub(crate) fn folded(&mut self, summary: &str, text: &str) {
        let (summary, text) = (escape(summary), escape(text));
        let _ =
            write!(self.body, "<details><summary>{summary}</summary><pre>{text}</pre></details>");
    }

    /// The whole page.
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

/// Standard base64 with padding (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |i: usize| u32::from(group.get(i).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let digit = ALPHABET.get((word >> (18 - 6 * i) & 63) as usize).copied().unwrap_or(b'=');
            out.push(if i > group.len() { '=' } else { char::from(digit) });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_equals_the_vectors_of_the_rfc() {
        let vectors = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, coded) in vectors {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
        assert_eq!(base64(&[0xff, 0xfe, 0xfd]), "//79");
    }

    #[test]
    fn text_cannot_become_markup_and_nothing_is_fetched() {
        let mut page = Page::new("<script>", "a \"quoted\" line");
        page.section("a & b");
        page.table(&[vec!["<td>".to_owned()]]);
        page.folded("config", "<pre>");
        page.picture("<img>", b"png");
        page.slider("frames", &[("step \"1\"".to_owned(), b"x".to_vec())]);
        let html = page.finish();
        assert_eq!(html.matches("<script>").count(), 1);
        assert!(html.contains("&lt;td&gt;") && html.contains("step &quot;1&quot;"));
        assert!(!html.contains("http:") && !html.contains("https:") && !html.contains("url("));
    }
}

//! The page works below any path, as a server in front may offer it there.

use super::{files, limits, start};

/// What follows each `before` in `text`, up to the next quotation mark.
fn all_after<'a>(text: &'a str, before: &str) -> Vec<&'a str> {
    text.split(before).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[test]
fn the_page_names_nothing_from_the_root() {
    let server = start(limits(), |wanted| files(wanted, 0));
    let text = |path: &str| String::from_utf8(server.get(path).body).unwrap();
    let (html, script, style) = (text("/"), text("/page.js"), text("/page.css"));
    let links = [all_after(&html, "href=\""), all_after(&html, "src=\"")].concat();
    let asked = all_after(&script, "ask(\"");
    assert!(links.contains(&"page.js") && asked.contains(&"v1/models"), "{links:?} {asked:?}");
    for path in links.iter().chain(&asked) {
        assert!(!path.starts_with('/') && !path.contains(':'), "{path}");
        assert_ne!(server.get(&format!("/{path}")).status, 404, "{path}");
    }
    assert!(!html.contains("<base") && !style.contains("url("));
}

#[test]
fn the_script_uses_what_the_page_has() {
    let server = start(limits(), |wanted| files(wanted, 0));
    let text = |path: &str| String::from_utf8(server.get(path).body).unwrap();
    let (html, script) = (text("/"), text("/page.js"));
    for id in all_after(&script, "at(\"") {
        assert!(html.contains(&format!("id=\"{id}\"")), "{id}");
    }
}

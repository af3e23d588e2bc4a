//! The final check of a decoded pickle: no value contains itself, and the nesting is bounded.
//!
//! A depth-first walk without recursion that visits each node once, however often it is shared.

use super::document::{Document, MAX_DEPTH};
use super::value::NodeId;

/// Checks the document; `Err` says what was found.
pub(super) fn no_cycles_and_depth(document: &Document<'_>) -> Result<(), &'static str> {
    // For each node: not seen, on the current path, or its height (0 for a plain value, 1 for an
    // empty container).
    const NEW: u8 = u8::MAX;
    const OPEN: u8 = u8::MAX - 1;
    let mut state = vec![NEW; document.nodes.len()];
    // The containers on the current path, each with its next child and its height so far.
    let mut path: Vec<(NodeId, usize, usize)> = Vec::new();
    let mut entering = Some(document.root);
    loop {
        if let Some(id) = entering.take() {
            let container = document.get(id).is_container();
            if let Some(slot) = state.get_mut(id.0 as usize) {
                *slot = if container { OPEN } else { 0 };
            }
            if container {
                path.push((id, 0, 1));
            }
        }
        let depth = path.len() + path.last().map_or(0, |&(_, _, height)| height - 1);
        if depth > MAX_DEPTH {
            return Err("deeper nesting");
        }
        let Some((id, next, height)) = path.last_mut() else { return Ok(()) };
        if let Some(child) = document.get(*id).child(*next) {
            *next += 1;
            match state.get(child.0 as usize).copied().unwrap_or(0) {
                NEW => entering = Some(child),
                OPEN => return Err("a container that contains itself"),
                known => *height = (*height).max(usize::from(known) + 1),
            }
            continue;
        }
        let (done, height) = (*id, *height);
        path.pop();
        if let Some(slot) = state.get_mut(done.0 as usize) {
            *slot = height as u8; // at most MAX_DEPTH
        }
        if let Some((_, _, above)) = path.last_mut() {
            *above = (*above).max(height + 1);
        }
    }
}

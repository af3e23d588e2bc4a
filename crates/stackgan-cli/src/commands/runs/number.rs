//! Formatting of the numbers of a run.

/// A number with at most four significant digits.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    let places = match size {
        _ if !value.is_finite() => return "-".to_owned(),
        0.0 => 0,
        _ if !(1e-3..1e6).contains(&size) => return format!("{value:.1e}"),
        _ => (3 - size.log10().floor() as i32).clamp(0, 4) as usize,
    };
    format!("{value:.places$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let shown = [0.0, 0.5, 12.345_67, 1234.56, 2e-4, f64::NAN].map(number);
        assert_eq!(shown, ["0", "0.5000", "12.35", "1235", "2.0e-4", "-"]);
    }
}

//! Formatting of numbers for a page.

/// Number of decimals from which on axis labels have exponents.
const MOST_DECIMALS: i32 = 5;
/// Magnitude from which on axis labels have exponents.
const LARGE: f64 = 1e7;

/// A number with three significant digits.
pub(crate) fn number(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    let rounded = format!("{value:.2e}");
    let Some((digits, exponent)) = rounded.split_once('e') else { return rounded };
    match exponent.parse().unwrap_or(0) {
        exponent @ -3_i32..=5 => {
            let places = (2 - exponent).max(0) as usize;
            let text = format!("{value:.places$}");
            if places > 3 { trimmed(&text).to_owned() } else { text }
        }
        exponent => format!("{}e{exponent}", trimmed(digits)),
    }
}

/// Labels of equidistant round numbers, each with enough digits to distinguish it from the next. A
/// single label has all its digits.
pub(super) fn labels(ticks: &[f64]) -> Vec<String> {
    let step = match ticks {
        [a, b, ..] => b - a,
        [a] => return vec![trimmed(&number(*a)).to_owned()],
        [] => return Vec::new(),
    };
    let power = |v: f64| (v.abs() * (1.0 + 1e-9)).log10().floor() as i32;
    let decimals = (-power(step)).max(0);
    let largest = ticks.iter().fold(0.0, |most: f64, t| most.max(t.abs()));
    let label = |tick: &f64| {
        if tick.abs() < step * 1e-6 {
            "0".to_owned()
        } else if decimals > MOST_DECIMALS || largest >= LARGE {
            let digits = (power(*tick) - power(step)).max(0) as usize;
            format!("{tick:.digits$e}")
        } else {
            format!("{tick:.0$}", decimals as usize)
        }
    };
    ticks.iter().map(label).collect()
}

/// The label of a number on a logarithmic axis: 1, 2 or 5 times a power of ten.
pub(super) fn power_label(value: f64) -> String {
    if (1e-3..1e5).contains(&value) {
        trimmed(&format!("{value:.3}")).to_owned()
    } else {
        format!("{value:.0e}")
    }
}

fn trimmed(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_count() {
        let shown = [0.0, 0.001_4, 0.52, 0.999_9, 3.0, 741.142, 1234.0, 12_601_345.0, 5e-5, -0.25];
        let shown = shown.map(number);
        let wanted =
            ["0", "0.0014", "0.520", "1.00", "3.00", "741", "1234", "1.26e7", "5e-5", "-0.250"];
        assert_eq!(shown, wanted);
    }

    #[test]
    fn no_two_labels_are_equal() {
        let of = |from: f64, step: f64| {
            labels(&(0..5).map(|i| from + f64::from(i) * step).collect::<Vec<_>>())
        };
        assert_eq!(of(0.0, 0.0005), ["0", "0.0005", "0.0010", "0.0015", "0.0020"]);
        assert_eq!(of(0.0, 2e-7), ["0", "2e-7", "4e-7", "6e-7", "8e-7"]);
        assert_eq!(of(0.0, 5e8), ["0", "5e8", "1.0e9", "1.5e9", "2.0e9"]);
        assert_eq!(of(-0.2, 0.1), ["-0.2", "-0.1", "0", "0.1", "0.2"]);
        let alone = [1.1, 20.0, 0.0, 0.05, 1e9].map(|tick| labels(&[tick]).concat());
        assert_eq!(alone, ["1.1", "20", "0", "0.05", "1e9"]);
        assert_eq!(of(1000.0, 500.0), ["1000", "1500", "2000", "2500", "3000"]);
        assert_eq!([0.01, 1.0, 50.0, 1e7].map(power_label), ["0.01", "1", "50", "1e7"]);
    }
}

//! Budgets as they are typed: a number with its unit.

use std::str::FromStr;

use deer_vla::thresholds::Scope;

/// What a step may cost the language model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Cost {
    Gflop(f64),
    Ms(f64),
}

impl FromStr for Cost {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, unit) = split_unit(text)?;
        match unit {
            "GFLOP" => Ok(Self::Gflop(number)),
            "MFLOP" => Ok(Self::Gflop(number / 1e3)),
            "ms" => Ok(Self::Ms(number)),
            _ => Err("give a cost with its unit: 0.02GFLOP, 20MFLOP or 4ms".into()),
        }
    }
}

impl Cost {
    pub(crate) fn number(self) -> f64 {
        match self {
            Self::Gflop(number) | Self::Ms(number) => number,
        }
    }

    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::Gflop(_) => "GFLOP",
            Self::Ms(_) => "ms",
        }
    }
}

/// What an average is of, as it is typed.
pub(crate) fn scope(text: &str) -> Result<Scope, String> {
    [Scope::Llm, Scope::Whole].into_iter().find(|scope| scope.as_str() == text).ok_or_else(|| "llm or whole".into())
}

/// A cost in GFLOP, for verbs that measure nothing.
pub(crate) fn parse_gflop(text: &str) -> Result<f64, String> {
    match text.parse()? {
        Cost::Gflop(number) => Ok(number),
        Cost::Ms(_) => Err("give it in GFLOP or MFLOP; `deer_vla solve` takes ms".into()),
    }
}

/// A time limit in seconds.
#[cfg(feature = "bag")]
pub(crate) fn parse_secs(text: &str) -> Result<f64, String> {
    let (number, unit) = split_unit(text)?;
    match unit {
        "ms" => Ok(number / 1e3),
        "s" => Ok(number),
        _ => Err("give a time with its unit: 20ms or 0.02s".into()),
    }
}

/// A memory budget in GB (1e9 bytes).
pub(crate) fn parse_gigabytes(text: &str) -> Result<f64, String> {
    let (number, unit) = split_unit(text)?;
    match unit {
        "GB" => Ok(number),
        "MB" => Ok(number / 1e3),
        _ => Err("give bytes with their unit: 2GB or 300MB".into()),
    }
}

fn split_unit(text: &str) -> Result<(f64, &str), String> {
    // The unit is what stands at the end in letters, so that 2e-3GFLOP is a number and a unit, too.
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let value: f64 = number.trim().parse().map_err(|_bad| format!("{text:?} does not begin with a number"))?;
    let unit = &text[number.len()..];
    if value.is_finite() && value > 0.0 { Ok((value, unit)) } else { Err("must be more than 0".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_has_a_unit() {
        assert_eq!("0.02GFLOP".parse(), Ok(Cost::Gflop(0.02)));
        assert_eq!("20MFLOP".parse(), Ok(Cost::Gflop(0.02)));
        assert_eq!("2e-3GFLOP".parse(), Ok(Cost::Gflop(0.002)));
        assert_eq!("4.5 ms".parse(), Ok(Cost::Ms(4.5)));
        assert!("4".parse::<Cost>().unwrap_err().contains("with its unit"));
        assert!("-4ms".parse::<Cost>().unwrap_err().contains("more than 0"));
        assert_eq!(parse_gigabytes("300MB"), Ok(0.3));
        assert!(parse_gigabytes("3").is_err() && parse_gigabytes("GB").is_err());
        assert_eq!(parse_gflop("20MFLOP"), Ok(0.02));
        assert!(parse_gflop("4ms").unwrap_err().contains("deer_vla solve"));
    }

    #[cfg(feature = "bag")]
    #[test]
    fn a_time_limit_has_a_unit() {
        assert_eq!([parse_secs("20ms"), parse_secs("0.5 s")], [Ok(0.02), Ok(0.5)]);
        assert!(parse_secs("20").unwrap_err().contains("20ms"));
    }
}

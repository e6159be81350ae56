//! stdout: the result. stderr: the log.

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use tracing_subscriber::EnvFilter;

/// One TAO in rao.
const RAO: f64 = 1e9;

/// Log to stderr; `RUST_LOG` wins over `-v`.
pub fn log_to_stderr(verbose: u8) {
    let default = match verbose {
        0 => "warn,starling=info,weights=info",
        1 => "info",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}

/// Print a line of the result. A closed pipe (`| head`) ends the program quietly.
pub fn line(text: &str) {
    use std::io::Write;
    if writeln!(std::io::stdout().lock(), "{text}").is_err() {
        std::process::exit(0);
    }
}

/// Print a result as one JSON document.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(&serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Print one JSON document on one line: for streams.
pub fn json_line(value: &impl Serialize) -> anyhow::Result<()> {
    line(&serde_json::to_string(value)?);
    Ok(())
}

/// A table that fits the terminal.
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header.to_vec());
    table
}

/// rao as TAO with nine decimals at most.
pub fn tao(rao: u64) -> String {
    format!("{:.4}", rao as f64 / RAO)
}

/// TAO from a person's text to rao.
pub fn to_rao(text: &str) -> Result<u64, String> {
    let bad = || format!("`{text}` is not an amount of TAO: a number such as 12.5, at most nine decimals");
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 9 || whole.is_empty() && fraction.is_empty() {
        return Err(bad());
    }
    let digits = |s: &str| if s.is_empty() { Ok(0) } else { s.parse::<u64>().map_err(|_| bad()) };
    let padded = format!("{fraction:0<9}");
    digits(whole)?.checked_mul(1_000_000_000).and_then(|w| w.checked_add(digits(&padded).ok()?)).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::to_rao;

    #[test]
    fn amounts_are_exact_and_nonsense_is_refused() {
        assert_eq!(to_rao("1"), Ok(1_000_000_000));
        assert_eq!(to_rao("0.000000001"), Ok(1));
        assert_eq!(to_rao("12.5"), Ok(12_500_000_000));
        for bad in ["", ".", "1.0000000001", "-1", "1e3", "99999999999999", "x"] {
            assert!(to_rao(bad).is_err(), "{bad}");
        }
    }
}

//! stdout: the result. stderr: the log.

use std::{io::IsTerminal as _, path::Path};

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    EnvFilter,
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

/// Columns of a terminal below which tables are not squeezed.
const LEAST_WIDTH: u16 = 40;
/// One TAO in rao.
const RAO: f64 = 1e9;

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    /// For a command that is over in seconds: sentences, as its error would be.
    Sentences,
    /// For one that goes on: with the time and the part that speaks.
    Dated,
}

/// Log to stderr; `RUST_LOG` wins over `-v`. Colours are for terminals, and not where `NO_COLOR` is set.
pub fn log_to_stderr(verbose: u8, log: Log) {
    let default = match verbose {
        0 => "warn,starling=info,weights=info",
        1 => "info",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
    let to = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    // Set once: a second setting is a test's.
    let _ = match log {
        Log::Sentences if verbose == 0 => to.event_format(Sentences).try_init(),
        _ => to.try_init(),
    };
}

/// `warning: what there is to say`.
struct Sentences;

impl<S, N> FormatEvent<S, N> for Sentences
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> std::fmt::Result {
        match *event.metadata().level() {
            Level::ERROR => write!(to, "error: ")?,
            Level::WARN => write!(to, "warning: ")?,
            _ => {}
        }
        context.format_fields(to.by_ref(), event)?;
        writeln!(to)
    }
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

/// A table that fits the terminal, or as many columns as `COLUMNS` says where there is none.
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header.to_vec());
    let columns = || std::env::var("COLUMNS").ok()?.parse().ok();
    if let (None, Some(columns)) = (table.width(), columns()) {
        table.set_width(columns);
    }
    // Some pseudo-terminals say that they have no columns: a letter a line is worse than long lines.
    if table.width().is_some_and(|width| width < LEAST_WIDTH) {
        table.set_content_arrangement(ContentArrangement::Disabled);
    }
    table
}

/// What strangers wrote, without what could move the terminal's cursor.
pub fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(100).collect()
}

/// `1 neuron`, `2 neurons`.
pub fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// A path as a person writes it, the home folder as `~`.
pub fn path(path: &Path) -> String {
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
    match home.and_then(|home| path.strip_prefix(home).ok()) {
        Some(rest) => format!("~/{}", rest.display()),
        None => path.display().to_string(),
    }
}

/// Rows above which a table is drawn by [`plain`].
const MANY: usize = 500;

/// A table of many rows may be long, and must not be slow or large: where it fits without a line being broken, it is drawn row by row.
/// It looks as any other table.
pub fn long_table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut small = table(header);
    if rows.len() > MANY
        && let Some(drawn) = plain(header, rows, small.width())
    {
        return drawn;
    }
    for row in rows {
        small.add_row(row);
    }
    small.to_string()
}

/// The same picture as a table's, of rows whose texts are one line each; `None` if it is wider than `width`.
fn plain(header: &[&str], rows: &[Vec<String>], width: Option<u16>) -> Option<String> {
    let mut widths: Vec<usize> = header.iter().map(|text| text.chars().count()).collect();
    for row in rows {
        for (width, text) in widths.iter_mut().zip(row) {
            *width = (*width).max(text.chars().count());
        }
    }
    let whole = widths.iter().map(|width| width + 3).sum::<usize>() + 1;
    if width.is_some_and(|width| whole > usize::from(width)) {
        return None;
    }
    // Characters of a frame take three bytes.
    let mut drawn = String::with_capacity((rows.len() + 4) * (whole + 2 * (header.len() + 1)) + 6 * whole);
    let frame = |drawn: &mut String, [left, line, between, right]: [char; 4]| {
        drawn.push(left);
        for (place, width) in widths.iter().enumerate() {
            if place > 0 {
                drawn.push(between);
            }
            drawn.extend(std::iter::repeat_n(line, width + 2));
        }
        drawn.push(right);
    };
    let texts = |drawn: &mut String, texts: &mut dyn Iterator<Item = &str>| {
        drawn.push('│');
        for (place, (text, width)) in texts.zip(&widths).enumerate() {
            if place > 0 {
                drawn.push('┆');
            }
            drawn.push(' ');
            drawn.push_str(text);
            drawn.extend(std::iter::repeat_n(' ', width + 1 - text.chars().count()));
        }
        drawn.push('│');
        drawn.push('\n');
    };
    frame(&mut drawn, ['┌', '─', '┬', '┐']);
    drawn.push('\n');
    texts(&mut drawn, &mut header.iter().copied());
    frame(&mut drawn, ['╞', '═', '╪', '╡']);
    drawn.push('\n');
    for row in rows {
        texts(&mut drawn, &mut row.iter().map(String::as_str));
    }
    frame(&mut drawn, ['└', '─', '┴', '┘']);
    Some(drawn)
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

/// A share such as `25%` or `0.25`, of `whole`; exact, at most 100 %.
pub fn share(text: &str, whole: u64) -> Result<u64, String> {
    let bad = || format!("`{text}` is no share: write 12.5% or 0.125, at most 100 %");
    // As parts of a thousand million, so that no float rounds.
    let (digits, per_cent) = text.strip_suffix('%').map_or((text, false), |digits| (digits, true));
    let parts = to_rao(digits.trim()).map_err(|_| bad())?;
    let one: u128 = if per_cent { 100_000_000_000 } else { 1_000_000_000 };
    if u128::from(parts) > one {
        return Err(bad());
    }
    u64::try_from(u128::from(parts) * u128::from(whole) / one).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::{long_table, plain, share, table, to_rao};

    #[test]
    fn a_long_table_looks_as_a_short_one() {
        let header = ["uid", "hotkey", "stake"];
        let row = |n: usize| vec![n.to_string(), ["5FHneW", "", "é"][n % 3].to_owned(), "1.5".repeat(n % 4)];
        let rows: Vec<Vec<String>> = (0..40).map(row).collect();
        let mut usual = table(&header);
        for row in &rows {
            usual.add_row(row);
        }
        assert_eq!(plain(&header, &rows, None), Some(usual.to_string()));
        assert_eq!(plain(&header, &rows, Some(26)), None, "its lines would have to be broken");
        let many: Vec<Vec<String>> = (0..600).map(row).collect();
        assert_eq!(long_table(&header, &many).lines().count(), 604);
    }

    #[test]
    fn shares_are_exact_and_at_most_the_whole() {
        assert_eq!(share("18%", 65_535), Ok(11_796));
        assert_eq!(share("0.18", 65_535), Ok(11_796));
        assert_eq!((share("100%", u64::MAX), share("1", u64::MAX)), (Ok(u64::MAX), Ok(u64::MAX)));
        assert_eq!(share("0", 5), Ok(0));
        for bad in ["101%", "1.1", "-1", "", "%", "x"] {
            assert!(share(bad, 65_535).is_err(), "{bad}");
        }
    }

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

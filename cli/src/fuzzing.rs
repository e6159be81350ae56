//! What a person's files may hold, as functions of bytes: the bodies of the fuzz targets in `fuzz/`, also driven by the tests below.
//!
//! Invariant of each: it returns, whatever the bytes; true if they made sense. Not part of the API.
#![allow(missing_docs)]

use starling_chain::weights::quantise;
use starling_yuma::process::Limits;

use crate::cmd::weights::{Fit, Who, fit_to, parse};

/// Neurons of the subnet that the weights are fitted to.
const NEURONS: u16 = 64;

/// A weights file, JSON or CSV, by uid or by hotkey, fitted in every way and scaled for the chain.
pub fn weights_file(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(weights) = parse(text) else { return false };
    assert!(!weights.is_empty() && weights.iter().all(|(_, weight)| weight.is_finite() && *weight >= 0.0));
    // A hotkey stands for one uid or another.
    let uids = (0..).zip(&weights).map(|(place, (who, _))| match who {
        Who::Uid(uid) => *uid,
        Who::Hotkey(_) => place,
    });
    let (uids, values): (Vec<u16>, Vec<f64>) = (uids.collect(), weights.iter().map(|(_, weight)| *weight).collect());
    for fit in [Fit::AsGiven, Fit::V11, Fit::V10] {
        for (min_allowed, max, exclude_quantile) in [(1, 1.0, 0), (8, 0.1, 6_553), (NEURONS.into(), 0.001, u16::MAX)] {
            let limits = Limits { min_allowed, max, exclude_quantile };
            let Ok((uids, values)) = fit_to(fit, &uids, &values, NEURONS, &limits) else { continue };
            let Ok((uids, values)) = quantise(&uids, &values) else { continue };
            assert!(uids.len() == values.len() && values.iter().all(|value| *value > 0));
            assert!(values.is_empty() || values.contains(&u16::MAX));
        }
    }
    true
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::weights_file;

    /// One of each form that a weights file may have.
    const FORMS: [&str; 3] = [
        "{\"3\": 0.5, \"5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY\": 1e1}",
        "who,weight\n# mine\n3,0.5\n\n5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY;10\n",
        "1\t0.25\n2;1e-300\n3,1e300\n",
    ];

    #[test]
    fn every_form_of_a_weights_file_is_read_by_its_fuzz_target() {
        for form in FORMS {
            assert!(weights_file(form.as_bytes()), "{form}");
        }
    }

    #[test]
    fn a_slip_of_the_finger_in_a_weights_file_is_no_reason_to_stop() {
        for form in FORMS {
            for at in 0..form.len() {
                weights_file(&form.as_bytes()[..at]);
                for other in ["", "{", "[", "\"", ",", "\n", "9", "e", "-", "\u{0}", "\u{1f426}"] {
                    weights_file(format!("{}{other}{}", &form[..at], &form[at + 1..]).as_bytes());
                }
            }
        }
        for deep in ["[", "{\"1\":", "{\"1\":["] {
            weights_file(deep.repeat(100_000).as_bytes());
        }
        for number in ["1e308", "5e-324", "0.0", "-0.0", "1e-45", "3.4e38"] {
            let many: String = (0..80).map(|uid| format!("{uid},{number}\n")).collect();
            weights_file(many.as_bytes());
            weights_file(format!("0,1\n1,{number}\n").as_bytes());
        }
    }
}

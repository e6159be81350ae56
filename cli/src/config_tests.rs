//! The file says what it means or says what is wrong with it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

#[test]
fn the_keys_that_are_checked_are_the_keys_that_are_read() {
    let all = r#"
        endpoints = ["ws://a:1"]
        genesis = "0x00"
        netuid = 1
        timeout = 2
        inclusion_timeout = 3
        wallet_path = "p"
        wallet = "w"
        hotkey = "h"
        password_file = "f"
        relays = ["http://r/"]
    "#;
    let config = Config::parse(&format!("[profiles.x]\n{all}")).unwrap();
    let values = &config.profiles["x"];
    assert_eq!(values.endpoints.as_deref(), Some(&["ws://a:1".to_owned()][..]));
    assert_eq!((values.netuid, values.timeout, values.inclusion_timeout), (Some(1), Some(2), Some(3)));
    assert_eq!(values.relays.as_deref(), Some(&["http://r/".to_owned()][..]));
    for key in KEYS {
        assert!(all.contains(key), "{key} is checked for, and the test does not know it");
    }
    for key in [&values.genesis, &values.wallet_path, &values.wallet, &values.hotkey, &values.password_file] {
        assert!(key.is_some());
    }
}

#[test]
fn an_unknown_key_is_named_with_the_nearest_known_one() {
    for (text, words) in [
        ("netwrok = \"finney\"", ["`netwrok`", "`network`"]),
        ("[defaults]\ntimeuot = 3", ["`defaults.timeuot`", "`timeout`"]),
        ("[profiles.mine]\nendpoint = []", ["`profiles.mine.endpoint`", "`endpoints`"]),
        ("[profiles.mine]\nhot-key = \"x\"", ["`profiles.mine.hot-key`", "`hotkey`"]),
        // Nothing is near: the known ones are listed.
        ("colour = 3", ["`colour` means nothing (known", "profiles"]),
    ] {
        let error = Config::parse(text).unwrap_err();
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    }
}

#[test]
fn a_value_of_the_wrong_kind_is_shown_with_its_line() {
    for text in [
        "[defaults]\ntimeout = \"soon\"",
        "network = 3",
        "profiles = 3",
        "[profiles]\nmine = 3",
        "[defaults]\nnetuid = 70000",
        "x",
    ] {
        let error = Config::parse(text).unwrap_err();
        assert!(error.contains("line "), "{error}");
    }
}

#[test]
fn the_example_is_a_valid_file_with_or_without_its_comments() {
    assert_eq!(Config::parse(EXAMPLE).unwrap(), Config::default());
    let used = EXAMPLE.lines().map(|line| {
        let line = line.strip_prefix("# ").filter(|rest| rest.contains(" = ") || rest.starts_with('['));
        line.unwrap_or_default()
    });
    let used =
        format!("[defaults]\n{}", used.filter(|line| !line.starts_with("network")).collect::<Vec<_>>().join("\n"));
    let config = Config::parse(&used).unwrap();
    assert_eq!(config.profiles["mine"].netuid, Some(9), "{used}");
}

/// The body of the fuzz target `config` on what a slip of the finger makes of a real file.
#[test]
fn no_text_stops_the_program() {
    let real = format!("network = \"mine\"\n[profiles.mine]\nendpoints = [\"ws://a:1\"]\nnetuid = 9\n{EXAMPLE}");
    assert!(Config::parse(&real).is_ok());
    for at in 0..real.len() {
        let _ = Config::parse(&real[..at]);
        for other in ["", "[", "\"", "=", "\n", "9", "\u{0}", "\u{1f426}"] {
            let _ = Config::parse(&format!("{}{other}{}", &real[..at], &real[at + 1..]));
        }
    }
    for deep in ["[", "{a=", "a.", "[a.", "[["] {
        let _ = Config::parse(&deep.repeat(100_000));
        let _ = Config::parse(&format!("x = {}", deep.repeat(100_000)));
    }
}

#[test]
fn the_file_is_looked_for_where_people_expect_it() {
    let of = |pairs: &[(&str, &str)]| {
        let pairs: Vec<(String, String)> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        path(&move |key: &str| pairs.iter().find(|(k, _)| k == key).map(|(_, v)| v.clone()))
    };
    let found = |pairs: &[(&str, &str)]| of(pairs).unwrap().0.display().to_string();
    assert_eq!(found(&[("HOME", "/home/a")]), "/home/a/.config/starling/config.toml");
    assert_eq!(found(&[("HOME", "/home/a"), ("XDG_CONFIG_HOME", "/x")]), "/x/starling/config.toml");
    assert_eq!(found(&[("HOME", "/home/a"), ("XDG_CONFIG_HOME", "relative")]), "/home/a/.config/starling/config.toml");
    assert_eq!(found(&[("STARLING_CONFIG", "/c.toml"), ("XDG_CONFIG_HOME", "/x")]), "/c.toml");
    assert!(of(&[]).is_err());
}

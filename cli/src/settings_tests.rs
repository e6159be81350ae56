//! Who wins: flag, environment, profile, default.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

const FILE: &str = r#"
network = "mine"
[defaults]
wallet = "everywhere"
timeout = 7
[profiles.mine]
endpoints = ["ws://10.0.0.1:9944", "wss://b.example:443"]
netuid = 9
hotkey = "of-mine"
[profiles.finney]
wallet = "of-finney"
"#;

fn decide(flags: &Flags, env: &[(&str, &str)]) -> Result<(Global, Vec<Shown>), Usage> {
    let env: Vec<(String, String)> = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    flags.decide(&Config::parse(FILE).unwrap(), &move |key: &str| {
        env.iter().find(|(k, _)| k == key).map(|(_, v)| v.clone())
    })
}

fn from(shown: &[Shown], name: &str) -> String {
    let found = shown.iter().find(|shown| shown.name == name).unwrap();
    format!("{} < {}", found.value.clone().unwrap_or_default(), found.from)
}

#[test]
fn a_flag_wins_over_the_environment_over_the_profile_over_the_default() {
    let (global, shown) = decide(&Flags::default(), &[]).unwrap();
    assert_eq!(global.endpoints, ["ws://10.0.0.1:9944", "wss://b.example:443"]);
    assert_eq!(from(&shown, "network"), "mine < the configuration");
    assert_eq!(from(&shown, "hotkey"), "of-mine < [profiles.mine]");
    assert_eq!(from(&shown, "wallet"), "everywhere < [defaults]");
    assert_eq!(from(&shown, "timeout"), "7 < [defaults]");
    assert_eq!(from(&shown, "wallet_path"), "~/.bittensor/wallets < default");
    assert_eq!(from(&shown, "netuid"), "9 < [profiles.mine]");
    assert_eq!(global.inclusion_timeout, INCLUSION, "that chain is elsewhere");

    let env = [("BT_WALLET_HOTKEY", "of-env"), ("BT_WALLET", "short"), ("BT_WALLET_PATH", "/w")];
    let (global, shown) = decide(&Flags::default(), &env).unwrap();
    assert_eq!((global.hotkey.as_str(), global.wallet.as_str()), ("of-env", "short"));
    assert_eq!(from(&shown, "wallet_path"), "/w < $BT_WALLET_PATH");
    let flags = Flags { hotkey: Some("typed".into()), timeout: Some(3), ..Flags::default() };
    let (global, shown) = decide(&flags, &env).unwrap();
    assert_eq!((global.hotkey.as_str(), global.timeout), ("typed", 3));
    assert_eq!(from(&shown, "hotkey"), "typed < --hotkey");
    // The name that names the wallet wins over the short one.
    let both = [("BT_WALLET", "short"), ("BT_WALLET_NAME", "long")];
    assert_eq!(decide(&Flags::default(), &both).unwrap().0.wallet, "long");
}

#[test]
fn networks_are_chosen_by_every_official_name_and_bring_their_endpoints() {
    for (variable, name) in [("BT_NETWORK", "test"), ("BT_SUBTENSOR_NETWORK", "test")] {
        let (global, shown) = decide(&Flags::default(), &[(variable, name)]).unwrap();
        assert_eq!(global.endpoints, ["wss://test.finney.opentensor.ai:443"]);
        assert_eq!(from(&shown, "endpoints"), "wss://test.finney.opentensor.ai:443 < network test");
    }
    for variable in ["BT_CHAIN_ENDPOINT", "BT_SUBTENSOR_CHAIN_ENDPOINT"] {
        let (global, _) = decide(&Flags::default(), &[(variable, "ws://c:1, ws://d:2")]).unwrap();
        assert_eq!(global.endpoints, ["ws://c:1", "ws://d:2"]);
        // What was typed means this time; the environment means any time.
        let typed = Flags { network: Some("finney".into()), ..Flags::default() };
        let (global, shown) = decide(&typed, &[(variable, "ws://c:1")]).unwrap();
        assert_eq!(global.endpoints, ["wss://entrypoint-finney.opentensor.ai:443"]);
        assert!(global.genesis.is_some_and(|hash| hash[..2] == [0x2f, 0x05]), "a chain that is another is refused");
        // A profile that only adds to a built-in one.
        assert_eq!(from(&shown, "wallet"), "of-finney < [profiles.finney]");
    }
    let typed = Flags { network: Some("ws://127.0.0.1:5".into()), ..Flags::default() };
    let (global, shown) = decide(&typed, &[]).unwrap();
    assert_eq!(from(&shown, "endpoints"), "ws://127.0.0.1:5 < --network");
    assert_eq!((global.timeout, global.inclusion_timeout), (7, 7), "a chain on this machine is quick");
    let typed = Flags { endpoint: vec!["ws://e:1".into()], network: Some("finney".into()), ..Flags::default() };
    let (global, _) = decide(&typed, &[]).unwrap();
    assert_eq!(
        (global.endpoints, global.genesis),
        (vec!["ws://e:1".to_owned()], None),
        "whose chain it is nobody said"
    );
}

#[test]
fn what_cannot_be_is_said_with_where_it_came_from() {
    for (flags, env, words) in [
        (
            Flags { network: Some("finny".into()), ..Flags::default() },
            [("X", "")],
            ["`finny`", "--network", "`finney`"],
        ),
        (Flags::default(), [("BT_NETWORK", "minne")], ["`minne`", "$BT_NETWORK", "`mine`"]),
        (Flags::default(), [("BT_CHAIN_ENDPOINT", "c:1")], ["`c:1`", "$BT_CHAIN_ENDPOINT", "ws://"]),
        (Flags::default(), [("STARLING_TIMEOUT", "soon")], ["`soon`", "$STARLING_TIMEOUT", "seconds"]),
    ] {
        let said = decide(&flags, &env).unwrap_err().0;
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
    }
}

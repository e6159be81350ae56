//! What changed between two metagraphs as `starling metagraph --json` prints them.
//!
//! Pure, over JSON: snapshots of another version of this program compare too, field by field, by name. Foreign files are read here, so
//! everything is looked up and nothing is indexed.

use serde::Serialize;
use serde_json::{Map, Value as Json};

/// One field that differs; `Null` where it was not or is not there.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// Its name.
    pub field: String,
    /// In the first.
    pub before: Json,
    /// In the second.
    pub after: Json,
}

/// What became of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It was empty.
    Registered,
    /// It is empty now.
    Gone,
    /// Another hotkey has it.
    Replaced,
    /// The same hotkey, with other values.
    Changed,
}

/// A slot that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NeuronChange {
    /// The slot.
    pub uid: u64,
    /// Who has it now (or had it, if it is empty).
    pub hotkey: String,
    /// What became of it.
    pub fate: Fate,
    /// Its fields that differ.
    pub changes: Vec<Change>,
}

/// Two metagraphs' differences.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diff {
    /// Of the first.
    pub from_block: u64,
    /// Of the second.
    pub to_block: u64,
    /// The subnet's own fields.
    pub subnet: Vec<Change>,
    /// By uid.
    pub neurons: Vec<NeuronChange>,
}

/// Fields that say when it was read, not what.
const WHEN: [&str; 4] = ["block", "block_hash", "blocks_since_last_step", "neurons"];

fn fields(before: &Map<String, Json>, after: &Map<String, Json>, but: &[&str]) -> Vec<Change> {
    let mut names: Vec<&String> =
        before.keys().chain(after.keys().filter(|name| !before.contains_key(*name))).collect();
    names.retain(|name| !but.contains(&name.as_str()));
    let change = |name: &String| {
        let of = |map: &Map<String, Json>| map.get(name).cloned().unwrap_or(Json::Null);
        let (before, after) = (of(before), of(after));
        (before != after).then(|| Change { field: name.clone(), before, after })
    };
    names.into_iter().filter_map(change).collect()
}

/// The differences; why the texts are no metagraphs otherwise.
///
/// # Errors
/// A sentence that says what is missing.
pub fn diff(before: &Json, after: &Json) -> Result<Diff, String> {
    fn object(json: &Json) -> Result<&Map<String, Json>, String> {
        json.as_object().ok_or_else(|| "it is no JSON object".to_owned())
    }
    fn block(map: &Map<String, Json>) -> Result<u64, String> {
        map.get("block").and_then(Json::as_u64).ok_or_else(|| "it has no number `block`".to_owned())
    }
    fn neurons(map: &Map<String, Json>) -> Result<std::collections::BTreeMap<u64, &Map<String, Json>>, String> {
        let list = map.get("neurons").and_then(Json::as_array).ok_or_else(|| "it has no list `neurons`".to_owned())?;
        list.iter()
            .map(|neuron| {
                let neuron = object(neuron)?;
                let uid = neuron.get("uid").and_then(Json::as_u64).ok_or("a neuron has no number `uid`")?;
                Ok((uid, neuron))
            })
            .collect()
    }
    fn hotkey<'a>(of: Option<&&'a Map<String, Json>>) -> Option<&'a str> {
        of.and_then(|neuron| neuron.get("hotkey")?.as_str())
    }
    let (a, b) = (object(before)?, object(after)?);
    let (from_block, to_block) = (block(a)?, block(b)?);
    let (old, new) = (neurons(a)?, neurons(b)?);
    let nobody = Map::new();
    let uids: std::collections::BTreeSet<u64> = old.keys().chain(new.keys()).copied().collect();
    let change = |uid: u64| {
        let (was, is) = (old.get(&uid), new.get(&uid));
        let fate = match (was, is) {
            (None, _) => Fate::Registered,
            (_, None) => Fate::Gone,
            _ if hotkey(was) != hotkey(is) => Fate::Replaced,
            _ => Fate::Changed,
        };
        let changes = fields(was.copied().unwrap_or(&nobody), is.copied().unwrap_or(&nobody), &["uid"]);
        let hotkey = hotkey(is).or_else(|| hotkey(was)).unwrap_or_default().to_owned();
        (!changes.is_empty()).then_some(NeuronChange { uid, hotkey, fate, changes })
    };
    Ok(Diff {
        from_block,
        to_block,
        subnet: fields(a, b, &WHEN),
        neurons: uids.into_iter().filter_map(change).collect(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_fate_of_a_slot_is_told_apart() {
        let neuron = |uid: u64, hotkey: &str, stake: u64| json!({ "uid": uid, "hotkey": hotkey, "total_stake": stake });
        let a = json!({ "block": 5, "block_hash": "0x01", "tempo": 10, "neurons": [
            neuron(0, "same", 1), neuron(1, "grows", 1), neuron(2, "old", 3), neuron(3, "leaves", 4)] });
        let b = json!({ "block": 9, "block_hash": "0x02", "tempo": 20, "neurons": [
            neuron(0, "same", 1), neuron(1, "grows", 2), neuron(2, "new", 3), neuron(4, "comes", 5)] });
        let found = diff(&a, &b).unwrap();
        assert_eq!((found.from_block, found.to_block), (5, 9));
        assert_eq!(found.subnet, [Change { field: "tempo".into(), before: json!(10), after: json!(20) }]);
        let fates: Vec<_> = found.neurons.iter().map(|n| (n.uid, n.hotkey.as_str(), n.fate)).collect();
        assert_eq!(
            fates,
            [
                (1, "grows", Fate::Changed),
                (2, "new", Fate::Replaced),
                (3, "leaves", Fate::Gone),
                (4, "comes", Fate::Registered)
            ]
        );
        assert!(diff(&a, &a).unwrap().neurons.is_empty());
    }

    #[test]
    fn what_is_no_metagraph_is_said_to_be_none() {
        let good = json!({ "block": 1, "neurons": [] });
        for bad in [json!(1), json!({}), json!({ "block": 1 }), json!({ "block": 1, "neurons": [1] })] {
            assert!(diff(&good, &bad).is_err() && diff(&bad, &good).is_err(), "{bad}");
        }
    }
}

//! What a transaction emitted, and what a refusal of it means: events, dispatch errors and the pool's words, read by name.
//!
//! Pure: what the node answered comes in as values and text.

use crate::{
    ChainError, Event, explain,
    runtime::Runtime,
    submit::Call,
    value::{ShapeError, Value},
};

/// The phase of one transaction.
pub(crate) fn of_extrinsic(index: u32) -> impl Fn(&Value) -> Result<bool, ShapeError> {
    move |phase| Ok(phase.as_variant("ApplyExtrinsic").map(Value::number::<u32>).transpose()? == Some(index))
}

/// Those of a block's events whose phase is of the kind asked for.
pub(crate) fn events_of(
    records: &Value,
    of: impl Fn(&Value) -> Result<bool, ShapeError>,
) -> Result<Vec<Event>, ShapeError> {
    let mut events = Vec::new();
    for record in records.list()? {
        if !of(record.get("phase")?)? {
            continue;
        }
        if let Value::Variant(pallet, event) = record.get("event")?
            && let Value::Variant(name, fields) = event.as_ref()
        {
            events.push(Event { pallet: pallet.clone(), name: name.clone(), fields: fields.as_ref().clone() });
        }
    }
    Ok(events)
}

/// For the fuzzer.
pub(crate) fn dispatch_error(runtime: &Runtime, error: &Value) -> ChainError {
    dispatch(runtime, &Call { pallet: "System", name: "remark", args: Vec::new() }, 1, error)
}

/// For the fuzzer.
pub(crate) fn read_refusal(message: &str) -> ChainError {
    refusal(&Call { pallet: "System", name: "remark", args: Vec::new() }, 1010, message)
}

/// A dispatch error, by its name in this runtime.
pub(crate) fn dispatch(runtime: &Runtime, call: &Call<'_>, block: u32, error: &Value) -> ChainError {
    let (pallet, name, explanation) = dispatch_name(runtime, error);
    ChainError::Dispatch { call: call.title(), pallet, name, explanation, block }
}

/// A dispatch error's pallet, its name in this runtime, and what it means.
pub(crate) fn dispatch_name(runtime: &Runtime, error: &Value) -> (Option<String>, String, String) {
    let module = error.as_variant("Module").and_then(|module| {
        let code = module.get("error").ok()?;
        // Four bytes today, one in runtimes of long ago.
        let code = code.bytes().ok().and_then(|bytes| bytes.first().copied()).or_else(|| code.number().ok())?;
        runtime.module_error(module.get("index").ok()?.number().ok()?, code)
    });
    let (pallet, name, docs) = match module {
        Some(found) => (Some(found.pallet), found.name, found.docs),
        None => {
            // `BadOrigin`, or a family and its member: `Token(FundsUnavailable)`.
            let name = match error {
                Value::Variant(_, inner) if inner.name().is_some() => inner.name().unwrap_or_default().to_owned(),
                Value::Variant(family, _) => family.clone(),
                _ => "an error that this client cannot read".into(),
            };
            (None, name, String::new())
        }
    };
    let words = explain::dispatch(&name).map(str::to_owned).unwrap_or(docs);
    let explanation = if words.is_empty() { name.clone() } else { format!("{words} ({name})") };
    (pallet, name, explanation)
}

/// What the pool's refusal means.
pub(crate) fn refusal(call: &Call<'_>, code: i32, message: &str) -> ChainError {
    let call = call.title();
    let custom = message
        .split("Custom error: ")
        .nth(1)
        .and_then(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse::<u8>().ok());
    if let Some(number) = custom {
        let (name, words) = explain::custom(number);
        let explanation = format!("{words} ({name}, custom error {number})");
        return ChainError::Pool { call, custom, name: name.to_owned(), explanation };
    }
    match explain::pool(message) {
        Some((name, words)) => {
            let explanation = format!("{words} ({message})");
            ChainError::Pool { call, custom: None, name: name.to_owned(), explanation }
        }
        None => {
            let explanation = format!("the node says: {message} (code {code})");
            ChainError::Pool { call, custom: None, name: message.to_owned(), explanation }
        }
    }
}

//! What outlives the process.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use redb::{ReadableDatabase, ReadableTableMetadata, TableDefinition};
use serde_json::json;
use starling_localnet::{Localnet, LocalnetConfig, LocalnetError};
use subxt_signer::sr25519::dev;

use crate::support::{ALICE, client, get, height, legacy, nonce, on_demand, refusal, remark, request, signed};

fn kept(directory: &Path) -> LocalnetConfig {
    LocalnetConfig { state: Some(directory.to_owned()), ..on_demand() }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chain_goes_on_after_a_restart_and_after_an_abrupt_end() {
    let directory = tempfile::tempdir().unwrap();
    let mut hashes = Vec::new();
    for round in 0..4u64 {
        let node = Localnet::start(kept(directory.path())).await.unwrap();
        let (client, api) = (client(&node.url()).await, legacy(&node.url()).await);
        assert_eq!(height(&client).await, round * 3);
        assert_eq!(nonce(&client, ALICE).await, round);
        for (number, hash) in hashes.iter().enumerate() {
            assert_eq!(&get(&client, "chain_getBlockHash", json!([number])).await, hash);
        }
        let extrinsic = signed(&api, &dev::alice(), &remark(b"kept"), round).await;
        get(&client, "author_submitExtrinsic", json!([extrinsic])).await;
        for _ in 0..3 {
            node.produce_block().await.unwrap();
        }
        hashes.clear();
        for number in 0..=(round + 1) * 3 {
            hashes.push(get(&client, "chain_getBlockHash", json!([number])).await);
        }
        // Clients are still connected either way.
        if round % 2 == 0 { node.shutdown().await } else { drop(node) }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_another_chain_or_version_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let node = Localnet::start(kept(directory.path())).await.unwrap();
    node.produce_block().await.unwrap();
    node.shutdown().await;

    let other = LocalnetConfig { fast: false, ..kept(directory.path()) };
    let error = Localnet::start(other).await.unwrap_err();
    assert!(matches!(error, LocalnetError::OtherChain { .. }), "{error}");
    assert!(error.to_string().contains("genesis") && error.to_string().contains("--state"), "{error}");

    let meta: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
    let mut before = Vec::new();
    for written in [None, Some(())] {
        let database = redb::Database::open(directory.path().join("chain.redb")).unwrap();
        let write = database.begin_write().unwrap();
        {
            let mut table = write.open_table(meta).unwrap();
            let value = if written.is_none() { b"another interface".to_vec() } else { before.clone() };
            let old = table.insert("runtime", value.as_slice()).unwrap().unwrap().value().to_vec();
            before = old;
        }
        write.commit().unwrap();
        drop(database);
        let started = Localnet::start(kept(directory.path())).await;
        match written {
            None => {
                let error = started.unwrap_err();
                assert!(matches!(error, LocalnetError::OtherChain { .. }), "{error}");
                assert!(error.to_string().contains("another version"), "{error}");
            }
            Some(()) => {
                let node = started.expect("nothing was lost");
                assert_eq!(height(&client(&node.url()).await).await, 1);
            }
        }
    }
}

async fn nodes_on_disk(node: Localnet, directory: &Path) -> u64 {
    node.shutdown().await;
    let database = redb::Database::open(directory.join("chain.redb")).unwrap();
    let nodes: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("nodes");
    database.begin_read().unwrap().open_table(nodes).unwrap().len().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn old_states_are_forgotten_on_disk_too_and_kept_ones_are_whole() {
    let directory = tempfile::tempdir().unwrap();
    let config = LocalnetConfig { states: 16, ..kept(directory.path()) };
    let mut sizes = Vec::new();
    // Restarts in between: what a block replaced must be known to the process that forgets it.
    for round in 1..=6u64 {
        let node = Localnet::start(config.clone()).await.unwrap();
        for _ in 0..10 {
            node.produce_block().await.unwrap();
        }
        let client = client(&node.url()).await;
        let best = round * 10;
        for number in best.saturating_sub(16)..=best {
            let hash = get(&client, "chain_getBlockHash", json!([number])).await;
            let mut last = json!(null);
            let mut keys = 0;
            loop {
                let page = get(&client, "state_getKeysPaged", json!(["0x", 1000, last, hash])).await;
                let page = page.as_array().unwrap();
                let Some(end) = page.last() else { break };
                (last, keys) = (end.clone(), keys + page.len());
                let values = get(&client, "state_queryStorageAt", json!([page, hash])).await;
                let values = values[0]["changes"].as_array().unwrap();
                assert!(values.iter().all(|pair| pair[1].is_string()), "block {number}");
            }
            assert!(keys > 50, "block {number} has {keys} keys");
        }
        if best > 16 {
            let hash = get(&client, "chain_getBlockHash", json!([best - 17])).await;
            assert_eq!(refusal(&client, "state_getStorage", json!(["0x00", hash])).await, 4003);
            assert!(get(&client, "chain_getBlock", json!([hash])).await.is_object(), "blocks stay");
        }
        sizes.push(nodes_on_disk(node, directory.path()).await);
    }
    // From block 30 on as many states are kept as before; only the list of block hashes grows the state itself.
    let growth = sizes[5] - sizes[2];
    assert!(growth < 30 * 4, "30 more blocks left {growth} more nodes: {sizes:?}");
    assert!(sizes[2] > 16 * 8, "many nodes change with a block: {sizes:?}");
}

const FOLDER: &str = "STARLING_LOCALNET_TEST_FOLDER";

/// Not a promise: the process that the tests below start and kill. It serves the folder in the environment until it is killed, or until
/// the node stops by itself, and says why.
#[tokio::test(flavor = "multi_thread")]
async fn process() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let block_time = Some(Duration::from_millis(5));
    let node = Localnet::start(LocalnetConfig { block_time, ..kept(Path::new(&folder)) }).await.unwrap();
    println!("\nurl {}", node.url());
    node.stopped().await;
    println!("\nfailure {}", node.failure().unwrap());
}

/// The child, its output, and where it serves.
fn spawn(folder: &Path, limit_bytes: Option<u64>) -> (Child, BufReader<std::process::ChildStdout>, String) {
    let test = std::env::current_exe().unwrap();
    let mut command = match limit_bytes {
        None => Command::new(&test),
        // A file may grow no further, as on a full disk; the signal for it is ignored, as most systems' services have it.
        Some(bytes) => {
            let mut shell = Command::new("sh");
            let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", bytes / 512);
            shell.arg("-c").arg(script).arg(&test);
            shell
        }
    };
    command.args(["--exact", "state::process", "--nocapture", "--test-threads", "1"]);
    command.env(FOLDER, folder).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let url = wait_for(&mut output, "url ");
    (child, output, url)
}

fn wait_for(output: &mut impl BufRead, start: &str) -> String {
    for line in output.lines() {
        if let Some(rest) = line.unwrap().strip_prefix(start) {
            return rest.to_owned();
        }
    }
    panic!("the process ended without a line of {start:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_loses_no_block_that_anybody_saw() {
    let directory = tempfile::tempdir().unwrap();
    let (mut genesis, mut seen) = (None, (0, json!(null)));
    for round in 0..5u64 {
        let (mut child, _output, url) = spawn(directory.path(), None);
        let client = client(&url).await;
        let first = get(&client, "chain_getBlockHash", json!([0])).await;
        assert_eq!(genesis.get_or_insert(first.clone()), &first);
        if round > 0 {
            assert_eq!(get(&client, "chain_getBlockHash", json!([seen.0])).await, seen.1, "round {round}");
        }
        // Killed at any instruction: whatever it does 7, 20, 33... blocks later.
        while height(&client).await < seen.0 + 7 + 13 * round {}
        if let Ok(hash) = request(&client, "chain_getFinalizedHead", json!([])).await {
            let header = get(&client, "chain_getHeader", json!([hash])).await;
            seen = (crate::support::number(&header), hash);
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_the_node_with_a_reason_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let node = Localnet::start(kept(directory.path())).await.unwrap();
    node.produce_block().await.unwrap();
    node.shutdown().await;
    let size = std::fs::metadata(directory.path().join("chain.redb")).unwrap().len();
    let (mut child, mut output, url) = spawn(directory.path(), Some(size));
    let mut seen = (0, json!(null));
    // Until the connection breaks.
    let client = client(&url).await;
    while let Ok(hash) = request(&client, "chain_getFinalizedHead", json!([])).await {
        if let Ok(header) = request(&client, "chain_getHeader", json!([hash])).await {
            seen = (crate::support::number(&header), hash);
        }
    }
    let reason = wait_for(&mut output, "failure ");
    assert!(reason.contains("disk full"), "{reason}");
    child.wait().unwrap();

    let node = Localnet::start(kept(directory.path())).await.unwrap();
    let client = crate::support::client(&node.url()).await;
    assert_eq!(get(&client, "chain_getBlockHash", json!([seen.0])).await, seen.1);
    let before = height(&client).await;
    assert!(before > 0);
    node.produce_block().await.unwrap();
    assert_eq!(height(&client).await, before + 1);
}

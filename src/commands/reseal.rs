//! `reseal`: encrypts the secrets of all access keys with the first sealing key, while the service
//! serves. It can be interrupted and run again: what is encrypted with that key is not touched.

use anyhow::bail;

use super::database::OpenedDatabase;
use super::{explained, print, read_key_ring};
use crate::auth::sealing::KeyRing;
use crate::config::ResealSettings;
use crate::error::Error;
use crate::storage::{ResealedSecret, SealedSecret, Store, StoreOptions};

/// How many secrets one statement replaces.
const BATCH: i64 = 100;
/// Connections to the database: the secrets are replaced one batch after the other.
const CONNECTIONS: u32 = 2;

/// What a run has done.
#[derive(Debug, Default)]
struct Outcome {
    /// How many secrets were encrypted again.
    resealed: u64,
    /// The access keys whose secrets no key of the ring opens.
    unreadable: Vec<String>,
}

/// Runs the command.
pub async fn run(settings: ResealSettings) -> anyhow::Result<()> {
    let database = OpenedDatabase::open(settings.database.source())?.url;
    let key_ring = read_key_ring(&settings.sealing_key_file)?;
    let store = Store::connect_lazily(&StoreOptions::new(database, CONNECTIONS));
    let done = reseal(&store, &key_ring).await;
    let forgotten = match &done {
        Ok(_) => store.forget_sealing_keys_except(key_ring.first().id()).await,
        Err(_) => Ok(0),
    };
    store.close().await;
    let Outcome { resealed, unreadable } = done.map_err(explained)?;
    let forgotten = forgotten.map_err(explained)?;
    print(format_args!(
        "encrypted the secrets of {resealed} access keys with sealing key {}; {forgotten} other \
         sealing keys are not used any more",
        hex::encode(key_ring.first().id())
    ))?;
    if let Some(first) = unreadable.first() {
        bail!(
            "no key of {} decrypts the secrets of {} access keys, the first of them {first}",
            settings.sealing_key_file.display(),
            unreadable.len()
        );
    }
    Ok(())
}

/// Encrypts all secrets with the first key. A replica that still has another key first may seal a
/// secret behind the place that was reached, so this goes on until a pass finds nothing to do.
async fn reseal(store: &Store, key_ring: &KeyRing) -> Result<Outcome, Error> {
    store.record_sealing_key(key_ring.first().check()).await?;
    let mut resealed = 0;
    loop {
        let pass = pass(store, key_ring).await?;
        resealed += pass.resealed;
        if pass.resealed == 0 {
            return Ok(Outcome { resealed, ..pass });
        }
    }
}

/// Goes through the access keys once, in the order of their ids.
async fn pass(store: &Store, key_ring: &KeyRing) -> Result<Outcome, Error> {
    let first = key_ring.first().id();
    let (mut outcome, mut after) = (Outcome::default(), String::new());
    loop {
        let secrets = store.secrets_of_other_keys(&after, first, BATCH).await?;
        let Some(last) = secrets.last() else { return Ok(outcome) };
        after.clone_from(&last.access_key_id);
        let mut batch = Vec::with_capacity(secrets.len());
        for before in secrets {
            match again(key_ring, &before)? {
                Some(after) => batch.push(ResealedSecret { before, after }),
                None => outcome.unreadable.push(before.access_key_id),
            }
        }
        outcome.resealed += store.replace_secrets(batch).await?;
    }
}

/// Returns the secret sealed with the first key; `None` if no key opens it.
fn again(key_ring: &KeyRing, secret: &SealedSecret) -> Result<Option<Vec<u8>>, Error> {
    let SealedSecret { access_key_id, account_id, sealed } = secret;
    let Ok(opened) = key_ring.open_secret(access_key_id, *account_id, sealed) else {
        return Ok(None);
    };
    key_ring.first().seal_secret(access_key_id, *account_id, &opened).map(Some)
}

//! The access keys of the data, and the files that our service reads: the key that seals their
//! secrets, and the token of callers.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use cdn_activation::auth::sealing::SealingKey;
use cdn_activation::auth::secret::Secret;
use cdn_activation::auth::services::ServiceToken;
use cdn_activation::domain::AccountId;
use cdn_activation::domain::policy::EVERYTHING;
use sqlx::PgConnection;

use crate::callers;
use crate::load::accounts::access_key_id;

/// The secrets of the data. Their files are beside it, and only their owner can read them.
pub struct Keys {
    sealing_key: SealingKey,
    /// The file with the sealing key.
    pub sealing_key_file: PathBuf,
    /// The secret that all access keys have.
    pub secret: String,
    /// The token that callers over gRPC send.
    pub service_token: String,
    /// The directory with the files of callers.
    pub callers_dir: PathBuf,
}

impl Keys {
    /// Returns the secrets of a data directory; makes those that are missing.
    pub fn in_dir(data_dir: &Path) -> anyhow::Result<Self> {
        let sealing_key_file = data_dir.join("sealing-key");
        let text = kept(&sealing_key_file, || Ok(SealingKey::generate()?.to_string()))?;
        let random = || Ok(Secret::random()?.expose().to_owned());
        let new_token = || Ok(ServiceToken::generate()?.expose().to_owned());
        let service_token = kept(&data_dir.join("service-token"), new_token)?;
        callers::write(data_dir, &service_token)?;
        Ok(Self {
            sealing_key: SealingKey::parse(&text).context("the sealing key is damaged")?,
            sealing_key_file,
            secret: kept(&data_dir.join("access-key-secret"), random)?,
            service_token,
            callers_dir: data_dir.to_owned(),
        })
    }

    /// Returns a hash by which data that other keys have sealed is recognized.
    pub fn fingerprint(&self) -> [u8; 32] {
        *self.sealing_key.derive(&self.secret)
    }

    /// Inserts the keys of accounts.
    pub async fn insert(
        &self,
        connection: &mut PgConnection,
        accounts: impl Iterator<Item = u64>,
    ) -> anyhow::Result<()> {
        let (mut ids, mut owners, mut secrets) = (Vec::new(), Vec::new(), Vec::new());
        let secret = Secret::new(self.secret.clone());
        for account in accounts {
            let id = access_key_id(account);
            let owner = i64::try_from(account)?;
            let account_id = AccountId::new(owner).context("account ids are positive")?;
            secrets.push(self.sealing_key.seal_secret(&id, account_id, &secret)?);
            owners.push(owner);
            ids.push(id);
        }
        sqlx::query(
            "INSERT INTO access_keys (
                access_key_id, account_id, place, secret_sealed, policy, disabled, version,
                created_at, updated_at, event_time)
            SELECT id, account, 1, secret, $4, false, 1, '2020-01-01', '2020-01-01', '2020-01-01'
            FROM unnest($1::text[], $2::bigint[], $3::bytea[]) AS keys (id, account, secret)",
        )
        .bind(ids)
        .bind(owners)
        .bind(secrets)
        .bind(EVERYTHING)
        .execute(connection)
        .await?;
        Ok(())
    }
}

/// Returns the content of a file; writes it if the file is missing.
fn kept(path: &Path, make: impl Fn() -> anyhow::Result<String>) -> anyhow::Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let text = make()?;
            let mut file =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            file.write_all(text.as_bytes())?;
            Ok(text)
        }
        read => read.with_context(|| format!("cannot read {}", path.display())),
    }
}

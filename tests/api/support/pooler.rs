//! Simulates connection poolers with regard to session options: some silently start the session
//! without them, others refuse it.

use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use super::database::Database;
use super::upstream::Upstream;

/// What a pooler does with the options of a session.
#[derive(Clone, Copy, Debug)]
pub enum Options {
    /// It drops them.
    Lost,
    /// It refuses the session, as `PgBouncer` does by default.
    Refused,
}

/// Starts a pooler in front of a database. Returns the database at the address of the pooler.
pub async fn before(database: &Database, options: Options) -> Database {
    let direct: PgConnectOptions = database.url.parse().expect("a URL");
    let upstream = Upstream::of(database);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(relay(client, upstream.clone(), options));
        }
    });
    let (user, name) = (direct.get_username(), direct.get_database().expect("a name"));
    Database { url: format!("postgres://{user}@{address}/{name}?sslmode=disable") }
}

async fn relay(mut client: TcpStream, upstream: Upstream, options: Options) -> std::io::Result<()> {
    let length = client.read_u32().await?;
    let mut startup = vec![0; length as usize - 4];
    client.read_exact(&mut startup).await?;
    if let Options::Refused = options {
        return client.write_all(&refusal()).await;
    }
    let mut server = upstream.connect().await?;
    let startup = without_options(&startup);
    server.write_u32(u32::try_from(startup.len()).expect("it is short") + 4).await?;
    server.write_all(&startup).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// Returns the message that refuses a session, with the text of `PgBouncer`.
fn refusal() -> Vec<u8> {
    let fields = b"SFATAL\0C08P01\0Munsupported startup parameter: options\0\0";
    let length = u32::try_from(fields.len()).expect("it is short") + 4;
    [b"E", &length.to_be_bytes()[..], fields].concat()
}

/// Parses a startup message: the version in four bytes, then names and values, each ended by a zero
/// byte.
fn without_options(startup: &[u8]) -> Vec<u8> {
    let (version, parameters) = startup.split_at(4);
    let texts: Vec<_> = parameters.split(|byte| *byte == 0).collect();
    let mut kept = version.to_vec();
    for pair in texts.chunks_exact(2).filter(|pair| !pair[0].is_empty() && pair[0] != b"options") {
        for text in pair {
            kept.extend_from_slice(text);
            kept.push(0);
        }
    }
    kept.push(0);
    kept
}

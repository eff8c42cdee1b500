//! File descriptors: each connection takes one. The limit is raised at the start, and shared out, so
//! that accepting never stops for want of them.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::bounds::{Bounds, OPS_CONNECTIONS};
use crate::runtime::places::MOST_ENDING;

/// What the process has open beside connections: its outputs, the runtimes, look-ups of names, a
/// commerce system.
const OWN: usize = 64;
/// Fewer connections than this, gRPC and REST together, are no service.
const FEWEST_CONNECTIONS: usize = 64;

/// The limit on descriptors is too low.
#[derive(Debug, thiserror::Error)]
#[error(
    "{limit} file descriptors are too few, and at least {fewest} are needed: raise the limit (ulimit -n), or take fewer \
     connections to the database (DB_CONNECTIONS)"
)]
pub struct TooFewDescriptors {
    limit: usize,
    fewest: usize,
}

/// Raises the limit on descriptors so far as these bounds need and the system allows, and cuts the
/// bounds down to what it then is.
pub fn fit(bounds: Bounds, database_connections: u32) -> Result<Bounds, TooFewDescriptors> {
    let database = usize::try_from(database_connections).unwrap_or(usize::MAX);
    // One more listens for events. One that is given up may close after another has taken its place.
    let reserved = OWN + OPS_CONNECTIONS + 3 * MOST_ENDING + 2 * (database + 1);
    let wanted = reserved + bounds.grpc_connections + bounds.rest_connections;
    share(bounds, reserved, raise(wanted))
}

/// Raises the limit to what is wanted, or as far as it goes.
fn raise(wanted: usize) -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = u64::try_from(wanted).unwrap_or(u64::MAX);
    if current.is_some_and(|current| current < wanted) {
        let raised = maximum.map_or(wanted, |maximum| maximum.min(wanted));
        // Refused it stays as it is, and so it is read below.
        setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum }).ok();
    }
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(limit).unwrap_or(usize::MAX)
}

fn share(bounds: Bounds, reserved: usize, limit: usize) -> Result<Bounds, TooFewDescriptors> {
    let Bounds { grpc_connections: grpc, rest_connections: rest, .. } = bounds;
    let left = limit.saturating_sub(reserved);
    if left >= grpc + rest {
        return Ok(bounds);
    }
    if left < FEWEST_CONNECTIONS {
        return Err(TooFewDescriptors { limit, fewest: reserved + FEWEST_CONNECTIONS });
    }
    let grpc_connections = (left * grpc / (grpc + rest)).max(1);
    let rest_connections = left - grpc_connections;
    tracing::warn!(
        limit,
        grpc_connections,
        rest_connections,
        "there are descriptors for so many connections only"
    );
    Ok(Bounds { grpc_connections, rest_connections, ..bounds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_cut_down_to_the_descriptors_that_there_are() {
        let bounds = Bounds::default();
        let all = share(bounds, 200, 2000).unwrap();
        assert_eq!((all.grpc_connections, all.rest_connections), (512, 1024));
        let fewer = share(bounds, 200, 1024).unwrap();
        assert_eq!((fewer.grpc_connections, fewer.rest_connections), (274, 550));
        let fewest = share(bounds, 200, 264).unwrap();
        assert_eq!((fewest.grpc_connections, fewest.rest_connections), (21, 43));
        let error = share(bounds, 200, 263).unwrap_err().to_string();
        assert!(error.starts_with("263 file descriptors are too few, and at least 264 are needed"));
    }

    #[test]
    fn a_process_may_have_the_descriptors_that_it_has() {
        let Rlimit { current, .. } = getrlimit(Resource::Nofile);
        let current = usize::try_from(current.unwrap()).unwrap();
        assert_eq!(raise(1), current);
    }
}

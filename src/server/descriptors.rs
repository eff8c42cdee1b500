//! File descriptors: each connection takes one. At the start, the limit is raised and divided among
//! the listeners, so that accepting never fails for lack of descriptors.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::bounds::{Bounds, OPS_CONNECTIONS};
use crate::runtime::places::MOST_ENDING;

/// File descriptors that the process needs for other things than connections: outputs, runtimes,
/// name lookups, a commerce system.
const OWN: usize = 64;
/// Smallest number of connections, gRPC and REST together, with which the service starts.
const FEWEST_CONNECTIONS: usize = 64;

/// The limit on file descriptors is too low.
#[derive(Debug, thiserror::Error)]
#[error(
    "{limit} file descriptors are too few, and at least {fewest} are needed: raise the limit (ulimit -n), or use fewer \
     connections to the database (DB_CONNECTIONS)"
)]
pub struct TooFewDescriptors {
    limit: usize,
    fewest: usize,
}

/// Raises the limit on file descriptors to what these bounds need, if the system allows it, and
/// lowers the bounds to the resulting limit.
pub fn fit(bounds: Bounds, database_connections: u32) -> Result<Bounds, TooFewDescriptors> {
    let database = usize::try_from(database_connections).unwrap_or(usize::MAX);
    // Two more connections listen for events and check readiness. A connection that is given up may
    // close after its replacement was opened.
    let reserved = OWN + OPS_CONNECTIONS + 3 * MOST_ENDING + 2 * (database + 2);
    let wanted = reserved + bounds.grpc_connections + bounds.rest_connections;
    share(bounds, reserved, raise(wanted))
}

/// Raises the limit to `wanted`, or as far as possible, and returns it.
fn raise(wanted: usize) -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = u64::try_from(wanted).unwrap_or(u64::MAX);
    if current.is_some_and(|current| current < wanted) {
        let raised = maximum.map_or(wanted, |maximum| maximum.min(wanted));
        // If this is refused, the limit stays as it is and is read below.
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
        descriptors = limit,
        grpc_connections,
        rest_connections,
        "lowered the connection limits: the limit on file descriptors is too low"
    );
    Ok(Bounds { grpc_connections, rest_connections, ..bounds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connection_limits_are_lowered_to_the_number_of_descriptors() {
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
    fn a_limit_that_is_high_enough_is_not_changed() {
        let Rlimit { current, .. } = getrlimit(Resource::Nofile);
        let current = usize::try_from(current.unwrap()).unwrap();
        assert_eq!(raise(1), current);
    }
}

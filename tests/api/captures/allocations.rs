//! What the check of a signature takes from the allocator: the text of all parameters, the list of
//! them, their order, and the string to sign. Nothing for each of them, and nothing for the key, which
//! was made ready before.

use cdn_activation::auth::secret::Secret;
use cdn_activation::auth::signature::v1;
use cdn_activation::rest::decode;

use crate::support::captures::{Capture, HttpRequest, captures};

/// The longest string to sign that finds room at once; double that is one allocation more.
const ROOM: usize = 512;
const TEXT_LIST_ORDER_AND_STRING: usize = 4;

fn raw_query(request: &HttpRequest) -> &[u8] {
    let line = request.bytes.split(|byte| *byte == b'\r').next().expect("a line");
    let target = line.split(|byte| *byte == b' ').nth(1).expect("a target");
    let start = target.iter().position(|byte| *byte == b'?');
    start.map_or(b"", |start| &target[start + 1..])
}

#[test]
fn the_check_of_a_signature_allocates_next_to_nothing() {
    let captures: Vec<_> = captures().into_iter().filter(Capture::is_v1).collect();
    assert_eq!(captures.len(), 257);
    for Capture { file, request, says } in &captures {
        let secret = says["credential"]["access_key_secret"].as_str().expect("one");
        let key = v1::Key::new(&Secret::new(secret.to_owned()));
        let (query, form) = (raw_query(request), request.form());
        let form = if form.is_empty() { &[] } else { request.body.as_slice() };
        let (mut is_right, mut signed) = (false, 0);
        let taken = allocation_counter::measure(|| {
            let (parameters, _) = decode(query, form);
            let signature = parameters.get(v1::SIGNATURE).expect("a signature");
            let to_sign = v1::string_to_sign(&request.method, &parameters);
            is_right = key.verify(&to_sign, signature);
            signed = to_sign.len();
        });
        assert!(is_right, "{file}");
        let expected = TEXT_LIST_ORDER_AND_STRING + signed.div_ceil(ROOM).saturating_sub(1).min(1);
        assert!(signed <= 2 * ROOM, "{file}: {signed}");
        assert_eq!(taken.count_total, expected as u64, "{file}");
        assert_eq!(taken.count_current, 0, "{file}");
    }
}

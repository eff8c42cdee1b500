//! The statements that the service runs, for pgbench and for the services it is compared with.
//!
//! pgbench runs them as scripts in its own language, prepared, with each parameter in the place of
//! the service's: the numbers that vary are its variables, the rest is written out.

use cdn_activation::storage::hot_statements;

/// What Describe reads, as one writes it who asks for one account: `$1` is its id, `$2` the product.
/// For an array of unknown length, as the service sends it, the server would go on planning the
/// statement anew for each call of those who do not tell it not to.
pub fn describe() -> String {
    hot_statements().describe.replace("= ANY($1)", "= $1")
}

const ONE_ACCOUNT: &str = "ARRAY[:account]::bigint[]";
/// The parameters of the statement that opens, in their order. The order's id is made of the account, because it
/// occurs twice; the event's data has the size of a real one's.
const OPENING: [&str; 13] = [
    "(:account)::bigint",
    "gen_random_uuid()",
    "((:account)::bigint % 16)::smallint",
    "'activation.instance.opened'",
    "decode(repeat('65', 90), 'hex')",
    "1",
    "'cdn'",
    "(:account)::text",
    "'PayByTraffic'",
    "NULL",
    "now()",
    "lpad((:account)::text, 32, '0')::uuid",
    "now()",
];

/// The script that describes random accounts.
pub fn describe_script(first: u64, accounts: u64) -> String {
    let last = first + accounts - 1;
    let statement = with_parameters(hot_statements().describe, &[ONE_ACCOUNT, "'dcdn'"]);
    format!("\\set account random({first}, {last})\n{statement};\n")
}

/// The script with which each client opens CDN for its own `stripe` of accounts, one after the
/// other, as the service would by itself: read the facts, then write. The variable `done` must be
/// given as 0.
pub fn open_script(first: u64, stripe: u64) -> String {
    let facts = with_parameters(hot_statements().facts, &[ONE_ACCOUNT, "'cdn'"]);
    let open = with_parameters(hot_statements().open, &OPENING);
    format!(
        "\\set account {first} + :client_id * {stripe} + :done\n\\set done :done + 1\n\
         {facts};\n{open};\n"
    )
}

/// The statement with `$1` and so on replaced.
fn with_parameters(statement: &str, values: &[&str]) -> String {
    let mut text = statement.trim_end().to_owned();
    // From the last on: `$1` is also the beginning of `$14`.
    for (index, value) in values.iter().enumerate().rev() {
        text = text.replace(&format!("${}", index + 1), value);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_have_a_value_for_each_parameter() {
        assert!(describe().matches("account_id = $1").count() == 1 && !describe().contains("ANY"));
        assert_eq!(
            with_parameters(
                "$1 $14 $2",
                &["a", "b", "", "", "", "", "", "", "", "", "", "", "", "n"]
            ),
            "a n b"
        );
        for script in [describe_script(1, 2), open_script(1, 2)] {
            assert!(!script.contains('$'), "{script}");
        }
    }
}

//! The statements of the service, for pgbench and for the servers that it is compared with.
//!
//! pgbench runs them as prepared scripts in its own language. Numbers that vary are variables of the
//! script; the other parameters are written out.

use cdn_activation::storage::hot_statements;

/// Returns the statement of Describe for one account: `$1` is its id, `$2` the product. The service
/// sends an array; unless a client forbids it, PostgreSQL plans a statement on an array at each call.
pub fn describe() -> String {
    hot_statements().describe.replace("= ANY($1)", "= $1")
}

const ONE_ACCOUNT: &str = "ARRAY[:account]::bigint[]";
/// The parameters of the statement that opens. The order's id is derived from the account, because
/// it occurs twice; the event's data and the audit record have the size of real ones. In a text, a
/// colon before a letter would be a variable of pgbench.
const OPENING: [&str; 23] = [
    "(:account)::bigint",
    "gen_random_uuid()",
    "((:account)::bigint % 16)::smallint",
    "'activation.instance.opened'",
    "decode(repeat('65', 90), 'hex')",
    "gen_random_uuid()",
    "now()",
    "'service'",
    "'127.0.0.1'",
    "'OpenCdnService'",
    "'cdn'",
    "gen_random_uuid()::text",
    "NULL",
    "NULL",
    "'{\"product\": \"cdn\", \"instance_id\": \"1000000000000001\", \"internet_charge_type\": \"PayByTraffic\"}'::jsonb",
    "1",
    "'cdn'",
    "(:account)::text",
    "'PayByTraffic'",
    "NULL",
    "now()",
    "lpad((:account)::text, 32, '0')::uuid",
    "now()",
];

/// Returns the script that describes random accounts.
pub fn describe_script(first: u64, accounts: u64) -> String {
    let last = first + accounts - 1;
    let statement = with_parameters(hot_statements().describe, &[ONE_ACCOUNT, "'dcdn'"]);
    format!("\\set account random({first}, {last})\n{statement};\n")
}

/// Returns the script with which each client opens CDN for its own `stripe` of accounts, one after
/// the other: it reads the facts, and then writes. The variable `done` must be 0 at the start.
pub fn open_script(first: u64, stripe: u64) -> String {
    let facts = with_parameters(hot_statements().facts, &[ONE_ACCOUNT, "'cdn'"]);
    let open = with_parameters(hot_statements().open, &OPENING);
    format!(
        "\\set account {first} + :client_id * {stripe} + :done\n\\set done :done + 1\n\
         {facts};\n{open};\n"
    )
}

/// Returns the statement with values in place of `$1` and so on.
fn with_parameters(statement: &str, values: &[&str]) -> String {
    let mut text = statement.trim_end().to_owned();
    // The last parameter comes first, because `$1` is also the beginning of `$14`.
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

//! Mistakes in the key and in how the MAC is made and written.

use super::Cause;
use crate::explain::signer::{Algorithm, Encoding, Mac, Signer, Used};

pub(super) const CAUSES: &[Cause] = &[
    Cause {
        code: "ampersand_missing",
        en: [
            "The & after the secret is missing in the key",
            "The key of signature V1 is the secret followed by &.",
        ],
        zh: ["HMAC 密钥缺少 Secret 之后的 &", "V1 签名的密钥是 AccessKey Secret 加上 &。"],
        signers: |right| {
            let wrong = with_key(right, "", "");
            right.is_v1().then_some(wrong).into_iter().collect()
        },
    },
    Cause {
        code: "ampersand_appended",
        en: [
            "An & is appended to the secret",
            "The key of signature V3 is the secret alone. Only V1 appends &.",
        ],
        zh: [
            "Secret 之后多加了 &",
            "V3 签名的密钥就是 AccessKey Secret 本身，只有 V1 需要追加 &。",
        ],
        signers: |right| {
            let wrong = with_key(right, "", "&");
            (!right.is_v1()).then_some(wrong).into_iter().collect()
        },
    },
    Cause {
        code: "newline_in_secret",
        en: [
            "The secret ends with a line end",
            "Remove the line end after you read the secret from a file or a command.",
        ],
        zh: ["Secret 末尾带有换行", "从文件或命令读取 Secret 后，请去掉末尾的换行。"],
        signers: |right| around(right, &[("", "\n"), ("", "\r\n"), ("", "\r")]),
    },
    Cause {
        code: "blanks_around_secret",
        en: [
            "There are blanks or other invisible characters around the secret",
            "Remove them where the client reads the secret. They come from copying.",
        ],
        zh: [
            "Secret 前后有空格或其他不可见字符",
            "请在读取 Secret 时去掉它们，它们通常来自复制粘贴。",
        ],
        signers: |right| {
            let blanks =
                [("", " "), (" ", ""), (" ", " "), ("", "\t"), ("\t", ""), ("\u{feff}", "")];
            let mut wrong = around(right, &blanks);
            let mac = Mac { secret: Used::AsGiven, ..right.mac.clone() };
            wrong.push(Signer { mac, ..right.clone() });
            wrong
        },
    },
    Cause {
        code: "quotes_around_secret",
        en: [
            "There are quotes around the secret",
            "Remove the quotes. Not every program removes them from a configuration file.",
        ],
        zh: ["Secret 前后有引号", "请去掉引号。并非所有程序都会去除配置文件中的引号。"],
        signers: |right| around(right, &[("\"", "\""), ("'", "'")]),
    },
    Cause {
        code: "hmac_sha256",
        en: ["The MAC is HMAC-SHA256 instead of HMAC-SHA1", "Signature V1 uses HMAC-SHA1."],
        zh: ["使用了 HMAC-SHA256 而不是 HMAC-SHA1", "V1 签名使用 HMAC-SHA1。"],
        signers: |right| {
            if right.is_v1() { with_algorithm(right, Algorithm::Sha256) } else { vec![] }
        },
    },
    Cause {
        code: "hmac_sha1",
        en: ["The MAC is HMAC-SHA1 instead of HMAC-SHA256", "Signature V3 uses HMAC-SHA256."],
        zh: ["使用了 HMAC-SHA1 而不是 HMAC-SHA256", "V3 签名使用 HMAC-SHA256。"],
        signers: |right| {
            if right.is_v1() { vec![] } else { with_algorithm(right, Algorithm::Sha1) }
        },
    },
    Cause {
        code: "hex_for_base64",
        en: [
            "The signature is in hex digits instead of base64",
            "Encode the 20 bytes of the MAC in base64.",
        ],
        zh: ["签名使用了十六进制而不是 Base64", "请将 HMAC 的 20 个字节做 Base64 编码。"],
        signers: |right| if right.is_v1() { with_encoding(right, Encoding::Hex) } else { vec![] },
    },
    Cause {
        code: "base64_of_hex",
        en: [
            "The signature is the base64 of the hex digits of the MAC",
            "Take the MAC as raw bytes: for example hash_hmac(…, true) in PHP, digest() and not \
             hexdigest() in Python, -binary in openssl.",
        ],
        zh: [
            "签名是对十六进制文本做的 Base64",
            "请使用原始字节：例如 PHP 的 hash_hmac(…, true)、Python 的 digest()（而非 hexdigest()\
             ）、openssl 的 -binary。",
        ],
        signers: |right| with_encoding(right, Encoding::Base64OfHex),
    },
    Cause {
        code: "base64_for_hex",
        en: [
            "The signature is in base64 instead of hex digits",
            "Write the 32 bytes of the MAC as lower-case hex digits.",
        ],
        zh: ["签名使用了 Base64 而不是十六进制", "请将 HMAC 的 32 个字节写成小写十六进制。"],
        signers: |right| {
            if right.is_v1() { vec![] } else { with_encoding(right, Encoding::Base64) }
        },
    },
];

fn with_key<'a>(right: &Signer<'a>, prefix: &str, suffix: &str) -> Signer<'a> {
    let (key_prefix, key_suffix) = (prefix.to_owned(), suffix.to_owned());
    Signer { mac: Mac { key_prefix, key_suffix, ..right.mac.clone() }, ..right.clone() }
}

/// Returns signers with these texts before and after the secret.
fn around<'a>(right: &Signer<'a>, texts: &[(&str, &str)]) -> Vec<Signer<'a>> {
    let of = |(before, after): &(&str, &str)| {
        with_key(right, before, &[after, right.mac.key_suffix.as_str()].concat())
    };
    texts.iter().map(of).collect()
}

fn with_algorithm<'a>(right: &Signer<'a>, algorithm: Algorithm) -> Vec<Signer<'a>> {
    let mac = Mac { algorithm, ..right.mac.clone() };
    vec![Signer { mac, ..right.clone() }]
}

fn with_encoding<'a>(right: &Signer<'a>, encoding: Encoding) -> Vec<Signer<'a>> {
    let mac = Mac { encoding, ..right.mac.clone() };
    vec![Signer { mac, ..right.clone() }]
}

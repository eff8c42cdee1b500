//! Reads a curl command.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::shell::words;
use super::{Kind, Pasted, url};
use crate::explain::sent::{FORM, Sent};

/// Options of curl that take a value which does not matter here.
const OTHERS: [&str; 22] = [
    "-o",
    "--output",
    "-e",
    "--referer",
    "-b",
    "--cookie",
    "-c",
    "--cookie-jar",
    "-u",
    "--user",
    "-x",
    "--proxy",
    "-m",
    "--max-time",
    "-w",
    "--write-out",
    "--connect-timeout",
    "--cacert",
    "--cert",
    "--key",
    "--resolve",
    "--retry",
];

/// What the options of a command say.
#[derive(Default)]
struct Options {
    method: Option<String>,
    headers: Vec<(String, String)>,
    data: Vec<String>,
    in_query: bool,
    head: bool,
    urls: Vec<String>,
}

/// Reads a command from its text, which begins with `curl`.
pub fn read(text: &str) -> Pasted {
    let split = words(text);
    let options = Options::read(split.words.into_iter().skip(1));
    let mut notes = Vec::new();
    if split.ended_by_ampersand {
        notes.push("url_not_quoted");
    }
    Pasted { kind: Kind::Curl, sent: options.request(), own: None, server: None, notes }
}

impl Options {
    fn read(mut words: impl Iterator<Item = String>) -> Self {
        let mut options = Self::default();
        while let Some(word) = words.next() {
            let (name, joined) = split_option(&word);
            let mut value = || joined.clone().or_else(|| words.next()).unwrap_or_default();
            match name {
                "-X" | "--request" => options.method = Some(value()),
                "-H" | "--header" => options.header(&value()),
                "-A" | "--user-agent" => options.header(&format!("user-agent: {}", value())),
                "-d" | "--data" | "--data-raw" | "--data-ascii" | "--data-binary" => {
                    let data = value();
                    options.data.push(data);
                }
                "--data-urlencode" => options.data.push(url_encoded(&value())),
                "--json" => {
                    options.header("content-type: application/json");
                    let data = value();
                    options.data.push(data);
                }
                "-G" | "--get" => options.in_query = true,
                "-I" | "--head" => options.head = true,
                "--url" => options.urls.push(value()),
                _ if OTHERS.contains(&name) => drop(value()),
                _ if word.starts_with('-') => {}
                _ => options.urls.push(word),
            }
        }
        options
    }

    fn header(&mut self, line: &str) {
        if let Some((name, value)) = line.split_once(':') {
            let value = value.strip_prefix(' ').unwrap_or(value);
            self.headers.push((name.trim().to_owned(), value.to_owned()));
        }
    }

    /// Returns the request that curl sends.
    fn request(self) -> Sent {
        let is_url = |word: &&String| word.contains("://") || word.contains('?');
        let address = self.urls.iter().find(is_url).or(self.urls.first());
        let mut sent = Sent { headers: self.headers, ..Sent::default() };
        url::read_address(address.map_or("", String::as_str), &mut sent);
        let data = self.data.join("&");
        let posts = !self.data.is_empty() && !self.in_query;
        let default = match (posts, self.head) {
            (true, _) => "POST",
            (false, true) => "HEAD",
            (false, false) => "GET",
        };
        sent.method = self.method.unwrap_or_else(|| default.to_owned());
        if sent.header("accept").is_none() {
            sent.headers.push(("Accept".to_owned(), "*/*".to_owned()));
        }
        if posts {
            if sent.header("content-type").is_none() {
                sent.headers.push(("Content-Type".to_owned(), FORM.to_owned()));
            }
            sent.body = data;
            sent.read_form();
        } else {
            sent.add_parameters(&data, false);
        }
        sent
    }
}

/// Splits `-XPOST` into the option and its value.
fn split_option(word: &str) -> (&str, Option<String>) {
    let short = ["-X", "-H", "-d", "-A", "-o", "-u", "-x", "-m"];
    match short.into_iter().find(|short| word.starts_with(short) && word.len() > short.len()) {
        Some(short) => (short, Some(word[short.len()..].to_owned())),
        None => (word, None),
    }
}

/// Encodes `name=content` as `--data-urlencode` does.
fn url_encoded(text: &str) -> String {
    match text.split_once('=') {
        Some(("", content)) => utf8_percent_encode(content, NON_ALPHANUMERIC).to_string(),
        Some((name, content)) => {
            format!("{name}={}", utf8_percent_encode(content, NON_ALPHANUMERIC))
        }
        None => utf8_percent_encode(text, NON_ALPHANUMERIC).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_options_make_the_request() {
        let pasted = read(
            "curl -s -XPOST -H 'X-A:  b ' --data-raw 'a=1' -d b=2 --data-urlencode 'c=d e' \\\n \
             -o /dev/null 'https://h:8443/?q=1#f'",
        );
        let sent = pasted.sent;
        assert_eq!((sent.method.as_str(), sent.path.as_str()), ("POST", "/"));
        assert_eq!(sent.body, "a=1&b=2&c=d%20e");
        assert_eq!(sent.headers[0], ("X-A".to_owned(), " b ".to_owned()));
        assert_eq!((sent.header("host"), sent.raw.len()), (Some("h:8443"), 4));
        let sent = read("curl -G -d a=1 'http://h/?b=2'").sent;
        assert_eq!((sent.method.as_str(), sent.raw.len(), sent.body.as_str()), ("GET", 2, ""));
        let unquoted = read("curl http://h/?a=1&b=2");
        assert_eq!(
            (unquoted.notes.as_slice(), unquoted.sent.raw.len()),
            (&["url_not_quoted"][..], 2)
        );
    }
}

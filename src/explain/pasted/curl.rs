//! Reads a curl command.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::shell::words;
use super::{Kind, Pasted, url};
use crate::explain::sent::{FORM, Sent};

/// Options of curl that have a letter: the letter, and the long name.
const LETTERS: [(char, &str); 34] = [
    ('A', "--user-agent"),
    ('b', "--cookie"),
    ('C', "--continue-at"),
    ('c', "--cookie-jar"),
    ('D', "--dump-header"),
    ('d', "--data"),
    ('E', "--cert"),
    ('e', "--referer"),
    ('F', "--form"),
    ('G', "--get"),
    ('H', "--header"),
    ('h', "--help"),
    ('I', "--head"),
    ('K', "--config"),
    ('m', "--max-time"),
    ('o', "--output"),
    ('P', "--ftp-port"),
    ('Q', "--quote"),
    ('r', "--range"),
    ('T', "--upload-file"),
    ('t', "--telnet-option"),
    ('U', "--proxy-user"),
    ('u', "--user"),
    ('w', "--write-out"),
    ('X', "--request"),
    ('x', "--proxy"),
    ('Y', "--speed-limit"),
    ('y', "--speed-time"),
    ('z', "--time-cond"),
    ('L', "--location"),
    ('s', "--silent"),
    ('S', "--show-error"),
    ('k', "--insecure"),
    ('v', "--verbose"),
];

/// Long options that take a value.
const WITH_VALUE: [&str; 47] = [
    "--cacert",
    "--capath",
    "--cert",
    "--config",
    "--connect-timeout",
    "--connect-to",
    "--continue-at",
    "--cookie",
    "--cookie-jar",
    "--data",
    "--data-ascii",
    "--data-binary",
    "--data-raw",
    "--data-urlencode",
    "--dump-header",
    "--form",
    "--form-string",
    "--ftp-port",
    "--header",
    "--interface",
    "--json",
    "--key",
    "--limit-rate",
    "--max-redirs",
    "--max-time",
    "--noproxy",
    "--output",
    "--output-dir",
    "--proxy",
    "--proxy-user",
    "--quote",
    "--range",
    "--referer",
    "--request",
    "--resolve",
    "--retry",
    "--retry-delay",
    "--retry-max-time",
    "--speed-limit",
    "--speed-time",
    "--telnet-option",
    "--time-cond",
    "--upload-file",
    "--url",
    "--user",
    "--user-agent",
    "--write-out",
];

/// What the options of a command say.
#[derive(Default)]
struct Options {
    method: Option<String>,
    headers: Vec<(String, String)>,
    data: Vec<String>,
    in_query: bool,
    head: bool,
    /// The method that an upload has, unless another one is given.
    upload: Option<&'static str>,
    /// Options that name a file.
    unread: Vec<String>,
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
            if word.starts_with("--") {
                let value = WITH_VALUE.contains(&&*word).then(|| words.next()).flatten();
                options.option(&word, &value.unwrap_or_default());
            } else if let Some(letters) = word.strip_prefix('-') {
                options.letters(letters, &mut words);
            } else {
                options.urls.push(word);
            }
        }
        options
    }

    /// Reads options of one letter. The first that takes a value takes the rest of the word, or the
    /// next word.
    fn letters(&mut self, letters: &str, words: &mut impl Iterator<Item = String>) {
        let mut rest = letters.chars();
        while let Some(letter) = rest.next() {
            let known = LETTERS.iter().find(|(known, _)| *known == letter);
            let name = known.map_or("", |(_, name)| name);
            if WITH_VALUE.contains(&name) {
                let joined = rest.as_str();
                let next = if joined.is_empty() { words.next() } else { Some(joined.to_owned()) };
                return self.option(name, &next.unwrap_or_default());
            }
            self.option(name, "");
        }
    }

    fn option(&mut self, name: &str, value: &str) {
        match name {
            "--request" => self.method = Some(value.to_owned()),
            "--header" if value.starts_with('@') => self.unread.push(format!("{name} {value}")),
            "--header" => self.header(value),
            "--user-agent" => self.header(&format!("user-agent: {value}")),
            "--data-raw" => self.data.push(value.to_owned()),
            "--data-urlencode" => self.data_of(name, value, url_encoded(value)),
            "--json" => {
                self.header("content-type: application/json");
                self.data_of(name, value, content(value));
            }
            "--data" | "--data-ascii" | "--data-binary" => {
                self.data_of(name, value, content(value));
            }
            "--form" | "--form-string" => {
                self.upload = Some("POST");
                self.unread.push(format!("{name} {value}"));
            }
            "--upload-file" => {
                self.upload = Some("PUT");
                self.unread.push(format!("{name} {value}"));
            }
            "--config" => self.unread.push(format!("{name} {value}")),
            "--get" => self.in_query = true,
            "--head" => self.head = true,
            "--url" => self.urls.push(value.to_owned()),
            _ => {}
        }
    }

    /// Adds data. `None` says that it is in a file.
    fn data_of(&mut self, name: &str, value: &str, data: Option<String>) {
        if data.is_none() {
            self.unread.push(format!("{name} {value}"));
        }
        self.data.push(data.unwrap_or_default());
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
        let mut sent = Sent { headers: self.headers, unread: self.unread, ..Sent::default() };
        url::read_address(address.map_or("", String::as_str), &mut sent);
        let data = self.data.join("&");
        let posts = !self.data.is_empty() && !self.in_query;
        let default = match (posts, self.upload, self.head) {
            (true, ..) => "POST",
            (false, Some(method), _) => method,
            (false, None, true) => "HEAD",
            (false, None, false) => "GET",
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

/// Returns the data of an option, unless it names a file.
fn content(value: &str) -> Option<String> {
    (!value.starts_with('@')).then(|| value.to_owned())
}

/// Encodes `name=content` as `--data-urlencode` does. Returns `None` for `name@file`.
fn url_encoded(text: &str) -> Option<String> {
    let encode = |content| utf8_percent_encode(content, NON_ALPHANUMERIC).to_string();
    match text.split_once('=') {
        Some(("", content)) => Some(encode(content)),
        Some((name, content)) => Some(format!("{name}={}", encode(content))),
        None if text.contains('@') => None,
        None => Some(encode(text)),
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

    #[test]
    fn letters_are_read_one_by_one() {
        let read = |command: &str| {
            let sent = read(command).sent;
            (sent.method.clone(), sent.raw.len(), sent.body)
        };
        let expected = |method: &str, count, body: &str| (method.into(), count, body.into());
        assert_eq!(read("curl -sXPOST 'http://h/?a=1'"), expected("POST", 1, ""));
        assert_eq!(read("curl -sX PUT 'http://h/?a=1'"), expected("PUT", 1, ""));
        assert_eq!(read("curl -sd b=2 'http://h/?a=1'"), expected("POST", 2, "b=2"));
        assert_eq!(read("curl -sSG -d x=1 http://h/"), expected("GET", 1, ""));
        assert_eq!(read("curl -skLo /dev/null -db=s http://h/"), expected("POST", 1, "b=s"));
        assert_eq!(read("curl -é -IsS --max-redirs 3 http://h/?a"), expected("HEAD", 1, ""));
    }

    #[test]
    fn options_that_name_a_file_are_not_read() {
        for (options, unread) in [
            ("-d @file", &["--data @file"][..]),
            ("-sd@file", &["--data @file"]),
            ("--data-binary @file", &["--data-binary @file"]),
            ("--data-urlencode a@file", &["--data-urlencode a@file"]),
            ("--json @file", &["--json @file"]),
            ("-F a=b", &["--form a=b"]),
            ("-T file -K file", &["--upload-file file", "--config file"]),
            ("-H @file", &["--header @file"]),
            ("--data-raw @a --data-urlencode a=@b -d a=@c", &[]),
        ] {
            let sent = read(&format!("curl {options} http://h/")).sent;
            assert_eq!(sent.unread, unread, "{options}");
        }
    }
}

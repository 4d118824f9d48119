//! Exchanges with secrets in every place where a message can have one, and with words that are none.

use std::fmt::Write as _;

/// What secrets have in common: none of it may be found anywhere.
pub const SECRET: &str = "planted-s3cret";
/// What words have in common that rows do keep.
pub const HARMLESS: &str = "harmless-w0rd";

/// Requests and their responses, each on a connection of its own.
#[derive(Debug, Default)]
pub struct Planted {
    /// Raw bytes of both sides.
    pub exchanges: Vec<(Vec<u8>, Vec<u8>)>,
    secrets: usize,
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

impl Planted {
    /// Every place.
    pub fn everywhere() -> Self {
        let mut planted = Self::default();
        planted.request_headers();
        planted.targets();
        planted.response_headers();
        planted.bodies();
        planted.broken();
        planted
    }

    /// A secret of its own for each place, so that one that is found tells where it was.
    fn fill(&mut self, template: &str) -> Vec<u8> {
        let mut filled = String::new();
        for (index, part) in template.split("{S}").enumerate() {
            if index > 0 {
                self.secrets += 1;
                let _ = write!(filled, "{SECRET}-{}", self.secrets);
            }
            filled.push_str(part);
        }
        let filled = filled.replace("{H}", HARMLESS);
        // A byte that is no UTF-8, where the template asks for one.
        let mut bytes = Vec::with_capacity(filled.len());
        for part in filled.split_inclusive("{FF}") {
            match part.strip_suffix("{FF}") {
                Some(part) => {
                    bytes.extend_from_slice(part.as_bytes());
                    bytes.push(0xff);
                }
                None => bytes.extend_from_slice(part.as_bytes()),
            }
        }
        bytes
    }

    fn add(&mut self, request: &str, response: &[u8]) {
        let request = self.fill(request);
        self.exchanges.push((request, response.to_vec()));
    }

    fn add_response(&mut self, response: &str) {
        let response = self.fill(response);
        let request = self.fill("GET /{H} HTTP/1.1\r\nHost: h\r\nX-Request-Id: {H}\r\n\r\n");
        self.exchanges.push((request, response));
    }

    fn request_headers(&mut self) {
        for lines in [
            "Authorization: Bearer {S}",
            "aUtHoRiZaTiOn: bAsIc {S}",
            "Authorization : Basic {S}",
            "Authorization:{S}",
            "Authorization:\tDigest username=\"u\", response=\"{S}\"",
            "Authorization: {FF}{S}",
            "Authorization: Basic\r\n {S}",
            "Authorization: Basic {S}\r\nAuthorization: Basic {S}",
            "Accept: */*\r\n Authorization: Basic {S}",
            "X-Folded: {H}\r\n\tCookie: a={S}; b={S}",
            "Proxy-Authorization: {S}",
            "Cookie: a={S}; b=\"{S}\"\r\nCookie: c={S}",
            "Cookie: a=1;\r\n b={S}",
            "X-Api-Key: {S}",
            "X-Auth-Token: {S}",
            "X-Auth: {S}",
            "X-Amz-Security-Token: {S}",
            "X-Goog-Signature: {S}",
            "Ocp-Apim-Subscription-Key: {S}",
            "X-CSRF-Token: {S}",
            "X-Session: {S}",
            "X-Client-Secret: {S}",
            "X-User-Password: {S}",
            "Referer: https://u:{S}@h.org/{H}?x={S}&{S}#{S}",
            "Origin: https://{S}@h.org",
            "Destination: http://u:{S}@h.org/x",
            "X-Original-Url: /{H}?b={S}",
            "X-Rewrite-Url: /{H};jsessionid={S}",
            "X-Proxy: u:{S}@proxy:8080",
            "X-Encoded: http%3A%2F%2Fu%3A{S}%40h%2F",
            "X-Json: {\"password\": \"{S}\", \"n\": 1}",
            "X-Debug: sent Bearer {S}",
            "Forwarded: for=192.0.2.1;secret={S}",
            "User-Agent: {H} (+http://u:{S}@h.org/?k={S})",
            "Content-Type: text/plain; token={S}",
            "Host: u:{S}@h.org",
            "Host: h.org?token={S}",
            "Host: h.org:{S}",
        ] {
            self.add(
                &format!("GET /{{H}} HTTP/1.1\r\n{lines}\r\nX-Request-Id: {{H}}\r\n\r\n"),
                OK,
            );
            // The same with bare line feeds.
            self.add(
                &format!("GET /{{H}} HTTP/1.1\n{}\n\n", lines.replace("\r\n", "\n")),
                OK,
            );
        }
    }

    fn targets(&mut self) {
        for target in [
            "/{H}?token={S}&page={S}&{S}&={S}&a%3D{S}=1",
            "/{H}?a={S};b={S}",
            "/{H}?{FF}{S}",
            "http://u:{S}@h.org/{H}?x={S}",
            "http://{S}@h.org",
            "HTTPS://u:{S}@h.org:8443/{H}#{S}",
            "/{H};jsessionid={S}/x",
            "/{H};a=1;token={S}",
            "/{H}%3Ftoken={S}",
            "/{H}%3ftoken%3D{S}",
            "/http://u:{S}@h.org/{H}",
            "/fetch/https%3A%2F%2Fu%3A{S}%40h.org%2F{H}",
            "/{H}#{S}",
            "u:{S}@h.org/x",
            "/{FF}/{H}?x={S}",
        ] {
            for method in ["GET", "OPTIONS", "X-ANY"] {
                self.add(
                    &format!("{method} {target} HTTP/1.1\r\nHost: h\r\n\r\n"),
                    OK,
                );
            }
            self.add(&format!("GET {target} HTTP/1.0\r\n\r\n"), OK);
            self.add(&format!("GET {target}\r\n"), b"simple");
        }
        for target in ["u:{S}@h.org:443", "h.org:443?token={S}", "h.org:443#{S}"] {
            self.add(
                &format!("CONNECT {target} HTTP/1.1\r\nHost: h\r\n\r\n"),
                b"HTTP/1.1 200 OK\r\n\r\n",
            );
        }
    }

    fn response_headers(&mut self) {
        for lines in [
            "Set-Cookie: a={S}; Path=/\r\nset-cookie: b={S}",
            "Location: https://u:{S}@h.org/{H}?code={S}&state={S}#access_token={S}",
            "Location: cb?code={S}",
            "Location: //u:{S}@h.org/x",
            "Content-Location: /{H}?y={S}",
            "Link: <https://u:{S}@h.org/?t={S}>; rel=\"next\", </{H}?t={S}>",
            "Refresh: 0; url=https://h.org/?t={S}",
            "Refresh: 0;url=/{H}?t={S}",
            "WWW-Authenticate: Negotiate {S}",
            "Proxy-Authenticate: NTLM {S}",
            "Authentication-Info: nextnonce=\"{S}\"",
            "X-Secret: {S}",
            "X-Refresh-Token: {S}",
            "X-Folded: {H}\r\n Set-Cookie: a={S}",
        ] {
            self.add_response(&format!(
                "HTTP/1.1 200 OK\r\n{lines}\r\nX-Kept: {{H}}\r\nContent-Length: 2\r\n\r\nok"
            ));
        }
        self.add_response("HTTP/1.1 401 {S}\r\nContent-Length: 0\r\n\r\n");
        self.add_response(
            "HTTP/1.1 103 Early Hints\r\nLink: </x?t={S}>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        );
        self.add_response(
            "HTTP/1.1 101 Switching\r\nUpgrade: x\r\nX-Token: {S}\r\n\r\nAUTH {S}\r\n",
        );
        // No status line: the end of the connection ends it.
        self.add_response("{S}\r\n\r\n");
    }

    fn bodies(&mut self) {
        for (content_type, body) in [
            (
                "application/x-www-form-urlencoded",
                "user={H}&password={S}&pin={S}",
            ),
            (
                "application/x-www-form-urlencoded",
                "user={H}&passw%6frd={S}",
            ),
            (
                "application/json",
                "{\"user\": \"{H}\", \"password\": \"{S}\", \"api_key\": \"{S}\", \"tokens\": [\"{S}\"]}",
            ),
            (
                "application/xml",
                "<a><user>{H}</user><password>{S}</password></a>",
            ),
            (
                "multipart/form-data; boundary=b",
                "--b\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\n{S}\r\n--b--\r\n",
            ),
            ("text/plain", "see https://u:{S}@h.org/ or Bearer {S}"),
        ] {
            // The length is that of what it becomes.
            let body = String::from_utf8(self.fill(body)).expect("bodies are UTF-8");
            let head = format!(
                "Content-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            self.exchanges.push((
                format!("POST /{HARMLESS} HTTP/1.1\r\nHost: h\r\n{head}{body}").into_bytes(),
                format!("HTTP/1.1 200 OK\r\n{head}{body}").into_bytes(),
            ));
            let chunked = format!(
                "Content-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n{:x};token={{S}};x=\"{{S}}\"\r\n{body}\r\n0\r\n\
                 Authorization: Bearer {{S}}\r\nX-Trailer: token={{S}}\r\n\r\n",
                body.len()
            );
            let request = self.fill(&format!("POST /{{H}} HTTP/1.1\r\nHost: h\r\n{chunked}"));
            let response = self.fill(&format!("HTTP/1.1 200 OK\r\n{chunked}"));
            self.exchanges.push((request, response));
        }
    }

    /// Pipelined, smuggled, malformed, cut, over-long, and what is no HTTP at all.
    fn broken(&mut self) {
        let one = "GET /{H}?x={S} HTTP/1.1\r\nHost: h\r\nAuthorization: Basic {S}\r\n\r\n";
        let answers = OK.repeat(3);
        self.add(&one.repeat(3), &answers);
        for framing in [
            "Content-Length: 6\r\nTransfer-Encoding: chunked",
            "Content-Length: 5\r\nContent-Length: 7",
            "Transfer-Encoding: xchunked",
            "Transfer-Encoding : chunked",
        ] {
            self.add(
                &format!("POST /{{H}} HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n0\r\n\r\n{one}"),
                &answers,
            );
        }
        for line in [
            "GET /{H} x?token={S} HTTP/1.1",
            "GET /{H}\u{1}?token={S} HTTP/1.1",
            "GET  /{H}?token={S}  HTTP/1.1",
            "GET /{H}?token={S} HTTP/9.9",
            "GET /{H}?token={S}",
            "/{H}?token={S} HTTP/1.1",
        ] {
            self.add(&format!("{line}\r\nHost: h\r\nCookie: {{S}}\r\n\r\n"), OK);
        }
        for cut in [
            "GET /{H} HTTP/1.1\r\nHost: h\r\nAuthorization: Basic {S}",
            "GET /{H} HTTP/1.1\r\nHost: h\r\nX-A: b\r\n Cookie: a={S}",
            "GET /{H}?x={S}",
            "GET http://u:{S}",
            "GET /http://u:{S}",
            "CONNECT u:{S}",
            "POST /{H} HTTP/1.1\r\nContent-Length: 900\r\n\r\npassword={S}",
        ] {
            self.add(cut, b"");
            self.add(cut, OK);
        }
        let long = "y".repeat(70_000);
        self.add(
            &format!("GET /{{H}} HTTP/1.1\r\nX-Long: {long}\r\nAuthorization: Basic {{S}}\r\n\r\n"),
            OK,
        );
        self.add(
            &format!("GET /{{H}} HTTP/1.1\r\nAuthorization: Basic {{S}}{long}{{S}}\r\n\r\n"),
            OK,
        );
        self.add(
            &format!("GET /{{H}}?x={{S}}{long}{{S}} HTTP/1.1\r\n\r\n"),
            OK,
        );
        self.add("\u{16}\u{3}\u{1}{S}", b"\x15\x03\x01");
        self.add("*2\r\n$4\r\nAUTH\r\n$16\r\n{S}\r\n", b"+OK\r\n");
        self.add("EHLO h\r\nAUTH PLAIN {S}\r\n", b"235 ok\r\n");
    }
}

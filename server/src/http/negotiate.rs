//! Which format a client wants: `format=` before `Accept` (RFC 9110, section 12.5.1).

use std::cmp::Reverse;

use axum::http::{HeaderMap, StatusCode, header};

use super::error::ApiError;
use crate::formats::{Codec, FollowForm, Format};

/// The format to answer in.
pub(super) fn negotiate(
    format: Option<&str>,
    codecs: Option<&str>,
    headers: &HeaderMap,
) -> Result<Format, ApiError> {
    if let Some(name) = format {
        let format: Format = name.parse().map_err(|error| not_acceptable(&error))?;
        return Ok(match format {
            Format::Arrow(_) => Format::Arrow(codecs.map(codec).transpose()?.flatten()),
            other => other,
        });
    }
    let ranges: Vec<String> = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| split_unquoted(value, ','))
        .map(str::to_owned)
        .collect();
    let ranges: Vec<Range> = ranges
        .iter()
        .filter_map(|text| Range::parse(text))
        .collect();
    let Some((format, range)) = choose(&ranges) else {
        return Err(not_acceptable(&format!(
            "none of the media types in Accept can be answered; there are {}",
            Format::ALL
                .map(|format| format.accepted_types()[0])
                .join(", ")
        )));
    };
    Ok(match format {
        Format::Arrow(_) => {
            let wanted = codecs.or(range.and_then(|range| range.codecs));
            Format::Arrow(wanted.map(codec).transpose()?.flatten())
        }
        other => other,
    })
}

/// The form of an answer that goes on: NDJSON unless another is asked for.
pub(super) fn negotiate_follow(
    format: Option<&str>,
    codecs: Option<&str>,
    headers: &HeaderMap,
) -> Result<FollowForm, ApiError> {
    let accepts = |media: &str| {
        let accepted = headers.get_all(header::ACCEPT).iter();
        let mut accepted = accepted.filter_map(|value| value.to_str().ok());
        accepted.any(|value| value.to_ascii_lowercase().contains(media))
    };
    let is_sse = match format {
        Some(name) => name.eq_ignore_ascii_case("sse"),
        None => accepts("text/event-stream"),
    };
    if is_sse {
        return Ok(FollowForm::Events);
    }
    // Without a wish, JSON stands for itself only where it is named.
    let names_json = format.is_some() || accepts("json");
    match negotiate(format, codecs, headers)? {
        Format::Ndjson => Ok(FollowForm::Ndjson),
        Format::Arrow(codec) => Ok(FollowForm::Arrow(codec)),
        Format::Json if !names_json => Ok(FollowForm::Ndjson),
        other => Err(not_acceptable(&format!(
            "new rows cannot be sent as {}; there are ndjson, sse and arrow",
            other.name()
        ))),
    }
}

fn not_acceptable(message: &impl ToString) -> ApiError {
    ApiError::new(
        StatusCode::NOT_ACCEPTABLE,
        "not_acceptable",
        message.to_string(),
    )
}

/// The first known codec in the list; an unknown one is refused, since its sender would get another form than asked.
fn codec(list: &str) -> Result<Option<Codec>, ApiError> {
    let mut names = list
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .peekable();
    if names.peek().is_none() {
        return Ok(None);
    }
    names
        .find_map(|name| match name.to_ascii_lowercase().as_str() {
            "zstd" => Some(Some(Codec::Zstd)),
            "lz4" => Some(Some(Codec::Lz4)),
            "none" | "identity" => Some(None),
            _ => None,
        })
        .ok_or_else(|| {
            not_acceptable(&format!(
                "there is no codec {list:?}; there are zstd and lz4"
            ))
        })
}

/// One media range of an `Accept` header.
#[derive(Debug)]
struct Range<'a> {
    /// `type/subtype`, either or both `*`.
    media: &'a str,
    /// Weight in thousandths.
    weight: u16,
    codecs: Option<&'a str>,
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = split_unquoted(text, ';');
        let media = parts.next()?.trim();
        if media.is_empty() {
            return None;
        }
        let mut range = Self {
            media,
            weight: 1_000,
            codecs: None,
        };
        for parameter in parts {
            let Some((name, value)) = parameter.split_once('=') else {
                continue;
            };
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "q" => {
                    let weight: f64 = value.parse().unwrap_or(1.0);
                    range.weight = (weight.clamp(0.0, 1.0) * 1_000.0) as u16;
                }
                "codecs" => range.codecs = Some(value),
                _ => {}
            }
        }
        Some(range)
    }

    /// How closely the range names the format: 0 not at all, 3 exactly.
    fn closeness(&self, format: Format) -> u8 {
        let is_one_of = |matches: &dyn Fn(&str) -> bool| {
            format.accepted_types().iter().any(|media| matches(media))
        };
        if self.media == "*/*" || self.media == "*" {
            1
        } else if let Some(main) = self.media.strip_suffix("/*") {
            let is_same = |media: &str| {
                media
                    .split('/')
                    .next()
                    .is_some_and(|part| part.eq_ignore_ascii_case(main))
            };
            if is_one_of(&is_same) { 2 } else { 0 }
        } else if is_one_of(&|media| media.eq_ignore_ascii_case(self.media)) {
            3
        } else {
            0
        }
    }
}

/// The best format and the range that named it; without any range JSON.
fn choose<'a, 'b>(ranges: &'b [Range<'a>]) -> Option<(Format, Option<&'b Range<'a>>)> {
    if ranges.is_empty() {
        return Some((Format::Json, None));
    }
    Format::ALL
        .into_iter()
        .enumerate()
        .filter_map(|(order, format)| {
            // The closest range decides the weight, so that `*/*, text/csv;q=0` excludes CSV.
            let (place, range) = ranges
                .iter()
                .enumerate()
                .filter(|(_, range)| range.closeness(format) > 0)
                .max_by_key(|(place, range)| (range.closeness(format), Reverse(*place)))?;
            let rank = (
                range.weight,
                range.closeness(format),
                Reverse(place),
                Reverse(order),
            );
            (range.weight > 0).then_some((rank, format, range))
        })
        .max_by_key(|(rank, _, _)| *rank)
        .map(|(_, format, range)| (format, Some(range)))
}

/// The parts of a header value between separators that are not within quotes.
fn split_unquoted(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    text.split(move |character| {
        if character == '"' {
            is_quoted = !is_quoted;
        }
        character == separator && !is_quoted
    })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn accept(value: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(value));
        headers
    }

    #[test]
    fn the_accept_header_decides_by_weight_then_closeness_then_order() {
        for (value, expected) in [
            ("*/*", Format::Json),
            ("text/csv", Format::Csv),
            ("text/*", Format::Csv),
            ("application/*", Format::Json),
            ("TEXT/CSV", Format::Csv),
            ("application/x-ndjson, text/csv;q=0.5", Format::Ndjson),
            ("application/x-ndjson;q=0.1, text/csv;q=0.5", Format::Csv),
            ("text/html, application/xhtml+xml, */*;q=0.8", Format::Json),
            ("application/json;q=0, */*", Format::Ndjson),
            ("application/vnd.apache.parquet", Format::Parquet),
            ("application/vnd.apache.arrow.stream", Format::Arrow(None)),
            (
                "application/vnd.apache.arrow.stream; codecs=\"zstd, lz4\"",
                Format::Arrow(Some(Codec::Zstd)),
            ),
            ("text/csv, application/json", Format::Csv),
        ] {
            let chosen = negotiate(None, None, &accept(value));
            assert_eq!(chosen.ok(), Some(expected), "Accept: {value}");
        }
        assert_eq!(
            negotiate(None, None, &HeaderMap::new()).ok(),
            Some(Format::Json)
        );
    }

    #[test]
    fn format_wins_over_accept() {
        let chosen = negotiate(Some("arrow"), Some("lz4"), &accept("text/csv"));
        assert_eq!(chosen.ok(), Some(Format::Arrow(Some(Codec::Lz4))));
    }

    #[test]
    fn what_cannot_be_answered_is_not_acceptable() {
        for (format, codecs, value) in [
            (None, None, "image/png"),
            (None, None, "application/json;q=0"),
            (Some("xml"), None, "*/*"),
            (Some("arrow"), Some("snappy"), "*/*"),
        ] {
            let error = negotiate(format, codecs, &accept(value)).expect_err("nothing fits");
            assert_eq!(error.status, StatusCode::NOT_ACCEPTABLE, "{value}");
        }
    }
}

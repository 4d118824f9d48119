//! The values that questions are about, taken from the data.

use std::collections::BTreeMap;
use std::error::Error;

use crate::answer::Cell;
use crate::weir::Weir;

/// The middle of the time that a table covers.
const MIDDLE: &str =
    "(SELECT to_timestamp_micros((CAST(min(time) AS BIGINT) + CAST(max(time) AS BIGINT)) / 2) FROM";

/// Values by the words that stand for them.
pub(crate) struct Values(BTreeMap<String, String>);

impl Values {
    /// Looks for values that are in the data, the same in the same data.
    pub(crate) async fn of(weir: &Weir) -> Result<Self, Box<dyn Error>> {
        let mut values = Self(BTreeMap::new());
        let time = "'%Y-%m-%d %H:%M:%S%.6f'";
        let queries = [
            format!(
                "SELECT trace_id AS trace, path, conn_id AS conn, client_ip AS client, pod, \
                 to_char(date_trunc('minute', time), {time}) AS minute, \
                 to_char(date_trunc('minute', time) + INTERVAL '1 minute', {time}) AS next_minute \
                 FROM http_events WHERE trace_id IS NOT NULL AND pod IS NOT NULL AND role = 'server' \
                 AND time >= {MIDDLE} http_events) ORDER BY time, conn_id LIMIT 1"
            ),
            format!(
                "SELECT to_char(to_timestamp_micros(first + width / 2), {time}) AS \"from\", \
                 to_char(to_timestamp_micros(first + width * 5 / 8), {time}) AS \"to\", \
                 to_char(to_timestamp_micros(first + width * 3 / 4), {time}) AS late FROM \
                 (SELECT CAST(min(time) AS BIGINT) AS first, \
                 CAST(max(time) AS BIGINT) - CAST(min(time) AS BIGINT) AS width FROM http_events)"
            ),
            // Not the busiest: that would be no choice.
            "SELECT service FROM http_events WHERE role = 'server' AND status >= 500 GROUP BY service \
             ORDER BY count(*) DESC, service LIMIT 1 OFFSET 2"
                .to_owned(),
            "SELECT substr(route, 1, strpos(route, '{') - 1) AS prefix FROM http_events \
             WHERE strpos(route, '{') > 1 GROUP BY route ORDER BY count(*) DESC, route LIMIT 1 OFFSET 3"
                .to_owned(),
            format!(
                "SELECT split_part(qname, '.', 1) AS label, workload AS asker, answer_ips[1] AS answer \
                 FROM dns_events WHERE cardinality(answer_ips) > 0 AND role = 'client' \
                 AND time >= {MIDDLE} dns_events) ORDER BY time, conn_id LIMIT 1"
            ),
        ];
        for sql in queries {
            let answer = weir.answer(&sql).await?;
            let row = answer
                .rows
                .into_iter()
                .next()
                .ok_or_else(|| format!("the data has no values for questions: {sql}"))?;
            let texts = row.into_iter().map(|cell| match cell {
                Cell::Text(text) => text,
                Cell::Whole(number) => number.to_string(),
                _ => String::new(),
            });
            values.0.extend(answer.columns.into_iter().zip(texts));
        }
        Ok(values)
    }

    /// The text with the values in the places of their words.
    pub(crate) fn fill(&self, sql: &str) -> String {
        let mut filled = sql.to_owned();
        for (word, value) in &self.0 {
            filled = filled.replace(&format!("{{{word}}}"), value);
        }
        filled
    }
}

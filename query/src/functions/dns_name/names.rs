//! `dns_names(answer_ips, qname, time)`: the name that each address had last.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, ListArray, MapArray, MapBuilder, StringArray,
    StringBuilder, TimestampMicrosecondArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit, TimestampMicrosecondType};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, Documentation, Signature, Volatility,
};

use crate::functions::docs::Docs;

/// Addresses of one map; of more, those answered last.
const MAX_ADDRESSES: usize = 65_536;
/// What an address takes in memory beside its texts.
const ENTRY_BYTES: usize = 96;

/// The type of what it answers: a map from address to name.
pub(super) fn map_type() -> DataType {
    static TYPE: LazyLock<DataType> = LazyLock::new(|| map(std::iter::empty()).data_type().clone());
    TYPE.clone()
}

fn map<'a>(entries: impl Iterator<Item = (&'a str, &'a str)>) -> MapArray {
    let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    for (address, name) in entries {
        map.keys().append_value(address);
        map.values().append_value(name);
    }
    // Cannot fail: there are as many keys as values.
    let _ = map.append(true);
    map.finish()
}

/// Microseconds, UTC.
pub(super) fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// Whether values of a type are texts, or NULL.
pub(super) fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, value) => value.is_string(),
        other => other.is_string() || other.is_null(),
    }
}

/// One list with those values.
pub(super) fn list(values: ArrayRef) -> Result<ScalarValue> {
    let field = Arc::new(Field::new_list_field(values.data_type().clone(), true));
    let offsets = OffsetBuffer::from_lengths([values.len()]);
    let list = ListArray::try_new(field, offsets, values, None)?;
    Ok(ScalarValue::List(Arc::new(list)))
}

fn text_list() -> DataType {
    DataType::new_list(DataType::Utf8, true)
}

/// Makes the map in which `dns_name` looks addresses up.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(in crate::functions) struct DnsNames {
    signature: Signature,
}

impl DnsNames {
    pub(in crate::functions) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl AggregateUDFImpl for DnsNames {
    fn name(&self) -> &'static str {
        "dns_names"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        let wrong = "dns_names takes three values: a list of addresses, a name and a time, as in dns_names(answer_ips, qname, time)";
        let [addresses, name, time] = arguments else {
            return plan_err!("{wrong}");
        };
        let are_texts = match addresses {
            DataType::List(item) => is_text(item.data_type()),
            other => other.is_null(),
        };
        let is_time = matches!(time, DataType::Timestamp(..) | DataType::Null);
        if !are_texts || !is_text(name) || !is_time {
            return plan_err!("{wrong}");
        }
        Ok(vec![text_list(), DataType::Utf8, time_type()])
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(map_type())
    }

    fn state_fields(&self, arguments: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let field = |name, data_type| {
            Arc::new(Field::new(
                format_state_name(arguments.name, name),
                data_type,
                true,
            ))
        };
        Ok(vec![
            field("addresses", text_list()),
            field("names", text_list()),
            field("times", DataType::new_list(time_type(), true)),
        ])
    }

    fn accumulator(&self, _arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Newest::default()))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCS)
    }
}

/// The newest name of each address.
#[derive(Debug, Default)]
struct Newest {
    names: HashMap<Box<str>, Named>,
    /// Bytes of the texts in it.
    text_bytes: usize,
}

#[derive(Debug)]
struct Named {
    time: i64,
    name: Arc<str>,
}

impl Newest {
    fn learn(&mut self, address: &str, name: &Arc<str>, time: i64) {
        match self.names.get_mut(address) {
            None => {
                self.text_bytes += address.len() + name.len();
                let name = Arc::clone(name);
                self.names.insert(address.into(), Named { time, name });
                if self.names.len() >= 2 * MAX_ADDRESSES {
                    self.forget_oldest();
                }
            }
            // Of two names at the same time the first by letters, so that the order of rows changes nothing.
            Some(known) if (known.time, name) < (time, &known.name) => {
                self.text_bytes = self.text_bytes + name.len() - known.name.len();
                *known = Named {
                    time,
                    name: Arc::clone(name),
                };
            }
            Some(_) => {}
        }
    }

    /// Leaves the [`MAX_ADDRESSES`] that were answered last. One that was forgotten comes back only with a newer
    /// answer, so this may be done at any time.
    fn forget_oldest(&mut self) {
        if self.names.len() <= MAX_ADDRESSES {
            return;
        }
        let mut all: Vec<(Box<str>, Named)> = self.names.drain().collect();
        all.select_nth_unstable_by(MAX_ADDRESSES, |(address, named), (other, other_named)| {
            let newest_first = other_named.time.cmp(&named.time);
            newest_first.then_with(|| address.cmp(other))
        });
        all.truncate(MAX_ADDRESSES);
        self.text_bytes = all
            .iter()
            .map(|(address, named)| address.len() + named.name.len())
            .sum();
        self.names.extend(all);
    }

    /// Addresses, names and times, ascending by address.
    fn sorted(&mut self) -> Vec<(&str, &str, i64)> {
        self.forget_oldest();
        let mut sorted: Vec<(&str, &str, i64)> = self
            .names
            .iter()
            .map(|(address, named)| (&**address, &*named.name, named.time))
            .collect();
        sorted.sort_unstable();
        sorted
    }
}

impl Accumulator for Newest {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let [addresses, names, times] = columns else {
            return exec_err!("dns_names takes three values");
        };
        let addresses = addresses.as_list::<i32>();
        let names = names.as_string::<i32>();
        let times = times.as_primitive::<TimestampMicrosecondType>();
        for (row, (name, time)) in names.iter().zip(times).enumerate() {
            let (Some(name), Some(time)) = (name, time) else {
                continue;
            };
            if addresses.is_null(row) || addresses.value_length(row) == 0 {
                continue;
            }
            let name = Arc::from(name);
            let answered = addresses.value(row);
            for address in answered.as_string::<i32>().iter().flatten() {
                self.learn(address, &name, time);
            }
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let sorted = self.sorted();
        let addresses: StringArray = sorted.iter().map(|(address, ..)| Some(*address)).collect();
        let names: StringArray = sorted.iter().map(|(_, name, _)| Some(*name)).collect();
        let times: TimestampMicrosecondArray =
            sorted.iter().map(|(.., time)| Some(*time)).collect();
        Ok(vec![
            list(Arc::new(addresses))?,
            list(Arc::new(names))?,
            list(Arc::new(times.with_timezone("UTC")))?,
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [addresses, names, times] = states else {
            return exec_err!("dns_names is handed over in three columns");
        };
        let lists = addresses.as_list::<i32>().iter().zip(
            names
                .as_list::<i32>()
                .iter()
                .zip(times.as_list::<i32>().iter()),
        );
        for (addresses, (names, times)) in lists {
            let (Some(addresses), Some(names), Some(times)) = (addresses, names, times) else {
                continue;
            };
            let entries = addresses.as_string::<i32>().iter().zip(
                names
                    .as_string::<i32>()
                    .iter()
                    .zip(times.as_primitive::<TimestampMicrosecondType>()),
            );
            for (address, (name, time)) in entries {
                if let (Some(address), Some(name), Some(time)) = (address, name, time) {
                    self.learn(address, &Arc::from(name), time);
                }
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let sorted = self.sorted();
        let map = map(sorted.iter().map(|(address, name, _)| (*address, *name)));
        Ok(ScalarValue::Map(Arc::new(map)))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.names.capacity() * ENTRY_BYTES + self.text_bytes
    }
}

static DOCS: LazyLock<Documentation> = LazyLock::new(|| {
    Docs {
        call: "dns_names(answer_ips, qname, time)",
        answers: "A map from each address to the name that the newest answer with it was for; of more than 65,536 \
            addresses, those answered last. Rows without a name, a time or addresses are left out. dns_name looks \
            addresses up in it.",
        arguments: &[
            ("answer_ips", "a list of addresses as text, such as the column answer_ips"),
            ("qname", "the name that was asked for"),
            ("time", "when"),
        ],
        example: "SELECT dst_ip, dns_name(dst_ip, (SELECT dns_names(answer_ips, qname, time) FROM dns_events\n\
            WHERE node = 'node-a')) FROM flows",
    }
    .build()
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_too_many_addresses_those_answered_last_are_known() {
        let mut newest = Newest::default();
        let count = 3 * MAX_ADDRESSES;
        for number in 0..count {
            // Every third one is old, and the first to be forgotten, whenever it came.
            let time = if number % 3 == 0 { 1_000 } else { 2_000 };
            newest.learn(&number.to_string(), &Arc::from("a"), time);
        }
        newest.learn("0", &Arc::from("back"), 3_000);
        let sorted = newest.sorted();
        assert_eq!(sorted.len(), MAX_ADDRESSES);
        assert_eq!(sorted.first(), Some(&("0", "back", 3_000)));
        assert!(sorted.iter().all(|(.., time)| *time >= 2_000));
    }

    #[test]
    fn the_newest_answer_decides_whatever_the_order() {
        let answers = [("b", 5), ("c", 7), ("a", 7), ("d", 6)];
        for turn in 0..answers.len() {
            let mut newest = Newest::default();
            for (name, time) in answers.iter().cycle().skip(turn).take(answers.len()) {
                newest.learn("192.0.2.1", &Arc::from(*name), *time);
            }
            assert_eq!(newest.sorted(), [("192.0.2.1", "a", 7)]);
        }
    }
}

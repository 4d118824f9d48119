//! What can be asked of an index.

use std::borrow::Cow;
use std::ops::Bound;

/// A condition on rows, as far as an index understands it.
///
/// It means what SQL means, with three truth values: a test of a column that is NULL is unknown (but for
/// [`Test::IsNull`]), `NOT unknown` is unknown, and only rows for which the whole is true match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Predicate {
    /// Something the index does not understand: it may be true or false for any row, and so may its negation.
    Unknown,
    /// All of them.
    And(Vec<Predicate>),
    /// Any of them.
    Or(Vec<Predicate>),
    /// The opposite.
    Not(Box<Predicate>),
    /// A test of one column.
    Column {
        /// The column's name.
        name: Box<str>,
        /// What its value is compared with.
        test: Test,
    },
}

/// A test of one column's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// Is it NULL?
    IsNull,
    /// Is it one of these?
    In(Vec<Value>),
    /// Is it between these? Texts compare by their bytes.
    Range(Bound<Value>, Bound<Value>),
    /// Does the text begin with this?
    Prefix(Box<str>),
}

/// A value that a column is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Of a text column.
    Text(Box<str>),
    /// Of a column of whole numbers, whatever their width.
    Int(i64),
    /// Of a column of truth values.
    Bool(bool),
}

/// What kind of values a column has. The discriminants stand in files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text = 0,
    Int = 1,
    Bool = 2,
}

impl Kind {
    pub(super) fn from_byte(byte: u8) -> Option<Self> {
        [Self::Text, Self::Int, Self::Bool]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

impl Value {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Text(_) => Kind::Text,
            Self::Int(_) => Kind::Int,
            Self::Bool(_) => Kind::Bool,
        }
    }

    /// The value as bytes that compare as the values do.
    pub(super) fn key(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Text(text) => Cow::Borrowed(text.as_bytes()),
            Self::Int(number) => Cow::Owned(int_key(*number).to_vec()),
            Self::Bool(value) => Cow::Borrowed(bool_key(*value)),
        }
    }
}

/// A number as bytes that compare as the numbers do.
pub(super) fn int_key(number: i64) -> [u8; 8] {
    (number ^ i64::MIN).to_be_bytes()
}

/// A truth value as bytes that compare as the values do.
pub(super) fn bool_key(value: bool) -> &'static [u8] {
    if value { &[1] } else { &[0] }
}

/// A test in terms of keys; what only works for one kind of column is checked.
#[derive(Debug)]
pub(super) enum KeyTest<'a> {
    /// In order.
    In(Vec<Cow<'a, [u8]>>),
    Range(Bound<Cow<'a, [u8]>>, Bound<Cow<'a, [u8]>>),
}

impl<'a> KeyTest<'a> {
    /// `None` where the values are of another kind than the column's.
    pub(super) fn of(test: &'a Test, kind: Kind) -> Option<Self> {
        let key = |value: &'a Value| (value.kind() == kind).then(|| value.key());
        let bound = |bound: &'a Bound<Value>| match bound {
            Bound::Included(value) => key(value).map(Bound::Included),
            Bound::Excluded(value) => key(value).map(Bound::Excluded),
            Bound::Unbounded => Some(Bound::Unbounded),
        };
        match test {
            Test::IsNull => None,
            Test::In(values) => {
                let mut keys = values.iter().map(key).collect::<Option<Vec<_>>>()?;
                keys.sort_unstable();
                Some(Self::In(keys))
            }
            Test::Range(lower, upper) => Some(Self::Range(bound(lower)?, bound(upper)?)),
            Test::Prefix(prefix) => {
                let lower = Bound::Included(Cow::Borrowed(prefix.as_bytes()));
                (kind == Kind::Text).then(|| Self::Range(lower, after_prefix(prefix.as_bytes())))
            }
        }
    }

    pub(super) fn matches(&self, key: &[u8]) -> bool {
        match self {
            Self::In(keys) => keys.binary_search_by(|one| one.as_ref().cmp(key)).is_ok(),
            Self::Range(lower, upper) => {
                (match lower {
                    Bound::Included(lower) => lower.as_ref() <= key,
                    Bound::Excluded(lower) => lower.as_ref() < key,
                    Bound::Unbounded => true,
                }) && (match upper {
                    Bound::Included(upper) => key <= upper.as_ref(),
                    Bound::Excluded(upper) => key < upper.as_ref(),
                    Bound::Unbounded => true,
                })
            }
        }
    }
}

/// The first key after all those that begin with the prefix.
fn after_prefix(prefix: &[u8]) -> Bound<Cow<'static, [u8]>> {
    let mut next = prefix.to_vec();
    while let Some(last) = next.pop() {
        if last < u8::MAX {
            next.push(last + 1);
            return Bound::Excluded(Cow::Owned(next));
        }
    }
    Bound::Unbounded
}

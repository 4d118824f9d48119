//! How a table is declared: once, in one place ([`crate::tables`]), and that yields its row type, its builder, its
//! Arrow schema and the docs of its columns.
//!
//! ```text
//!   tables! { ... }  ->  struct HttpEvent (a row)  ->  TableBuilder::append  ->  RecordBatch
//!                    ->  TableDef (name, docs, columns with unit and docs)  ->  Schema
//! ```

pub mod column;
mod dictionary;
mod identity;
mod nested;
mod numbers;
mod pairs;
mod texts;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

pub use identity::{Identity, IdentityColumns, NodeColumns, NodeIdentity, Process};
pub use pairs::Pairs;

use column::Column;

/// One column of a table, as users see it.
#[derive(Debug, Clone, Copy)]
pub struct ColumnDef {
    /// Name in SQL.
    pub name: &'static str,
    /// Unit of its values (`ns`, `bytes`), where it has one.
    pub unit: Option<&'static str>,
    /// What it means, in one or two sentences.
    pub doc: &'static str,
    /// Whether it may be NULL.
    pub nullable: bool,
    data_type: fn() -> DataType,
}

impl ColumnDef {
    /// The definition of a column of kind `C`.
    pub const fn of<C: Column>(
        name: &'static str,
        unit: Option<&'static str>,
        doc: &'static str,
    ) -> Self {
        Self {
            name,
            unit,
            doc,
            nullable: C::NULLABLE,
            data_type: C::data_type,
        }
    }

    /// Its Arrow type.
    pub fn data_type(&self) -> DataType {
        (self.data_type)()
    }
}

/// A table, as users see it.
#[derive(Debug)]
pub struct TableDef {
    /// Name in SQL, and of its directory.
    pub name: &'static str,
    /// What one row is.
    pub doc: &'static str,
    /// Its columns in order; the first is always `time`.
    pub columns: Vec<ColumnDef>,
    /// Its Arrow schema.
    pub schema: SchemaRef,
}

impl TableDef {
    /// A table of these columns.
    pub fn new(name: &'static str, doc: &'static str, columns: Vec<ColumnDef>) -> Self {
        let fields: Vec<Field> = columns
            .iter()
            .map(|column| Field::new(column.name, column.data_type(), column.nullable))
            .collect();
        Self {
            name,
            doc: doc.trim_ascii(),
            columns,
            schema: Arc::new(Schema::new(fields)),
        }
    }
}

/// Several columns that are appended together.
pub trait ColumnGroup: Send {
    /// What a row holds for them.
    type Value;

    /// Their definitions, in order.
    fn columns() -> Vec<ColumnDef>;
    /// Empty builders.
    fn new() -> Self;
    /// Adds one row's values; returns the bytes added.
    fn append(&mut self, value: &Self::Value) -> usize;
    /// The finished arrays; the builders are empty afterwards.
    fn finish(&mut self) -> Vec<ArrayRef>;
    /// The rows so far, for the columns whose place in `wanted` is true.
    fn snapshot(&self, wanted: &[bool]) -> Vec<Option<ArrayRef>>;
}

/// The open rows of one table.
pub trait TableBuilder: Send {
    /// Adds a row of this table; returns the bytes it added.
    ///
    /// # Panics
    ///
    /// If the row is of another table: the caller picks the builder by [`crate::Row::table`].
    fn append(&mut self, row: &crate::Row) -> usize;
    /// The finished rows as a batch of the table's schema; the builder is empty afterwards.
    fn finish(&mut self) -> RecordBatch;
    /// The rows so far as a batch of the columns at these places of the schema, in this order; the builder goes on.
    fn snapshot(&self, projection: &[usize]) -> RecordBatch;
    /// Rows so far.
    fn rows(&self) -> usize;
}

/// Declares every table: for each its row type, its builder and its definition, and over all of them [`crate::Row`]
/// and [`crate::TableId`].
macro_rules! tables {
    ($(
        $(#[doc = $doc:expr])*
        $Row:ident ($Builder:ident) = $name:literal, identity: $Identity:ty {
            $(
                $(#[doc = $column_doc:expr])*
                $column:ident: $Kind:ident $(($unit:literal))?
            ),* $(,)?
        }
    )*) => {
        $(
            $(#[doc = $doc])*
            #[derive(Debug, Clone, PartialEq, Eq)]
            pub struct $Row {
                /// Time of the event in microseconds since 1970-01-01 UTC.
                pub time: i64,
                /// Where the row comes from.
                pub identity: <$Identity as ColumnGroup>::Value,
                $(
                    $(#[doc = $column_doc])*
                    pub $column: <$Kind as Column>::Value,
                )*
            }

            struct $Builder {
                rows: usize,
                time: Time,
                identity: $Identity,
                $($column: $Kind,)*
            }

            impl $Builder {
                fn new() -> Self {
                    Self {
                        rows: 0,
                        time: Time::new(),
                        identity: <$Identity as ColumnGroup>::new(),
                        $($column: <$Kind as Column>::new(),)*
                    }
                }

                fn definition() -> TableDef {
                    let mut columns = vec![ColumnDef::of::<Time>("time", None, "When it happened, UTC.")];
                    columns.extend(<$Identity as ColumnGroup>::columns());
                    $(columns.push(ColumnDef::of::<$Kind>(
                        stringify!($column),
                        None $(.or(Some($unit)))?,
                        concat!($($column_doc, "\n"),*).trim_ascii(),
                    ));)*
                    TableDef::new($name, concat!($($doc, "\n"),*), columns)
                }
            }

            impl TableBuilder for $Builder {
                fn append(&mut self, row: &Row) -> usize {
                    let Row::$Row(row) = row else {
                        unreachable!("a row of {} was given to the builder of {}", row.table().name(), $name)
                    };
                    self.rows += 1;
                    self.time.append(&row.time)
                        + self.identity.append(&row.identity)
                        $(+ self.$column.append(&row.$column))*
                }

                fn finish(&mut self) -> RecordBatch {
                    self.rows = 0;
                    let mut arrays = vec![self.time.finish()];
                    arrays.extend(self.identity.finish());
                    $(arrays.push(self.$column.finish());)*
                    RecordBatch::try_new(TableId::$Row.schema(), arrays)
                        .expect("the builder and the schema come from one declaration")
                }

                fn snapshot(&self, projection: &[usize]) -> RecordBatch {
                    let schema = TableId::$Row.schema();
                    let mut wanted = vec![false; schema.fields().len()];
                    for &index in projection {
                        wanted[index] = true;
                    }
                    let mut arrays = vec![wanted[0].then(|| self.time.snapshot())];
                    arrays.extend(self.identity.snapshot(&wanted[1..]));
                    $(
                        let is_wanted = wanted[arrays.len()];
                        arrays.push(is_wanted.then(|| self.$column.snapshot()));
                    )*
                    let columns: Vec<_> = projection.iter().filter_map(|&index| arrays[index].clone()).collect();
                    let projected = schema.project(projection).expect("the projection is within the schema");
                    let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
                    RecordBatch::try_new_with_options(Arc::new(projected), columns, &options)
                        .expect("the builder and the schema come from one declaration")
                }

                fn rows(&self) -> usize {
                    self.rows
                }
            }
        )*

        /// A row of any table.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Row {
            $(
                #[doc = concat!("A row of `", $name, "`.")]
                $Row(Box<$Row>),
            )*
        }

        impl Row {
            /// The table it belongs to.
            pub const fn table(&self) -> TableId {
                match self {
                    $(Self::$Row(_) => TableId::$Row,)*
                }
            }

            /// Moves the time of the event by so many microseconds, where the clock it was taken from was off.
            pub fn shift_time(&mut self, micros: i64) {
                match self {
                    $(Self::$Row(row) => row.time = row.time.saturating_add(micros),)*
                }
            }

            /// Time of the event in microseconds since 1970-01-01 UTC.
            pub fn time(&self) -> i64 {
                match self {
                    $(Self::$Row(row) => row.time,)*
                }
            }
        }

        $(
            impl From<$Row> for Row {
                fn from(row: $Row) -> Self {
                    Self::$Row(Box::new(row))
                }
            }
        )*

        /// Names one of the tables.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum TableId {
            $(
                #[doc = concat!("`", $name, "`")]
                $Row,
            )*
        }

        impl TableId {
            /// Every table, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$Row,)*];

            /// The table's name in SQL.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$Row => $name,)*
                }
            }

            /// The table's definition.
            pub fn def(self) -> &'static TableDef {
                match self {
                    $(Self::$Row => {
                        static DEFINITION: LazyLock<TableDef> = LazyLock::new($Builder::definition);
                        &DEFINITION
                    })*
                }
            }

            /// An empty builder for its rows.
            pub fn builder(self) -> Box<dyn TableBuilder> {
                match self {
                    $(Self::$Row => Box::new($Builder::new()),)*
                }
            }
        }
    };
}
pub(crate) use tables;

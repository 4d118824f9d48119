//! What is there to be asked: catalogs, schemas, tables and what the server can do, as Flight SQL wants it told.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_flight::error::Result;
use arrow_flight::sql::metadata::{SqlInfoData, SqlInfoDataBuilder, XdbcTypeInfo};
use arrow_flight::sql::metadata::{XdbcTypeInfoData, XdbcTypeInfoDataBuilder};
use arrow_flight::sql::{
    CommandGetCatalogs, CommandGetDbSchemas, CommandGetSqlInfo, CommandGetTableTypes,
    CommandGetTables, CommandGetXdbcTypeInfo, Nullable, Searchable, SqlInfo, SqlNullOrdering,
    SqlSupportedCaseSensitivity, SqlSupportedTransaction, XdbcDataType,
};
use weir_query::{CATALOG, SCHEMA, functions};
use weir_storage::TableId;

use super::answer::sent;
use crate::formats::sql_type;

/// The type of all tables.
const TABLE: &str = "TABLE";

/// The one catalog.
pub(super) fn catalogs(command: CommandGetCatalogs) -> Result<RecordBatch> {
    let mut builder = command.into_builder();
    builder.append(CATALOG);
    builder.build()
}

/// The one schema.
pub(super) fn schemas(command: CommandGetDbSchemas) -> Result<RecordBatch> {
    let mut builder = command.into_builder();
    builder.append(CATALOG, SCHEMA);
    builder.build()
}

/// The tables, with their columns where these are asked for.
pub(super) fn tables(command: CommandGetTables) -> Result<RecordBatch> {
    let mut builder = command.into_builder();
    for table in TableId::ALL {
        builder.append(CATALOG, SCHEMA, table.name(), TABLE, &columns(*table))?;
    }
    builder.build()
}

pub(super) fn table_types(command: CommandGetTableTypes) -> Result<RecordBatch> {
    let mut builder = command.into_builder();
    builder.append(TABLE);
    builder.build()
}

/// A table's columns as they are sent, each with its type in SQL and what it means.
fn columns(table: TableId) -> Schema {
    let sent = sent(&table.schema());
    let described = sent.fields().iter().zip(&table.def().columns);
    let fields: Vec<Field> = described
        .map(|(field, column)| {
            let text = |name: &str, value: String| (format!("ARROW:FLIGHT:SQL:{name}"), value);
            let metadata = HashMap::from([
                text("CATALOG_NAME", CATALOG.to_owned()),
                text("SCHEMA_NAME", SCHEMA.to_owned()),
                text("TABLE_NAME", table.name().to_owned()),
                text("TYPE_NAME", sql_type(field.data_type())),
                text("REMARKS", column.doc.to_string()),
                text("IS_READ_ONLY", "1".to_owned()),
                text("IS_SEARCHABLE", "1".to_owned()),
            ]);
            Field::clone(field)
                .with_nullable(column.nullable)
                .with_metadata(metadata)
        })
        .collect();
    Schema::new(fields)
}

/// What the server is and can do.
pub(super) fn sql_info(command: CommandGetSqlInfo) -> Result<RecordBatch> {
    static DATA: LazyLock<Option<SqlInfoData>> = LazyLock::new(|| {
        let data = describe_server().build();
        data.inspect_err(|error| tracing::error!(%error, "the server cannot describe itself"))
            .ok()
    });
    match &*DATA {
        Some(data) => command.into_builder(data).build(),
        None => Ok(RecordBatch::new_empty(Arc::new(
            SqlInfoDataBuilder::schema().clone(),
        ))),
    }
}

fn describe_server() -> SqlInfoDataBuilder {
    let mut data = SqlInfoDataBuilder::new();
    data.append(SqlInfo::FlightSqlServerName, "weir");
    data.append(SqlInfo::FlightSqlServerVersion, env!("CARGO_PKG_VERSION"));
    // The version of the columnar format.
    data.append(SqlInfo::FlightSqlServerArrowVersion, "1.5");
    data.append(SqlInfo::FlightSqlServerReadOnly, true);
    data.append(SqlInfo::FlightSqlServerSql, true);
    data.append(SqlInfo::FlightSqlServerSubstrait, false);
    let transactions = SqlSupportedTransaction::None as i32;
    data.append(SqlInfo::FlightSqlServerTransaction, transactions);
    data.append(SqlInfo::FlightSqlServerCancel, true);
    data.append(SqlInfo::FlightSqlServerBulkIngestion, false);
    data.append(SqlInfo::SqlDdlCatalog, false);
    data.append(SqlInfo::SqlDdlSchema, false);
    data.append(SqlInfo::SqlDdlTable, false);
    let lower = SqlSupportedCaseSensitivity::SqlCaseSensitivityLowercase as i32;
    data.append(SqlInfo::SqlIdentifierCase, lower);
    data.append(SqlInfo::SqlIdentifierQuoteChar, "\"");
    let exact = SqlSupportedCaseSensitivity::SqlCaseSensitivityCaseInsensitive as i32;
    data.append(SqlInfo::SqlQuotedIdentifierCase, exact);
    data.append(SqlInfo::SqlAllTablesAreSelectable, true);
    let nulls = SqlNullOrdering::SqlNullsSortedHigh as i32;
    data.append(SqlInfo::SqlNullOrdering, nulls);
    let names: Vec<String> = functions()
        .into_iter()
        .flatten()
        .map(|info| info.name)
        .collect();
    data.append(SqlInfo::SqlSystemFunctions, names);
    data.append(SqlInfo::SqlSearchStringEscape, "\\");
    data.append(SqlInfo::SqlSupportsColumnAliasing, true);
    data.append(SqlInfo::SqlSupportsTableCorrelationNames, true);
    data.append(SqlInfo::SqlSupportsExpressionsInOrderBy, true);
    data.append(SqlInfo::SqlSupportsOrderByUnrelated, true);
    data.append(SqlInfo::SqlSchemaTerm, "schema");
    data.append(SqlInfo::SqlCatalogTerm, "catalog");
    data.append(SqlInfo::SqlCatalogAtStart, true);
    data.append(SqlInfo::SqlSelectForUpdateSupported, false);
    data.append(SqlInfo::SqlStoredProceduresSupported, false);
    data.append(SqlInfo::SqlCorrelatedSubqueriesSupported, true);
    data.append(SqlInfo::SqlBatchUpdatesSupported, false);
    data.append(SqlInfo::SqlSavepointsSupported, false);
    data.append(SqlInfo::SqlNamedParametersSupported, true);
    data
}

/// The types of the tables' columns.
pub(super) fn types(command: CommandGetXdbcTypeInfo) -> Result<RecordBatch> {
    static DATA: LazyLock<Option<XdbcTypeInfoData>> = LazyLock::new(|| {
        let mut builder = XdbcTypeInfoDataBuilder::new();
        for (data_type, xdbc, size, quote) in [
            (DataType::Boolean, XdbcDataType::XdbcBit, 1, None),
            (DataType::UInt16, XdbcDataType::XdbcSmallint, 5, None),
            (DataType::Int64, XdbcDataType::XdbcBigint, 19, None),
            (DataType::Float64, XdbcDataType::XdbcDouble, 15, None),
            (time(), XdbcDataType::XdbcTimestamp, 27, Some("'")),
            (
                DataType::Utf8,
                XdbcDataType::XdbcVarchar,
                i32::MAX,
                Some("'"),
            ),
        ] {
            let is_unsigned = data_type.is_unsigned_integer();
            builder.append(XdbcTypeInfo {
                type_name: sql_type(&data_type),
                data_type: xdbc,
                column_size: Some(size),
                literal_prefix: quote.map(str::to_owned),
                literal_suffix: quote.map(str::to_owned),
                nullable: Nullable::NullabilityNullable,
                case_sensitive: data_type == DataType::Utf8,
                searchable: Searchable::Full,
                unsigned_attribute: data_type.is_numeric().then_some(is_unsigned),
                sql_data_type: xdbc,
                ..XdbcTypeInfo::default()
            });
        }
        let data = builder.build();
        data.inspect_err(|error| tracing::error!(%error, "the server cannot list its types"))
            .ok()
    });
    match &*DATA {
        Some(data) => command.into_builder(data).build(),
        None => Ok(RecordBatch::new_empty(
            XdbcTypeInfoDataBuilder::new().build()?.schema(),
        )),
    }
}

fn time() -> DataType {
    DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, Some("UTC".into()))
}

/// No table has a primary key.
pub(super) fn no_primary_keys() -> RecordBatch {
    RecordBatch::new_empty(key_schema(&[
        ("catalog_name", DataType::Utf8, true),
        ("db_schema_name", DataType::Utf8, true),
        ("table_name", DataType::Utf8, false),
        ("column_name", DataType::Utf8, false),
        ("key_name", DataType::Utf8, true),
        ("key_sequence", DataType::Int32, false),
    ]))
}

/// No table has a foreign key.
pub(super) fn no_foreign_keys() -> RecordBatch {
    RecordBatch::new_empty(key_schema(&[
        ("pk_catalog_name", DataType::Utf8, true),
        ("pk_db_schema_name", DataType::Utf8, true),
        ("pk_table_name", DataType::Utf8, false),
        ("pk_column_name", DataType::Utf8, false),
        ("fk_catalog_name", DataType::Utf8, true),
        ("fk_db_schema_name", DataType::Utf8, true),
        ("fk_table_name", DataType::Utf8, false),
        ("fk_column_name", DataType::Utf8, false),
        ("key_sequence", DataType::Int32, false),
        ("fk_key_name", DataType::Utf8, true),
        ("pk_key_name", DataType::Utf8, true),
        ("update_rule", DataType::UInt8, false),
        ("delete_rule", DataType::UInt8, false),
    ]))
}

fn key_schema(columns: &[(&str, DataType, bool)]) -> SchemaRef {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, data_type, nullable)| Field::new(*name, data_type.clone(), *nullable))
        .collect();
    Arc::new(Schema::new(fields))
}

//! weir's query engine: SQL over the window and the files

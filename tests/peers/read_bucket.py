"""Counts the rows of all Parquet files below a part of a bucket, with pyarrow.

usage: read_bucket.py HOST:PORT BUCKET/PREFIX
"""

import sys

import pyarrow.fs as fs
import pyarrow.parquet as pq


def main():
    endpoint, prefix = sys.argv[1:]
    s3 = fs.S3FileSystem(
        access_key="test", secret_key="secret", region="us-east-1", scheme="http", endpoint_override=endpoint
    )
    found = s3.get_file_info(fs.FileSelector(prefix, recursive=True, allow_not_found=True))
    files = [info.path for info in found if info.path.endswith(".parquet")]
    print(sum(pq.read_table(s3.open_input_file(file)).num_rows for file in files))


if __name__ == "__main__":
    main()

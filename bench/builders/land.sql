-- Airbyte's lines → one Parquet file a stream, each record's text as it came.
CREATE VIEW messages AS
SELECT record.stream AS stream, epoch_ms(record.emitted_at) AS extracted_at, record.data AS data
FROM read_json(
    getvariable('lines'),
    format = 'newline_delimited',
    columns = {type: 'VARCHAR', record: 'STRUCT(stream VARCHAR, emitted_at BIGINT, data JSON)'}
)
WHERE type = 'RECORD';

COPY (SELECT 'run-' || row_number() OVER () AS raw_id, 1::BIGINT AS generation_id, * FROM messages)
TO 'landed' (FORMAT parquet, PARTITION_BY (stream));

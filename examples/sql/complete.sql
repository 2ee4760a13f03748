-- Completes texts with the model of this project, inside Flink SQL. In Flink's SQL client, started in this repository after ./mvnw package:
--   ADD JAR 'dist/target/job/freshet-job.jar';
--   SET 'table.exec.async-ml-predict.max-concurrent-operations' = '32';
-- then these statements. Task managers need --add-modules=jdk.incubator.vector (docs/operations.md, section 1).

CREATE TEMPORARY VIEW openings AS
SELECT * FROM (VALUES
    (1, 'The little fox'),
    (2, 'Once upon a time'),
    (3, 'In the morning the girl went into the forest'),
    (4, '')
) AS t(id, prompt);

CREATE TEMPORARY MODEL storyteller
INPUT (prompt STRING)
OUTPUT (completion STRING, finish_reason STRING, error STRING, completion_tokens BIGINT)
WITH (
    'provider' = 'freshet',
    'model' = 'models/freshet-tiny',
    'slots' = '32',
    'max-tokens' = '24',
    'temperature' = '0'
);

SELECT id, completion, finish_reason, error, completion_tokens
FROM ML_PREDICT(TABLE openings, MODEL storyteller, DESCRIPTOR(prompt));

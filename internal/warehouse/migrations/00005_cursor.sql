-- +goose Up

-- Each run that has something to load writes a new stamp into the release registry,
-- and then here. A registry that does not hold the stamp is older than the warehouse.
-- '' = never stamped, as before this migration.
ALTER TABLE etl_state ADD stamp text NOT NULL DEFAULT '';

-- Finds the few windows that still have an anchor among all of a generation.
CREATE INDEX etl_window_anchors ON etl_window (generation, shard, from_seq) WHERE last_id <> '';

-- +goose Down
DROP INDEX etl_window_anchors;
ALTER TABLE etl_state DROP stamp;

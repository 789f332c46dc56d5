-- +goose Up

-- What the dashboards read. The first five columns are those that existing
-- dashboards query.
CREATE TABLE covid_cases (
	date         date        NOT NULL,
	state        text,
	county       text,
	new_cases    integer,
	new_deaths   integer,
	key          uuid        PRIMARY KEY,
	total_cases  integer,
	total_deaths integer,
	country      text        NOT NULL,
	alpha2       text,
	alpha3       text,
	fips         text,
	continent    text,
	data_source  text,
	source       text        NOT NULL,
	release      integer     NOT NULL,
	row          bigint      NOT NULL,
	generation   integer     NOT NULL,
	loaded_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX covid_cases_date ON covid_cases (date);

CREATE TABLE covid_rejects (
	key         uuid        PRIMARY KEY,
	reason      text        NOT NULL,
	date        text        NOT NULL, -- as it stood
	document    bytea       NOT NULL, -- the raw document
	last_good   jsonb,                -- the row that was in covid_cases before
	source      text        NOT NULL,
	release     integer     NOT NULL,
	row         bigint      NOT NULL,
	generation  integer     NOT NULL,
	rejected_at timestamptz NOT NULL DEFAULT now()
);

-- One row: a warehouse belongs to one raw index.
CREATE TABLE etl_state (
	raw_index  text    PRIMARY KEY,
	index_uuid text    NOT NULL,
	generation integer NOT NULL,
	rows       bigint  NOT NULL DEFAULT 0,
	rejects    bigint  NOT NULL DEFAULT 0,
	swept      integer NOT NULL DEFAULT 0 -- the newest generation whose sweep is done
);

CREATE TABLE etl_checkpoint (
	shard        integer PRIMARY KEY,
	last_seq     bigint  NOT NULL,
	generation   integer NOT NULL,
	history_uuid text    NOT NULL,
	primary_term bigint  NOT NULL
);

CREATE TABLE etl_run (
	id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	workflow_id text        NOT NULL,
	run_id      text        NOT NULL,
	state       text        NOT NULL DEFAULT 'running',
	started_at  timestamptz NOT NULL DEFAULT now(),
	finished_at timestamptz,
	counts      jsonb       NOT NULL DEFAULT '{}',
	error       text        NOT NULL DEFAULT '',
	UNIQUE (workflow_id, run_id)
);

-- The ledger of windows; the last documents of the newest are the anchors.
CREATE TABLE etl_window (
	generation   integer     NOT NULL,
	shard        integer     NOT NULL,
	from_seq     bigint      NOT NULL,
	to_seq       bigint      NOT NULL,
	run          bigint      NOT NULL,
	counts       jsonb       NOT NULL,
	last_id      text        NOT NULL,
	last_version bigint      NOT NULL,
	last_seq     bigint      NOT NULL,
	loaded_at    timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (generation, shard, from_seq)
);

-- Data between two steps of a window. A crash may empty it.
CREATE UNLOGGED TABLE etl_stage (
	run        bigint      NOT NULL,
	shard      integer     NOT NULL,
	from_seq   bigint      NOT NULL,
	step       smallint    NOT NULL,
	to_seq     bigint      NOT NULL,
	meta       bytea       NOT NULL,
	body       bytea       NOT NULL,
	staged_at  timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (run, shard, from_seq, step)
);
ALTER TABLE etl_stage ALTER body SET STORAGE EXTERNAL; -- it is compressed

-- +goose Down
DROP TABLE etl_stage, etl_window, etl_run, etl_checkpoint, etl_state, covid_rejects, covid_cases;

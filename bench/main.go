// Command bench measures the pipeline against the limits of the servers it runs
// on: what they do when nothing but the bare requests is sent. Limit and pipeline
// run in turns, on the same servers and the same rows; only their ratio tells
// anything.
//
// It is a program and not a test: a goal that is missed shows in the table and
// does not change the exit status. `make bench` gives it servers of its own, whose
// addresses it takes from TEST_ELASTICSEARCH_URL, TEST_DATABASE_URL and
// TEST_TEMPORAL_ADDRESS.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"covidpipeline/internal/covid"
	"covidpipeline/workflows"
)

// settings are the flags.
type settings struct {
	source  string
	rows    int
	rounds  int
	warmUps int
	program string // of the worker
	json    bool
}

func main() {
	var s settings
	flag.StringVar(&s.source, "source", "", "CSV file to measure with; a sample is made when none is given")
	flag.IntVar(&s.rows, "rows", 250_000, "rows of the sample")
	flag.IntVar(&s.rounds, "rounds", 3, "times that each measurement is taken; the table shows medians")
	flag.IntVar(&s.warmUps, "warmups", 15, "loads before the first measurement: a JVM is steady only after about 15")
	flag.StringVar(&s.program, "worker", "bin/worker", "the worker's program")
	flag.BoolVar(&s.json, "json", false, "print JSON with the numbers of every round")
	flag.Parse()
	if flag.NArg() > 0 || s.rounds < 1 || s.rows < 1 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, s)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s settings) (err error) {
	began := time.Now()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w, err := newWorld(ctx, cancel, s)
	defer func() { err = errors.Join(err, w.close()) }()
	if err != nil {
		return err
	}
	b := &bench{world: w, settings: s}
	for _, step := range []func(context.Context) error{b.warmUp, b.allRounds, b.growth, b.repeat, b.newRelease, b.memory} {
		if err := step(ctx); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return err
		}
	}
	b.report.seconds = time.Since(began).Seconds()
	return b.report.print(os.Stdout, s.json)
}

// bench takes the measurements, one after the other.
type bench struct {
	*world
	settings
	batches []batch  // the source, as bulk requests
	chunks  [][]byte // the warehouse's rows, as COPY data
	index   string   // of the newest whole ingest; the warehouse is loaded from it
	report  report
}

// perLoad is the most batches of a warming load: 250,000 rows.
const perLoad = 50

// warmUp brings servers and worker to speed, and makes what the limits send.
func (b *bench) warmUp(ctx context.Context) error {
	var rows int
	var err error
	if b.batches, rows, err = readBatches(b.path); err != nil {
		return err
	}
	if b.report.about, err = b.describe(ctx, rows); err != nil {
		return err
	}
	say("Warming up with %d loads of %d rows", b.warmUps, min(rows, perLoad*batchRows))
	if _, _, err := b.pipeline(ctx, b.newIndex("warm")); err != nil {
		return err
	}
	if b.chunks, err = b.copyData(ctx); err != nil {
		return err
	}
	if _, err := b.upsert(ctx, b.chunks); err != nil {
		return err
	}
	for i := range b.warmUps {
		docs, load, scan, err := b.loadAndScan(ctx, fmt.Sprintf("warm_%d", i), b.batches[:min(len(b.batches), perLoad)])
		if err != nil {
			return err
		}
		say("  load %d: _bulk %.0f rows/s, scan %.0f documents/s", i+1, float64(docs)/load.Seconds(), float64(docs)/scan.Seconds())
	}
	return nil
}

// loadAndScan sends batches to an index of their own and reads it: the limits of
// Elasticsearch.
func (b *bench) loadAndScan(ctx context.Context, name string, batches []batch) (docs int, load, scan time.Duration, err error) {
	index := b.newIndex(name)
	if _, err = b.es.EnsureIndices(ctx, index, 1, 0); err != nil {
		return 0, 0, 0, err
	}
	if load, err = b.bulk(ctx, index, batches); err != nil {
		return 0, 0, 0, err
	}
	if docs, scan, err = b.scan(ctx, index); err != nil {
		return 0, 0, 0, err
	}
	return docs, load, scan, b.dropIndex(index)
}

// pipeline ingests the source into an index and loads a warehouse that was empty.
func (b *bench) pipeline(ctx context.Context, index string) (ingest, etl time.Duration, err error) {
	if err := b.emptyWarehouse(ctx); err != nil {
		return 0, 0, err
	}
	if ingest, err = b.ingest(ctx, index); err != nil {
		return 0, 0, err
	}
	b.index = index
	_, etl, err = b.etl(ctx, index)
	return ingest, etl, err
}

// allRounds measures the whole source: limits and pipeline in turns.
func (b *bench) allRounds(ctx context.Context) error {
	ingests := result{What: "ingest, whole source", Unit: "rows/s", Goal: &goal{"ratio", ">=", 0.9}}
	scans := result{What: "  limit: read by sequence number", Unit: "documents/s"}
	upserts := result{What: "  limit: COPY and upsert", Unit: "rows/s"}
	etls := result{What: "ETL, whole index", Unit: "documents/s", Goal: &goal{"ratio", ">=", 1}}
	rows := float64(countRows(b.batches))
	for i := range b.rounds {
		docs, load, scan, err := b.loadAndScan(ctx, fmt.Sprintf("limit_%d", i), b.batches)
		if err != nil {
			return err
		}
		upsert, err := b.upsert(ctx, b.chunks)
		if err != nil {
			return err
		}
		if err := b.dropIndex(b.index); err != nil {
			return err
		}
		ingest, etl, err := b.pipeline(ctx, b.newIndex(fmt.Sprintf("ours_%d", i)))
		if err != nil {
			return err
		}
		ingests.add(rows/load.Seconds(), rows/ingest.Seconds())
		scans.Limit = append(scans.Limit, float64(docs)/scan.Seconds())
		upserts.Limit = append(upserts.Limit, float64(b.loaded)/upsert.Seconds())
		etls.add(float64(docs)/(scan+upsert).Seconds(), float64(docs)/etl.Seconds())
		say("Round %d of %d: ingest %.2f s (limit %.2f), ETL %.2f s (limit %.2f + %.2f)", i+1, b.rounds,
			ingest.Seconds(), load.Seconds(), etl.Seconds(), scan.Seconds(), upsert.Seconds())
	}
	b.report.Results = append(b.report.Results, ingests, scans, upserts, etls)
	return nil
}

// appendedRows is how many rows come to the source between two hourly runs.
const appendedRows = 1000

// growth measures runs of the ETL that have nothing to load, and little.
func (b *bench) growth(ctx context.Context) error {
	nothing := result{What: "ETL, nothing new", Unit: "s", Goal: &goal{"ours", "<", 1}}
	little := result{What: fmt.Sprintf("ETL, %d new rows", appendedRows), Unit: "s"}
	for i := range b.rounds {
		_, idle, err := b.etl(ctx, b.index)
		if err != nil {
			return err
		}
		if err := b.appendRows(i, appendedRows); err != nil {
			return err
		}
		if _, err := b.ingest(ctx, b.index); err != nil {
			return err
		}
		done, few, err := b.etl(ctx, b.index)
		if err != nil {
			return err
		}
		if n := done.Counts.Loaded.Inserted; n != appendedRows {
			return fmt.Errorf("%d rows were appended to the source and %d came to the warehouse", appendedRows, n)
		}
		nothing.Ours = append(nothing.Ours, idle.Seconds())
		little.Ours = append(little.Ours, few.Seconds())
	}
	say("ETL runs with nothing and with little to do are measured")
	b.report.Results = append(b.report.Results, nothing, little)
	return nil
}

// repeat ingests the source once more as it is.
func (b *bench) repeat(ctx context.Context) error {
	before, err := b.lastSeqNo(ctx, b.index)
	if err != nil {
		return err
	}
	took, err := b.ingest(ctx, b.index)
	if err != nil {
		return err
	}
	after, err := b.lastSeqNo(ctx, b.index)
	if err != nil {
		return err
	}
	say("Ingesting the unchanged source again took %.2f s", took.Seconds())
	b.report.Results = append(b.report.Results, result{What: "ingest again, nothing changed", Unit: "new sequence numbers",
		Ours: []float64{float64(after - before)}, Goal: &goal{"ours", "=", 0}})
	return nil
}

// newRelease changes one record in a hundred, and lets the warehouse follow.
func (b *bench) newRelease(ctx context.Context) error {
	changed, err := b.changeRows(covid.FieldNewCases)
	if err != nil {
		return err
	}
	if _, err := b.ingest(ctx, b.index); err != nil {
		return err
	}
	done, took, err := b.etl(ctx, b.index)
	if err != nil {
		return err
	}
	n := done.Counts.Loaded
	say("The ETL of a new release with %d changed rows took %.2f s", changed, took.Seconds())
	b.report.Results = append(b.report.Results, result{What: "ETL, new release, 1 % changed", Unit: "rows written",
		Limit: []float64{float64(changed)}, Ours: []float64{float64(n.Inserted + n.Updated + n.MovedToRejects + n.Retired)},
		Goal: &goal{"ratio", "<=", 1}})
	return nil
}

// memory reads the worker's peak over all that it did before.
func (b *bench) memory(context.Context) error {
	if runtime.GOOS != "linux" {
		say("The worker's memory is measured on Linux only")
		return nil
	}
	bytes, err := b.worker.peakMemory()
	if err != nil {
		return err
	}
	b.report.Results = append(b.report.Results, result{What: "worker, most memory", Unit: "MiB",
		Ours: []float64{float64(bytes) / (1 << 20)}, Goal: &goal{"ours", "<", 150}})
	return nil
}

// ingest runs an ingest of the source as `starter ingest` does.
func (b *bench) ingest(ctx context.Context, index string) (took time.Duration, err error) {
	return b.execute(ctx, workflows.IngestID(index, b.path), nil, workflows.IngestWorkflow, workflows.IngestInput{
		Index: index, Source: b.path, Options: workflows.IngestOptions{BatchRows: batchRows, Concurrency: 4},
	})
}

// etl runs the ETL as the schedule does.
func (b *bench) etl(ctx context.Context, index string) (done workflows.ETLResult, took time.Duration, err error) {
	took, err = b.execute(ctx, workflows.ETLWorkflowID, &done, workflows.ETLWorkflow, workflows.ETLInput{Index: index})
	return done, took, err
}

// say tells how far the measurements are.
func say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

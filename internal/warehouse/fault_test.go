package warehouse_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"covidpipeline/internal/covid"
	"covidpipeline/internal/testenv"
	"covidpipeline/internal/warehouse"
)

// cutter is a link to PostgreSQL that, once armed, lets the next COMMIT through
// and cuts the connection before its answer.
type cutter struct {
	armed atomic.Bool
	to    string
}

// url gives the address of the link to the server at an address.
func (c *cutter) url(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	c.to, u.Host = u.Host, listener.Addr().String()
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go c.serve(client)
		}
	}()
	return u.String()
}

func (c *cutter) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", c.to)
	if err != nil {
		return
	}
	defer server.Close()
	var cut atomic.Bool
	go func() {
		defer server.Close()
		buffer := make([]byte, 1<<16)
		for {
			n, err := client.Read(buffer)
			if bytes.Contains(buffer[:n], []byte("commit\x00")) && c.armed.CompareAndSwap(true, false) {
				cut.Store(true)
			}
			if _, writeErr := server.Write(buffer[:n]); err != nil || writeErr != nil {
				return
			}
		}
	}()
	buffer := make([]byte, 1<<16)
	for {
		n, err := server.Read(buffer)
		if err != nil || cut.Load() {
			return
		}
		if _, err := client.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func TestLoadWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	direct, address := open(t)
	var link cutter
	db := openAt(t, link.url(t, address))

	link.armed.Store(true)
	if _, err := db.StartGeneration(t.Context(), beginning(index, "uuid", 0, cursors(1))); !errors.Is(err, warehouse.ErrUnavailable) {
		t.Fatalf("the answer was not lost: %v", err)
	}
	begin(t, db, 0, 1)
	in := window(-1, 3, row(1, 1), row(2, 2))
	in.Rejects, in.Retired = []warehouse.Reject{reject(3, "bad")}, []covid.Key{key(4)}
	for range 3 {
		link.armed.Store(true)
		if _, err := db.Load(t.Context(), in); !errors.Is(err, warehouse.ErrUnavailable) {
			t.Fatalf("the answer was not lost: %v", err)
		}
		holds(t, direct, []covid.Row{row(1, 1), row(2, 2)}, []warehouse.Reject{reject(3, "bad")})
	}
	if got, want := load(t, db, in), (warehouse.LoadCounts{Extracted: 4, Inserted: 2, Rejected: 1, Retired: 1}); got != want {
		t.Errorf("counts %+v, want %+v", got, want)
	}
	holds(t, direct, []covid.Row{row(1, 1), row(2, 2)}, []warehouse.Reject{reject(3, "bad")})
}

// A crash of the server empties the stage. It takes no load with it that was
// answered, leaves none half done, and the same DB goes on afterwards.
func TestServerCrash(t *testing.T) {
	t.Parallel()
	server := testenv.PrivatePostgres(t)
	migrate(t, server.URL)
	db := openAt(t, server.URL)
	begin(t, db, 0, 1)
	run, err := db.BeginRun(t.Context(), "etl", "a")
	if err != nil {
		t.Fatal(err)
	}
	put(t, db, stage(run, "staged"))

	const docs = 50
	next := func(at int64) warehouse.LoadInput {
		in := window(at, at+docs)
		in.Run = run
		for i := range docs {
			in.Rows = append(in.Rows, row(int(at)+i, int32(at)))
		}
		return in
	}
	for range 3 {
		loadUntilCrash(t, db, server, next)
	}
	if _, err := db.GetStage(t.Context(), run, 2, 10, warehouse.StepExtract); !errors.Is(err, warehouse.ErrStageMissing) {
		t.Errorf("the stage: %v", err)
	}
	put(t, db, stage(run, "staged again"))
}

// loadUntilCrash loads window after window while the server crashes, and then
// compares what is there with what was answered.
func loadUntilCrash(t *testing.T, db *warehouse.DB, server *testenv.Private, next func(at int64) warehouse.LoadInput) {
	t.Helper()
	at := cursorOf(t, db).Shards[0].LastSeq
	type outcome struct {
		answered, tried int64
		err             error
	}
	loaded := make(chan struct{}, 1000)
	done := make(chan outcome)
	go func() {
		answered := at
		for {
			in := next(answered)
			if _, err := db.Load(t.Context(), in); err != nil {
				done <- outcome{answered, in.To, err}
				return
			}
			answered = in.To
			select {
			case loaded <- struct{}{}:
			default:
			}
		}
	}()
	for range 10 {
		<-loaded
	}
	server.Crash(t)
	end := <-done
	if !errors.Is(end.err, warehouse.ErrUnavailable) {
		t.Errorf("a load on a crashed server: %v", end.err)
	}
	server.Start(t)
	eventually(t, func(ctx context.Context) error { _, _, err := db.State(ctx, index); return err })
	now := cursorOf(t, db).Shards[0].LastSeq
	if now != end.answered && now != end.tried {
		t.Fatalf("the checkpoint is at %d; loaded up to %d was answered, %d was tried", now, end.answered, end.tried)
	}
	var rows []covid.Row
	for from := int64(-1); from < now; {
		in := next(from)
		rows = append(rows, in.Rows...)
		from = in.To
	}
	holds(t, db, rows, nil)
	if again := load(t, db, next(end.answered)); again.Inserted != again.Extracted {
		t.Errorf("the window of the crash: %+v", again)
	}
}

// eventually repeats what fails until it succeeds.
func eventually(t *testing.T, do func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		err := do(ctx)
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

package devstack

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Stack is the development stack of one clone: servers in the background, with
// their state in a folder of the clone.
type Stack struct {
	Root  string // of the repository
	State string // folder: data, logs, records of the processes, env
	Ports Ports
	Heap  string // of Elasticsearch
	Out   io.Writer
	// Durable makes the servers of Exec as those of Up: they sync to the disk, and
	// histories are as long as they may be.
	Durable bool

	printing sync.Mutex
}

// NewStack gives the stack of the repository that the working folder lies in,
// with the ports that the environment asks for.
func NewStack(out io.Writer) (*Stack, error) {
	root, err := FindRoot()
	if err != nil {
		return nil, err
	}
	ports, err := portsOf(os.Getenv)
	if err != nil {
		return nil, err
	}
	heap := os.Getenv("ES_HEAP")
	if heap == "" {
		heap = "2g"
	}
	return &Stack{Root: root, State: filepath.Join(root, ".dev"), Ports: ports, Heap: heap, Out: out}, nil
}

func (s *Stack) say(format string, args ...any) {
	s.printing.Lock()
	defer s.printing.Unlock()
	fmt.Fprintf(s.Out, format+"\n", args...)
}

// Up installs what is missing, starts what does not run, waits until each server
// answers and writes the env file. Repeating it, also after an interrupt, goes on
// where it was.
func (s *Stack) Up(ctx context.Context) error {
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	return s.up(ctx)
}

func (s *Stack) up(ctx context.Context) error {
	if err := checkUser(); err != nil {
		return err
	}
	tools, err := Install(ctx, s.Root, s.say)
	if err != nil {
		return err
	}
	data, err := dataFolder(s.State)
	if err != nil {
		return err
	}
	if err := s.checkDisk(data); err != nil {
		return err
	}
	password, err := s.password()
	if err != nil {
		return err
	}
	if err := s.startAll(ctx, tools, data, password); err != nil {
		return err
	}
	if err := s.writeEnv(password); err != nil {
		return err
	}
	s.say("The variables that reach them are in %s", s.envPath())
	return nil
}

// startAll starts the servers side by side. All errors are told, not the first only.
func (s *Stack) startAll(ctx context.Context, tools Tools, data, password string) error {
	services := []service{
		{
			name: "Elasticsearch", port: s.Ports.Elasticsearch, shown: "http://",
			start: func(ctx context.Context, o Options) (*Server, error) {
				o.Dir = filepath.Join(data, "elasticsearch")
				return tools.StartElasticsearch(ctx, s.Heap, o)
			},
			answers: (*Server).elasticsearchAnswers,
		},
		{
			name: "PostgreSQL", port: s.Ports.Postgres,
			start: func(ctx context.Context, o Options) (*Server, error) {
				o.Dir = filepath.Join(data, "postgres")
				return tools.StartPostgres(ctx, password, nil, o)
			},
			answers: func(server *Server, ctx context.Context) error { return server.postgresAnswers(ctx, password) },
		},
		{
			name: "Temporal", port: s.Ports.Temporal,
			start: func(ctx context.Context, o Options) (*Server, error) {
				o.Dir = filepath.Join(s.State, "temporal")
				return tools.StartTemporal(ctx, s.Ports.TemporalUI.number, nil, o)
			},
			answers: (*Server).temporalAnswers,
		},
	}
	errs := make([]error, len(services))
	var all sync.WaitGroup
	for i, service := range services {
		all.Go(func() { errs[i] = s.ensure(ctx, service) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// service is one server of the stack.
type service struct {
	name    string
	port    port
	shown   string // before the address
	start   func(context.Context, Options) (*Server, error)
	answers func(*Server, context.Context) error
}

// ensure has a server answer: the one that runs, or a new one.
func (s *Stack) ensure(ctx context.Context, service service) error {
	began := time.Now()
	running, err := s.recorded(service.name)
	if err != nil {
		return err
	}
	if running != nil {
		if err := service.port.agrees(service.name, running.Port); err != nil {
			return err
		}
		if err := s.Ports.TemporalUI.agrees("the Temporal Web UI", running.UIPort); running.UIPort != 0 && err != nil {
			return err
		}
		if err := running.await(ctx, startTimeout, func(ctx context.Context) error { return service.answers(running, ctx) }); err != nil {
			return err
		}
		s.say("%-14s %s%s (was running)", service.name, service.shown, running.where())
		return nil
	}
	server, err := service.start(ctx, Options{
		Port:    service.port.number,
		Log:     s.logPath(service.name),
		Started: s.record,
	})
	var taken *PortError
	if errors.As(err, &taken) {
		return fmt.Errorf("%w: stop that program, or choose another port: make up %s", err, s.Ports.another(taken))
	}
	if err != nil {
		return err
	}
	s.say("%-14s %s%s (started in %.1f s)", service.name, service.shown, server.where(), time.Since(began).Seconds())
	return nil
}

// Down stops all that the stack started, the worker first.
func (s *Stack) Down() error {
	if _, err := os.Stat(s.State); errors.Is(err, fs.ErrNotExist) {
		s.say("Nothing is running.")
		return nil
	}
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	return s.stopAll()
}

func (s *Stack) stopAll() error {
	stopped := false
	var errs []error
	for _, name := range []string{"page", "worker", "Temporal", "PostgreSQL", "Elasticsearch"} {
		server, err := s.recorded(name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if server == nil {
			continue
		}
		stopped = true
		err = server.Stop()
		if err != nil {
			errs = append(errs, err)
		}
		if !server.Alive() {
			s.say("%-14s stopped", name)
		}
	}
	if !stopped && len(errs) == 0 {
		s.say("Nothing is running.")
	}
	return errors.Join(errs...)
}

// Clean stops the stack and removes its state: the data of all servers, logs and
// the sample. Installed programs stay, they are in the user's cache.
func (s *Stack) Clean() error {
	if _, err := os.Stat(s.State); errors.Is(err, fs.ErrNotExist) {
		s.say("There is nothing to remove.")
		return nil
	}
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	unlockTests, err := s.lockTests()
	if err != nil {
		return err
	}
	defer unlockTests()
	if err := s.stopAll(); err != nil {
		return fmt.Errorf("nothing was removed: %w", err)
	}
	for _, state := range []string{filepath.Join(s.State, "test"), s.State} {
		if err := removeData(state); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(s.State); err != nil {
		return fmt.Errorf("remove the state folder: %w", err)
	}
	s.say("Removed %s", s.State)
	return nil
}

// lock makes sure that one command at a time works on the stack.
func (s *Stack) lock() (unlock func(), err error) {
	if err := makeClosedFolder(s.State); err != nil {
		return nil, fmt.Errorf("make the state folder: %w", err)
	}
	for _, dir := range []string{filepath.Dir(s.recordPath("")), filepath.Dir(s.logPath(""))} {
		if err := makeFolder(dir); err != nil {
			return nil, fmt.Errorf("make the state folder: %w", err)
		}
	}
	unlock, err = lock(context.Background(), filepath.Join(s.State, "lock"), nil)
	if errors.Is(err, errLocked) {
		return nil, errors.New("another make up, down, clean or demo works on this stack: wait for its end")
	}
	return unlock, err
}

const (
	// neededDisk is what the whole source needs in Elasticsearch and PostgreSQL,
	// their logs, and the space below which Elasticsearch allocates no index.
	neededDisk = 8 << 30
	// leastDisk is where Elasticsearch stops to allocate indices.
	leastDisk = 2 << 30
)

// checkDisk looks whether the servers have room to work.
func (s *Stack) checkDisk(data string) error {
	free, err := freeBytes(data)
	if err != nil {
		return err
	}
	note, err := room(free)
	if err != nil {
		return fmt.Errorf("the disk of %s %w", data, err)
	}
	if note != "" {
		s.say("Note: the disk of %s %s", data, note)
	}
	return nil
}

// room gives what is to be said of so much free space; an error if it is too little.
func room(free int64) (note string, err error) {
	gigabytes := float64(free) / (1 << 30)
	switch {
	case free < leastDisk:
		return "", fmt.Errorf("has %.1f GB left, and Elasticsearch makes no index below 2 GB: free some space first", gigabytes)
	case free < neededDisk:
		return fmt.Sprintf("has %.1f GB left. The sample needs less than 1 GB, a file of millions of rows about 6 GB. "+
			"Below 2 GB Elasticsearch makes no new index, below 500 MB it refuses to write.", gigabytes), nil
	}
	return "", nil
}

// password gives the password of PostgreSQL's superuser and makes one for a new
// stack. Without it every user of the machine could run programs as PostgreSQL's
// user, which is the developer.
func (s *Stack) password() (string, error) {
	path := filepath.Join(s.State, "postgres-password")
	text, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(text)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the PostgreSQL password: %w", err)
	}
	var random [12]byte
	if _, err := rand.Read(random[:]); err != nil {
		return "", fmt.Errorf("make a PostgreSQL password: %w", err)
	}
	password := hex.EncodeToString(random[:])
	if err := replaceFile(path, password+"\n", 0o600); err != nil {
		return "", fmt.Errorf("keep the PostgreSQL password: %w", err)
	}
	return password, nil
}

package warehouse_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"covidpipeline/internal/testenv"
	"covidpipeline/internal/warehouse"
)

// logged collects what is logged.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

const lockOfMigrations = "(hashtextextended('covidpipeline migrations of ' || current_schema(), 0))"

// A session of any user may hold the lock of the migrations. It keeps no worker from
// starting that has nothing to migrate, and the others say what they wait for.
func TestMigrateWhileASessionHoldsTheLock(t *testing.T) {
	t.Parallel()
	url := testenv.Postgres(t)
	at(t, url+"&application_name=a-reader", func(holder *pgx.Conn) error {
		if _, err := holder.Exec(t.Context(), "SELECT pg_advisory_lock"+lockOfMigrations); err != nil {
			return err
		}
		var log logged
		logger := slog.New(slog.NewTextHandler(&log, nil))
		says := func(context.Context) error {
			if text := log.String(); !strings.Contains(text, "waits for its lock") || !strings.Contains(text, "a-reader") {
				return errors.New("it does not say for whom it waits: " + text)
			}
			return nil
		}

		// An old schema: it waits, and ends with its context.
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { _, _, err := warehouse.MigrateLogged(ctx, url, logger); ended <- err }()
		eventually(t, says)
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}

		// It goes on when the lock is released.
		go func() { _, _, err := warehouse.MigrateLogged(t.Context(), url, logger); ended <- err }()
		eventually(t, func(context.Context) error {
			if strings.Count(log.String(), "a-reader") < 2 {
				return errors.New(log.String())
			}
			return nil
		})
		if _, err := holder.Exec(t.Context(), "SELECT pg_advisory_unlock"+lockOfMigrations); err != nil {
			return err
		}
		if err := <-ended; err != nil {
			t.Errorf("after the release: %v", err)
		}

		// Up to date: it needs no lock.
		if _, err := holder.Exec(t.Context(), "SELECT pg_advisory_lock"+lockOfMigrations); err != nil {
			return err
		}
		within, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if applied, version, err := warehouse.Migrate(within, url); err != nil || len(applied) > 0 || version != int64(len(all)) {
			t.Errorf("up to date: %q, %d, %v", applied, version, err)
		}
		return nil
	})
}

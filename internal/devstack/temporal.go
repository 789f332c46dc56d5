package devstack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"syscall"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"covidpipeline/internal/temporalclient"
)

// Namespace is the Temporal namespace that the dev server comes with.
const Namespace = client.DefaultNamespace

// StartTemporal starts the Temporal dev server, with its Web UI if uiPort is not
// 0, and waits until its namespace answers. Its history is on disk after every
// step. Settings are further dynamic configuration, each as KEY=VALUE.
func (t Tools) StartTemporal(ctx context.Context, uiPort int, settings []string, o Options) (*Server, error) {
	if uiPort != 0 {
		if err := checkPort(ctx, "the Temporal Web UI", uiPort); err != nil {
			return nil, err
		}
	}
	return onPort(ctx, "Temporal", o, func(o Options) (*Server, error) { return t.temporalOn(ctx, uiPort, settings, o) })
}

func (t Tools) temporalOn(ctx context.Context, uiPort int, settings []string, o Options) (*Server, error) {
	if err := makeFolder(o.Dir); err != nil {
		return nil, fmt.Errorf("start Temporal: %w", err)
	}
	args := []string{
		"server", "start-dev", "--ip", "127.0.0.1", "--port", fmt.Sprint(o.Port),
		"--db-filename", filepath.Join(o.Dir, "temporal.db"),
		// Untuned it carries out 10 activities a second one after the other, so 113.
		"--dynamic-config-value", "history.transferProcessorMaxPollRPS=2000",
		"--dynamic-config-value", "matching.numTaskqueueReadPartitions=1",
		"--dynamic-config-value", "matching.numTaskqueueWritePartitions=1",
		"--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=2",
	}
	for _, setting := range settings {
		args = append(args, "--dynamic-config-value", setting)
	}
	if uiPort == 0 {
		args = append(args, "--headless")
	} else {
		args = append(args, "--ui-port", fmt.Sprint(uiPort))
	}
	p := program{
		path: t.temporal,
		args: args,
		env:  plainEnvironment(o.Dir),
		dir:  o.Dir,
	}
	s := &Server{Name: "Temporal", UIPort: uiPort, StopSignal: syscall.SIGTERM}
	if _, err := run(ctx, p, s, o, s.temporalAnswers); err != nil {
		return nil, err
	}
	if err := s.addAttributes(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// addAttributes registers the pipeline's search attributes, which a schedule needs
// before a worker has ever run.
func (s *Server) addAttributes(ctx context.Context) error {
	c, err := dialTemporal(ctx, s.Addr())
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = temporalclient.EnsureAttributes(ctx, c, Namespace)
	return err
}

// temporalAnswers asks whether workflows can be listed, so that the frontend, the
// namespace and the visibility store work, and whether the Web UI is there.
func (s *Server) temporalAnswers(ctx context.Context) error {
	c, err := dialTemporal(ctx, s.Addr())
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.WorkflowService().ListWorkflowExecutions(ctx, &workflowservice.ListWorkflowExecutionsRequest{Namespace: Namespace, PageSize: 1})
	if err != nil || s.UIPort == 0 {
		return err
	}
	return httpAnswers(ctx, s.UIURL())
}

// where gives the addresses of a server.
func (s *Server) where() string {
	if s.UIPort != 0 {
		return s.Addr() + ", Web UI " + s.UIURL()
	}
	return s.Addr()
}

// UIURL gives the address of the Temporal Web UI.
func (s *Server) UIURL() string { return fmt.Sprintf("http://127.0.0.1:%d", s.UIPort) }

func dialTemporal(ctx context.Context, addr string) (client.Client, error) {
	return client.DialContext(ctx, client.Options{
		HostPort: addr, Namespace: Namespace, Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
}

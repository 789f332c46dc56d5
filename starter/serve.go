package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"

	"github.com/spf13/cobra"

	"covidpipeline/internal/health"
	"covidpipeline/internal/warehouse"
	"covidpipeline/internal/web"
)

func (a *app) serveCommand() *cobra.Command {
	var listen string
	c := &cobra.Command{
		Use:   "serve",
		Short: "Serve the dashboard as a page of its own",
		Long: `Serve the dashboard's cards as a page, until interrupted. It needs no Metabase,
reads alone, as the role covid_reader, and asks for no password: whoever reaches
the address can read it. It listens on this machine alone unless --listen says
otherwise.`,
		Example: "  starter serve\n  starter serve --listen 127.0.0.1:9000",
		Args:    noArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return a.serve(c.Context(), listen) },
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:8088", "address to listen on, host:port; port 0 takes a free one")
	return c
}

func (a *app) serve(ctx context.Context, listen string) error {
	url, err := a.databaseURL()
	if err != nil {
		return err
	}
	db, err := warehouse.OpenReader(ctx, url)
	if err != nil {
		return err
	}
	defer db.Close()
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		return usagef("--listen %s: %w; take another port", listen, err)
	}
	if a.json {
		err = a.printJSON(map[string]string{"url": "http://" + l.Addr().String()})
	} else {
		_, err = fmt.Fprintf(a.out, "The dashboard is at http://%s\n", l.Addr())
	}
	if err != nil {
		return err
	}
	servers, err := a.servers(db)
	if err != nil {
		return err
	}
	defer servers.Temporal.Close()
	s := &web.Server{DB: db, Log: slog.New(slog.NewTextHandler(a.errOut, nil)),
		Look: func(ctx context.Context) health.Status { return health.Gather(ctx, servers) }}
	return s.Serve(ctx, l)
}

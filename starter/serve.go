package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"syscall"

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
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		return notListening(listen, err)
	}
	defer l.Close()
	db, err := warehouse.OpenReader(ctx, url)
	if err != nil {
		return hinted(err)
	}
	defer db.Close()
	servers, err := a.servers(db)
	if err != nil {
		return err
	}
	defer servers.Temporal.Close()
	if err := a.sayWhere(l.Addr()); err != nil {
		return err
	}
	s := &web.Server{DB: db, Log: slog.New(slog.NewTextHandler(a.errOut, nil)),
		Look: func(ctx context.Context) health.Status { return health.Gather(ctx, servers) }}
	return s.Serve(ctx, l)
}

// sayWhere prints an address of the page that a browser opens, and warns when
// other machines reach it too.
func (a *app) sayWhere(addr net.Addr) error {
	where, also := addr.String(), ""
	if tcp, ok := addr.(*net.TCPAddr); ok && !tcp.IP.IsLoopback() {
		if tcp.IP.IsUnspecified() {
			where = net.JoinHostPort("127.0.0.1", strconv.Itoa(tcp.Port))
			also = ", and at every other address of this machine"
		}
		fmt.Fprintln(a.errOut, "Warning: whoever reaches this address can read the dashboard, without a password.")
	}
	if a.json {
		return a.printJSON(map[string]string{"url": "http://" + where})
	}
	_, err := fmt.Fprintf(a.out, "The dashboard is at http://%s%s\n", where, also)
	return err
}

// notListening says why nobody can listen there, and what to do.
func notListening(listen string, err error) error {
	var syntax *net.AddrError
	var name *net.DNSError
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("--listen %s: a program listens there already: take another port, or end that program", listen)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("--listen %s: this user may not listen on that port: take one above 1023", listen)
	case errors.Is(err, syscall.EADDRNOTAVAIL), errors.As(err, &syntax), errors.As(err, &name):
		return usagef("--listen is %q: it wants an address of this machine and a port, such as 127.0.0.1:8088, or :8088 for all its addresses", listen)
	}
	return fmt.Errorf("--listen %s: %w", listen, err)
}

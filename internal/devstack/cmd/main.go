// Command devstack runs the development stack of this clone; the Makefile calls it.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"covidpipeline/internal/devstack"
)

const usage = `usage: devstack COMMAND

  up                    install what is missing, start the servers, wait until they answer
  down                  stop them
  clean                 stop them and remove their data
  env                   print the variables that reach them
  tools                 install the servers' programs, start nothing
  cli                   put the command-line tools temporal and tctl into bin
  lint PACKAGES         check the code with the pinned linter
  exec [--durable] COMMAND [ARG...]
                        run a command with servers of its own for tests; durable
                        ones sync to the disk, as those of the stack do
  demo [SOURCE]         run the whole pipeline over a CSV file, or over a sample
  sample [-rows N] FILE write a sample CSV file

ES_PORT, PG_PORT, TEMPORAL_PORT, TEMPORAL_UI_PORT and ES_HEAP change where the
servers of the stack listen and the memory of Elasticsearch.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status, err := command(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "devstack:", err)
		status = max(status, 1)
	}
	os.Exit(status)
}

// command runs one command and gives the exit status.
func command(ctx context.Context, args []string) (status int, err error) {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, usage)
		return 2, nil
	}
	stack, err := devstack.NewStack(os.Stdout)
	if err != nil {
		return 2, err
	}
	name, args := args[0], args[1:]
	switch {
	case name == "up" && len(args) == 0:
		return 0, stack.Up(ctx)
	case name == "down" && len(args) == 0:
		return 0, stack.Down()
	case name == "clean" && len(args) == 0:
		return 0, stack.Clean()
	case name == "env" && len(args) == 0:
		return 0, stack.PrintEnv()
	case name == "tools" && len(args) == 0:
		return 0, stack.Tools(ctx)
	case name == "cli" && len(args) == 0:
		return 0, stack.CLI(ctx)
	case name == "lint":
		return stack.Lint(ctx, args)
	case name == "exec" && len(args) > 1 && args[0] == "--durable":
		stack.Durable = true
		return stack.Exec(ctx, args[1:])
	case name == "exec" && len(args) > 0:
		return stack.Exec(ctx, args)
	case name == "demo" && len(args) < 2:
		source := ""
		if len(args) == 1 {
			source = args[0]
		}
		return stack.Demo(ctx, source)
	case name == "sample":
		return sampleCommand(stack, args)
	}
	fmt.Fprint(os.Stderr, usage)
	return 2, nil
}

func sampleCommand(stack *devstack.Stack, args []string) (status int, err error) {
	flags := flag.NewFlagSet("sample", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the error says it
	rows := flags.Int("rows", devstack.SampleRows, "rows of the file")
	if err := flags.Parse(args); err != nil {
		return 2, fmt.Errorf("sample: %w\n%s", err, usage)
	}
	if flags.NArg() != 1 {
		return 2, fmt.Errorf("sample takes one file, not %d\n%s", flags.NArg(), usage)
	}
	return 0, stack.Sample(flags.Arg(0), *rows)
}

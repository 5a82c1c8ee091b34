// Command sluiced is the switch: it opens the ports of a host's configuration, moves their packets, and answers the
// control API on a unix socket.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/pflag"

	"github.com/sluicenet/sluice/api"
	"github.com/sluicenet/sluice/policy"
)

// Exit codes. A supervisor should not start the daemon again after exitConfig and exitRunning: nothing would be
// different.
const (
	exitOK      = 0
	exitFailed  = 1
	exitConfig  = 2 // bad flags or configuration
	exitRunning = 3 // another sluiced has the socket
	exitForced  = 4 // a second signal ended a stop that took too long
)

func main() {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr, signals))
}

// run is main with everything from outside as arguments; it returns the exit code.
func run(args []string, stdout, stderr io.Writer, signals <-chan os.Signal) int {
	flags, opts := newFlags(stderr)
	switch err := flags.Parse(args); {
	case errors.Is(err, pflag.ErrHelp):
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "sluiced: %v; see sluiced --help\n", err)
		return exitConfig
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "sluiced: %q is not understood: there are only flags; see sluiced --help\n", flags.Arg(0))
		return exitConfig
	}
	if opts.version {
		fmt.Fprintln(stdout, buildLine())
		return exitOK
	}
	s, err := load(opts.config, flags)
	if err != nil {
		return fail(stderr, err)
	}
	if opts.check {
		return check(stdout, s)
	}
	d := &daemonProcess{settings: s, stderr: stderr, signals: signals}
	if err := d.run(context.Background()); err != nil {
		return fail(stderr, err)
	}
	return exitOK
}

// fail prints an error so that a person can act on it, a bad configuration with all of its problems, and chooses the
// exit code.
func fail(w io.Writer, err error) int {
	var bad *policy.Errors
	if errors.As(err, &bad) {
		for _, p := range bad.Problems {
			fmt.Fprintln(w, p)
		}
		fmt.Fprintf(w, "sluiced: the configuration has %s; mend it and start again\n", count(len(bad.Problems), "problem"))
		return exitConfig
	}
	fmt.Fprintf(w, "sluiced: %s\n", strings.ReplaceAll(err.Error(), "\n", "; "))
	switch {
	case errors.Is(err, errRunning), errors.Is(err, api.ErrAlreadyRunning):
		return exitRunning
	case errors.Is(err, errConfig):
		return exitConfig
	}
	return exitFailed
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// check prints what is doubtful about a configuration that is good enough to run.
func check(w io.Writer, s *settings) int {
	for _, p := range s.config.Warnings() {
		fmt.Fprintf(w, "warning: %s\n", p)
	}
	fmt.Fprintf(w, "%s: ok\n", s.file)
	return exitOK
}

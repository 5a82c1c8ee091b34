// Command sluice is the command line of the switch: it checks and applies configurations, shows what a running sluiced
// does, examines the host and binds network cards.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// version and commit are set by the linker: -X main.version=v1.2.3 -X main.commit=...
var (
	version = "devel"
	commit  = ""
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(newApp(os.Stdin, os.Stdout, os.Stderr).run(ctx, os.Args[1:]))
}

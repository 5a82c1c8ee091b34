package demo

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// progress says what is going on: on a terminal by a line that turns while a step lasts, else by a line that is
// completed when the step has ended.
type progress struct {
	out      io.Writer
	terminal bool
	started  time.Time
}

func newProgress(out io.Writer) *progress {
	if out == nil {
		out = io.Discard
	}
	return &progress{out: out, terminal: isTerminal(out), started: time.Now()}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// clearLine returns to the start of the line and erases it (ECMA-48: CR, EL 2).
const clearLine = "\r\x1b[2K"

var spinner = []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")

// step announces a step; the function it returns tells how it ended.
func (p *progress) step(what string) func(error) {
	started := time.Now()
	mark := func(err error) string {
		if err != nil {
			return "✗"
		}
		return "✓"
	}
	if !p.terminal {
		fmt.Fprintf(p.out, "%s … ", what)
		return func(err error) { fmt.Fprintf(p.out, "%s (%.1f s)\n", mark(err), time.Since(started).Seconds()) }
	}
	stop := make(chan struct{})
	var spinning sync.WaitGroup
	spinning.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			fmt.Fprintf(p.out, "%s%c %s", clearLine, spinner[i%len(spinner)], what)
			select {
			case <-stop:
				return
			case <-tick.C:
			}
		}
	})
	return func(err error) {
		close(stop)
		spinning.Wait()
		fmt.Fprintf(p.out, "%s%s %s (%.1f s)\n", clearLine, mark(err), what, time.Since(started).Seconds())
	}
}

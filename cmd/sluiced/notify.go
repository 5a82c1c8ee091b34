package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// notify tells systemd about a change of state. Without systemd it does nothing.
func notify(log *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("systemd was not told", "state", state, "error", err)
	}
}

// notifyReloading tells systemd that the configuration is being read again; READY ends it. systemd wants to know when it
// began (sd_notify(3), RELOADING=1).
func notifyReloading(log *slog.Logger) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		log.Warn("systemd was not told", "state", daemon.SdNotifyReloading, "error", err)
		return
	}
	notify(log, fmt.Sprintf("%s\nMONOTONIC_USEC=%d", daemon.SdNotifyReloading, now.Nano()/1000))
}

// feedWatchdog tells systemd that the daemon is alive, at twice the rate that the unit asks for, but only while alive
// finds nothing: a worker that hangs makes systemd restart the daemon. It returns when ctx ends, and at once when the
// unit has no watchdog.
func feedWatchdog(ctx context.Context, log *slog.Logger, alive func() error) {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("watchdog is off", "error", err)
	}
	if interval == 0 || err != nil {
		return
	}
	tick := time.NewTicker(interval / 2)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := alive(); err != nil {
				log.Error("systemd watchdog is not fed", "error", err)
				continue
			}
			notify(log, daemon.SdNotifyWatchdog)
		}
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"

	"github.com/sluicenet/sluice/agent"
	"github.com/sluicenet/sluice/agent/control"
	"github.com/sluicenet/sluice/agent/metrics"
	"github.com/sluicenet/sluice/api"
	"github.com/sluicenet/sluice/cores"
	"github.com/sluicenet/sluice/policy"
)

var (
	errRunning = errors.New("already running")
	errConfig  = errors.New("bad configuration")
)

// daemonProcess is one run of the daemon. What is opened is closed in reverse order, also when a later step fails.
type daemonProcess struct {
	settings *settings
	stderr   io.Writer
	signals  <-chan os.Signal

	log     *slog.Logger
	cores   cores.Plan
	driver  agent.Driver
	agent   *agent.Agent
	servers sync.WaitGroup
	failed  chan error // of a server that ended by itself

	hup       chan struct{} // SIGHUP came
	stopAsked chan struct{} // closed by the first signal to end
}

// run starts everything, serves until a signal, and stops everything. The kernel gives back what a killed daemon had,
// but for its socket file and persistent taps, both of which the next one takes over.
func (d *daemonProcess) run(ctx context.Context) (err error) {
	s := d.settings
	if d.log, err = newLogger(d.stderr, s.daemon.LogLevel, s.daemon.LogFormat); err != nil {
		return fmt.Errorf("%w: %w", errConfig, err)
	}
	d.hup, d.stopAsked, d.failed = make(chan struct{}, 1), make(chan struct{}), make(chan error, 2)
	go d.watchSignals()
	lock, err := lockSocket(s.daemon.Socket)
	if err != nil {
		return err
	}
	defer lock.Close()
	socket, err := api.Listen(s.daemon.Socket)
	if err != nil {
		return err
	}
	defer socket.Close()
	endpoint, err := d.listenMetrics()
	if err != nil {
		return err
	}
	if endpoint != nil {
		defer endpoint.Close()
	}
	for _, p := range s.config.Warnings() {
		d.log.Warn(p.What, "file", p.File, "line", p.Line, "object", p.Object, "remedy", p.Remedy)
	}
	if err := d.placeThreads(); err != nil {
		return err
	}
	return d.runDriver(ctx, socket, endpoint)
}

func (d *daemonProcess) listenMetrics() (net.Listener, error) {
	if d.settings.daemon.Metrics == policy.MetricsOff {
		return nil, nil
	}
	return metrics.Listen(d.settings.daemon.Metrics)
}

// placeThreads chooses the workers' cores, leaves them to the workers alone, and sets the collector so that it runs
// seldom: each collection takes a core from a worker for milliseconds.
func (d *daemonProcess) placeThreads() error {
	m, err := machineCores()
	if err != nil {
		return err
	}
	c := &d.settings.config.Dataplane
	if d.cores, err = m.Choose(cores.Wish{Workers: c.Workers, Cores: c.Cores, Node: nicNode(d.settings.config)}); err != nil {
		return fmt.Errorf("%w: %w", errConfig, err)
	}
	d.log.Info("cores", "choice", d.cores.Why)
	for _, note := range d.cores.Notes {
		d.log.Warn(note)
	}
	if err := confineThreads(d.cores.Control); err != nil {
		return err
	}
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(len(d.cores.Workers) + min(len(d.cores.Control), maxControlProcs) + 2)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(goMemoryLimit())
	}
	return nil
}

const (
	gcPercent       = 1000 // collect when the heap has grown to eleven times what is alive
	maxControlProcs = 4
)

// goMemoryLimit is where the collector starts to work harder, bytes: a quarter of the machine. Packets and flow tables are
// no Go memory. A limit below what a large policy keeps alive would make it work without end.
func goMemoryLimit() int64 {
	const least = 512 << 20
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return least
	}
	return max(least, int64(info.Totalram)*int64(info.Unit)/4)
}

// runDriver runs the agent on the devices' driver.
func (d *daemonProcess) runDriver(ctx context.Context, socket, endpoint net.Listener) (err error) {
	pool := agent.PoolFor(d.settings.config, len(d.cores.Workers))
	if d.driver, err = openDriver(d.settings.config, pool, d.cores, d.log); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.driver.Close()) }()
	d.agent, err = agent.New(agent.Options{
		Config: d.settings.config, File: d.settings.file, YAML: d.settings.yaml, Driver: d.driver, Cores: d.cores.Workers,
		CoresWhy: d.cores.Why, Pool: pool, Log: d.log,
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer d.servers.Wait()
	defer cancel()
	d.serve(ctx, socket, endpoint)
	if err := d.agent.Start(ctx); err != nil {
		return err
	}
	go d.agent.Monitor(ctx)
	d.servers.Go(func() { d.agent.Balance(ctx) })
	go feedWatchdog(ctx, d.log, d.agent.Alive)
	notify(d.log, daemon.SdNotifyReady)
	d.log.Info("ready", "socket", d.settings.daemon.Socket, "metrics", d.settings.daemon.Metrics, "workerCores", d.cores.Workers,
		"controlCores", d.cores.Control)
	err = d.wait(ctx)
	return errors.Join(err, d.stop(cancel))
}

// serve answers the control API and the metrics endpoint from now on, so that a start that hangs can be looked at.
func (d *daemonProcess) serve(ctx context.Context, socket, endpoint net.Listener) {
	b := build()
	d.servers.Go(func() {
		if err := api.Serve(ctx, socket, control.New(d.agent, b)); err != nil {
			d.failed <- err
		}
	})
	if endpoint == nil {
		return
	}
	d.servers.Go(func() {
		if err := metrics.Serve(ctx, endpoint, metrics.Handler(d.agent, metrics.NewRegistry(d.agent, b))); err != nil {
			d.failed <- err
		}
	})
}

// watchSignals is the only reader of signals: one ends the daemon cleanly, a second one does not wait for that.
func (d *daemonProcess) watchSignals() {
	asked := false
	for sig := range d.signals {
		switch {
		case sig == syscall.SIGHUP:
			select {
			case d.hup <- struct{}{}:
			default: // the file is going to be read anyway
			}
		case !asked:
			asked = true
			d.log.Info("stopping", "signal", sig.String())
			close(d.stopAsked)
		default:
			fmt.Fprintln(d.stderr, "sluiced: a second signal ended the stop before everything was put away")
			os.Exit(exitForced)
		}
	}
}

// wait serves until a signal asks for the end, or something without which the daemon is of no use has ended.
func (d *daemonProcess) wait(ctx context.Context) error {
	for {
		select {
		case err := <-d.failed:
			return err
		case <-d.stopAsked:
			return nil
		case <-d.hup:
			d.reload(ctx)
		}
	}
}

// reload applies the configuration file again. A bad one changes nothing, and the daemon goes on.
func (d *daemonProcess) reload(ctx context.Context) {
	notifyReloading(d.log)
	defer notify(d.log, daemon.SdNotifyReady)
	file := d.settings.file
	text, err := os.ReadFile(file)
	if err != nil {
		d.log.Error("reload: the configuration file cannot be read; nothing was changed", "error", err)
		return
	}
	_, err = d.agent.Apply(ctx, file, text, false)
	var bad *policy.Errors
	if errors.As(err, &bad) {
		for _, p := range bad.Problems {
			d.log.Error("reload: "+p.What, "file", p.File, "line", p.Line, "object", p.Object, "remedy", p.Remedy)
		}
	}
}

// stop ends the servers, then the ports.
func (d *daemonProcess) stop(cancel context.CancelFunc) error {
	notify(d.log, daemon.SdNotifyStopping)
	cancel()
	d.servers.Wait()
	return d.agent.Stop()
}

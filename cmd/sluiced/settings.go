package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/sluicenet/sluice/policy"
)

const defaultConfig = "/etc/sluice/host.yaml"

// options are the flags that are not settings of the configuration.
type options struct {
	config         string
	check, version bool
}

func newFlags(stderr io.Writer) (*pflag.FlagSet, *options) {
	o := &options{}
	f := pflag.NewFlagSet("sluiced", pflag.ContinueOnError)
	f.SetOutput(stderr)
	f.SortFlags = false
	f.StringVar(&o.config, "config", defaultConfig, "the host's configuration")
	f.String("socket", "", "control socket (else SLUICE_DAEMON_SOCKET, else daemon.socket of the configuration)")
	f.String("metrics", "", "host:port of the Prometheus endpoint, or off (else SLUICE_DAEMON_METRICS, else daemon.metrics)")
	f.String("log-level", "", "debug, info, warn or error (else SLUICE_DAEMON_LOGLEVEL, else daemon.logLevel)")
	f.String("log-format", "", "text or json (else SLUICE_DAEMON_LOGFORMAT, else daemon.logFormat)")
	f.BoolVar(&o.check, "check", false, "check the configuration and end")
	f.BoolVar(&o.version, "version", false, "say which build this is and end")
	f.Usage = func() {
		fmt.Fprintf(stderr, "sluiced is the switch. It runs the ports of a host's configuration until SIGTERM; SIGHUP applies the file again.\n\n"+
			"Usage: sluiced [flags]\n\n%s\nExit codes: 0 stopped cleanly, 1 failed, 2 bad flags or configuration, 3 already running, 4 stopped by force.\n",
			f.FlagUsages())
	}
	return f, o
}

// settings are what the daemon starts with.
type settings struct {
	file   string // absolute: it is read again at SIGHUP
	yaml   []byte
	config *policy.Config
	daemon policy.Settings
}

func load(file string, flags *pflag.FlagSet) (*settings, error) {
	abs, err := filepath.Abs(file)
	if err != nil {
		return nil, fmt.Errorf("%w: --config %s: %w", errConfig, file, err)
	}
	s := &settings{file: abs}
	if s.yaml, err = os.ReadFile(abs); err != nil {
		return nil, fmt.Errorf("%w: %w; name the host's configuration with --config", errConfig, err)
	}
	if s.config, err = policy.Parse(file, s.yaml); err != nil {
		return nil, err
	}
	if s.daemon, err = policy.LoadSettings(abs, flags); err != nil {
		return nil, fmt.Errorf("%w: %w", errConfig, err)
	}
	return s, nil
}

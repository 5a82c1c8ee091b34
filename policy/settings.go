package policy

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

// Settings are the parts of the daemon section that a flag or the environment may override.
type Settings struct {
	Socket    string
	Metrics   string // host:port, or MetricsOff
	LogLevel  string
	LogFormat string
}

// setting is one of them.
type setting struct {
	key   string // in viper, which knows no upper case
	flag  string
	check func(string) (what, remedy string)
}

var settings = []setting{
	{"daemon.socket", "socket", socketProblem},
	{"daemon.metrics", "metrics", metricsProblem},
	{"daemon.loglevel", "log-level", wordProblem(logLevels)},
	{"daemon.logformat", "log-format", wordProblem(logFormats)},
}

func wordProblem(words []string) func(string) (what, remedy string) {
	return func(s string) (what, remedy string) {
		if slices.Contains(words, s) {
			return "", ""
		}
		return "is " + shown(s), "use " + oneOf(words)
	}
}

// LoadSettings finds the settings: of the flags --socket, --metrics, --log-level and --log-format those that were given,
// else the environment (SLUICE_DAEMON_SOCKET, SLUICE_DAEMON_METRICS, SLUICE_DAEMON_LOGLEVEL, SLUICE_DAEMON_LOGFORMAT),
// else the file, else the defaults. Without a path there is no file; flags may be nil, and lack any of these.
func LoadSettings(path string, flags *pflag.FlagSet) (Settings, error) {
	v := viper.New()
	if err := readSettings(v, path); err != nil {
		return Settings{}, err
	}
	v.SetEnvPrefix("sluice")
	v.SetEnvKeyReplacer(strings.NewReplacer(".", "_"))
	values := make([]string, len(settings))
	for i, s := range settings {
		if err := v.BindEnv(s.key); err != nil {
			return Settings{}, fmt.Errorf("bind setting %s: %w", s.key, err)
		}
		if flags != nil && flags.Lookup(s.flag) != nil {
			if err := v.BindPFlag(s.key, flags.Lookup(s.flag)); err != nil {
				return Settings{}, fmt.Errorf("bind setting %s: %w", s.key, err)
			}
		}
		values[i] = v.GetString(s.key)
		if what, remedy := s.check(values[i]); what != "" {
			return Settings{}, fmt.Errorf("--%s or SLUICE_%s %s (%s)", s.flag,
				strings.ToUpper(strings.ReplaceAll(s.key, ".", "_")), what, remedy)
		}
	}
	return Settings{Socket: values[0], Metrics: values[1], LogLevel: values[2], LogFormat: values[3]}, nil
}

// readSettings gives viper the defaults and the file. The file is checked first: viper takes any key.
func readSettings(v *viper.Viper, path string) error {
	var c Config
	c.setDefaults()
	v.SetDefault("daemon.socket", c.Daemon.Socket)
	v.SetDefault("daemon.metrics", c.Daemon.Metrics)
	v.SetDefault("daemon.loglevel", c.Daemon.LogLevel)
	v.SetDefault("daemon.logformat", c.Daemon.LogFormat)
	if path == "" {
		return nil
	}
	data, err := readFile(path)
	if err != nil {
		return err
	}
	if _, err := Parse(path, data); err != nil {
		return err
	}
	v.SetConfigType("yaml")
	if err := v.ReadConfig(bytes.NewReader(data)); err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	return nil
}

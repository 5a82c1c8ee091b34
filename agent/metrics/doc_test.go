package metrics

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

// row is a line of docs/METRICS.md: | `name` | type | labels | meaning |
var row = regexp.MustCompile("(?m)^\\| `(sluice_[a-z_]+)` \\| ([a-z]+) \\| (.*?) \\| (.*) \\|$")

func TestDocumentListsExactlyWhatIsExported(t *testing.T) {
	text, err := os.ReadFile("../../docs/METRICS.md")
	require.NoError(t, err)
	documented := map[string][]string{}
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		require.NotContains(t, documented, m[1], "documented twice")
		documented[m[1]] = m[2:]
	}
	for _, f := range families {
		m := documented[f.name]
		require.NotNil(t, m, "docs/METRICS.md lacks %s", f.name)
		delete(documented, f.name)
		kind := map[prometheus.ValueType]string{prometheus.CounterValue: "counter", prometheus.GaugeValue: "gauge"}[f.kind]
		require.Equal(t, kind, m[0], "type of %s", f.name)
		labels := "-"
		if len(f.labels) > 0 {
			labels = "`" + strings.Join(f.labels, "`, `") + "`"
		}
		require.Equal(t, labels, m[1], "labels of %s", f.name)
		require.Equal(t, f.help, m[2], "meaning of %s", f.name)
	}
	require.Empty(t, documented, "docs/METRICS.md lists what is not exported")
}

// Names follow the conventions of Prometheus: counters end in _total, base units, no unit twice.
func TestNames(t *testing.T) {
	for _, f := range families {
		require.Equal(t, f.kind == prometheus.CounterValue, strings.HasSuffix(f.name, "_total"), f.name)
		require.True(t, strings.HasSuffix(f.help, "."), f.name)
	}
}

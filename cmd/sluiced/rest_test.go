package main

import (
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/configs"
	"github.com/sluicenet/sluice/demo/netlab"
)

// onThisMachine turns the sample of a server into one for devices that exist everywhere. The policy stays.
var onThisMachine = strings.NewReplacer(
	`device: {pci: "0000:3b:00.0"}`, `device: {devargs: "net_null0,no-rx=1"}`,
	`device: {pci: "0000:3b:00.1"}`, `device: {devargs: "net_null1,no-rx=1"}`,
	"workers: 4", "workers: 1", "cores: [2, 3, 4, 5]", "cores: [0]", "hugepages: on", `hugepages: "off"`, "queues: 4", "queues: 1",
	"idle: {mode: busy}", "idle: {mode: adaptive}",
	"namespace: ", "namespace: sluiced-rest-",
)

const collectionsPerMinute = 2 // at most, at rest

// A collection takes a core from a worker for milliseconds. At rest, with the policy of a server, there is next to none:
// the test looks at how fast the heap grows, which tells how often it would have to be collected, in seconds instead of
// hours.
func TestCollectorRests(t *testing.T) {
	needRoot(t)
	lab, err := netlab.Open("sluiced-rest-", filepath.Join(t.TempDir(), "lab"))
	require.NoError(t, err)
	defer func() { require.NoError(t, lab.Sweep()) }()
	for _, vm := range []string{"red-web-1", "red-db-1", "blue-web-1", "green-batch-1"} {
		_, err := lab.AddNamespace(vm)
		require.NoError(t, err)
	}
	sample, err := configs.Files.ReadFile("bare-metal.yaml")
	require.NoError(t, err)
	h := &host{file: filepath.Join(t.TempDir(), "host.yaml"), metrics: freeAddress(t)}
	require.NoError(t, os.WriteFile(h.file, []byte(onThisMachine.Replace(string(sample))), 0o600))
	p := launch(t, h.args("--socket", filepath.Join(t.TempDir(), "s.sock"), "--metrics", h.metrics))
	p.await("READY=1")

	time.Sleep(2 * time.Second) // what starting takes
	heap(t, h)                  // the first look makes more than the others
	first := heap(t, h)
	before, perLook := first, math.Inf(1)
	for range 5 {
		now := heap(t, h)
		perLook = min(perLook, now.allocated-before.allocated)
		before = now
	}
	const rest = 8 * time.Second
	time.Sleep(rest)
	last := heap(t, h)
	grown := max(0, last.allocated-before.allocated-perLook) / rest.Minutes()
	room := last.next - last.live
	require.Positive(t, room)
	t.Logf("allocated at rest: %.0f kB a minute, %.0f kB by a look at the metrics; %.0f kB until a collection: %.4f collections a minute",
		grown/1e3, perLook/1e3, last.next/1e3, grown/room)
	assert.Less(t, grown/room, float64(collectionsPerMinute))
	assert.Equal(t, first.collections, last.collections, "and none was seen")
}

// heapFigures are Go's own, bytes.
type heapFigures struct{ collections, allocated, live, next float64 }

func heap(t *testing.T, h *host) heapFigures {
	t.Helper()
	_, body := get(t, "http://"+h.metrics+"/metrics")
	value := func(name string) float64 {
		for line := range strings.Lines(body) {
			if text, ok := strings.CutPrefix(line, name+" "); ok {
				v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
				require.NoError(t, err)
				return v
			}
		}
		require.Fail(t, "no metric", name)
		return 0
	}
	return heapFigures{value("go_gc_duration_seconds_count"), value("go_memstats_alloc_bytes_total"),
		value("go_memstats_heap_alloc_bytes"), value("go_memstats_next_gc_bytes")}
}

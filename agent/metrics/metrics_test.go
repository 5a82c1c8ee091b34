package metrics_test

import (
	"context"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/agent"
	"github.com/sluicenet/sluice/agent/control"
	"github.com/sluicenet/sluice/agent/metrics"
	"github.com/sluicenet/sluice/internal/frames"
	"github.com/sluicenet/sluice/internal/memdriver"
	"github.com/sluicenet/sluice/policy"
)

const config = `
host: {name: host-a}
daemon: {metrics: "off"}
uplinks:
  - {name: up0, device: {devargs: net_null0}, mtu: 1600, providerAddresses: [172.16.1.1/24]}
networks:
  - name: red
    subnets:
      - {name: web, vsid: 6001, prefix: 10.0.0.0/24}
records:
  - {subnet: web, ca: 10.0.0.7, mac: "00:15:5d:00:01:07", pa: 172.16.1.2}
vports:
  - {name: vm1, device: {driver: tap}, mac: "00:15:5d:00:01:05", subnet: web, addresses: [10.0.0.5]}
`

type endpoint struct {
	agent  *agent.Agent
	driver *memdriver.Driver
	url    string
}

func serve(t *testing.T) *endpoint {
	t.Helper()
	c, err := policy.Parse("host.yaml", []byte(config))
	require.NoError(t, err)
	e := &endpoint{driver: memdriver.New(4096)}
	e.agent, err = agent.New(agent.Options{
		Config: c, File: "host.yaml", YAML: []byte(config), Driver: e.driver, Cores: []int{-1}, Pool: agent.PoolFor(c, 1),
		KernelAddrs: func() (map[netip.Addr]string, error) { return nil, nil },
	})
	require.NoError(t, err)
	l, err := metrics.Listen("127.0.0.1:0")
	require.NoError(t, err)
	e.url = "http://" + l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	b := control.Build{Version: "v1.2.3", Commit: "abc", Go: "go1", DPDK: "none"}
	go func() { served <- metrics.Serve(ctx, l, metrics.Handler(e.agent, metrics.NewRegistry(e.agent, b))) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-served)
		require.NoError(t, e.agent.Stop())
		require.NoError(t, e.driver.CheckClean())
	})
	return e
}

func (e *endpoint) get(t *testing.T, path string) (int, string) {
	t.Helper()
	res, err := http.Get(e.url + path)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(body)
}

func (e *endpoint) scrape(t *testing.T) map[string]*dto.MetricFamily {
	t.Helper()
	code, body := e.get(t, "/metrics")
	require.Equal(t, http.StatusOK, code, body)
	p := expfmt.NewTextParser(model.UTF8Validation)
	families, err := p.TextToMetricFamilies(strings.NewReader(body))
	require.NoError(t, err)
	return families
}

// value finds one sample by its labels, written name=value.
func value(t *testing.T, families map[string]*dto.MetricFamily, name string, labels ...string) float64 {
	t.Helper()
	f := families[name]
	require.NotNil(t, f, name)
	for _, m := range f.GetMetric() {
		have := map[string]bool{}
		for _, l := range m.GetLabel() {
			have[l.GetName()+"="+l.GetValue()] = true
		}
		all := true
		for _, l := range labels {
			all = all && have[l]
		}
		if all {
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	require.Failf(t, "no such sample", "%s %v in %v", name, labels, f.GetMetric())
	return 0
}

func TestScrape(t *testing.T) {
	e := serve(t)
	before := e.scrape(t)
	require.Zero(t, value(t, before, "sluice_ready"))
	require.EqualValues(t, 1, value(t, before, "sluice_build_info", "version=v1.2.3", "dpdk_version=none"))

	require.NoError(t, e.agent.Start(t.Context()))
	e.driver.Port("vm1").Inject(0, frames.Ping("00:15:5d:00:01:99", "00:15:5d:00:01:07", "10.0.0.5", "10.0.0.7", 1, 1)) // not its MAC
	e.driver.Port("vm1").Inject(0, frames.Ping("00:15:5d:00:01:05", "00:15:5d:00:01:07", "10.0.0.5", "10.0.0.7", 1, 2))
	_, err := e.driver.Port("up0").WaitSent(1, 20*time.Second)
	require.NoError(t, err)
	require.NoError(t, e.driver.Net().WaitIdle(20*time.Second))

	f := e.scrape(t)
	require.EqualValues(t, 1, value(t, f, "sluice_ready"))
	require.EqualValues(t, 2, value(t, f, "sluice_port_received_packets_total", "port=vm1", "kind=vport"))
	require.EqualValues(t, 1, value(t, f, "sluice_port_dropped_packets_total", "port=vm1"))
	require.EqualValues(t, 1, value(t, f, "sluice_port_delivered_packets_total", "port=up0", "kind=uplink"))
	require.EqualValues(t, 2, value(t, f, "sluice_device_received_packets_total", "port=vm1"))
	require.EqualValues(t, 1, value(t, f, "sluice_device_link_up", "port=up0"))
	require.EqualValues(t, 1.25e9, value(t, f, "sluice_device_link_speed_bytes_per_second", "port=up0"))
	require.EqualValues(t, 1, value(t, f, "sluice_neighbours", "uplink=up0", "state=incomplete"))
	require.EqualValues(t, 1, value(t, f, "sluice_ports", "kind=vport"))
	require.EqualValues(t, 1, value(t, f, "sluice_config_revision"))
	require.EqualValues(t, 1, value(t, f, "sluice_config_last_apply_success"))
	require.Positive(t, value(t, f, "sluice_worker_iterations_total", "worker=0", "core=-1"))
	require.Contains(t, f, "go_goroutines")
	require.Contains(t, f, "process_cpu_seconds_total")
	for name := range f {
		require.Regexp(t, "^(sluice|go|process)_", name)
	}

	_, err = e.agent.Apply(t.Context(), "f", []byte("nonsense"), false)
	require.Error(t, err)
	require.Zero(t, value(t, e.scrape(t), "sluice_config_last_apply_success"))
}

// TestScrapeOfAWorkerThatHangs: what is asked when something is wrong answers then too.
func TestScrapeOfAWorkerThatHangs(t *testing.T) {
	e := serve(t)
	require.NoError(t, e.agent.Start(t.Context()))
	e.driver.Port("vm1").Inject(0, frames.Ping("00:15:5d:00:01:05", "00:15:5d:00:01:07", "10.0.0.5", "10.0.0.7", 1, 2))
	_, err := e.driver.Port("up0").WaitSent(1, 20*time.Second)
	require.NoError(t, err)
	e.agent.Switch().Quiesce()
	release := e.driver.Hang()
	defer release()
	before := e.scrape(t)
	require.EqualValues(t, 1, value(t, before, "sluice_queue_packets_total", "port=vm1"))
	require.EqualValues(t, 1, value(t, before, "sluice_queue_flows_inserted_total", "port=vm1"))
	require.Positive(t, value(t, before, "sluice_worker_busy_iterations_total"))
	value(t, before, "sluice_worker_stage_cycles_total", "stage=poll")
	value(t, before, "sluice_queue_stage_cycles_total", "port=vm1", "stage=lookup")
	time.Sleep(50 * time.Millisecond)
	after := e.scrape(t)
	require.Greater(t, value(t, after, "sluice_worker_report_age_seconds"), 0.05)
	require.Equal(t, value(t, before, "sluice_worker_iterations_total"), value(t, after, "sluice_worker_iterations_total"))
}

func TestProbes(t *testing.T) {
	e := serve(t)
	code, body := e.get(t, "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Contains(t, body, "starting")
	code, _ = e.get(t, "/healthz")
	require.Equal(t, http.StatusOK, code)
	require.NoError(t, e.agent.Start(t.Context()))
	code, body = e.get(t, "/readyz")
	require.Equal(t, http.StatusOK, code, body)
	require.NoError(t, e.agent.Stop())
	code, _ = e.get(t, "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, code)
}

func TestListenSaysWhatToDo(t *testing.T) {
	l, err := metrics.Listen("127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, err = metrics.Listen(l.Addr().String())
	require.ErrorContains(t, err, "address already in use; choose another address with --metrics")
}

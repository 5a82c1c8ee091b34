package peer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/sluicenet/sluice/benchmarks/compare"
	"github.com/sluicenet/sluice/benchmarks/measure"
	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/benchmarks/traffic"
)

// OpenVSwitch is Open vSwitch on DPDK in its default configuration, with a GRE tunnel for NVGRE: one rule per VM port
// sends all of its frames into the tunnel with the key VSID<<8, and one per VM takes its frames out. It checks no
// sender, and looks up no target: less policy than ours carries.
//
//	br-int: VM ports ── gre0 ~ routed by the tunnel to ~ br-phy (provider address): uplink
type OpenVSwitch struct{}

// OpenVSwitchName is how results call it.
const OpenVSwitchName = "ovs-dpdk"

// ovsPrograms are where distributions have the daemon with DPDK.
var ovsPrograms = []string{"/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk", "ovs-vswitchd"}

const (
	ovsSchema   = "/usr/share/openvswitch/vswitch.ovsschema"
	ovsMemoryMB = 1024 // its own default, in one go
	// OpenVSwitchMemoryMB is what it takes of hugepages in all, from experience: beside ovsMemoryMB the buffers of ports.
	OpenVSwitchMemoryMB = ovsMemoryMB + 512
)

// Name implements compare.Contender.
func (OpenVSwitch) Name() string { return OpenVSwitchName }

// Available implements compare.Contender.
func (OpenVSwitch) Available() error {
	for _, t := range []string{"ovsdb-tool", "ovsdb-server", "ovs-vsctl", "ovs-ofctl", "ovs-appctl", "nsenter", "ip"} {
		if _, err := exec.LookPath(t); err != nil {
			return fmt.Errorf("%s is not installed (Debian: apt-get install openvswitch-switch-dpdk iproute2 util-linux)", t)
		}
	}
	if _, err := os.Stat(ovsSchema); err != nil {
		return fmt.Errorf("the schema of its database is missing: %w", err)
	}
	if _, _, err := findVswitchd(); err != nil {
		return err
	}
	return needRoot()
}

// findVswitchd finds a daemon that was built with DPDK, and its version.
func findVswitchd() (program, version string, err error) {
	for _, p := range ovsPrograms {
		out, err := exec.Command(p, "--version").Output()
		if first, rest, _ := strings.Cut(string(out), "\n"); err == nil && strings.Contains(rest, "DPDK") {
			return p, strings.TrimSpace(first[strings.LastIndexByte(first, ' ')+1:]), nil
		}
	}
	return "", "", errors.New("no ovs-vswitchd with DPDK is installed (Debian: apt-get install openvswitch-switch-dpdk)")
}

// Version of what is installed; "" when nothing is.
func (OpenVSwitch) Version() string {
	_, version, _ := findVswitchd()
	return version
}

// ovs is one running Open vSwitch with database, sockets and network namespace of its own.
type ovs struct {
	job    compare.Job
	prefix string
	wiring wiring
	db     *process
	daemon *process
}

// Run implements compare.Contender.
func (OpenVSwitch) Run(ctx context.Context, job compare.Job) (s measure.Sample, err error) {
	o := &ovs{job: job, prefix: filePrefix(OpenVSwitchName), wiring: wire(job.Plan, job.Files)}
	defer forget(o.prefix)
	defer o.stop()
	if err := o.start(ctx); err != nil {
		return s, err
	}
	if err := o.configure(ctx); err != nil {
		return s, err
	}
	s, err = measureDPDK(ctx, job, o.prefix, o.wiring, o.daemon, o.db)
	if err != nil {
		return s, err
	}
	return s, o.inspect(ctx, &s)
}

func (o *ovs) path(name string) string { return filepath.Join(o.job.Dir, name) }

// start starts database and daemon, the daemon in a namespace of its own: its bridges are interfaces of the kernel.
func (o *ovs) start(ctx context.Context) error {
	program, _, err := findVswitchd()
	if err != nil {
		return err
	}
	if _, err := tool(ctx, false, "ovsdb-tool", "create", o.path("conf.db"), ovsSchema); err != nil {
		return err
	}
	env := options{env: []string{"OVS_RUNDIR=" + o.job.Dir, "OVS_LOGDIR=" + o.job.Dir, "OVS_DBDIR=" + o.job.Dir}}
	o.db, err = start("ovsdb-server", o.job.Dir, env, "ovsdb-server", "--no-chdir", "--remote=punix:"+o.path("db.sock"),
		"--unixctl="+o.path("db.ctl"), o.path("conf.db"))
	if err != nil {
		return err
	}
	listens := func() (bool, error) { _, err := os.Stat(o.path("db.sock")); return err == nil, nil }
	if err := until(ctx, "open its database", startPatience, listens, o.db); err != nil {
		return err
	}
	if err := o.vsctl(ctx, "--no-wait", "init"); err != nil {
		return err
	}
	if err := o.vsctl(ctx, append([]string{"--no-wait", "set", "Open_vSwitch", "."}, ovsSettings(o.job, o.prefix)...)...); err != nil {
		return err
	}
	env.ownNetwork = true
	o.daemon, err = start("ovs-vswitchd", o.job.Dir, env, program, "--no-chdir", "--unixctl="+o.path("ctl"), "unix:"+o.path("db.sock"))
	if err != nil {
		return err
	}
	return until(ctx, "start DPDK", startPatience, func() (bool, error) {
		out, err := tool(ctx, false, "ovs-vsctl", "--db=unix:"+o.path("db.sock"), "get", "Open_vSwitch", ".", "dpdk_initialized")
		return strings.TrimSpace(out) == "true", err
	}, o.daemon, o.db)
}

// ovsSettings are what makes it poll on the core that is measured. All else stays as it comes.
func ovsSettings(job compare.Job, prefix string) []string {
	return []string{
		"other_config:dpdk-init=true",
		fmt.Sprintf("other_config:dpdk-lcore-mask=%#x", uint64(1)<<job.ControlCore),
		fmt.Sprintf("other_config:pmd-cpu-mask=%#x", uint64(1)<<job.Core),
		"other_config:dpdk-socket-mem=" + strconv.Itoa(ovsMemoryMB),
		"other_config:dpdk-extra=\"--in-memory --no-pci --file-prefix=" + prefix + "\"",
	}
}

func (o *ovs) stop() {
	if o.daemon != nil {
		o.daemon.stop()
	}
	if o.db != nil {
		o.db.stop()
	}
}

func (o *ovs) vsctl(ctx context.Context, args ...string) error {
	_, err := tool(ctx, true, append([]string{"ovs-vsctl", "--timeout=30", "--db=unix:" + o.path("db.sock")}, args...)...)
	return err
}

func (o *ovs) appctl(ctx context.Context, args ...string) (string, error) {
	return tool(ctx, false, append([]string{"ovs-appctl", "--timeout=30", "-t", o.path("ctl")}, args...)...)
}

// configure makes bridges, ports and rules. Rules come first, so that no packet meets a bridge without them.
func (o *ovs) configure(ctx context.Context) error {
	c := planOVS(o.job.Plan, o.wiring)
	for _, bridge := range c.bridges {
		if err := o.vsctl(ctx, bridge.create...); err != nil {
			return err
		}
	}
	if !o.job.Plan.Profile.Direction.Stays() {
		if err := o.giveAddress(ctx); err != nil {
			return err
		}
	}
	for _, bridge := range c.bridges {
		for _, flow := range bridge.flows {
			if _, err := tool(ctx, false, "ovs-ofctl", "add-flow", "unix:"+o.path(bridge.name+".mgmt"), flow); err != nil {
				return err
			}
		}
		if err := o.vsctl(ctx, bridge.ports...); err != nil {
			return err
		}
	}
	for _, command := range c.commands {
		if _, err := o.appctl(ctx, command...); err != nil {
			return err
		}
	}
	return nil
}

// giveAddress puts the provider address onto the underlay bridge and tells who the next hop is.
func (o *ovs) giveAddress(ctx context.Context) error {
	inside := []string{"nsenter", "-t", strconv.Itoa(o.daemon.pid()), "-n", "ip"}
	for _, args := range [][]string{
		{"link", "set", "lo", "up"},
		{"addr", "add", fmt.Sprintf("%s/%d", traffic.NearPA, traffic.Fabric.Bits()), "dev", underlay},
		{"link", "set", underlay, "mtu", strconv.Itoa(traffic.UplinkMTU), "up"},
	} {
		if _, err := tool(ctx, false, append(inside, args...)...); err != nil {
			return err
		}
	}
	err := until(ctx, "find the route to the other host", startPatience, func() (bool, error) {
		out, err := o.appctl(ctx, "ovs/route/lookup", traffic.FarPA.String())
		return strings.Contains(out, underlay), err
	}, o.daemon)
	if err != nil {
		return err
	}
	_, err = o.appctl(ctx, "tnl/neigh/set", underlay, traffic.FarPA.String(), traffic.FarHostMAC.String())
	return err
}

var pmdCycles = regexp.MustCompile(`avg cycles per packet: ([0-9.]+)`)

// inspect refuses a sample of an Open vSwitch that did something else than the profile asks for, and notes what it says
// of itself.
func (o *ovs) inspect(ctx context.Context, s *measure.Sample) error {
	flows, err := o.appctl(ctx, "dpctl/dump-flows")
	if err != nil {
		return err
	}
	want := map[profile.Direction]string{profile.Encap: "tnl_push(", profile.Decap: "tnl_pop("}[o.job.Plan.Profile.Direction]
	if !strings.Contains(flows, want) {
		return fmt.Errorf("no flow of Open vSwitch has the action %s: it does not do the same work", want)
	}
	s.Detail["flows"] = float64(strings.Count(flows, "actions:"))
	// Measured by itself over a second of its own, so that it does not count its start.
	if _, err := o.appctl(ctx, "dpif-netdev/pmd-stats-clear"); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Second):
	}
	stats, err := o.appctl(ctx, "dpif-netdev/pmd-stats-show", "-pmd", strconv.Itoa(o.job.Core))
	if err != nil {
		return err
	}
	if m := pmdCycles.FindStringSubmatch(stats); m != nil {
		s.Detail["ownCyclesPerPacket"], _ = strconv.ParseFloat(m[1], 64)
	}
	return nil
}

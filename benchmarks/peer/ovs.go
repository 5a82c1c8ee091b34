package peer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/sluicenet/sluice/benchmarks/compare"
	"github.com/sluicenet/sluice/benchmarks/measure"
	"github.com/sluicenet/sluice/benchmarks/profile"
	"github.com/sluicenet/sluice/benchmarks/traffic"
)

// OpenVSwitch is Open vSwitch on DPDK with a GRE tunnel for NVGRE, and with the policy that our switch carries: tables for
// who may send what, for the rules of the VMs' ports, and for where packets go.
//
//	br-int: VM ports ── gre0 ~ routed by the tunnel to ~ br-phy (provider address): uplink
type OpenVSwitch struct {
	Label    string
	Settings []string // of Open_vSwitch, beside those that make it run here; none is Debian's default
}

// Names of its variants in results. Which of its caches is best depends on the number of flows.
const (
	OpenVSwitchName      = "ovs-dpdk"        // as it comes: exact-match cache, a flow in a hundred packets gets in
	OpenVSwitchNoEMCName = "ovs-dpdk-no-emc" // its documentation recommends this for many flows
	OpenVSwitchSMCName   = "ovs-dpdk-smc"    // signature-match cache instead
)

// OpenVSwitches are all variants, the default first.
func OpenVSwitches() []*OpenVSwitch {
	const noEMC = "other_config:emc-insert-inv-prob=0"
	return []*OpenVSwitch{
		{Label: OpenVSwitchName},
		{Label: OpenVSwitchNoEMCName, Settings: []string{noEMC}},
		{Label: OpenVSwitchSMCName, Settings: []string{noEMC, "other_config:smc-enable=true"}},
	}
}

// OpenVSwitchNames are the names of all variants, the default first.
func OpenVSwitchNames() (names []string) {
	for _, v := range OpenVSwitches() {
		names = append(names, v.Label)
	}
	return names
}

// ovsPrograms are where distributions have the daemon with DPDK.
var ovsPrograms = []string{"/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk", "ovs-vswitchd"}

const (
	ovsSchema   = "/usr/share/openvswitch/vswitch.ovsschema"
	ovsMemoryMB = 1024    // its own default, in one go
	ovsBuffers  = 200_000 // of its shared pool that a replay may take: it has 262,144
	ovsRing     = 4096    // descriptors of a queue at most
)

// OpenVSwitchMemoryMB is what it takes of hugepages in all, from experience: beside its own the buffers of ports.
func OpenVSwitchMemoryMB(plan *traffic.Plan) int { return ovsPoolMB(plan) + 512 }

// ovsPoolMB is its own default, or what a replay needs that does not fit into that.
func ovsPoolMB(plan *traffic.Plan) int {
	if n := frames(plan); n > ovsBuffers {
		return (n+n/8)*bufferBytes>>20 + ovsMemoryMB
	}
	return ovsMemoryMB
}

// Name implements compare.Contender.
func (v *OpenVSwitch) Name() string { return v.Label }

// Takes implements compare.Chooser: the caches are compared where frames are small and a tunnel is in the way.
func (v *OpenVSwitch) Takes(p *profile.Profile) bool {
	tunnel := p.Direction == profile.Encap || p.Direction == profile.Decap
	return len(v.Settings) == 0 || tunnel && p.MaxBytes() < 128 && p.ACLs <= 1000 && p.Flows <= ovsBuffers
}

// Available implements compare.Contender.
func (*OpenVSwitch) Available() error {
	if err := needTools(); err != nil {
		return err
	}
	if _, err := os.Stat(ovsSchema); err != nil {
		return fmt.Errorf("the schema of its database is missing: %w", err)
	}
	if _, _, err := findVswitchd(); err != nil {
		return err
	}
	return needRoot()
}

// needTools names the first program that is missing, and the package that has it.
func needTools() error {
	for _, needed := range []struct{ program, pkg string }{
		{"ovsdb-tool", "openvswitch-switch-dpdk"}, {"ovsdb-server", "openvswitch-switch-dpdk"}, {"ovs-vsctl", "openvswitch-switch-dpdk"},
		{"ovs-ofctl", "openvswitch-switch-dpdk"}, {"ovs-appctl", "openvswitch-switch-dpdk"}, {"nsenter", "util-linux"}, {"ip", "iproute2"},
	} {
		if _, err := exec.LookPath(needed.program); err != nil {
			return fmt.Errorf("%s is not installed (Debian: apt-get install %s)", needed.program, needed.pkg)
		}
	}
	return nil
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

// OpenVSwitchVersion is that of what is installed; "" when nothing is.
func OpenVSwitchVersion() string {
	_, version, _ := findVswitchd()
	return version
}

// ovs is one running Open vSwitch with database, sockets and network namespace of its own.
type ovs struct {
	job      compare.Job
	prefix   string
	settings []string
	wiring   wiring
	db       *process
	daemon   *process
}

// Run implements compare.Contender.
func (v *OpenVSwitch) Run(ctx context.Context, job compare.Job) (s measure.Sample, err error) {
	o := &ovs{job: job, prefix: filePrefix(v.Label), settings: v.Settings, wiring: wire(job.Plan, job.Files)}
	defer forget(o.prefix)
	defer o.stop()
	if err := o.start(ctx); err != nil {
		return s, err
	}
	if err := o.configure(ctx); err != nil {
		return s, err
	}
	s, err = measureDPDK(ctx, job, o.prefix, o.wiring, o.settled(ctx), o.daemon, o.db)
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
	if err := o.vsctl(ctx, append([]string{"--no-wait", "set", "Open_vSwitch", "."}, append(ovsSettings(o.job, o.prefix), o.settings...)...)...); err != nil {
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

// ovsSettings are what makes it poll on the core that is measured. All else stays as it comes, unless the replay does
// not fit into the buffers that its ports share.
func ovsSettings(job compare.Job, prefix string) []string {
	settings := []string{
		"other_config:dpdk-init=true",
		fmt.Sprintf("other_config:dpdk-lcore-mask=%#x", uint64(1)<<job.ControlCore),
		fmt.Sprintf("other_config:pmd-cpu-mask=%#x", uint64(1)<<job.Core),
		"other_config:dpdk-socket-mem=" + strconv.Itoa(ovsPoolMB(job.Plan)),
		"other_config:dpdk-extra=\"--in-memory --no-pci --file-prefix=" + prefix + "\"",
	}
	if frames(job.Plan) > ovsBuffers {
		settings = append(settings, "other_config:per-port-memory=true")
	}
	return settings
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
	if c.tunnels() {
		if err := o.giveAddress(ctx); err != nil {
			return err
		}
	}
	for _, bridge := range c.bridges {
		file := o.path(bridge.name + ".flows")
		if err := os.WriteFile(file, []byte(strings.Join(bridge.flows, "\n")+"\n"), 0o644); err != nil {
			return fmt.Errorf("write the rules of %s: %w", bridge.name, err)
		}
		if _, err := tool(ctx, false, "ovs-ofctl", "add-flows", "unix:"+o.path(bridge.name+".mgmt"), file); err != nil {
			return err
		}
		if err := o.vsctl(ctx, bridge.ports...); err != nil {
			return err
		}
	}
	control, err := dialControl(ctx, o.path("ctl"))
	if err != nil {
		return err
	}
	defer control.close()
	for _, command := range c.commands {
		if _, err := control.call(command[0], command[1:]...); err != nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
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

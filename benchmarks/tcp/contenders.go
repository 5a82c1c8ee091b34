package tcp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/sluicenet/sluice/demo/netlab"
)

// Names of the contenders, as results call them.
const (
	SluiceName      = "sluice"
	OpenVSwitchName = "ovs-userspace"
	// OpenVSwitchXDPName is Open vSwitch with the uplink by AF_XDP, polled by a thread of its own.
	OpenVSwitchXDPName = "ovs-afxdp"
)

// sluice is our daemon, with a worker on a core of its own for each host.
type sluice struct{ program string }

func (*sluice) name() string { return SluiceName }

func (c *sluice) available() error {
	if _, err := os.Stat(c.program); err != nil {
		return fmt.Errorf("the daemon: %w (build it: make build)", err)
	}
	return needIperf()
}

func needIperf() error {
	if _, err := exec.LookPath("iperf3"); err != nil {
		return errors.New("iperf3 is not installed (Debian: apt-get install iperf3)")
	}
	return nil
}

func (c *sluice) start(ctx context.Context, l *lab) (all []*netlab.Process, err error) {
	cores := netlab.Cores()
	for i, e := range l.ends {
		file := l.Path("host-" + e.name + ".yaml")
		far := l.other(e)
		text := fmt.Sprintf(`host: {name: host-%s}
daemon: {socket: %q, metrics: "off"}
dataplane: {workers: 1, cores: [%d]}
uplinks:
  - {name: up0, device: {driver: af_packet, interface: %s}, mtu: %d, providerAddresses: [%s/24]}
vports:
  - {name: %s, device: {driver: tap, namespace: %q}, mac: %q, subnet: web, addresses: [%s]}
networks:
  - name: red
    subnets: [{name: web, vsid: %d, prefix: 10.0.0.0/24}]
records:
  - {subnet: web, ca: %s, mac: %q, pa: %s}
`, e.name, l.Path("host-"+e.name+".sock"), cores[i%len(cores)], uplink, fabricMTU, e.pa, e.tap(), e.vm.Name(), e.mac, e.ca, vsid, far.ca, far.mac, far.pa)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return nil, fmt.Errorf("write configuration: %w", err)
		}
		p, err := e.host.Start("sluiced-"+e.name, c.program, "--config", file)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	for _, p := range all {
		if err := p.WaitLog(ctx, "msg=ready", patience); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// openVSwitch is Open vSwitch with its userspace datapath (netdev) as it comes: ports of type internal, which are taps,
// and the uplink by a packet socket. Its rules put one VM's frames into a tunnel with the key VSID<<8, and take them out.
type openVSwitch struct{ afxdp bool }

func (c *openVSwitch) name() string {
	if c.afxdp {
		return OpenVSwitchXDPName
	}
	return OpenVSwitchName
}

const ovsSchema = "/usr/share/openvswitch/vswitch.ovsschema"

func (c *openVSwitch) available() error {
	for _, t := range []string{"ovsdb-tool", "ovsdb-server", "ovs-vswitchd", "ovs-vsctl", "ovs-ofctl", "ovs-appctl"} {
		if _, err := exec.LookPath(t); err != nil {
			return fmt.Errorf("%s is not installed (Debian: apt-get install openvswitch-switch)", t)
		}
	}
	if _, err := os.Stat(ovsSchema); err != nil {
		return fmt.Errorf("the schema of its database is missing: %w", err)
	}
	return needIperf()
}

func (c *openVSwitch) start(ctx context.Context, l *lab) (all []*netlab.Process, err error) {
	cores := netlab.Cores()
	for i, e := range l.ends {
		o := ovsHost{end: e, afxdp: c.afxdp, core: cores[i%len(cores)], dir: l.Path("ovs-" + e.name)}
		if err := o.run(ctx, l.other(e)); err != nil {
			return nil, err
		}
		all = append(all, o.processes...)
	}
	return all, nil
}

// ovsHost is Open vSwitch on one host.
type ovsHost struct {
	*end
	afxdp     bool
	core      int // of the polling thread, with afxdp
	dir       string
	processes []*netlab.Process
}

func (o *ovsHost) run(ctx context.Context, far *end) error {
	if err := os.Mkdir(o.dir, 0o755); err != nil {
		return fmt.Errorf("folder of Open vSwitch: %w", err)
	}
	if _, err := o.host.Run(ctx, "ovsdb-tool", "create", o.dir+"/conf.db", ovsSchema); err != nil {
		return err
	}
	if err := o.program("ovsdb-server", "--remote=punix:"+o.dir+"/db.sock", o.dir+"/conf.db"); err != nil {
		return err
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(o.dir + "/db.sock"); err == nil {
			break
		} else if time.Now().After(deadline) {
			return fmt.Errorf("ovsdb-server: %w: %s", err, o.processes[0].LogTail(10))
		}
	}
	if err := o.vsctl(ctx, "--no-wait", "init"); err != nil {
		return err
	}
	if err := o.program("ovs-vswitchd", "unix:"+o.dir+"/db.sock"); err != nil {
		return err
	}
	return o.configure(ctx, far)
}

func (o *ovsHost) program(name string, args ...string) error {
	argv := append([]string{"env", "OVS_RUNDIR=" + o.dir, "OVS_LOGDIR=" + o.dir, name, "--no-chdir", "--unixctl=" + o.dir + "/" + name + ".ctl"}, args...)
	p, err := o.host.Start(name+"-"+o.name, argv...)
	if err == nil {
		o.processes = append(o.processes, p)
	}
	return err
}

func (o *ovsHost) vsctl(ctx context.Context, args ...string) error {
	_, err := o.host.Run(ctx, append([]string{"ovs-vsctl", "--timeout=20", "--db=unix:" + o.dir + "/db.sock"}, args...)...)
	return err
}

func (o *ovsHost) configure(ctx context.Context, far *end) error {
	tap := o.tap()
	underlay := []string{"add-br", "br-phy", "--", "set", "bridge", "br-phy", "datapath_type=netdev", "--", "add-port", "br-phy", uplink}
	if o.afxdp {
		underlay = append(underlay, "--", "set", "interface", uplink, "type=afxdp",
			"--", "set", "Open_vSwitch", ".", fmt.Sprintf("other_config:pmd-cpu-mask=%#x", uint64(1)<<o.core))
	}
	for _, args := range [][]string{
		underlay,
		{"add-br", "br-int", "--", "set", "bridge", "br-int", "datapath_type=netdev", "fail-mode=secure",
			"--", "add-port", "br-int", tap, "--", "set", "interface", tap, "type=internal", "ofport_request=1", "mtu_request=1500",
			"--", "add-port", "br-int", "gre0", "--", "set", "interface", "gre0", "type=gre", "ofport_request=2",
			"options:local_ip=" + o.pa, "options:remote_ip=" + far.pa, "options:key=flow"},
	} {
		if err := o.vsctl(ctx, args...); err != nil {
			return err
		}
	}
	if err := o.host.AddAddress("br-phy", netip.MustParsePrefix(o.pa+"/24")); err != nil {
		return err
	}
	for _, argv := range [][]string{
		{"ip", "link", "set", "br-phy", "mtu", fmt.Sprint(fabricMTU), "up"},
		{"ip", "link", "set", tap, "netns", o.vm.Name()},
		{"ovs-ofctl", "add-flow", "unix:" + o.dir + "/br-int.mgmt", fmt.Sprintf("in_port=1,actions=set_field:%#x->tun_id,output:2", vsid<<8)},
		{"ovs-ofctl", "add-flow", "unix:" + o.dir + "/br-int.mgmt", fmt.Sprintf("in_port=2,tun_id=%#x/0xffffff00,actions=output:1", vsid<<8)},
	} {
		if _, err := o.host.Run(ctx, argv...); err != nil {
			return err
		}
	}
	mac, err := net.ParseMAC(o.mac)
	if err != nil {
		return fmt.Errorf("MAC of the VM: %w", err)
	}
	if err := o.vm.SetMAC(tap, mac); err != nil {
		return err
	}
	return o.vm.SetUp(tap)
}

// Version of Open vSwitch that is installed; "" when none is.
func Version() string {
	out, err := exec.Command("ovs-vswitchd", "--version").Output()
	first, _, _ := strings.Cut(string(out), "\n")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(first[strings.LastIndexByte(first, ' ')+1:])
}

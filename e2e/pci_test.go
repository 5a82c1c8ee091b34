package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicenet/sluice/demo/netlab"
	"github.com/sluicenet/sluice/internal/vmlab"
)

// Two NICs of an emulated machine, on one wire.
//
//	red-1 ... ─ sluiced a ─ 0000:01:00.0 (igb0) ── hub ── 0000:02:00.0 (igb1) ─ sluiced b ─ red-2 ...
var igbNICs = vmlab.Options{
	MemoryMiB: 2048,
	Kernel:    []string{"intel_iommu=on", "iommu=pt"},
	Devices: []string{
		"-device", "intel-iommu,intremap=on",
		"-netdev", "hubport,hubid=0,id=wire0", "-netdev", "hubport,hubid=0,id=wire1",
		"-device", "pcie-root-port,id=port0,chassis=1,slot=1", "-device", "pcie-root-port,id=port1,chassis=2,slot=2",
		"-device", "igb,id=igb0,bus=port0,netdev=wire0,mac=52:54:00:00:00:01,romfile=",
		"-device", "igb,id=igb1,bus=port1,netdev=wire1,mac=52:54:00:00:00:02,romfile=",
	},
}

// nicsVariable names the two NICs that a test may take, by their PCI addresses. Only a machine made for it sets this.
const nicsVariable = "SLUICE_E2E_NICS"

func TestMachinePCI(t *testing.T) {
	kit := kitOf(t)
	if !kit.HasIGB() {
		t.Skip("this QEMU has no NIC igb: release 9 has, which make lab-deps gets from Debian's backports")
	}
	const test = "TestPCI"
	m := machine(t, kit, 5*time.Minute, igbNICs,
		scriptOf(t, "modprobe -a igb vfio-pci\necho 256 >/proc/sys/vm/nr_hugepages\nexport "+nicsVariable+"='0000:01:00.0 0000:02:00.0'", test))
	go func() { // as somebody who pulls a cable
		for _, pull := range []bool{true, false} {
			name := map[bool]string{true: "pull", false: "plug"}[pull]
			if m.WaitFile(name) == nil {
				assert.NoError(t, m.Do("set_link", map[string]any{"name": "igb0", "up": !pull}))
			}
		}
	}()
	requirePassed(t, m, test)
}

// cards are all NICs of the machine, by PCI address.
func (l *lab) cards() map[string]struct{ PCI, Name, Driver, Was string } {
	l.t.Helper()
	var list struct {
		Cards []struct{ PCI, Name, Driver, Was string }
	}
	out := l.must(program("sluice"), "nic", "list", "-o", "json")
	require.NoError(l.t, json.Unmarshal([]byte(out), &list), out)
	all := map[string]struct{ PCI, Name, Driver, Was string }{}
	for _, c := range list.Cards {
		all[c.PCI] = c
	}
	return all
}

// must runs a command on the machine itself.
func (l *lab) must(argv ...string) string {
	l.t.Helper()
	out, err := l.command(argv...)
	require.NoError(l.t, err, out)
	return out
}

// A NIC goes from the kernel to sluiced, carries tenants' traffic, and goes back.
func TestPCI(t *testing.T) {
	nics := strings.Fields(os.Getenv(nicsVariable))
	if len(nics) != 2 {
		t.Skip(nicsVariable + " names no two NICs: make test-lab runs this test in a machine that has them")
	}
	l := newLab(t)
	before := l.cards()
	require.Equal(t, "igb", before[nics[0]].Driver)
	// Classes that a device could schedule by itself. The outer frames get a tag with them.
	const qos = ", qos: {classes: [{tc: 0, name: c0, share: 25%, ecn: off}, {tc: 1, name: c1, share: 25%, ecn: off}, " +
		"{tc: 2, name: c2, share: 25%, ecn: off}, {tc: 3, name: c3, share: 25%, ecn: off}]}}"
	const outer = "classification: {outer: [{tc: 0, pcp: 0}, {tc: 1, pcp: 1}, {tc: 2, pcp: 2}, {tc: 3, pcp: 3}]}\n"
	config := func(host string) string {
		yaml := strings.Replace(pairConfig(host), "{driver: af_packet, interface: eth1}, mtu: 1600", `{pci: "`+nics[int(host[0]-'a')]+`"}, mtu: 1600, queues: 2`, 1)
		if host == "a" { // for a worker to move queues to
			yaml = strings.Replace(yaml, dataplaneOf("a"), "workers: 2, cores: [0, 1]", 1)
		}
		return strings.Replace(yaml, "/24]}\n", "/24]"+qos+"\n", 1) + outer
	}
	file := l.Path("doctor.yaml")
	expanded := (&daemon{l: l, name: "a"}).expand(config("a"))
	require.NoError(t, os.WriteFile(file, []byte(expanded), 0o644))
	out, err := l.command(program("sluice"), "doctor", file)
	require.Error(t, err, "the NIC is the kernel's")
	assert.Contains(t, out, nics[0]+" ("+before[nics[0]].Name+") is bound to igb, not to a driver that DPDK uses")
	t.Logf("before:\n%s", out)

	for i, name := range []string{nics[0], before[nics[1]].Name} {
		assert.Contains(t, l.must(program("sluice"), "nic", "bind", name), "vfio-pci has it now")
		assert.Equal(t, "vfio-pci", l.cards()[nics[i]].Driver)
	}
	out, _ = l.command(program("sluice"), "doctor", file) // it still misses the namespaces
	assert.Contains(t, out, nics[0]+" is ready for DPDK (driver vfio-pci)")
	t.Logf("bound:\n%s", out)

	generated := l.must(program("sluice-pktgen"), "run", "--profile", "nvgre-encap", "--tx", nics[0], "--rx", nics[1],
		"--rate", "1kpps", "--duration", "2s", "--wait", "30s", "--core", "1")
	t.Logf("generator:\n%s", generated)
	assert.Regexp(t, `lost +0 `, generated)

	p := l.startPair(l.namespace("host-a"), l.namespace("host-b"), config)
	p.requireTraffic()
	p.requireNoDCB(config("a"))
	p.requireQueuesMove(config("a"))
	p.requireIdle()
	p.requireLinkFollowsCable()
	p.requireRestart()

	out, err = l.command(program("sluice"), "nic", "unbind", nics[0])
	require.Error(t, err)
	assert.Contains(t, out, "(sluiced) uses it")
	assert.NoError(t, p.a.Stop(patience(5*time.Second)))
	assert.NoError(t, p.b.Stop(patience(5*time.Second)))
	for _, n := range nics {
		assert.Contains(t, l.must(program("sluice"), "nic", "unbind", n), "igb has it now")
		assert.Equal(t, before[n], l.cards()[n])
	}
}

// requireTraffic sends tenants' packets both ways, and wants NIC and switch to have counted the same.
func (p *pair) requireTraffic() {
	p.t.Helper()
	p.requirePing(p.vms["red-1"], "10.0.0.7", netlab.PingOptions{Count: 5})
	p.requirePing(p.vms["red-4"], "10.0.0.5", netlab.PingOptions{Count: 5})
	p.requirePing(p.vms["blue-1"], "10.0.0.66", netlab.PingOptions{})
	rate := p.requireIperf(p.vms["red-1"], p.vms["red-2"], "10.0.0.7", netlab.IperfOptions{Duration: 3 * time.Second})
	p.t.Logf("TCP over NVGRE over igb: %.0f Mbit/s", rate.BitsPerSecond/1e6)
	p.a.requireBalanced()
	p.b.requireBalanced()
	out, err := p.a.cli("uplink", "show", "up0")
	require.NoError(p.t, err, out)
	p.t.Log(out)
	for _, want := range []string{"pci", "up, 1Gbit/s", "2 receive", "its driver has no DCB", " 0 missed, 0 errors, 0 without buffer"} {
		assert.Contains(p.t, out, want)
	}
}

// requireNoDCB wants a device that has no classes to be told from one that the file asks too much of.
func (p *pair) requireNoDCB(config string) {
	p.t.Helper()
	assert.Regexp(p.t, `msg="classes are scheduled in software" uplink=up0 .*its driver has no DCB`, p.a.LogTail(40))
	out, err := p.a.apply(strings.Replace(config, "qos: {classes:", "qos: {hardware: required, classes:", 1))
	require.Error(p.t, err)
	p.t.Logf("hardware: required: %s", out)
	p.requirePing(p.vms["red-1"], "10.0.0.7", netlab.PingOptions{})
}

// requireQueuesMove has the NIC's queues change their workers while VMs talk.
func (p *pair) requireQueuesMove(config string) {
	p.t.Helper()
	sent := make(chan netlab.PingResult, 1)
	go func() {
		defer close(sent)
		if answer, err := p.vms["red-2"].Ping(p.ctx, addr("10.0.0.5"), netlab.PingOptions{Count: 50, Limit: patience(10 * time.Second)}); err == nil {
			sent <- answer
		}
	}()
	for _, want := range [][]string{{"0", "1"}, {"1", "0"}} {
		yaml := strings.Replace(config, "queues: 2,", "queues: 2, vmq: {mode: static, workers: ["+strings.Join(want, ", ")+"]},", 1)
		for deadline := time.Now().Add(patience(10 * time.Second)); ; time.Sleep(time.Second) {
			out, err := p.a.apply(yaml)
			require.NoError(p.t, err, out)
			if slices.Equal(want, p.a.queueWorkers("up0")) {
				break
			}
			require.False(p.t, time.Now().After(deadline), "queues 0 and 1 to workers %v", want)
		}
	}
	answer := <-sent
	p.t.Logf("%d pings while queues moved, %d answered", answer.Sent, answer.Received)
	assert.Equal(p.t, answer.Sent, answer.Received)
	assert.NotZero(p.t, answer.Sent)
	out, err := p.a.cli("queue", "history", "up0")
	require.NoError(p.t, err, out)
	p.t.Logf("history:\n%s", out)
	p.a.requireBalanced()
}

// queueWorkers are the workers that poll the queues of a port, by `sluice queue map`.
func (d *daemon) queueWorkers(port string) (workers []string) {
	d.l.t.Helper()
	out, err := d.cli("queue", "map", port, "-o", "json", "--interval", "0")
	require.NoError(d.l.t, err, out)
	var view struct{ Queues []struct{ Worker int } }
	require.NoError(d.l.t, json.Unmarshal([]byte(out), &view), out)
	for _, q := range view.Queues {
		workers = append(workers, strconv.Itoa(q.Worker))
	}
	return workers
}

// requireIdle wants a daemon that has nothing to do to wake when something comes, and shows what it took of its core; the
// emulated one is slow, and how slow depends on what else runs.
func (p *pair) requireIdle() {
	p.t.Helper()
	const seconds = 4
	before := p.cpuTicks(p.a.PID())
	time.Sleep(seconds * time.Second)
	share := float64(p.cpuTicks(p.a.PID())-before) / (100 * seconds)
	asleep := p.nicInterrupts()
	answer := p.requirePing(p.vms["red-1"], "10.0.0.7", netlab.PingOptions{Interval: time.Second})
	woken := p.nicInterrupts() - asleep
	p.t.Logf("idle: %.0f%% of a core; then ping takes %.1f ms, and the NICs interrupt %d times for %d pings", 100*share, answer.AverageMillis, woken, answer.Sent)
	assert.Positive(p.t, woken, "receive interrupts end a sleep")
}

// nicInterrupts counts all of NICs that vfio-pci has.
func (p *pair) nicInterrupts() (sum int) {
	p.t.Helper()
	table, err := os.ReadFile("/proc/interrupts")
	require.NoError(p.t, err)
	for line := range strings.Lines(string(table)) {
		if !strings.Contains(line, "vfio-msix") {
			continue
		}
		for _, field := range strings.Fields(line)[1:] { // one of each core
			n, err := strconv.Atoi(field)
			if err != nil {
				break
			}
			sum += n
		}
	}
	return sum
}

// cpuTicks is the processor time that a process has used, in hundredths of a second.
func (p *pair) cpuTicks(pid int) (sum int) {
	p.t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	require.NoError(p.t, err)
	_, rest, _ := strings.Cut(string(stat), ") ")
	for _, field := range strings.Fields(rest)[11:13] { // utime and stime, proc(5)
		n, err := strconv.Atoi(field)
		require.NoError(p.t, err)
		sum += n
	}
	return sum
}

// requireLinkFollowsCable has the machine's maker pull the cable of host a, and plug it in again.
func (p *pair) requireLinkFollowsCable() {
	p.t.Helper()
	for _, step := range []struct {
		file string
		up   bool
	}{{"pull", false}, {"plug", true}} {
		require.NoError(p.t, os.WriteFile(filepath.Join("/lab", step.file), nil, 0o644))
		require.Eventually(p.t, func() bool { return p.a.uplink("up0").Device.LinkUp == step.up }, patience(10*time.Second), 200*time.Millisecond, step.file)
	}
	p.requirePing(p.vms["red-1"], "10.0.0.7", netlab.PingOptions{})
}

// requireRestart kills the daemon; the next one takes the NIC as it was left.
func (p *pair) requireRestart() {
	p.t.Helper()
	p.a.Kill()
	p.a.start()
	p.requirePing(p.vms["red-1"], "10.0.0.7", netlab.PingOptions{Count: 5})
}

package e2e

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// generated is what these tests read of a result of sluice-pktgen.
type generated struct {
	Notes  []string
	Result struct {
		Sent, Received, Lost, Reordered, Duplicates, Damaged, Astray uint64
		Latency                                                      struct{ Frames, P50Ns float64 }
	}
}

// The generator measures a real switch: it plays the VM and the other host.
//
//	namespace sut                                       namespace sut
//	sluice-pktgen ── t1-vm1 (tap) ── sluiced ── near ══ far ── sluice-pktgen
//	                                         memif ════════════ sluice-pktgen
func TestGeneratorThroughTheDaemon(t *testing.T) {
	for name, c := range map[string]struct{ profile, uplink, far string }{
		"encapsulation over veth":  {"nvgre-encap", "net_af_packet0,iface=near", "net_af_packet1,iface=far"},
		"decapsulation over veth":  {"nvgre-decap", "net_af_packet0,iface=near", "net_af_packet1,iface=far"},
		"encapsulation over memif": {"nvgre-encap", "net_memif0,role=server,socket-abstract=no,socket=SOCKET", "net_memif0,role=client,socket-abstract=no,socket=SOCKET"},
		"rewrite over veth":        {"iprewrite", "net_af_packet0,iface=near", "net_af_packet1,iface=far"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			sut := l.namespace("sut")
			l.wire(sut, "near", sut, "far", 1600)
			socket := func(s string) string { return strings.ReplaceAll(s, "SOCKET", l.Path("memif.sock")) }
			config := l.pktgen("config", "--profile", c.profile, "--uplink", socket(c.uplink))
			l.sluiced(sut, "near", config+"daemon: {socket: \"${socket}\"}\ndataplane: {hugepages: \"off\"}\n")
			devices := []string{"--tx", "net_af_packet5,iface=t1-vm1", "--rx", socket(c.far)}
			if c.profile == "nvgre-decap" {
				devices = []string{"--rx", "net_af_packet5,iface=t1-vm1", "--tx", socket(c.far)}
			}
			var got generated
			for range 5 { // a machine with two cores is busy with both programs: what a full queue drops is no fault of theirs
				text := l.run(sut, append([]string{program("sluice-pktgen"), "run", "--profile", c.profile, "--flows", "32", "--rate", "2kpps",
					"--duration", "500ms", "--settle", "3s", "--core", "0", "--hugepages", "off", "-o", "json"}, devices...)...)
				text = text[strings.IndexByte(text, '{'):]
				require.NoError(t, json.Unmarshal([]byte(text), &got), text)
				if got.Result.Lost == 0 {
					break
				}
			}
			assert.Positive(t, got.Result.Sent)
			assert.Equal(t, got.Result.Sent, got.Result.Received, "%+v", got)
			assert.Zero(t, got.Result.Reordered+got.Result.Duplicates+got.Result.Damaged+got.Result.Astray, "%+v", got)
			assert.EqualValues(t, got.Result.Received, got.Result.Latency.Frames)
			for _, note := range got.Notes {
				assert.NotContains(t, note, "nobody answered ARP")
			}
		})
	}
}

// pktgen runs the generator where it touches no device.
func (l *lab) pktgen(args ...string) string {
	l.t.Helper()
	out, err := exec.Command(program("sluice-pktgen"), args...).Output()
	require.NoError(l.t, err)
	return string(out)
}

package policy

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestNotADocument: what is no YAML mapping is refused as a whole, with the line where it goes wrong.
func TestNotADocument(t *testing.T) {
	tests := []struct {
		name, text string
		line       int
		what       string
	}{
		{"empty", "", 1, "the file is empty"},
		{"blank", "\n\n", 1, "the file is empty"},
		{"comment", "# nothing\n", 1, "the file is empty"},
		{"null", "---\n~\n", 1, "the file is empty"},
		{"list", "\n- a\n", 2, "the file is a list, not a mapping"},
		{"word", "sluice", 1, `the file is "sluice", not a mapping`},
		{"two documents", good + "---\nhost: {name: b}\n", 25, "a second YAML document begins here"},
		{"broken second document", good + "---\n[", 26, "not valid YAML: did not find expected node content"},
		{"NUL", "host: {name: a}\nx\x00y", 2, "the file holds a NUL byte"},
		{"control character", "host: {name: a}\n\n \x1b[0m", 3, "the file holds the control character 0x1b"},
		{"not UTF-8", "host: {name: a}\n# gr\xfc\xdfe\n", 2, "the byte 0xfc is not UTF-8 text"},
		{"UTF-16", "\xff\xfeh\x00o\x00", 1, "the byte 0xff is not UTF-8 text"},
		{"tabulator", "host:\n\tname: a\n", 2, "not valid YAML: found character that cannot start any token"},
		{"unclosed list", "host: {name: a}\nx: [1, 2\ny: 3\n", 2, "not valid YAML: did not find expected ',' or ']'"},
		{"unclosed quote", "host: {name: a}\nx: \"1\ny: 3\n", 2, "not valid YAML: found unexpected end of stream"},
		{"indentation", "vports:\n  - name: a\n    mtu: 1500\n   vlan: 3\n  - name: b\n", 4, "not valid YAML: did not find expected '-' indicator"},
		{"two colons", "host: {name: a}\nx: y: z\n", 2, "not valid YAML: mapping values are not allowed in this context"},
		{"unknown anchor", "host: {name: a}\nx: *y\n", 2, "not valid YAML: unknown anchor 'y' referenced"},
		{"deep flow", strings.Repeat("[", 20000), 1, "not valid YAML: exceeded max depth of 10000"},
		{"deep block", "host: {name: a}\nx:\n" + strings.Repeat("- ", 20000), 3, "not valid YAML: exceeded max depth of 10000"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse("bad.yaml", []byte(tt.text))
			var errs *Errors
			require.ErrorAs(t, err, &errs)
			require.Len(t, errs.Problems, 1)
			assert.Equal(t, tt.line, errs.Problems[0].Line)
			assert.Equal(t, tt.what, errs.Problems[0].What)
			assert.NotEmpty(t, errs.Problems[0].Remedy)
		})
	}
}

// TestAliasBomb: aliases are not followed, so that a few lines cannot fill the memory.
func TestAliasBomb(t *testing.T) {
	var b strings.Builder
	b.WriteString("host: {name: a}\na0: &a0 [x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 30; i++ {
		n := string(rune('0' + i%10))
		b.WriteString("records: &a" + n + " [" + strings.Repeat("*a"+string(rune('0'+(i-1)%10))+", ", 8) + "]\n")
	}
	_, err := Parse("bomb.yaml", []byte(b.String()))
	assert.ErrorContains(t, err, `unknown key "a0"`)
	assert.ErrorContains(t, err, "entry 1 of records is an alias, not a mapping")
}

func TestManyProblems(t *testing.T) {
	text := "host: {name: a}\nvports:\n" + strings.Repeat("  - {nam: x}\n", 50_000)
	_, err := Parse("many.yaml", []byte(text))
	var errs *Errors
	require.ErrorAs(t, err, &errs)
	assert.Len(t, errs.Problems, maxProblems)
	assert.ErrorContains(t, err, "too many problems: the rest is not shown")
}

func TestTooLarge(t *testing.T) {
	_, err := Parse("large.yaml", bytes.Repeat([]byte("#"), maxFileSize+1))
	assert.EqualError(t, err, "large.yaml: the file is larger than 64 MiB (is it the right file?)")
}

func TestLoad(t *testing.T) {
	file := filepath.Join(t.TempDir(), "host.yaml")
	_, err := Load(file)
	assert.ErrorIs(t, err, os.ErrNotExist)
	assert.ErrorContains(t, err, file)

	require.NoError(t, os.WriteFile(file, []byte(good), 0o600))
	c, err := Load(file)
	require.NoError(t, err)
	assert.Equal(t, file, c.File)

	require.NoError(t, os.WriteFile(file, []byte("host: 1\n"), 0o600))
	_, err = Load(file)
	assert.EqualError(t, err, file+`:1: host is "1", not a mapping (write host: {name: ...})`)
}

// TestParsed reads every kind of value into its field.
func TestParsed(t *testing.T) {
	c, err := Parse("good.yaml", []byte(good))
	require.NoError(t, err)
	assert.Equal(t, "host-a", c.Host.Name)
	assert.Equal(t, UplinkDevice{Driver: DriverAFPacket, Interface: "eth1"}, c.Uplink("up0").Device)
	assert.Equal(t, "pci 0000:03:00.0", c.Uplink("up1").Device.String())
	assert.Equal(t, "172.16.1.1/24", listed(c.Uplink("up0").ProviderAddresses))
	assert.Nil(t, c.Uplink("up2"))

	v := c.Vport("host0")
	assert.Equal(t, AttachPassThrough, v.Attachment())
	assert.Equal(t, []uint16{200, 300}, v.Trunk)
	assert.Equal(t, VportDevice{Driver: DriverTap, Interface: "host0", Persist: true}, v.Device)
	assert.Equal(t, 9, v.Line())
	assert.Nil(t, c.Vport("up0"))

	sub, net := c.Subnet("blue-web")
	assert.Equal(t, uint32(7001), sub.VSID)
	assert.Equal(t, "blue", net.Name)
	sub, net = c.Subnet("green")
	assert.Nil(t, sub)
	assert.Nil(t, net)
	assert.False(t, c.Records[1].CA.IsValid())

	text := strings.Replace(good, "host: {name: host-a}", `host: {name: host-a}
daemon: {metrics: off, logLevel: debug}
dataplane: {workers: 2, cores: [2, 5], idle: {mode: busy, spin: 20us}, flowIdle: 5m, flowsPerQueue: 0x1000, slowPathShare: 35%, routerMAC: "0215.5d00.0002"}`, 1)
	c, err = Parse("good.yaml", []byte(text))
	require.NoError(t, err)
	assert.Equal(t, MetricsOff, c.Daemon.Metrics)
	assert.Equal(t, []int{2, 5}, c.Dataplane.Cores)
	assert.Equal(t, 2, c.Dataplane.Workers)
	assert.Equal(t, IdleBusy, c.Dataplane.Idle.Mode)
	assert.Equal(t, 20*time.Microsecond, c.Dataplane.Idle.Spin)
	assert.Equal(t, 500*time.Microsecond, c.Dataplane.Idle.MaxSleep)
	assert.EqualValues(t, 35, c.Dataplane.SlowPathShare)
	assert.Equal(t, 4096, c.Dataplane.FlowsPerQueue)
	assert.Equal(t, mac("02:15:5d:00:00:02"), c.Dataplane.RouterMAC)
}

func TestClosest(t *testing.T) {
	words := []string{"vlan", "passThrough", "uplink", "host", "hosts"}
	for _, tt := range [][2]string{
		{"vlna", "vlan"}, {"VLAN", "vlan"}, {"paasThrough", "passThrough"}, {"uplinks", "uplink"}, {"host5", "hosts"},
		{"mac", ""}, {"x", ""}, {"", ""}, {strings.Repeat("uplink", 20), ""},
	} {
		assert.Equal(t, tt[1], closest(tt[0], words), tt[0])
	}
}

func TestProblemString(t *testing.T) {
	p := Problem{File: "a.yaml", Line: 3, Object: "vport x", What: "is wrong", Remedy: "mend it"}
	assert.Equal(t, "a.yaml:3: vport x: is wrong (mend it)", p.String())
	assert.Equal(t, "a.yaml: is wrong", Problem{File: "a.yaml", What: "is wrong"}.String())
	assert.Equal(t, "is wrong", Problem{What: "is wrong"}.String())
}

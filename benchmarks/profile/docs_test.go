package profile

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The reference knows every key and what holds without it, and its example is a profile.
func TestReferenceIsTrue(t *testing.T) {
	text, err := os.ReadFile("../../docs/PROFILES.md")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	require.NotEmpty(t, blocks)
	for _, b := range blocks {
		_, err := Parse("docs/PROFILES.md", []byte(b[1]))
		if strings.Contains(b[1], "\nstreams:") {
			_, err = ParseShares("docs/PROFILES.md", []byte(b[1]))
		}
		require.NoError(t, err)
	}
	_, keys, found := strings.Cut(string(text), "\n## Keys\n")
	require.True(t, found)
	documented := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| ([^|]+) \\| [^|]+ \\|$").FindAllStringSubmatch(keys, -1) {
		documented[m[1]] = m[2]
	}
	d := &decoder{profile: &Profile{}}
	for key := range d.fields() {
		want, may := optional[key]
		if !may {
			want = "-"
		}
		assert.Equal(t, want, documented[key], "key %s", key)
	}
	assert.Len(t, documented, len(d.fields()), "no key that does not exist")
	for _, direction := range []Direction{Encap, Decap, Rewrite, Local, Bridge} {
		assert.Contains(t, keys, "\n| `"+string(direction)+"` | ")
	}
}

// Every key that a profile of shares may have is explained.
func TestReferenceOfSharesIsTrue(t *testing.T) {
	text, err := os.ReadFile("../../docs/PROFILES.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(text), "\n## Shares of a link\n")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	d := &sharesDecoder{s: &Shares{}}
	var s Stream
	for _, keys := range []map[string]key{d.s.fields(d), d.streamKeys(&s)} {
		for name := range keys {
			assert.Contains(t, section, "\n| `"+name+"` | ", "key %s", name)
		}
	}
}

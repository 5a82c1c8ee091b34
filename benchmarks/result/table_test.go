package result

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestPrintTable(t *testing.T) {
	var out bytes.Buffer
	PrintTable(&out, func(w io.Writer) {
		fmt.Fprint(w, "what\tfigure\tmore\nlost\t1.5\t\nonly a word\t\t\n")
	})
	assert.Equal(t, "what         figure  more\nlost         1.5\nonly a word\n", out.String())
}

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0 rounds", 1: "1 round", 12: "12 rounds"} {
		assert.Equal(t, want, Count(n, "round"))
	}
}

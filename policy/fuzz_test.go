package policy

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// FuzzParse: no input brings Parse down, each refusal says where and what, and what Parse accepts compiles.
func FuzzParse(f *testing.F) {
	samples, err := filepath.Glob(filepath.Join(samplesDir, "*.yaml"))
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range samples {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(good))
	f.Add([]byte(wholeQoS))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("fuzz.yaml", data)
		if err != nil {
			requireSound(t, err, data)
			return
		}
		c.Warnings()
		s, err := Compile(c, nil, NumberPorts(c))
		if err != nil {
			t.Fatalf("Parse accepts what Compile refuses: %v", err)
		}
		again, err := Compile(c, s, NumberPorts(c))
		if err != nil || !slices.Equal(s.Subnets, again.Subnets) {
			t.Fatalf("compiled again the subnets are not shared: %v", err)
		}
		if d := Compare(s, again); !d.Empty() {
			t.Fatalf("compiled again the policy differs: %+v", d)
		}
		if d := Diff(c, c); len(d) > 0 {
			t.Fatalf("a configuration differs from itself: %+v", d)
		}
	})
}

// requireSound checks the form of a refusal.
func requireSound(t *testing.T, err error, data []byte) {
	var errs *Errors
	if !errors.As(err, &errs) || len(errs.Problems) == 0 {
		t.Fatalf("not an *Errors with problems: %v", err)
	}
	lines := 2 + countLines(data)
	for i, p := range errs.Problems {
		if p.File != "fuzz.yaml" || p.What == "" || p.Line < 1 || p.Line > lines || p.Column < 1 {
			t.Fatalf("problem without its place or reason, in %d lines: %+v", lines, p)
		}
		if i > 0 && p.Line < errs.Problems[i-1].Line {
			t.Fatalf("problems out of order: %v", err)
		}
	}
}

// countLines counts what YAML takes for the end of a line.
func countLines(data []byte) int {
	n := 0
	for _, r := range string(data) {
		if r == '\n' || r == '\r' || r == '\u0085' || r == '\u2028' || r == '\u2029' {
			n++
		}
	}
	return n
}

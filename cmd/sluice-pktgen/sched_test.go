package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestSchedRefusesWhatCannotBe(t *testing.T) {
	for _, args := range [][]string{{"--vports", "0"}, {"--vports", "20000"}, {"--depth", "100"}, {"--rounds", "0"}, {"--packets", "10"}} {
		var out, errs bytes.Buffer
		assert.Equal(t, exitFailed, run(t.Context(), append([]string{"sched"}, args...), &out, &errs), "%v", args)
		assert.Contains(t, errs.String(), "choose", "%v", args)
	}
}

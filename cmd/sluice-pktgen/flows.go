package main

import (
	"errors"
	"strconv"

	"github.com/spf13/pflag"
)

// flowCount is the flag --flows. Its zero value, which nobody can ask for, is the profile's number.
type flowCount int

var errFlows = errors.New("choose a number of flows of at least 1, or leave the flag out for the profile's")

// Set reads the number.
func (n *flowCount) Set(text string) error {
	v, err := strconv.Atoi(text)
	if err != nil || v < 1 {
		return errFlows
	}
	*n = flowCount(v)
	return nil
}

func (n *flowCount) String() string { return strconv.Itoa(int(*n)) }

// Type is what help calls the value.
func (n *flowCount) Type() string { return "int" }

// flowsFlag is --flows of every command that takes one profile.
func flowsFlag(f *pflag.FlagSet, n *flowCount) {
	f.Var(n, "flows", "number of flows instead of the profile's")
}

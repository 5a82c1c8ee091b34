// Package benchmarks holds the traffic profiles. The packages below it read them (profile), make traffic of them
// (traffic), measure the switch and its peers on it (worker, peer), and write down what they found (compare, report).
package benchmarks

import "embed"

// Profiles are the traffic profiles, in the folder profiles, one per file; those of quality of service are in one of its own.
//
//go:embed profiles/*.yaml profiles/qos/*.yaml
var Profiles embed.FS

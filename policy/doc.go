// Package policy is what a host is told about its networks, in two forms. Config is the YAML file: read strictly, checked
// as a whole, compared with another one (Diff). Snapshot is what the workers of the switch decide by: compiled of a
// Config, immutable, without pointers where it is large, and sharing with its predecessor whatever did not change.
package policy

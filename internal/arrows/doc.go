// Package arrows tests the shape of the source: which room may import which, where C, unsafe and test tools may be
// used, what stands at the top of the repository, and how long files and functions get. A rule that fails says why it
// exists; change the rule, with its reason, or the code.
package arrows

//go:build !amd64

package dataplane

// pause: other processors spin without a hint.
func pause(uint32) {}

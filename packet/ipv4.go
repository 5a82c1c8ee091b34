package packet

const (
	ipv4TOS      = 1
	ipv4Checksum = 10
)

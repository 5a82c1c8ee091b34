package packet

// IP protocol numbers and IPv6 next-header values (IANA, "Protocol Numbers").
const (
	ProtoHopByHop uint8 = 0 // IPv6 hop-by-hop options
	ProtoICMP     uint8 = 1
	ProtoIGMP     uint8 = 2
	ProtoIPv4     uint8 = 4
	ProtoTCP      uint8 = 6
	ProtoUDP      uint8 = 17
	ProtoDCCP     uint8 = 33
	ProtoIPv6     uint8 = 41
	ProtoRouting  uint8 = 43 // IPv6 routing header
	ProtoFragment uint8 = 44 // IPv6 fragment header
	ProtoGRE      uint8 = 47
	ProtoESP      uint8 = 50
	ProtoAH       uint8 = 51
	ProtoICMPv6   uint8 = 58
	ProtoNoNext   uint8 = 59 // IPv6: nothing follows
	ProtoDstOpts  uint8 = 60 // IPv6 destination options
	ProtoOSPF     uint8 = 89
	ProtoVRRP     uint8 = 112
	ProtoSCTP     uint8 = 132
	ProtoMobility uint8 = 135 // RFC 6275
	ProtoUDPLite  uint8 = 136
	ProtoHIP      uint8 = 139 // RFC 7401
	ProtoShim6    uint8 = 140 // RFC 5533
)

package dataplane

import "github.com/sluicenet/sluice/packet"

// Reason says why a packet was not delivered. Every packet that is dropped is counted under exactly one. The zero
// Reason is the verdict of a packet that nobody decided, which is dropped as well.
type Reason uint8

// ReasonUndecided is the zero Reason. Reasons 1 to packet.NumParseErrors-1 are the parse errors, by their own numbers.
const ReasonUndecided Reason = 0

const (
	ReasonNoHeadroom Reason = iota + Reason(packet.NumParseErrors)
	ReasonNotWritable
	ReasonNoBuffer
	ReasonTxBurstFull
	ReasonTxRejected
	ReasonPortGone
	ReasonSlowPathShare
	ReasonQueueFull
	ReasonHandOverFull
	ReasonWorkerFailed
	ReasonStorm
	ReasonTooBig
	ReasonTTLExceeded
	ReasonIPv4Checksum
	// the sender's side of a virtual subnet
	ReasonVLANTag
	ReasonSourceMACSpoof
	ReasonSourceAddrSpoof
	ReasonNeighbourSpoof
	ReasonBadND
	ReasonTenantBroadcast
	ReasonACLDenyOut
	ReasonNeighbourUnanswered
	ReasonUnknownMAC
	ReasonUnknownAddr
	ReasonNoRoute
	ReasonGatewayService
	ReasonRouterNonIP
	ReasonMartian
	ReasonHairpin
	ReasonNoProviderPath
	ReasonNextHopPending
	ReasonNextHopUnresolved
	ReasonNextHopTableFull
	ReasonRewriteNonIPv4
	ReasonRewriteAddress
	ReasonRewriteAH
	// both sides of IP rewrite
	ReasonRewriteOption
	ReasonRewriteICMP
	// the fabric's side
	ReasonOuterHeader
	ReasonOuterChecksum
	ReasonOuterFragment
	ReasonGREFlags
	ReasonGREProtocol
	ReasonReservedVSID
	ReasonUnknownVSID
	ReasonInnerVLAN
	ReasonUnknownSender
	ReasonProviderSpoof
	ReasonInnerSourceMAC
	ReasonNotLocal
	ReasonECN
	ReasonNotForProvider
	ReasonAddressConflict
	// ports that are not virtualised
	ReasonVLANNotAllowed
	ReasonNotForUs
	ReasonFloodNowhere
	// the target's vport
	ReasonACLDenyIn
	NumReasons
)

type reasonText struct{ name, why string }

var reasonTexts = [NumReasons]reasonText{
	ReasonUndecided: {"undecided", "no layer decided about the packet, and an undecided packet is dropped"},

	Reason(packet.ErrTruncatedEth):   {"truncated-ethernet", "the frame is shorter than an Ethernet header"},
	Reason(packet.ErrTruncatedVLAN):  {"truncated-vlan", "the frame ends inside its 802.1Q tag"},
	Reason(packet.ErrTruncatedARP):   {"bad-arp", "the ARP message is cut off, or not Ethernet and IPv4"},
	Reason(packet.ErrTruncatedIPv4):  {"truncated-ipv4", "the frame ends inside the IPv4 header"},
	Reason(packet.ErrIPv4Version):    {"bad-ipv4-version", "the EtherType says IPv4, the version field does not"},
	Reason(packet.ErrIPv4HeaderLen):  {"bad-ipv4-header-length", "the IPv4 header length is below 5 words"},
	Reason(packet.ErrIPv4TotalLen):   {"bad-ipv4-total-length", "the IPv4 total length is beyond the frame or shorter than the header"},
	Reason(packet.ErrIPv4Fragment):   {"bad-ipv4-fragment", "the fragment is empty or reaches beyond 65,535 bytes"},
	Reason(packet.ErrTruncatedIPv6):  {"truncated-ipv6", "the frame ends inside the IPv6 header"},
	Reason(packet.ErrIPv6Version):    {"bad-ipv6-version", "the EtherType says IPv6, the version field does not"},
	Reason(packet.ErrIPv6PayloadLen): {"bad-ipv6-payload-length", "the IPv6 payload length is beyond the frame, or it is a jumbogram"},
	Reason(packet.ErrIPv6Chain):      {"bad-ipv6-extension", "the IPv6 extension headers are cut off, too many, or in the wrong order"},
	Reason(packet.ErrTruncatedL4):    {"truncated-transport", "the TCP, UDP, SCTP or ICMP header is cut off"},
	Reason(packet.ErrL4Length):       {"bad-transport-length", "the TCP data offset or UDP length contradicts the IP length"},
	Reason(packet.ErrSourceMAC):      {"bad-source-mac", "the source Ethernet address is a group address or zero"},
	Reason(packet.ErrSegments):       {"split-headers", "the headers are split across buffer segments"},

	ReasonNoHeadroom:          {"no-headroom", "the buffer has no room in front for the headers to be added"},
	ReasonNotWritable:         {"not-writable", "the packet must be changed, but its buffer is shared, indirect or in segments"},
	ReasonNoBuffer:            {"no-buffer", "no free packet buffer for a copy or an answer"},
	ReasonTxBurstFull:         {"tx-burst-full", "the worker had more to send in one round than the burst holds"},
	ReasonTxRejected:          {"tx-rejected", "the output device did not accept the packet (its queue is full, or it is down)"},
	ReasonPortGone:            {"port-gone", "the port was removed while the packet was on its way"},
	ReasonSlowPathShare:       {"slow-path-share", "new flows, ARP, neighbour discovery, floods or pings of the gateway took their share of the worker while known flows waited"},
	ReasonQueueFull:           {"queue-full", "the sender's queue in its traffic class is full: it sends more than its share or its maximum lets through, or inbound more than its VM's maximum"},
	ReasonHandOverFull:        {"hand-over-full", "the worker that runs the output's scheduler fell behind with what other workers hand to it"},
	ReasonWorkerFailed:        {"worker-failed", "a fault of sluiced ended the worker that had the packet in hand; the log says where, and others took over"},
	ReasonStorm:               {"storm-limit", "broadcast, multicast and unknown unicast towards the vport exceed its storm limit"},
	ReasonTooBig:              {"too-big", "the packet does not fit the output; senders that set DF are told the size that does"},
	ReasonTTLExceeded:         {"ttl-exceeded", "the TTL ran out at the distributed router; the sender was told"},
	ReasonIPv4Checksum:        {"bad-ipv4-checksum", "the IPv4 header checksum of a packet to or through the router is wrong"},
	ReasonVLANTag:             {"vlan-tag", "a VM of a virtual subnet or an access VLAN sent an 802.1Q tag with a VLAN"},
	ReasonSourceMACSpoof:      {"source-mac-spoof", "the source Ethernet address is not the vport's"},
	ReasonSourceAddrSpoof:     {"source-address-spoof", "the source address is none of the vport's"},
	ReasonNeighbourSpoof:      {"neighbour-spoof", "an ARP or neighbour discovery message claims an address that is not the sender's"},
	ReasonBadND:               {"bad-neighbour-discovery", "the neighbour discovery message breaks RFC 4861 (hop limit, checksum, length, options), or is fragmented (RFC 6980)"},
	ReasonTenantBroadcast:     {"tenant-broadcast", "broadcast and multicast of a virtual subnet are not carried, apart from ARP and neighbour discovery"},
	ReasonACLDenyOut:          {"acl-deny-out", "a rule of the sender's vport denies the packet"},
	ReasonACLDenyIn:           {"acl-deny-in", "a rule of the target's vport denies the packet"},
	ReasonNeighbourUnanswered: {"neighbour-unanswered", "ARP or neighbour discovery asks for an address that nobody in the subnet has"},
	ReasonUnknownMAC:          {"unknown-mac", "no VM of the subnet has the destination Ethernet address"},
	ReasonUnknownAddr:         {"unknown-address", "no record for the destination address in its subnet"},
	ReasonNoRoute:             {"no-route", "no subnet or route of the sender's network holds the destination; other networks are out of reach"},
	ReasonGatewayService:      {"gateway-service", "the subnet's gateway address answers ARP, neighbour discovery and ping, nothing else"},
	ReasonRouterNonIP:         {"router-non-ip", "a frame for the router that is not IP"},
	ReasonMartian:             {"martian-address", "an address that may not be used there: IPv4 inside IPv6, or at the router a link-local, loopback, group or unspecified one"},
	ReasonHairpin:             {"hairpin", "the destination is on the port that the packet came from"},
	ReasonNoProviderPath:      {"no-provider-path", "no uplink has a prefix or a gateway for the provider address"},
	ReasonNextHopPending:      {"next-hop-pending", "more packets than may wait arrived while the next hop's MAC was being asked for"},
	ReasonNextHopUnresolved:   {"next-hop-unresolved", "the next hop in the fabric does not answer ARP"},
	ReasonNextHopTableFull:    {"next-hop-table-full", "more next hops in the fabric than the table holds"},
	ReasonRewriteNonIPv4:      {"rewrite-non-ipv4", "the target is reached by IP rewrite, which carries IPv4 only"},
	ReasonRewriteAddress:      {"rewrite-address", "IP rewrite has no provider address for the packet's source or destination"},
	ReasonRewriteAH:           {"rewrite-ah", "an authentication header (AH) covers the addresses, which IP rewrite replaces"},
	ReasonRewriteOption:       {"rewrite-option", "an IP option names addresses, which IP rewrite does not translate"},
	ReasonRewriteICMP:         {"rewrite-icmp", "an ICMP error quotes no packet between the two VMs, or is a redirect: IP rewrite cannot translate it"},
	ReasonOuterHeader:         {"bad-outer-header", "the outer IPv4 header of a fabric packet is malformed"},
	ReasonOuterChecksum:       {"bad-outer-checksum", "the outer IPv4 header checksum is wrong"},
	ReasonOuterFragment:       {"outer-fragment", "NVGRE packets are never fragmented"},
	ReasonGREFlags:            {"bad-gre-flags", "NVGRE requires C=0, K=1, S=0, version 0 and reserved bits 0"},
	ReasonGREProtocol:         {"bad-gre-protocol", "the GRE protocol is not 0x6558 (Transparent Ethernet Bridging)"},
	ReasonReservedVSID:        {"reserved-vsid", "the VSID is one that RFC 7637 reserves"},
	ReasonUnknownVSID:         {"unknown-vsid", "no subnet with this VSID on this host"},
	ReasonInnerVLAN:           {"inner-vlan", "the inner frame bears an 802.1Q tag, which NVGRE forbids"},
	ReasonUnknownSender:       {"unknown-sender", "no record for the sender in the routing domain of the target"},
	ReasonProviderSpoof:       {"provider-spoof", "the provider address that the packet comes from is not the sender's"},
	ReasonInnerSourceMAC:      {"inner-source-mac", "the inner source Ethernet address is neither the sender's nor the router's"},
	ReasonNotLocal:            {"not-local", "the inner destination has no port on this host"},
	ReasonECN:                 {"ecn-not-capable", "congestion was marked on the outer header of a packet that cannot carry the mark"},
	ReasonNotForProvider:      {"not-for-provider", "a packet to the provider address that is neither NVGRE, ARP nor ping"},
	ReasonAddressConflict:     {"address-conflict", "another host claims this host's provider address"},
	ReasonVLANNotAllowed:      {"vlan-not-allowed", "the port does not carry the frame's VLAN"},
	ReasonNotForUs:            {"not-for-us", "a frame from the fabric, or for this host itself, that no port wants"},
	ReasonFloodNowhere:        {"flood-nowhere", "a frame to be flooded where no other port is in its VLAN"},
}

// reasonOf maps a parse error to its drop reason.
func reasonOf(e packet.ParseError) Reason { return Reason(e) }

// String is the reason's name as the CLI and the metrics show it, in kebab case.
func (r Reason) String() string {
	if r >= NumReasons || reasonTexts[r].name == "" {
		return "unknown"
	}
	return reasonTexts[r].name
}

// Explain is one sentence for a person.
func (r Reason) Explain() string {
	if r >= NumReasons {
		return ""
	}
	return reasonTexts[r].why
}

// Reasons lists all reasons, in order.
func Reasons() []Reason {
	all := make([]Reason, NumReasons)
	for i := range all {
		all[i] = Reason(i)
	}
	return all
}
